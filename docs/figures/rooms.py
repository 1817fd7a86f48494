"""Draw the rooms of the package and the imports between them, as they are: docs/figures/rooms.svg.

Run from the repository: python docs/figures/rooms.py
"""

import ast
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[2]
PLACES = {
    "core": (0, 1), "baselines": (1, 2), "learn": (1, 0), "device": (2, 1),
    "qnn": (3, 0), "bench": (3, 2), "cli": (4, 1),
}  # fmt: skip
TEXTS = {
    "core": "counts, methods,\nguard, scores",
    "baselines": "M3, HAMMER,\nQ-BEEP, ...",
    "learn": "flip rates",
    "device": "twirl, execute,\njobs, Sampler",
    "qnn": "classifier",
    "bench": "circuits,\ncampaigns, reports",
    "cli": "qcluster ...",
}


def room(name: str) -> str:
    """Give the room of a module: its folder, or the command line for the files beside the folders."""
    part = name.split(".")[1]
    return part if part in PLACES else "cli" if part.startswith("cli") else ""


def arrows() -> set[tuple[str, str]]:
    """Find which room imports which."""
    found = set()
    for path in sorted((ROOT / "qcluster").rglob("*.py")):
        here = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
                found |= {(here, room(module)) for module in modules if module.startswith("qcluster.")}
    return {(left, right) for left, right in found if left and right and left != right}


def main() -> None:
    """Draw."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    for left, right in sorted(arrows()):
        (x0, y0), (x1, y1) = PLACES[left], PLACES[right]
        bend = 0.25 if y0 == y1 == 1 and abs(x0 - x1) > 1 else 0.0
        style = {"arrowstyle": "-|>", "color": "#8d8d8d", "lw": 1, "connectionstyle": f"arc3,rad={bend}"}
        axes.annotate("", (1.9 * x1, y1), (1.9 * x0, y0), arrowprops=style | {"shrinkA": 42, "shrinkB": 42})
    for name, (x, y) in PLACES.items():
        box = {"boxstyle": "round,pad=0.5", "fc": "#edf5ff" if name != "core" else "#d0e2ff", "ec": "#0f62fe"}
        title = "command line" if name == "cli" else name
        axes.text(1.9 * x, y, f"{title}\n{TEXTS[name]}", ha="center", va="center", bbox=box, fontsize=9)
    axes.set(xlim=(-0.8, 8.4), ylim=(-0.5, 2.5))
    axes.axis("off")
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "rooms"}
    figure.savefig(ROOT / "docs" / "figures" / "rooms.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
