"""The same counts in many threads, in processes of each kind, under any hash seed and number of BLAS threads."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
from qiskit import QuantumCircuit

import qcluster as qc
from benchmarks.robustness.row import Row

THREADS, TIMES = 8, 5
HASH_SEEDS = tuple(range(20))
BLAS = (1, 2, 4, 8)
ROUNDING = 1e-6
"""Most that answers may lie apart in total variation where BLAS adds single precision in another order."""
LOCKSTEP = 1e-9
"""The same where `mitigate_many` works out small counts together, in double precision."""
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def given() -> list[object]:
    """Draw what is mitigated: few strings and broad outputs of 2 to 60 bits, and runs with their circuits."""
    rng = np.random.default_rng(25)
    found: list[object] = []
    for n_bits in (2, 3, 5, 8, 12, 20, 60):
        for strings in (1, 3, 40):
            sent = (rng.random((strings, n_bits)) < 0.5)[rng.integers(strings, size=4000)]
            found.append(qc.Distribution(sent ^ (rng.random(sent.shape) < 0.04), np.ones(len(sent))))
    circuits = []
    for n_bits in (3, 5):
        circuit = QuantumCircuit(n_bits)
        circuit.h(0)
        for qubit in range(n_bits - 1):
            circuit.cx(qubit, qubit + 1)
        circuit.ry(0.7, 0)
        circuit.measure_all()
        circuits.append(circuit)
    return found + list(qc.execute(circuits, "fake_manila", shots=2000, twirls=4, reference=True, seed=3))


def answer(counts: object) -> str:
    """Hash all of an answer, to the last bit."""
    fixed = qc.mitigate(counts)
    held = fixed.distribution
    hashed = hashlib.sha256(held.bits.tobytes() + held.weights.tobytes() + fixed.rates.tobytes())
    hashed.update(json.dumps([fixed.reason, fixed.method, fixed.confidence, fixed.share]).encode())
    return hashed.hexdigest()


def answers() -> list[str]:
    """Mitigate everything, one by one."""
    return [answer(counts) for counts in given()]


def same(found: Sequence[Sequence[str]], of: str) -> str:
    """Hold the answers against the first ones."""
    differ = sorted({k for one in found for k, (a, b) in enumerate(zip(found[0], one, strict=True)) if a != b})
    if differ:
        raise AssertionError(f"answers {differ} differ")
    return f"{len(found[0])} answers, the same to the last bit {of}"


def threads() -> str:
    """Mitigate the same counts in many threads at once, each in an order of its own."""
    counts = given()
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(counts)) for _ in range(THREADS * TIMES)]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda order: {k: answer(counts[k]) for k in order}, orders))
    alone = [answer(one) for one in counts]
    return same([alone, *([one[k] for k in range(len(counts))] for one in found)], f"as one by one, {TIMES} times each")


def processes() -> str:
    """Mitigate in processes that were forked, spawned and served, and by `mitigate_many`'s."""
    counts = given()
    found = [[answer(one) for one in counts]]
    for kind in ("fork", "spawn", "forkserver"):
        with ProcessPoolExecutor(2, mp_context=get_context(kind)) as pool:
            found.append(list(pool.map(answer, counts)))
    together = told(qc.mitigate_many(counts, workers=2))
    return f"{same(found, 'in each kind')}; by mitigate_many {alike([in_full(), together], LOCKSTEP)}"


def told(many: Iterable[qc.Mitigation]) -> list[tuple[dict[str, float], str]]:
    """Give probabilities and verdicts."""
    return [(fixed.distribution.to_probs(), fixed.reason) for fixed in many]


def in_full() -> list[tuple[dict[str, float], str]]:
    """Mitigate everything, and give probabilities and verdicts."""
    return told(qc.mitigate(counts) for counts in given())


def alike(found: Sequence[Sequence[tuple[dict[str, float], str]]], most: float) -> str:
    """Hold probabilities and verdicts against the first ones: these must be equal, those nearly so."""
    first, *others = found
    furthest = 0.0
    for one in others:
        for k, ((mine, reason), (theirs, other)) in enumerate(zip(first, one, strict=True)):
            if reason != other:
                raise AssertionError(f"verdict {k} differs: {reason!r}, {other!r}")
            furthest = max(furthest, qc.metrics.total_variation(mine, theirs))
    if furthest > most:
        raise AssertionError(f"answers differ by {furthest:.1e} in total variation")
    return f"the same verdicts, at most {furthest:.0e} apart in total variation"


def under(what: str, **environment: str) -> Any:
    """Call a function of this module in a fresh interpreter with these variables."""
    code = f"import json; from benchmarks.robustness.steady import {what}; print(json.dumps({what}()))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def hash_seeds() -> str:
    """Mitigate under other orders of sets and dictionaries."""
    found = [under("answers", PYTHONHASHSEED=str(seed)) for seed in HASH_SEEDS]
    return same(found, f"under {len(found)} hash seeds")


def blas_threads() -> str:
    """Mitigate with other numbers of BLAS threads, which add in another order: the last bits of large products move."""
    found = [under("in_full", **dict.fromkeys(VARIABLES, str(many))) for many in BLAS]
    counted = f"{len(found[0])} answers with {', '.join(map(str, BLAS))} threads"
    return f"{counted}: {alike(found, ROUNDING)}"


def rows() -> Iterator[Row]:
    must = "the same answers"
    yield Row(f"{THREADS} threads at once", must, threads)
    yield Row(
        "processes: fork, spawn, forkserver, mitigate_many", f"{must}; within {LOCKSTEP:.0e} by the last", processes
    )
    yield Row(f"{len(HASH_SEEDS)} hash seeds", must, hash_seeds)
    yield Row("BLAS threads", f"the same verdicts, answers within {ROUNDING:.0e}", blas_threads)


ROWS = tuple(rows())
