"""Pages that are written anew at every build, so that they cannot fall behind: measured harm, methods, commands.

They land in docs/_generated/, which is not kept: limits.md, results.md, rates.md, circuit.md, m3.md,
uncertainty.md, qnn.md, guides/choose.md and reference/commands.md include them.
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
"""What the first word of a group stands for; groups that begin otherwise are told as they are."""


def harm_table(path: Path) -> str:
    """Write medians and harm of each method, by kind of record and by entropy of the ideal, as Markdown."""
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
            found = np.array([float(row[name] or "nan") for row in group])
            there = ~np.isnan(found)
            harmed = np.mean(found[there] < raw[there] - HARM) if there.any() else np.nan
            cells.append(f"{np.median(found[there]):.3f}, {harmed:.0%}" if there.any() else "–")
        text.append("| " + " | ".join(cells) + " |")
    return "\n".join(text) + "\n"


def results_page() -> str:
    """Write every method's figures on every recorded set, in the order of benchmarks/real.py, as Markdown."""
    from benchmarks.real import SETS

    parts = []
    for name, about in SETS.items():
        path = RESULTS / "real" / name / "summary.csv"
        if path.exists():
            parts.append(f"### {about.title}\n\n{about.description}\n\n{summary_table(path)}")
    return "\n".join(parts)


def unseen_table(path: Path) -> str:
    """Write how the decision does on recorded sets that it was trained without, beside the one that ships."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    shipped = {row["group"]: row for row in rows if row["left_out"] == "nothing"}
    text = [
        "| set | records | raw | shipped | trained without it | harmed, shipped | harmed, without |",
        "|---" * 7 + "|",
    ]
    for row in rows:
        if row["left_out"] == "the set" and row["group"] in shipped:
            known = shipped[row["group"]]
            figures = (f"{float(one):.3f}" for one in (row["raw"], known["answer"], row["answer"]))
            harms = (f"{float(one['harmed']):.1%}" for one in (known, row))
            text.append(f"| {row['group']} | {row['cases']} | " + " | ".join([*figures, *harms]) + " |")
    return "\n".join(text) + "\n"


def replay_table() -> str:
    """Write what the published setting gives when it is replayed, as Markdown."""
    from benchmarks.data import read_rows
    from benchmarks.replay import FILE, table

    return table(read_rows(FILE)) + "\n"


def summary_table(path: Path, group: str = "all") -> str:
    """Write the summaries of a group, best gain first, as Markdown; methods that nothing was known for are left out."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["group"] == group and int(row["n"])]
    (raw,) = (row for row in rows if row["method"] == "identity")  # has every sample that is compared
    text = [f"{raw['n']} samples of {raw['circuits']} circuits.", ""]
    text += ["| method | mean | median | gain | harm | worst |", "|---|---|---|---|---|---|"]
    for row in rows:
        name = f"`{row['method']}`" if row["method"] != "identity" else "raw"
        alone = "" if int(row["n"]) == int(raw["n"]) else f" (n={row['n']})"
        cells = [between(row, "mean", ".3f"), f"{float(row['median']):.3f}"]
        cells += ["", "", ""] if name == "raw" else [between(row, "gain", "+.3f"), between(row, "harm", ".0%")]
        if name != "raw":
            cells.append(f"{float(row['worst']):.3f}")
        text.append(f"| {name}{alone} | " + " | ".join(cells) + " |")
    return "\n".join(text) + "\n"


def family_table(path: Path) -> str:
    """Write the mean fidelity of each method by family of circuits, and its worst loss, as Markdown."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    families = {row["group"]: row["group"].partition("=")[2] for row in rows if row["group"].startswith("family=")}
    held = {(row["group"], row["method"]): row for row in rows if int(row["n"])}
    text = ["| method | " + " | ".join(f"`{name}`" for name in families.values()) + " | worst |"]
    text.append("|---" * (2 + len(families)) + "|")
    for row in (row for row in rows if row["group"] == "all" and int(row["n"])):
        name = f"`{row['method']}`" if row["method"] != "identity" else "raw"
        cells = [f"{float(held[group, row['method']]['mean']):.3f}" for group in families]
        text.append(f"| {name} | " + " | ".join(cells) + f" | {float(row['worst']):.3f} |")
    return "\n".join(text) + "\n"


BESIDE = ("hammer", "dem", "mixture", "circuit", "measured", "reference")
"""Methods that `machine_table` puts side by side."""


def machine_table(folder: Path) -> str:
    """Write mean fidelity and harm of a campaign's methods on each machine, low and high entropy apart, as Markdown."""
    from qcluster.bench.reports.report import latest
    from qcluster.bench.reports.summary import group_rows, summarise
    from qcluster.bench.store import read_scores
    from qcluster.bench.tasks import REFERENCE

    text = ["| output | machine | n | raw | " + " | ".join(f"`{name}`" for name in BESIDE) + " |"]
    text.append("|---" * (4 + len(BESIDE)) + "|")
    for level, part in reversed(group_rows(latest(read_scores(folder)), "entropy").items()):
        for machine, rows in (group_rows(part, "machine") | {"all": part}).items():
            found = {one.method: one for one in summarise(rows, machine)}
            cells = [level.split()[0], machine.removesuffix(REFERENCE), str(found["identity"].n)]
            cells.append(f"{found['identity'].mean:.3f}")
            cells += [f"{found[name].mean:.3f}, {found[name].harm:.0%}" for name in BESIDE]
            text.append("| " + " | ".join(cells) + " |")
    return "\n".join(text).replace("| all |", "| *all* |") + "\n"


