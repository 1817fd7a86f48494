"""Render the report of every folder of results that has scores: report.md, summary.csv, figures, and report.html.

Run from the repository: python -m benchmarks.reports
Pages of HTML are large and follow from the scores, so they are not kept: benchmarks/results/*/report.html.
"""

from benchmarks.data import RESULTS
from qcluster.bench.reports.report import write_report

NOTES = RESULTS.parent / "campaigns"


def main() -> None:
    """Write the reports; the notes of a campaign follow its first table."""
    for scores in sorted(RESULTS.rglob("scores.csv")):
        notes = NOTES / f"{scores.parent.name}_notes.md"
        for path in write_report(scores.parent, notes=notes.read_text(encoding="utf-8") if notes.exists() else ""):
            print(path.relative_to(RESULTS))


if __name__ == "__main__":
    main()
