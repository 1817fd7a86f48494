"""Parts of pages that are generated at every build, so that they are never out of date: results, methods, commands.

They are written to docs/_generated/, which git ignores, and included by limits.md, results.md, decision.md, rates.md,
circuit.md, m3.md, paper.md, uncertainty.md, robustness.md, speed.md, qnn.md, guides/choose.md, guides/reference.md and
reference/commands.md.
"""

import csv
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE.parent / "benchmarks" / "results"
HARM = 0.02
"""A record is harmed when its Hellinger fidelity falls by more than this, as in benchmarks/judge_mixture.py."""
GROUPS = {
    "brussels": "six circuits on ibm_brussels",
    "lrqaoa": "LR-QAOA on ibm_brisbane and ibm_torino",
}
"""Labels by the first word of a group; other groups keep their names."""


def harm_table(path: Path) -> str:
    """Write the median and the harm of each method as Markdown, by kind of record and by entropy of the ideal."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    kinds: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        first, *rest = row["group"].split("/")[0].split()
        level = f", {rest[-1]} entropy" if rest else ""
        kinds.setdefault(GROUPS[first] + level if first in GROUPS else row["group"], []).append(row)
    methods = [name for name in ("paper", "hammer", "bare", "mixture") if name in rows[0]]
    titles = {"paper": "`paper`", "hammer": "HAMMER", "bare": "no guard", "mixture": "`mitigate`"}
    text = ["| records | n | raw | " + " | ".join(titles[name] for name in methods) + " |"]
    text.append("|---" * (3 + len(methods)) + "|")
    for kind, group in kinds.items():
        raw = np.array([float(row["raw"]) for row in group])
        cells = [kind, str(len(group)), f"{np.median(raw):.3f}"]
        for name in methods:
            scores = np.array([float(row[name] or "nan") for row in group])
            scored = ~np.isnan(scores)
            harmed = np.mean(scores[scored] < raw[scored] - HARM) if scored.any() else np.nan
            cells.append(f"{np.median(scores[scored]):.3f}, {harmed:.0%}" if scored.any() else "–")
        text.append("| " + " | ".join(cells) + " |")
    return "\n".join(text) + "\n"


def results_page() -> str:
    """Write the results of every method on every recorded set as Markdown, in the order of benchmarks/real.py."""
    from benchmarks.real import SETS

    parts = []
    for name, recorded in SETS.items():
        path = RESULTS / "real" / name / "summary.csv"
        if path.exists():
            parts.append(f"### {recorded.title}\n\n{recorded.description}\n\n{summary_table(path)}")
    return "\n".join(parts)


def unseen_table(path: Path) -> str:
    """Write the scores on recorded sets, of the shipped decision and of one trained without the set, as Markdown."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    shipped = {row["group"]: row for row in rows if row["left_out"] == "nothing"}
    text = [
        "| set | records | raw | shipped | trained without it | harmed, shipped | harmed, without |",
        "|---" * 7 + "|",
    ]
    for row in rows:
        if row["left_out"] == "the set" and row["group"] in shipped:
            seen = shipped[row["group"]]
            means = (f"{float(mean):.3f}" for mean in (row["raw"], seen["answer"], row["answer"]))
            harms = (f"{float(score['harmed']):.1%}" for score in (seen, row))
            text.append(f"| {row['group']} | {row['cases']} | " + " | ".join([*means, *harms]) + " |")
    return "\n".join(text) + "\n"


def replay_table() -> str:
    """Write the results of the published setting, run again here, as Markdown."""
    from benchmarks.data import read_rows
    from benchmarks.replay import FILE, table

    return table(read_rows(FILE)) + "\n"


def summary_table(path: Path, group: str = "all") -> str:
    """Write the summaries of a group as Markdown, best gain first, without methods that lacked what they need."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["group"] == group and int(row["n"])]
    (raw,) = (row for row in rows if row["method"] == "identity")  # these have every sample
    text = [f"{raw['n']} samples of {raw['circuits']} circuits.", ""]
    text += ["| method | mean | median | gain | harm | worst |", "|---|---|---|---|---|---|"]
    for row in rows:
        name = f"`{row['method']}`" if row["method"] != "identity" else "raw"
        fewer = "" if int(row["n"]) == int(raw["n"]) else f" (n={row['n']})"
        cells = [with_interval(row, "mean", ".3f"), f"{float(row['median']):.3f}"]
        if name == "raw":
            cells += ["", "", ""]
        else:
            gain, harm = with_interval(row, "gain", "+.3f"), with_interval(row, "harm", ".0%")
            cells += [gain, harm, f"{float(row['worst']):.3f}"]
        text.append(f"| {name}{fewer} | " + " | ".join(cells) + " |")
    return "\n".join(text) + "\n"


def family_table(path: Path) -> str:
    """Write the mean fidelity of each method by family of circuits, and its worst loss, as Markdown."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    families = {row["group"]: row["group"].partition("=")[2] for row in rows if row["group"].startswith("family=")}
    summaries = {(row["group"], row["method"]): row for row in rows if int(row["n"])}
    text = ["| method | " + " | ".join(f"`{name}`" for name in families.values()) + " | worst |"]
    text.append("|---" * (2 + len(families)) + "|")
    for row in (row for row in rows if row["group"] == "all" and int(row["n"])):
        name = f"`{row['method']}`" if row["method"] != "identity" else "raw"
        cells = [f"{float(summaries[group, row['method']]['mean']):.3f}" for group in families]
        text.append(f"| {name} | " + " | ".join(cells) + f" | {float(row['worst']):.3f} |")
    return "\n".join(text) + "\n"


