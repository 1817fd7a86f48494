"""Reports on campaigns: statistics, tables, figures and pages."""