def ahead_list() -> str:
    """Write where others are ahead, as benchmarks/ahead.py finds it in the tables of results."""
    from benchmarks.ahead import markdown

    return markdown() + "\n"


def between(row: dict[str, str], name: str, form: str) -> str:
    """Write a figure of a summary with its interval, where it has one."""
    value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return f"{value:{form}}" if np.isnan(low) else f"{value:{form}} [{low:{form}}, {high:{form}}]"


def torino_table(path: Path) -> str:
    """Write the mean fidelities on the simulated FakeTorino as Markdown."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    columns = ("raw", "counts_alone", "mitigated")
    text = ["| circuit | seeds | raw | `qc.mitigate(run.counts)` | `qc.mitigate(run)` |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(row["circuit"] for row in rows):
        held = [row for row in rows if row["circuit"] == name]
        means = (f"{np.mean([float(row[column]) for row in held]):.3f}" for column in columns)
        text.append(f"| {name} | {len(held)} | " + " | ".join(means) + " |")
    return "\n".join(text) + "\n"


COVERED = {"P(": "string", "parity": "parity", "Z of bit 0": "Z of bit 0"}
"""How the observables of benchmarks/coverage.py begin, and what the page calls them."""


def coverage_table(path: Path) -> str:
    """Write how often intervals held the ideal value, and in brackets those of the raw counts, as Markdown."""
    cases: dict[tuple[str, str, int], dict[str, dict[str, str]]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            (what,) = (name for start, name in COVERED.items() if row["observable"].startswith(start))
            cases.setdefault((row["case"], row["method"], int(row["shots"])), {})[what] = row
    text = ["| case | method | shots | " + " | ".join(f"{name}: held (raw)" for name in COVERED.values())]
    text[0] += " | parity: median width | parity: bias |"
    text.append("|---" * (5 + len(COVERED)) + "|")
    for (case, method, shots), found in sorted(cases.items(), key=lambda item: (item[0][1] == "paper", item[0])):
        cells = [
            f"{float(found[name]['coverage']):.2f} ({float(found[name]['coverage_of_raw']):.2f})" for name in found
        ]
        parity = found["parity"]
        applied = float(parity["applied"])
        told = "`guard=False`" if method == "bare" else f"`{method}`"
        told += "" if applied == 1 else f", applied in {applied:.0%}"
        cells += [f"{float(parity['median_width']):.3f}", f"{float(parity['bias']):+.3f}"]
        text.append(f"| {case} | {told} | {shots} | " + " | ".join(cells) + " |")
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
"""Tables that are shown as they stand: names on the page, and the columns of the file."""


TRIED = {"tried": "row", "must hold": "must", "held": "held", "what happened": "happened", "CPU, s": "cpu_seconds"}
TRIED |= {"peak, MiB": "peak_mib"}
"""The table of benchmarks/robustness: names on the page, and the columns of the file."""


def plain_table(path: Path, columns: dict[str, str]) -> str:
    """Write some columns of a table as Markdown."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [[row[column] or "–" for column in columns.values()] for row in csv.DictReader(lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in [list(columns), ["---"] * len(columns), *rows])


def methods_table() -> str:
    """Write the registered methods, and what they need and use of the noise, as Markdown."""
    import qcluster  # noqa: F401  (makes the baselines known)
    from qcluster.core.methods.registry import every
    from qcluster.core.noise.given import WORDS

    text = ["| `method=` | does | needs | uses, if given | settings |", "|---|---|---|---|---|"]
    for method in every():
        needs = WORDS[method.needs] if method.needs else "–"
        uses = ", ".join(WORDS[kind] for kind in method.uses) or "–"
        settings = f"`{method.settings.__name__}`" if method.settings else "–"
        text.append(f'| `"{method.name}"` | {method.summary} | {needs} | {uses} | {settings} |')
    return "\n".join(text) + "\n"


def commands(command: Any = None, path: str = "qcluster") -> Iterator[str]:
    """Write the help of every command of the command line as Markdown."""
    import click
    import typer

    from qcluster.cli.main import app

    command = command or typer.main.get_command(app)
    children = getattr(command, "commands", {})
    if not children:
        context = click.Context(command, info_name=path, max_content_width=100)
        yield f"## {path}\n\n{command.help or ''}\n\n```text\n{context.get_usage()}\n"
        for parameter in command.get_params(context):
            told = parameter.get_help_record(context)
            if told is not None and "--help" not in told[0]:
                yield f"  {told[0]}\n      {told[1]}\n"
        yield f"```\n\n{command.epilog}\n\n" if command.epilog else "```\n\n"
    for name in sorted(children):
        yield from commands(children[name], f"{path} {name}")


def tables() -> Any:
    """Load the module beside this one, whatever the folder that the pages are built from."""
    spec = importlib.util.spec_from_file_location("tables", HERE / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(_: Any = None) -> None:
    """Write the pages."""
    place = HERE / "_generated"
    place.mkdir(exist_ok=True)
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
        "robustness.md": plain_table(RESULTS / "robustness.csv", TRIED),
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
        if not (place / name).exists() or (place / name).read_text(encoding="utf-8") != text:
            (place / name).write_text(text, encoding="utf-8")


def keep_first_line(app: Any, what: str, name: str, it: Any, options: Any, lines: list[str]) -> None:
    """Keep napoleon from reading "(n_bits,): rates" below a field as a type and a text: it looks at the first line."""
    if what in {"attribute", "property", "data"}:
        lines[:0] = ["..", ""]  # an empty comment


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", write)
    app.connect("autodoc-process-docstring", keep_first_line, priority=400)
    return {"parallel_read_safe": True}
