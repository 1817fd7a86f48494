"""Time fits of the classifier of another commit and of this tree, alternating in one run, and print median ratios.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.speed.qnn_versions [COMMIT] [--rounds 15]
The default COMMIT is 0.1.0 (c67bbb0). Writes benchmarks/results/speed_qnn_versions.csv; about 2 minutes on one core.
Each version runs in a separate process. In every round each version fits once, in alternating order; times are
processor time of one thread. The ratio is the time of this tree over that of the other, the median over rounds. Its
quartiles show the influence of other work on the machine.
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
    """Read names of cases from the standard input, fit each, and print the time in seconds."""
    from qcluster.qnn import QNNClassifier, load_digits_4x4

    bits, grey = load_digits_4x4(3, 6), load_digits_4x4(3, 6, threshold=None)
    for line in sys.stdin:
        options = CASES[json.loads(line)]
        data = grey if options.get("encoding") == "angle" else bits
        model = QNNClassifier(random_state=0, **options)
        print(timed(partial(model.fit, data.X, data.y))[1], flush=True)


def compare(case: str, before: Callable[[str], float], now: Callable[[str], float], rounds: int) -> dict[str, Any]:
    """Return the median ratio of the times of a case, its quartiles, and the best time of this tree in ms."""
    before(case), now(case)  # warm up
    ratios, times = [], []
    for k in range(rounds):
        order = [before, now] if k % 2 else [now, before]
        seconds = {version: version(case) for version in order}
        ratios.append(seconds[now] / seconds[before])
        times.append(1e3 * seconds[now])
    low, middle, high = quantiles(ratios, n=4)
    row: dict[str, Any] = {"fit": case, "ratio": round(middle, 3), "quartile_low": round(low, 3)}
    return row | {"quartile_high": round(high, 3), "milliseconds_best": round(min(times), 1)}


def main() -> None:
    from benchmarks.data import write_row_by_row  # local, as other commits may lack what it imports

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", nargs="?", default=FIRST)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    module = "benchmarks.speed.qnn_versions"
    with unpacked(options.commit) as tree, started(tree, module) as before, started(REPOSITORY, module) as now:
        write_row_by_row("speed_qnn_versions.csv", (compare(case, before, now, options.rounds) for case in CASES))


if __name__ == "__main__":
    main()
