"""Time fits of the classifier of another commit and of this tree, turn by turn in one run, and give median ratios.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.speed.qnn_versions [COMMIT] [--rounds 15]
COMMIT is 0.1.0 (c67bbb0) unless another is named. Writes benchmarks/results/speed_qnn_versions.csv; about 2 minutes of
one core. Each version runs in a process of its own; in every round either fits once, in an order that changes from
round to round, and times are processor time of one thread. The ratio is this tree's over the other's, the median over
rounds; its quartiles say how far the machine's other work moved it.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from statistics import quantiles
from typing import Any

from benchmarks.speed.versions import FIRST, REPOSITORY, started, unpacked
from benchmarks.timing import timed

CASES: dict[str, dict[str, Any]] = {
    "zx": {},
    "3 x (zx, xx)": {"ansatz": "zx-xx", "reps": 3},
    "tfq": {"ansatz": "tfq", "bias": False},
    "reed-muller, degree 2": {"ansatz": "reed-muller", "reps": 2},
    "zx, grey values": {"encoding": "angle"},
    "zx, adam": {"solver": "adam"},
    "zx, sgd": {"solver": "sgd", "n_init": 1},
    "zx, spsa": {"solver": "spsa"},
    "zx, cobyla": {"solver": "cobyla", "n_init": 1, "max_iter": 200},
    "paper preset": {"ansatz": "zx-xx", "reps": 3, "bias": False, "loss": "linear", "solver": "sgd", "n_init": 1},
}


def work() -> None:
    """Fit the case that each line of the input names, and answer with the seconds it took."""
    from qcluster.qnn import QNNClassifier, load_digits_4x4

    bits, grey = load_digits_4x4(3, 6), load_digits_4x4(3, 6, threshold=None)
    for line in sys.stdin:
        knobs = CASES[json.loads(line)]
        data = grey if knobs.get("encoding") == "angle" else bits
        model = QNNClassifier(random_state=0, **knobs)
        print(timed(partial(model.fit, data.X, data.y))[1], flush=True)


def compare(case: str, before: Callable[[str], float], now: Callable[[str], float], rounds: int) -> dict[str, Any]:
    before(case), now(case)
    ratios, times = [], []
    for k in range(rounds):
        order = [before, now] if k % 2 else [now, before]
        found = {version: version(case) for version in order}
        ratios.append(found[now] / found[before])
        times.append(1e3 * found[now])
    low, middle, high = quantiles(ratios, n=4)
    row: dict[str, Any] = {"fit": case, "ratio": round(middle, 3), "quartile_low": round(low, 3)}
    return row | {"quartile_high": round(high, 3), "milliseconds_best": round(min(times), 1)}


def main() -> None:
    from benchmarks.data import write_as_they_come  # not above: it imports of the package what another commit may lack

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", nargs="?", default=FIRST)
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    module = "benchmarks.speed.qnn_versions"
    with unpacked(chosen.commit) as tree, started(tree, module) as before, started(REPOSITORY, module) as now:
        write_as_they_come("speed_qnn_versions.csv", (compare(case, before, now, chosen.rounds) for case in CASES))


if __name__ == "__main__":
    main()
