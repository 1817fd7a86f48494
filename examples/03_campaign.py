"""Compare methods on the same shots, in a small campaign that can be killed and resumed.

Run: python examples/03_campaign.py [folder]

The machine "flips:0.05" flips bits independently, and its campaign takes seconds. Replace it by "FakeTorino" for
compiled circuits with the noise of a machine, or by the name of a real machine (see docs/campaigns.md).
"""

import sys

from qcluster.bench.campaign import run
from qcluster.bench.reports.report import write_report
from qcluster.bench.reports.summary import summarise
from qcluster.bench.store import read_scores
from qcluster.bench.tasks import parse_campaign

CAMPAIGN = {
    "name": "Three kinds of output",
    "families": ["ghz", "w_state", "dense"],
    "widths": [4, 6],
    "machines": ["flips:0.05"],
    "shots": 4096,
    "twirls": 1,
    "seeds": [0],
    "methods": ["identity", "hammer", "mixture"],
}


def main(folder: str = "campaign") -> None:
    """Run the tasks that are not done yet, print one line per method, and write the report."""
    for step in run(parse_campaign(CAMPAIGN), folder):
        print(f"{step.done}/{step.total} {step.label} {step.error}")
    for row in summarise(read_scores(folder), "all"):
        print(f"{row.method:9} mean fidelity {row.mean:.3f}, gain {row.gain:+.3f}, harmed {row.harm:.0%} of {row.n}")
    for path in write_report(folder, title=CAMPAIGN["name"]):
        print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