COMPARED = ("hammer", "dem", "mixture", "circuit", "measured", "reference")
"""Methods that `machine_table` compares."""


def machine_table(folder: Path) -> str:
    """Write the mean fidelity and harm of a campaign's methods as Markdown, by entropy (low, high) and machine."""
    from qcluster.bench.reports.report import latest
    from qcluster.bench.reports.summary import group_rows, summarise
    from qcluster.bench.store import read_scores
    from qcluster.bench.tasks import REFERENCE

    text = ["| output | machine | n | raw | " + " | ".join(f"`{name}`" for name in COMPARED) + " |"]
    text.append("|---" * (4 + len(COMPARED)) + "|")
    for level, part in reversed(group_rows(latest(read_scores(folder)), "entropy").items()):
        for machine, rows in (group_rows(part, "machine") | {"all": part}).items():
            summaries = {summary.method: summary for summary in summarise(rows, machine)}
            cells = [level.split()[0], machine.removesuffix(REFERENCE), str(summaries["identity"].n)]
            cells.append(f"{summaries['identity'].mean:.3f}")
            cells += [f"{summaries[name].mean:.3f}, {summaries[name].harm:.0%}" for name in COMPARED]
            text.append("| " + " | ".join(cells) + " |")
    return "\n".join(text).replace("| all |", "| *all* |") + "\n"


def ahead_list() -> str:
    """Write where methods of others are ahead, as benchmarks/ahead.py finds them in the tables of results."""
    from benchmarks.ahead import markdown

    return markdown() + "\n"


def with_interval(row: dict[str, str], name: str, form: str) -> str:
    """Format a number of a summary, followed by its interval in brackets if it has one."""
    value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return f"{value:{form}}" if np.isnan(low) else f"{value:{form}} [{low:{form}}, {high:{form}}]"


def torino_table(path: Path) -> str:
    """Write the mean fidelities on the simulated FakeTorino as Markdown."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    columns = ("raw", "counts_alone", "mitigated")
    text = ["| circuit | seeds | raw | `qc.mitigate(run.counts)` | `qc.mitigate(run)` |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(row["circuit"] for row in rows):
        seeds = [row for row in rows if row["circuit"] == name]
        means = (f"{np.mean([float(row[column]) for row in seeds]):.3f}" for column in columns)
        text.append(f"| {name} | {len(seeds)} | " + " | ".join(means) + " |")
    return "\n".join(text) + "\n"


COVERED = {"P(": "string", "parity": "parity", "Z of bit 0": "Z of bit 0"}
"""Labels of the observables of benchmarks/coverage.py, by the beginnings of their names."""


def coverage_table(path: Path) -> str:
    """Write how often intervals contained the ideal value, with those of the raw counts in brackets, as Markdown."""
    cases: dict[tuple[str, str, int], dict[str, dict[str, str]]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            (observable,) = (label for start, label in COVERED.items() if row["observable"].startswith(start))
            cases.setdefault((row["case"], row["method"], int(row["shots"])), {})[observable] = row
    text = ["| case | method | shots | " + " | ".join(f"{name}: coverage (raw)" for name in COVERED.values())]
    text[0] += " | parity: median width | parity: bias |"
    text.append("|---" * (5 + len(COVERED)) + "|")
    for (case, method, shots), rows in sorted(cases.items(), key=lambda item: (item[0][1] == "paper", item[0])):
        cells = [f"{float(row['coverage']):.2f} ({float(row['coverage_of_raw']):.2f})" for row in rows.values()]
        parity = rows["parity"]
        applied = float(parity["applied"])
        label = "`guard=False`" if method == "bare" else f"`{method}`"
        label += "" if applied == 1 else f", applied in {applied:.0%}"
        cells += [f"{float(parity['median_width']):.3f}", f"{float(parity['bias']):+.3f}"]
        text.append(f"| {case} | {label} | {shots} | " + " | ".join(cells) + " |")
    return "\n".join(text) + "\n"


PLAIN = {
    "speed_qnn": {
        "gates": "case",
        "qubits": "qubits",
        "parameters": "parameters",
        "route": "route",
        "ms": "milliseconds",
    },
    "speed_qnn_versions": {
        "fit of the digits": "fit",
        "ratio": "ratio",
        "lower quartile": "quartile_low",
        "upper quartile": "quartile_high",
        "now, ms": "milliseconds_best",
    },
    "speed_versions": {
        "counts": "counts",
        "shots": "shots",
        "0.1.0, ms": "before_ms",
        "now, ms": "now_ms",
        "now / 0.1.0": "now/before",
    },
    "speed_many": {
        "counts": "counts",
        "sets": "sets",
        "one by one, ms a set": "loop_ms",
        "together, ms a set": "many_ms",
        "ratio": "loop/many",
    },
    "qnn_reference": {
        "noise": "noise",
        "digits": "digits",
        "layers": "layers",
        "shots": "shots",
        "kept by the reference": "survival",
        "raw": "error_raw",
        "decided": "error_decided",
        "undecided": "error_undecided",
        "covered, decided": "covered_decided",
        "covered, undecided": "covered_undecided",
    },
    "qnn_rescale": {
        "machine": "backend",
        "layers": "layers",
        "shots": "shots",
        "raw": "error_raw",
        "readout undone": "error_readout",
        "rescaled": "error_rescaled",
        "left by the shots": "shot_noise",
        "raw / rescaled": "gain",
        "slope": "slope",
    },
}
"""Tables that are shown as they are in the file: its columns, by their names on the page."""


ROBUSTNESS = {"tried": "row", "must hold": "must", "held": "held", "what happened": "happened", "CPU, s": "cpu_seconds"}
ROBUSTNESS |= {"peak, MiB": "peak_mib"}
"""Columns of the table of benchmarks/robustness, by their names on the page."""


def plain_table(path: Path, columns: dict[str, str]) -> str:
    """Write the given columns of a CSV file as Markdown."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [[row[column] or "–" for column in columns.values()] for row in csv.DictReader(lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in [list(columns), ["---"] * len(columns), *rows])


