"""Compare methods on the same shots: a small campaign that can be killed and run again.

Run: python examples/03_campaign.py [folder]

The machines here flip bits independently, which takes seconds; put "FakeTorino" in their place for compiled circuits
with a machine's noise, or the name of a real machine (see docs/campaigns.md).
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
    """Run what is not done yet, then print one line a method and write the report."""
    for step in run(parse_campaign(CAMPAIGN), folder):
        print(f"{step.done}/{step.total} {step.label} {step.error}")
    for one in summarise(read_scores(folder), "all"):
        print(f"{one.method:9} mean fidelity {one.mean:.3f}, gain {one.gain:+.3f}, harmed {one.harm:.0%} of {one.n}")
    for path in write_report(folder, title=CAMPAIGN["name"]):
        print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
