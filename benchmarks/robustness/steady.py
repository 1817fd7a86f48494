"""Mitigate the same counts in threads and in processes of each kind, with several hash seeds and BLAS threads."""

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
"""Largest total variation distance between answers if BLAS adds in another order, in single precision."""
LOCKSTEP = 1e-9
"""Largest total variation distance if `mitigate_many` computes small counts together, in double precision."""
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def given() -> list[object]:
    """Draw the inputs: counts of few strings and of broad outputs, with 2 to 60 bits, and runs with their circuits."""
    rng = np.random.default_rng(25)
    inputs: list[object] = []
    for n_bits in (2, 3, 5, 8, 12, 20, 60):
        for strings in (1, 3, 40):
            sent = (rng.random((strings, n_bits)) < 0.5)[rng.integers(strings, size=4000)]
            inputs.append(qc.Distribution(sent ^ (rng.random(sent.shape) < 0.04), np.ones(len(sent))))
    circuits = []
    for n_bits in (3, 5):
        circuit = QuantumCircuit(n_bits)
        circuit.h(0)
        for qubit in range(n_bits - 1):
            circuit.cx(qubit, qubit + 1)
        circuit.ry(0.7, 0)
        circuit.measure_all()
        circuits.append(circuit)
    return inputs + list(qc.execute(circuits, "fake_manila", shots=2000, twirls=4, reference=True, seed=3))


def answer(counts: object) -> str:
    """Return a hash of the complete answer, to the last bit."""
    fixed = qc.mitigate(counts)
    distribution = fixed.distribution
    hashed = hashlib.sha256(distribution.bits.tobytes() + distribution.weights.tobytes() + fixed.rates.tobytes())
    hashed.update(json.dumps([fixed.reason, fixed.method, fixed.confidence, fixed.share]).encode())
    return hashed.hexdigest()


def answers() -> list[str]:
    """Return the hashes of all answers, computed one by one."""
    return [answer(counts) for counts in given()]


def same(hashes: Sequence[Sequence[str]], condition: str) -> str:
    """Check that all lists of answers are equal to the first."""
    differ = sorted({k for other in hashes for k, (a, b) in enumerate(zip(hashes[0], other, strict=True)) if a != b})
    if differ:
        raise AssertionError(f"answers {differ} differ")
    return f"{len(hashes[0])} answers, the same to the last bit {condition}"


def threads() -> str:
    """Mitigate the same counts in many threads at once, each in a different order."""
    counts = given()
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(counts)) for _ in range(THREADS * TIMES)]
    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(lambda order: {k: answer(counts[k]) for k in order}, orders))
    in_order = ([result[k] for k in range(len(counts))] for result in results)
    return same([[answer(item) for item in counts], *in_order], f"as one by one, {TIMES} times each")


def processes() -> str:
    """Mitigate in processes started by fork, spawn and forkserver, and with `mitigate_many`."""
    counts = given()
    hashes = [[answer(item) for item in counts]]
    for kind in ("fork", "spawn", "forkserver"):
        with ProcessPoolExecutor(2, mp_context=get_context(kind)) as pool:
            hashes.append(list(pool.map(answer, counts)))
    together = outcomes(qc.mitigate_many(counts, workers=2))
    return f"{same(hashes, 'in each kind')}; by mitigate_many {alike([in_full(), together], LOCKSTEP)}"


def outcomes(mitigations: Iterable[qc.Mitigation]) -> list[tuple[dict[str, float], str]]:
    """Return the probabilities and verdicts of mitigations."""
    return [(fixed.distribution.to_probs(), fixed.reason) for fixed in mitigations]


def in_full() -> list[tuple[dict[str, float], str]]:
    """Mitigate all inputs, and return probabilities and verdicts."""
    return outcomes(qc.mitigate(counts) for counts in given())


def alike(runs: Sequence[Sequence[tuple[dict[str, float], str]]], most: float) -> str:
    """Check that all runs have the verdicts of the first, and probabilities within a total variation distance."""
    first, *others = runs
    furthest = 0.0
    for run in others:
        for k, ((probs, reason), (other_probs, other_reason)) in enumerate(zip(first, run, strict=True)):
            if reason != other_reason:
                raise AssertionError(f"verdict {k} differs: {reason!r}, {other_reason!r}")
            furthest = max(furthest, qc.metrics.total_variation(probs, other_probs))
    if furthest > most:
        raise AssertionError(f"answers differ by {furthest:.1e} in total variation")
    return f"the same verdicts, at most {furthest:.0e} apart in total variation"


def under(function: str, **environment: str) -> Any:
    """Call a function of this module in a fresh interpreter with the given environment variables."""
    code = f"import json; from benchmarks.robustness.steady import {function}; print(json.dumps({function}()))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def hash_seeds() -> str:
    """Mitigate with several hash seeds, which change the order of sets."""
    hashes = [under("answers", PYTHONHASHSEED=str(seed)) for seed in HASH_SEEDS]
    return same(hashes, f"under {len(hashes)} hash seeds")


def blas_threads() -> str:
    """Mitigate with several numbers of BLAS threads, which change the order of sums and so the last bits of
    products."""
    runs = [under("in_full", **dict.fromkeys(VARIABLES, str(n_threads))) for n_threads in BLAS]
    counted = f"{len(runs[0])} answers with {', '.join(map(str, BLAS))} threads"
    return f"{counted}: {alike(runs, ROUNDING)}"


def rows() -> Iterator[Row]:
    must = "the same answers"
    yield Row(f"{THREADS} threads at once", must, threads)
    yield Row(
        "processes: fork, spawn, forkserver, mitigate_many", f"{must}; within {LOCKSTEP:.0e} by the last", processes
    )
    yield Row(f"{len(HASH_SEEDS)} hash seeds", must, hash_seeds)
    yield Row("BLAS threads", f"the same verdicts, answers within {ROUNDING:.0e}", blas_threads)


ROWS = tuple(rows())
