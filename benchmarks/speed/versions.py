"""Time `mitigate` of another commit and of this tree on the same counts, alternating in one run.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.speed.versions [COMMIT] [--only PART_OF_A_NAME]
The default COMMIT is 0.1.0 (c67bbb0). Writes benchmarks/results/speed_versions.csv, row by row; some 4 minutes on one
core. Each version runs in a separate process, from the BitArray to the answer. In every round each version mitigates
once, in alternating order. Times are processor time of one thread: the fastest of the rounds for each draw of the
counts, and the median over draws. Cases that take more than two seconds are run once.
"""

import argparse
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.timing import timed

REPOSITORY = Path(__file__).parents[2]
FILE = "speed_versions.csv"
FIRST = "c67bbb0"
"""The commit of 0.1.0."""
SLOW = 2.0
"""Time in seconds above which a version is run once."""
# The first argument comes first on the path, so the package under test is imported from there.
WORKER = (
    "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]; from importlib import import_module; "
    "import_module(sys.argv[3]).work()"
)
Timed = Callable[[Any], float]


@dataclass(frozen=True)
class Case:
    """Parameters of the counts of one case."""

    kind: str
    """Ideal output: ``"ghz"``, ``"strings"`` (three random ones), ``"dense"`` (a random state) or ``"uniform"``."""
    bits: int
    """Number of bits."""
    shots: int
    """Number of shots."""
    flips: float = 0.03
    """Flip rate per bit."""
    draws: int = 1
    """Number of independent draws of the counts."""


SMALL = {
    f"{word}, {n} bits": Case(kind, n, shots, draws=5)
    for word, kind, shots in (("GHZ", "ghz", 4_000), ("dense", "dense", 8_000))
    for n in (5, 8, 10, 12)
}
CASES = {
    **SMALL,
    "strings, 16 bits": Case("strings", 16, 10_000, 0.05, 3),
    "strings, 32 bits": Case("strings", 32, 30_000, 0.02, 3),
    "strings, 127 bits": Case("strings", 127, 10_000, 0.05, 3),
    "strings, 64 bits, 100,000 shots": Case("strings", 64, 100_000, 0.02),
    "dense, 19 bits, 100,000 shots": Case("dense", 19, 100_000),
    "strings, 156 bits, 300,000 shots": Case("strings", 156, 300_000, 0.1),
    "strings, 156 bits, a million shots": Case("strings", 156, 1_000_000),
    "uniform, 30 bits, two million shots": Case("uniform", 30, 2_000_000),
}


@cache
def drawn(name: str, draw: int) -> Any:
    """Draw the counts of a case as a BitArray."""
    from qiskit.primitives import BitArray

    case = CASES[name]
    rng = np.random.default_rng([case.bits, case.shots, draw])
    strings = rng.random((3, case.bits)) < 0.5
    probabilities = rng.dirichlet(np.ones(1 << case.bits)) if case.kind == "dense" else np.ones(1)
    parts = []
    for start in range(0, case.shots, 1 << 16):
        size = min(1 << 16, case.shots - start)
        if case.kind == "ghz":
            sent = np.repeat(rng.random((size, 1)) < 0.5, case.bits, axis=1)
        elif case.kind == "strings":
            sent = strings[rng.integers(3, size=size)]
        elif case.kind == "dense":
            sent = rng.choice(len(probabilities), size, p=probabilities)[:, None] >> np.arange(case.bits) & 1 > 0
        else:
            sent = rng.random((size, case.bits)) < 0.5
        parts.append(sent ^ (rng.random(sent.shape, dtype=np.float32) < case.flips))
    return BitArray.from_bool_array(np.concatenate(parts), order="little")


def work() -> None:
    """Read names of cases and draws from the standard input, mitigate each, and print the time in seconds."""
    import qcluster as qc

    for line in sys.stdin:
        name, draw = json.loads(line)
        counts = drawn(name, draw)
        print(timed(partial(qc.mitigate, counts))[1], flush=True)


@contextmanager
def unpacked(commit: str) -> Iterator[Path]:
    """Unpack the package of a commit into a temporary folder."""
    command = ["git", "archive", "--format=tar", commit, "qcluster"]
    packed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True).stdout
    with TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder)


@contextmanager
def started(tree: Path, module: str) -> Iterator[Timed]:
    """Start a process that imports the package from a tree and runs `work` of a module.

    Yields a function that sends the process a task and returns the time it took, in seconds.
    """
    command = [sys.executable, "-W", "ignore", "-c", WORKER, str(tree), str(REPOSITORY), module]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tree) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        send, answers = process.stdin, process.stdout

        def timed(task: Any) -> float:
            send.write(json.dumps(task) + "\n")
            send.flush()
            if not (answer := answers.readline()):
                raise RuntimeError(f"a version must time {task!r}; it ended before it answered")
            return float(answer)

        yield timed


def compare(name: str, before: Timed, now: Timed, rounds: int) -> dict[str, Any]:
    """Return the times of both versions, in ms, and their ratio."""
    times: dict[Timed, list[float]] = {before: [], now: []}
    for draw in range(CASES[name].draws):
        best = dict.fromkeys(times, float("inf"))
        for k in range(rounds):
            for version in (before, now) if k % 2 else (now, before):
                if k == 0 or best[version] < SLOW:
                    best[version] = min(best[version], version((name, draw)))
        for version, seconds in best.items():
            times[version].append(seconds)
    old, new = (1e3 * median(times[version]) for version in (before, now))
    case = CASES[name]
    row: dict[str, Any] = {"counts": name, "shots": case.shots, "draws": case.draws}
    return row | {"before_ms": round(old, 1), "now_ms": round(new, 1), "now/before": round(new / old, 2)}


def keep(row: dict[str, Any]) -> None:
    """Put a row into the table, in place of an earlier one of the same name and in the order of `CASES`."""
    from benchmarks.data import read_rows, write_rows  # local, as other commits may lack what they import

    rows = {old["counts"]: old for old in read_rows(FILE)} | {row["counts"]: row}
    write_rows(FILE, [rows[name] for name in CASES if name in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", nargs="?", default=FIRST)
    parser.add_argument("--only", default="", help="part of a name; the other rows of the table are kept")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    module = "benchmarks.speed.versions"
    with unpacked(options.commit) as tree, started(tree, module) as before, started(REPOSITORY, module) as now:
        before((next(iter(CASES)), 0)), now((next(iter(CASES)), 0))  # warm up: files are read and code compiled once
        for name in CASES:
            if options.only in name:
                row = compare(name, before, now, options.rounds)
                print(row, flush=True)
                keep(row)


if __name__ == "__main__":
    main()