def methods_table() -> str:
    """Write the registered methods as Markdown, with the knowledge of the noise that they need and use."""
    import qcluster  # noqa: F401  (registers the baselines)
    from qcluster.core.methods.registry import every
    from qcluster.core.noise.noise_argument import DESCRIPTIONS

    text = ["| `method=` | does | needs | uses, if given | settings |", "|---|---|---|---|---|"]
    for method in every():
        needs = DESCRIPTIONS[method.needs] if method.needs else "–"
        uses = ", ".join(DESCRIPTIONS[kind] for kind in method.uses) or "–"
        settings = f"`{method.settings.__name__}`" if method.settings else "–"
        text.append(f'| `"{method.name}"` | {method.summary} | {needs} | {uses} | {settings} |')
    return "\n".join(text) + "\n"


def commands(command: Any = None, path: str = "qcluster") -> Iterator[str]:
    """Write the help of every command as Markdown."""
    import click
    import typer

    from qcluster.cli.main import app

    command = command or typer.main.get_command(app)
    children = getattr(command, "commands", {})
    if not children:
        context = click.Context(command, info_name=path, max_content_width=100)
        yield f"## {path}\n\n{command.help or ''}\n\n```text\n{context.get_usage()}\n"
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None and "--help" not in record[0]:
                yield f"  {record[0]}\n      {record[1]}\n"
        yield f"```\n\n{command.epilog}\n\n" if command.epilog else "```\n\n"
    for name in sorted(children):
        yield from commands(children[name], f"{path} {name}")


def tables() -> Any:
    """Load tables.py, which lies beside this file, from whichever folder the pages are built."""
    spec = importlib.util.spec_from_file_location("tables", HERE / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(_: Any = None) -> None:
    """Write all generated parts of the pages; files whose text has not changed are left alone."""
    folder = HERE / "_generated"
    folder.mkdir(exist_ok=True)
    pages = {
        "harm.md": harm_table(RESULTS / "judge_mixture.csv"),
        "torino.md": torino_table(RESULTS / "torino.csv"),
        "commands.md": "".join(commands()),
        "methods.md": methods_table(),
        "results.md": results_page(),
        "unseen.md": unseen_table(RESULTS / "decision.csv"),
        "replay.md": replay_table(),
        "paper_wide.md": family_table(RESULTS / "paper_wide" / "summary.csv"),
        "paper_machines.md": machine_table(RESULTS / "paper"),
        "ahead.md": ahead_list(),
        "robustness.md": plain_table(RESULTS / "robustness.csv", ROBUSTNESS),
        "coverage.md": coverage_table(RESULTS / "coverage.csv"),
        **tables().pages(RESULTS),
        **{f"{name}.md": plain_table(RESULTS / f"{name}.csv", columns) for name, columns in PLAIN.items()},
        **{
            f"{name}_{level}.md": summary_table(RESULTS / name / "summary.csv", f"entropy={group}")
            for name in ("paper", "low_entropy", "guard", "broad")
            for level, group in (("low", "low (H/n <= 0.6)"), ("high", "high (H/n > 0.6)"))
            if any(f"entropy={group}" in line for line in (RESULTS / name / "summary.csv").open(encoding="utf-8"))
        },
    }
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def keep_first_line(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep napoleon, which parses the first line, from taking "(n_bits,): rates" below a field for a type and text."""
    if what in {"attribute", "property", "data"}:
        lines[:0] = ["..", ""]  # an empty comment


def setup(app: Any) -> dict[str, bool]:
    """Connect the functions above to Sphinx."""
    app.connect("builder-inited", write)
    app.connect("autodoc-process-docstring", keep_first_line, priority=400)
    return {"parallel_read_safe": True}
