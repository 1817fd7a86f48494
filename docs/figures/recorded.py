"""Draw four recorded GHZ circuits of ibm_fez and ibm_marrakesh, raw and mitigated: docs/figures/recorded.png.

Run from the repository: python docs/figures/recorded.py
The counts are those of github.com/iQore-Inc/execution-structure-conditioning (CC0), October 2025;
benchmarks/data.py says where they are looked for.
"""

import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import qcluster as qc  # noqa: E402
from benchmarks.data import records  # noqa: E402
from qcluster.plot import COLOURS  # noqa: E402


def draw_fidelities(axes: Axes, found: list[tuple[str, float, float]]) -> None:
    """Draw an arrow from the raw fidelity of each circuit to the mitigated one."""
    for row, (_, raw, mitigated) in enumerate(found):
        axes.plot([raw, mitigated], [row, row], color=COLOURS["raw"], linewidth=2, zorder=1)
        axes.scatter([raw], [row], color=COLOURS["raw"], s=60, zorder=2)
        axes.scatter([mitigated], [row], color=COLOURS["mitigated"], s=60, zorder=2)
        axes.annotate(f"{raw:.2f}", (raw, row), (0, 8), textcoords="offset points", ha="center", fontsize=9)
        axes.annotate(f"{mitigated:.4f}", (mitigated, row), (0, 8), textcoords="offset points", ha="center", fontsize=9)
    axes.set_yticks(range(len(found)), [name for name, _, _ in found])
    axes.set(xlim=(0, 1.08), ylim=(len(found) - 0.5, -0.6), xlabel="Hellinger fidelity to the ideal")
    axes.set_title("Four recorded circuits", fontsize=11, loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    found = []
    for record in sorted(records("ghz_compiled_dev.jsonl.gz"), key=lambda record: (record["n"], -record["shots"])):
        fixed = qc.mitigate(record["counts"])
        before, after = (qc.metrics.hellinger_fidelity(one, record["ideal"]) for one in (fixed.raw, fixed.distribution))
        name = f"GHZ, {record['n']} qubits\n{record['machine']}, {record['shots']:,} shots"
        found.append((name, before, after))
        print(" ".join(name.split()), f"raw {before:.4f}, mitigated {after:.4f}: {fixed.reason}")
    qc.plot(fixed, record["ideal"], top=10, ax=left)
    left.set_title(f"GHZ on {record['n']} qubits of {record['machine']}: what was read", fontsize=11, loc="left")
    draw_fidelities(right, found)
    path = Path(__file__).with_name("recorded.png")
    figure.savefig(path, dpi=150, metadata={"Software": None})
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
