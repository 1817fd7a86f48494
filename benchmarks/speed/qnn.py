"""Time decision values with their full gradient, batch 32, by all exact routes and by dense simulation.

Run from the repository: OMP_NUM_THREADS=1 python -m benchmarks.speed.qnn
Writes benchmarks/results/speed_qnn.csv. Times are processor time of one thread, the best of the repeats, so that other
work on the machine has little effect. The dense route is timed on one sample and multiplied by 32. "statevector, shift"
times one circuit with Qiskit's Statevector and multiplies by the number of circuits of the parameter shift, 32 (2 P +
1). The last rows are complete fits of the digits with five starts each.
"""

from collections.abc import Iterator
from functools import partial
from time import process_time
from typing import Any

import numpy as np

from benchmarks.data import write_row_by_row
from qcluster.qnn import QNNClassifier, circuits, encoding, load_digits_4x4
from qcluster.qnn.ansatz import Ansatz, build, layers
from qcluster.qnn.encoding import Kind
from qcluster.qnn.simulation.exact import choose_route, exact_form

BATCH = 32


def best(work: Any, repeats: int) -> float:
    """Return the processor time per call in the fastest round, in ms; a round lasts at least 20 ms."""
    calls, times = 1, []
    for _ in range(repeats):
        start = process_time()
        for _ in range(calls):
            work()
        spent = process_time() - start
        times.append(spent / calls)
        calls = max(1, min(1000, int(0.02 / max(times[-1], 1e-6))))
    return 1e3 * min(times[1:] or times)


def gradient_ms(ansatz: Ansatz, route: Any, samples: int, repeats: int, kind: Kind = "basis") -> float:
    rng = np.random.default_rng(1)
    theta = rng.normal(0, 0.3, ansatz.n_parameters)
    if kind == "basis":
        inputs = encoding.basis(rng.integers(0, 2, (samples, ansatz.n_data)))
    else:
        inputs = encoding.angles(rng.random((samples, ansatz.n_data)))
    form = exact_form(ansatz, kind, route)
    return best(lambda: form.forward(theta, inputs)[1](np.ones(samples)), repeats)


def statevector_ms(ansatz: Ansatz) -> float:
    from qiskit.quantum_info import Pauli, Statevector

    theta = np.random.default_rng(1).normal(0, 0.3, ansatz.n_parameters)
    circuit = circuits.circuit(ansatz, theta, measure=False)
    one = best(lambda: Statevector(circuit).expectation_value(Pauli("Y"), [ansatz.n_data]), 2)
    return one * BATCH * (2 * ansatz.n_parameters + 1)


def row(case: str, ansatz: Ansatz | None, route: str, milliseconds: float) -> dict[str, Any]:
    return {
        "case": case,
        "qubits": ansatz.n_data + 1 if ansatz else 17,
        "parameters": ansatz.n_parameters if ansatz else "",
        "route": route,
        "milliseconds": float(f"{milliseconds:.4g}"),
    }


def rows() -> Iterator[dict[str, Any]]:
    mixed = [("Z", "X"), ("X", "Y")]
    for case, ansatz in (
        ("zx", build("zx", 16)),
        ("zx, xx", build("zx-xx", 16, bias=False)),
        ("zx, xx, zx", layers(16, [("Z", "X"), ("X", "X"), ("Z", "X")], bias=False)),
        ("3 x (zx, xx)", build("zx-xx", 16, reps=3, bias=False)),
        ("3 x (zx, xx)", build("zx-xx", 126, reps=3, bias=False)),
        ("3 x (zx, xx)", build("zx-xx", 999, reps=3, bias=False)),
        ("1 x (zx, xy)", layers(16, mixed, bias=False)),
        ("2 x (zx, xy)", layers(16, mixed * 2, bias=False)),
        ("3 x (zx, xy)", layers(16, mixed * 3, bias=False)),
    ):
        route = choose_route(ansatz, "basis")
        yield row(case, ansatz, route, gradient_ms(ansatz, route, BATCH, 20 if route != "path-sum" else 5))
    for case, ansatz in (
        ("zx, grey values", build("zx", 16)),
        ("3 x (zx, xx), grey values", build("zx-xx", 16, reps=3)),
    ):
        route = choose_route(ansatz, "product")
        yield row(case, ansatz, route, gradient_ms(ansatz, route, BATCH, 20, "product"))
    six = build("zx-xx", 16, reps=3, bias=False)
    yield row("3 x (zx, xx)", six, "adjoint (one sample x 32)", BATCH * gradient_ms(six, "adjoint", 1, 2))
    yield row("3 x (zx, xx)", six, "statevector, shift (one circuit x 6176)", statevector_ms(six))
    options: dict[str, Any]
    for case, options in (
        ("zx", {}),
        ("zx, grey values", {"encoding": "angle"}),
        ("3 x (zx, xx)", {"ansatz": "zx-xx", "reps": 3}),
        ("3 x (zx, xx), grey values", {"ansatz": "zx-xx", "reps": 3, "encoding": "angle"}),
    ):
        model = QNNClassifier(random_state=0, **options)
        digits = load_digits_4x4(3, 6, threshold=None if "grey" in case else 8)
        yield row(
            f"fit of the digits, {case}", None, "lbfgs, 5 starts", best(partial(model.fit, digits.X, digits.y), 5)
        )


if __name__ == "__main__":
    write_row_by_row("speed_qnn.csv", rows())
