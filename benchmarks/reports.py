"""Render the reports of all folders of results with scores: report.md, summary.csv, figures, and report.html.

Run from the repository: python -m benchmarks.reports
The HTML pages (benchmarks/results/*/report.html) are large and can be made from the scores, so they are not committed.
"""

from benchmarks.data import RESULTS
from qcluster.bench.reports.report import write_report

NOTES = RESULTS.parent / "campaigns"


def main() -> None:
    """Write the reports, with the notes of a campaign after its first table."""
    for scores in sorted(RESULTS.rglob("scores.csv")):
        notes = NOTES / f"{scores.parent.name}_notes.md"
        for path in write_report(scores.parent, notes=notes.read_text(encoding="utf-8") if notes.exists() else ""):
            print(path.relative_to(RESULTS))


if __name__ == "__main__":
    main()
