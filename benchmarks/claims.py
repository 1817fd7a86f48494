"""Print what is measured of the published claims, gain and harm by entropy, and runs against a reference, as Markdown.

Run from the repository, after the campaign: python -m benchmarks.claims [folder ...]
The folder is benchmarks/results/paper by default; several folders are also put side by side. In brackets are the 95 %
intervals of the report.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.data import RESULTS
from qcluster.bench.reports.report import OURS, compare_pairs, factor, gain, harm, latest, mean, short
from qcluster.bench.reports.summary import RAW, TIE, Summary, few_circuits, group_rows, summarise
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
    methods = [name for name in OURS[::-1] if (name, RAW) in duels]
    head = ["low entropy, over", "claimed", *(f"`{name}`" for name in methods)]
    lines = [row(*head), row(*["---"] * len(head))]
    for base, claim in CLAIMS.items():
        shown = "raw" if base == RAW else base
        known = (duels.get((name, base)) for name in methods)  # a campaign need not have run what others are
        lines.append(row(shown, claim, *(factors(one) if one else "" for one in known)))
    return lines


def harms(folder: Path) -> list[str]:
    """Tell mean, median, gain, wins, harm and worst loss of each method, low and high entropy apart, with intervals."""
    lines = []
    for name, part in group_rows(latest(read_scores(folder)), "entropy").items():
        found = summarise(part, name)
        if not found:
            continue
        raw = of_raw(found)
        name = f"{name}: {raw.n} of {raw.circuits} circuits"
        lines += ["", row(name, "mean HF", "median", "gain", "win/tie/loss", "harm", "worst"), row(*["---"] * 7)]
        for one in (one for one in found if one.n):
            cells = [f"`{one.method}`", mean(one), short(one.median), gain(one)]
            cells += [f"{one.wins}/{one.ties}/{one.losses}", harm(one), short(one.worst)]
            lines.append(row(*cells))
        lines += ["", few] if (few := few_circuits(found)) else []
    return lines


def of_raw(found: list[Summary]) -> Summary:
    """Give the summary of the raw counts, which has every sample that is compared; a method may lack some."""
    return next(one for one in found if one.method == RAW)


def run_by_run(folder: Path) -> list[str]:
    """Tell in how many runs a method is ahead of `reference` on the same shots, in how many behind; name the former."""
    runs: dict[str, dict[str, Mapping[str, str]]] = {}
    for one in latest(read_scores(folder)):
        if one["hellinger_fidelity"]:
            runs.setdefault(one["task"], {})[one["method"]] = one
    found = [run for run in runs.values() if "reference" in run]
    if not found:
        return []
    lines = ["", row("against `reference`", "ahead", "behind", "of", "where it is ahead"), row(*["---"] * 5)]
    for method in ("circuit", "hammer", "dem"):
        pairs = [(run[method], run["reference"]) for run in found if method in run]
        ahead = [pair for pair in pairs if lead(*pair) > TIE]
        behind = sum(lead(*pair) < -TIE for pair in pairs)
        lines.append(row(f"`{method}`", str(len(ahead)), str(behind), str(len(pairs)), "; ".join(map(named, ahead))))
    return lines


def lead(one: Mapping[str, str], other: Mapping[str, str]) -> float:
    """Give by how much a score is above another."""
    return float(one["hellinger_fidelity"]) - float(other["hellinger_fidelity"])


def named(pair: tuple[Mapping[str, str], Mapping[str, str]]) -> str:
    """Name the run of two scores, and tell both."""
    one = pair[0]
    told = ", ".join(f"{float(score['hellinger_fidelity']):.3f}" for score in pair)
    return f"{one['case']} on {one['machine'].removesuffix(REFERENCE)}: {told}"


def beside(folders: list[Path]) -> list[str]:
    """Put mean fidelity, gain and harm of several campaigns side by side."""
    found = [summarise(latest(read_scores(place)), "all") for place in folders]
    if empty := [place for place, part in zip(folders, found, strict=True) if not part]:
        raise ValueError(f"each folder must hold fidelities of raw counts to compare with; got none in {empty[0]}")
    names = [
        f"{place if alike(place, folders) else place.name}, n={of_raw(part).n}"
        for place, part in zip(folders, found, strict=True)
    ]
    every = [{one.method: one for one in part} for part in found]
    head = ["", *(f"{name}: {figure}" for name in names for figure in ("mean HF", "gain", "harm"))]
    lines = ["", row(*head), row(*["---"] * len(head))]
    for method in (name for name in every[0] if all(name in part for part in every)):
        held = [part[method] for part in every]
        lines.append(row(f"`{method}`", *(write(one) for one in held for write in (mean, gain, harm))))
    return lines


def alike(place: Path, folders: list[Path]) -> bool:
    """Tell whether another folder is called the same."""
    return sum(other.name == place.name for other in folders) > 1


if __name__ == "__main__":
    places = [Path(text) for text in sys.argv[1:]] or [RESULTS / "paper"]
    for place in places:
        print("\n".join([*claims(place), *harms(place), *run_by_run(place)]))
    if len(places) > 1:
        print("\n".join(beside(places)))
