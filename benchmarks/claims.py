"""Print what is measured of the published claims, as the Markdown tables of docs/campaigns.md.

Run from the repository, after the campaign: python -m benchmarks.claims [folder ...]
The folder is benchmarks/results/paper by default.
"""

import sys
from pathlib import Path

from benchmarks.data import RESULTS
from qcluster.bench.report import OURS, compare_pairs, latest, short
from qcluster.bench.store import read_scores
from qcluster.bench.summary import Summary, group_rows, summarise

CLAIMS = {"identity": "1.46", "m3": "1.29", "hammer": "1.47", "qbeep": "2.65"}
"""Factors of Q-Cluster over other methods in arXiv:2504.10801, outputs low in entropy, five machines."""


def row(*cells: str) -> str:
    """Write one line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def factors(one: Summary) -> str:
    """Write the three averages of a factor."""
    return f"{one.factor:.2f} / {one.median_factor:.2f} / {one.mean_factor:.2f}"


def claims(folder: Path) -> list[str]:
    """Compare factors over other methods with the published ones: geometric mean / median / ratio of means."""
    duels = {(one.method, one.base): one for one in compare_pairs(latest(read_scores(folder)))}
    methods = [name for name in OURS[::-1] if (name, "identity") in duels]
    head = ["low entropy, over", "claimed", *(f"`{name}`" for name in methods)]
    lines = [row(*head), row(*["---"] * len(head))]
    for base, claim in CLAIMS.items():
        shown = "raw" if base == "identity" else base
        lines.append(row(shown, claim, *(factors(duels[name, base]) for name in methods)))
    return lines


def harms(folder: Path) -> list[str]:
    """Tell mean, median, gain, wins, harm and worst loss of each method, low and high entropy apart."""
    lines = []
    for name, part in group_rows(latest(read_scores(folder)), "entropy").items():
        found = summarise(part, name)
        lines += ["", row(name, "mean HF", "median", "gain", "win/tie/loss", "harm", "worst"), row(*["---"] * 7)]
        for one in (one for one in found if one.n):
            cells = [f"`{one.method}`", short(one.mean), short(one.median), f"{one.gain:+.3f}"]
            cells += [f"{one.wins}/{one.ties}/{one.losses}", f"{one.harm:.0%}", short(one.worst)]
            lines.append(row(*cells))
    return lines


if __name__ == "__main__":
    for place in [Path(text) for text in sys.argv[1:]] or [RESULTS / "paper"]:
        print("\n".join([*claims(place), *harms(place)]))
