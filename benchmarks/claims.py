"""Print a campaign as Markdown: published claims against measured factors, gain and harm, and leads over `reference`.

Run from the repository, after the campaign: python -m benchmarks.claims [folder ...]
The default folder is benchmarks/results/paper. For several folders, a table with all of them follows. Brackets contain
the 95 % intervals of the report.
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
"""Factors of Q-Cluster over other methods in arXiv:2504.10801, for low-entropy outputs on five machines."""


def row(*cells: str) -> str:
    """Write one line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def factors(one: Summary) -> str:
    """Format the three averages of a factor, the first with its interval."""
    return f"{factor(one)} / {one.median_factor:.2f} / {one.mean_factor:.2f}"


def claims(folder: Path) -> list[str]:
    """Compare measured factors with the published ones, as geometric mean / median / ratio of means."""
    duels = {(one.method, one.base): one for one in compare_pairs(latest(read_scores(folder)))}
    methods = [name for name in OURS[::-1] if (name, RAW) in duels]
    head = ["low entropy, over", "claimed", *(f"`{name}`" for name in methods)]
    lines = [row(*head), row(*["---"] * len(head))]
    for base, claim in CLAIMS.items():
        shown = "raw" if base == RAW else base
        pairs = (duels.get((name, base)) for name in methods)  # None if the campaign did not run the base
        lines.append(row(shown, claim, *(factors(pair) if pair else "" for pair in pairs)))
    return lines


def harms(folder: Path) -> list[str]:
    """Tabulate mean, median, gain, wins, harm and worst loss of each method, with intervals, by low and high
    entropy."""
    lines = []
    for name, part in group_rows(latest(read_scores(folder)), "entropy").items():
        summaries = summarise(part, name)
        if not summaries:
            continue
        raw = of_raw(summaries)
        name = f"{name}: {raw.n} of {raw.circuits} circuits"
        lines += ["", row(name, "mean HF", "median", "gain", "win/tie/loss", "harm", "worst"), row(*["---"] * 7)]
        for summary in (summary for summary in summaries if summary.n):
            cells = [f"`{summary.method}`", mean(summary), short(summary.median), gain(summary)]
            cells += [f"{summary.wins}/{summary.ties}/{summary.losses}", harm(summary), short(summary.worst)]
            lines.append(row(*cells))
        lines += ["", few] if (few := few_circuits(summaries)) else []
    return lines


def of_raw(summaries: list[Summary]) -> Summary:
    """Return the summary of the raw counts, which covers all samples; other methods may lack some."""
    return next(summary for summary in summaries if summary.method == RAW)


def run_by_run(folder: Path) -> list[str]:
    """Count the runs in which methods are ahead of or behind `reference` on the same shots; name those ahead."""
    runs: dict[str, dict[str, Mapping[str, str]]] = {}
    for score in latest(read_scores(folder)):
        if score["hellinger_fidelity"]:
            runs.setdefault(score["task"], {})[score["method"]] = score
    with_reference = [run for run in runs.values() if "reference" in run]
    if not with_reference:
        return []
    lines = ["", row("against `reference`", "ahead", "behind", "of", "where it is ahead"), row(*["---"] * 5)]
    for method in ("circuit", "hammer", "dem"):
        pairs = [(run[method], run["reference"]) for run in with_reference if method in run]
        ahead = [pair for pair in pairs if lead(*pair) > TIE]
        behind = sum(lead(*pair) < -TIE for pair in pairs)
        lines.append(row(f"`{method}`", str(len(ahead)), str(behind), str(len(pairs)), "; ".join(map(named, ahead))))
    return lines


def lead(one: Mapping[str, str], other: Mapping[str, str]) -> float:
    """Return the difference of the fidelities of two scores."""
    return float(one["hellinger_fidelity"]) - float(other["hellinger_fidelity"])


def named(pair: tuple[Mapping[str, str], Mapping[str, str]]) -> str:
    """Format the name of the run of two scores, and both fidelities."""
    first = pair[0]
    fidelities = ", ".join(f"{float(score['hellinger_fidelity']):.3f}" for score in pair)
    return f"{first['case']} on {first['machine'].removesuffix(REFERENCE)}: {fidelities}"


def side_by_side(folders: list[Path]) -> list[str]:
    """Tabulate mean fidelity, gain and harm of several campaigns side by side."""
    summaries = [summarise(latest(read_scores(place)), "all") for place in folders]
    if empty := [place for place, part in zip(folders, summaries, strict=True) if not part]:
        raise ValueError(f"each folder must hold fidelities of raw counts to compare with; got none in {empty[0]}")
    names = [
        f"{place if alike(place, folders) else place.name}, n={of_raw(part).n}"
        for place, part in zip(folders, summaries, strict=True)
    ]
    by_method = [{summary.method: summary for summary in part} for part in summaries]
    head = ["", *(f"{name}: {figure}" for name in names for figure in ("mean HF", "gain", "harm"))]
    lines = ["", row(*head), row(*["---"] * len(head))]
    for method in (name for name in by_method[0] if all(name in part for part in by_method)):
        cells = [write(part[method]) for part in by_method for write in (mean, gain, harm)]
        lines.append(row(f"`{method}`", *cells))
    return lines


def alike(place: Path, folders: list[Path]) -> bool:
    """Return whether another folder has the same name."""
    return sum(other.name == place.name for other in folders) > 1


if __name__ == "__main__":
    places = [Path(text) for text in sys.argv[1:]] or [RESULTS / "paper"]
    for place in places:
        print("\n".join([*claims(place), *harms(place), *run_by_run(place)]))
    if len(places) > 1:
        print("\n".join(side_by_side(places)))
