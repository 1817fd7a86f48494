"""Print what is measured of the published claims, gain and harm by entropy, and runs against a reference, as Markdown.

Run from the repository, after the campaign: python -m benchmarks.claims [folder ...]
The folder is benchmarks/results/paper by default; several folders are also put side by side. In brackets are the 95 %
intervals of the report.
"""

import sys
from pathlib import Path

from benchmarks.data import RESULTS
from qcluster.bench.reports.report import OURS, compare_pairs, factor, gain, harm, latest, mean, short
from qcluster.bench.reports.summary import TIE, Summary, few_circuits, group_rows, summarise
from qcluster.bench.store import read_scores
from qcluster.bench.tasks import REFERENCE

CLAIMS = {"identity": "1.46", "m3": "1.29", "hammer": "1.47", "qbeep": "2.65"}
"""Factors of Q-Cluster over other methods in arXiv:2504.10801, outputs low in entropy, five machines."""


def row(*cells: str) -> str:
    """Write one line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def factors(one: Summary) -> str:
    """Write the three averages of a factor, the first with its interval."""
    return f"{factor(one)} / {one.median_factor:.2f} / {one.mean_factor:.2f}"


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
    """Tell mean, median, gain, wins, harm and worst loss of each method, low and high entropy apart, with intervals."""
    lines = []
    for name, part in group_rows(latest(read_scores(folder)), "entropy").items():
        found = summarise(part, name)
        name = f"{name}: {found[0].n} of {found[0].circuits} circuits"
        lines += ["", row(name, "mean HF", "median", "gain", "win/tie/loss", "harm", "worst"), row(*["---"] * 7)]
        for one in (one for one in found if one.n):
            cells = [f"`{one.method}`", mean(one), short(one.median), gain(one)]
            cells += [f"{one.wins}/{one.ties}/{one.losses}", harm(one), short(one.worst)]
            lines.append(row(*cells))
        lines += ["", few] if (few := few_circuits(found)) else []
    return lines


def run_by_run(folder: Path) -> list[str]:
    """Tell in how many runs a method is ahead of a run with reference, in how many behind, and name the first."""
    held = {
        (row["case"], row["machine"].removesuffix(REFERENCE), row["method"]): float(row["hellinger_fidelity"])
        for row in latest(read_scores(folder))
        if row["hellinger_fidelity"]
    }
    runs = [run[:2] for run in held if run[2] == "reference"]
    lines = (
        ["", row("against `reference`", "ahead", "behind", "of", "where it is ahead"), row(*["---"] * 5)]
        if runs
        else []
    )
    for method in ("circuit", "hammer", "dem") if runs else ():
        lead = {run: held[*run, method] - held[*run, "reference"] for run in runs if (*run, method) in held}
        ahead = [run for run, by in lead.items() if by > TIE]
        named = (
            f"{case} on {machine}: {held[case, machine, method]:.3f}, {held[case, machine, 'reference']:.3f}"
            for case, machine in ahead
        )
        behind = sum(by < -TIE for by in lead.values())
        lines.append(row(f"`{method}`", str(len(ahead)), str(behind), str(len(lead)), "; ".join(named)))
    return lines


def beside(folders: list[Path]) -> list[str]:
    """Put mean fidelity, gain and harm of several campaigns side by side."""
    found = {place.name: {one.method: one for one in summarise(latest(read_scores(place)), "all")} for place in folders}
    names = [f"{name}, n={next(iter(part.values())).n}" for name, part in found.items()]
    head = ["", *(f"{name}: {figure}" for name in names for figure in ("mean HF", "gain", "harm"))]
    lines = ["", row(*head), row(*["---"] * len(head))]
    for method in (name for name in next(iter(found.values())) if all(name in part for part in found.values())):
        every = [part[method] for part in found.values()]
        lines.append(row(f"`{method}`", *(write(one) for one in every for write in (mean, gain, harm))))
    return lines


if __name__ == "__main__":
    places = [Path(text) for text in sys.argv[1:]] or [RESULTS / "paper"]
    for place in places:
        print("\n".join([*claims(place), *harms(place), *run_by_run(place)]))
    if len(places) > 1:
        print("\n".join(beside(places)))
