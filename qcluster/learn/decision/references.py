"""Cases with a circuit whose fault rates a reference circuit measured, to train the gate for such runs.

The rates are learned as they are from real references: a reference with the same gates at the same places is drawn,
its counts are read through the same noise, and factors on the published rates are learned from them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Indices
from qcluster.core.counts.bits import pack
from qcluster.core.noise.faults import FaultMasks, merge_masks, scaled_readout
from qcluster.core.noise.places import PRIOR_WIDTHS, ReferencePatterns, learn_factors
from qcluster.core.stats.walsh import LinearIndex
from qcluster.learn.decision import circuits, ideals, noise
from qcluster.learn.decision.cases import Case
from qcluster.learn.decision.circuits import Output

_OUTPUTS = {"own": 0.5, "any": 0.25, "sharp": 0.1, "tails": 0.15}
"""Kinds of ideal outputs, as in `circuits`, and their shares."""
_STRONGER, _MOST_FAULTS = (0.5, 0.9), 6.0
"""Mean and standard deviation of the logarithm of the factor by which noise exceeds that of `circuits`, and most faults
per shot: a machine of which a reference is asked may be much worse than published. With these and `_THINNED`, deviance
from the learned rates and the raw fidelity have about the quantiles of simulated programs
(``benchmarks/measured_records.py``)."""
_THINNED = (0.0, 0.0, 0.4, 0.9)
"""Largest shares, one of which is drawn, by which faults are rarer in a circuit than in its reference: where rotations
follow a fault, it flips the predicted pattern in fewer shots."""
_SCATTERS = (0.3, 0.6, 1.0)
"""Scatter of the logarithm of published rates around the true ones, one of which is drawn."""
_COMMON, _READOUT = 0.4, 0.3
"""Scatter of the logarithm of the factor common to all places, and of that of readout errors."""
_SAME_SHOTS = 0.7
"""Share of references with as many shots as the circuit."""
_MOST_READOUT, _LEAST = 0.45, 1e-7
"""Largest published readout error, and least rate of its flips."""


class _Gate(NamedTuple):
    """A two-qubit gate, and a qubit that is idle meanwhile."""

    qubits: tuple[int, int]
    forward: bool
    """Whether the first qubit controls the second."""
    idle: int


class _Layout(NamedTuple):
    """What a circuit and its reference have in common: the two-qubit gates at their places."""

    wires: int
    gates: list[_Gate]
    errors: Floats
    """``(wires, wires)`` faults per gate on a pair, symmetric."""
    idle: float
    """Faults of each kind per idle qubit."""

    @property
    def n_places(self) -> int:
        """Number of places, see `_Faults.places`."""
        return self.wires * (self.wires + 1)


class _Faults(NamedTuple):
    """The faults of one circuit of a layout; `x` and `z` are those of `circuits.circuit`."""

    masks: NDArray[np.bool_]
    rates: Floats
    places: Indices
    """Place of each fault: a pair of qubits a < b as ``a * wires + b``, an idle qubit as ``wires**2 + qubit``."""
    x: NDArray[np.bool_]
    z: NDArray[np.bool_]


def measured(seed: int) -> Case:
    """Draw a circuit with its noise and output, and its fault rates as learned from a drawn reference."""
    rng = np.random.default_rng([2060, seed])
    layout, own, output = _circuit(rng)
    n = output.n_bits
    total = max(own.rates.sum(), 1e-9)
    stronger = min(float(np.exp(rng.normal(*_STRONGER))), max(1.0, _MOST_FAULTS / total))
    rates, readout = own.rates * stronger, circuits.draw_readout(rng, n)
    thinned = 1 - rng.random(len(rates)) * float(rng.choice(_THINNED))
    n_extra = int(rng.integers(1, 6)) if rng.random() < 0.5 else 0
    extra = rng.exponential(0.05 * (stronger * total + 0.02), n_extra)
    lost, shots = circuits.draw_lost(rng), noise.shots(rng)

    def read(faults: _Faults, rates: Floats, output: Output) -> Floats:
        """Return the noisy distribution of a circuit with these faults, and with those that no calibration lists."""
        true = _fault_masks(faults.masks, rates, readout)
        true = circuits.with_patterns(true, circuits.draw_patterns(rng, n_extra, n), extra)
        return circuits.with_uniform(circuits.through_faults(true, output), lost)

    off = np.exp(rng.normal(0, _COMMON) + rng.normal(0, float(rng.choice(_SCATTERS)), layout.n_places))
    published = np.minimum(readout * np.exp(rng.normal(0, _READOUT) + rng.normal(0, _READOUT, (n, 1))), _MOST_READOUT)
    reference = _propagate(rng, n, layout)
    seen = rng.multinomial(
        shots if rng.random() < _SAME_SHOTS else noise.shots(rng),
        read(reference, reference.rates * stronger, Output("reference", np.eye(1, 1 << n)[0])),
    )
    factors = _learn(reference, stronger * off[reference.places], published, seen.astype(np.float64), layout.n_places)
    learned = rates * (off * factors[:-n])[own.places]
    known = _fault_masks(own.masks, learned, scaled_readout(published, factors[-n:, None]), measured=True)
    noisy = circuits.over_dispersed(rng, read(own, rates * thinned, output))
    return circuits.case_of(rng, noisy, output, (circuits.MEASURED, known), shots)


def _circuit(rng: np.random.Generator) -> tuple[_Layout, _Faults, Output]:
    """Draw a circuit and its ideal output; `circuits` has the same kinds."""
    kind = str(rng.choice(list(_OUTPUTS), p=list(_OUTPUTS.values())))
    small = kind == "own" and rng.random() < 0.5
    n = int(rng.integers(3, 12)) if kind == "sharp" else int(rng.choice(circuits.SMALL if small else circuits.WIDTHS))
    if kind == "own":
        return _with_own_output(rng, n)
    layout = _layout(rng, n, circuits.WORKING)
    if kind == "tails":
        output = Output("tails", ideals.tailed(rng, n))
    elif kind == "sharp":
        output = circuits.draw_sharp(rng, n)
    else:
        family = ideals.draw_family(rng, tuple(ideals.FAMILIES))
        output = Output(family, ideals.draw(rng, n, family))
    return layout, _propagate(rng, n, layout), output


def _with_own_output(rng: np.random.Generator, n: int) -> tuple[_Layout, _Faults, Output]:
    """Draw a circuit with its own output, see `circuits.own`."""
    for _ in range(3):  # most circuits spread over all strings, which gives little to learn from
        layout = _layout(rng, n, circuits.WORKING_OWN)
        own = _propagate(rng, n, layout)
        p = circuits.affine(rng, circuits.flips_at_start(rng, own.x, own.z))
        if not p.all():
            break
    base = _fault_masks(own.masks, own.rates, np.zeros((n, 2)))
    return layout, own, Output("own", *circuits.rotated(rng, p, base))


def _layout(rng: np.random.Generator, n: int, working: float) -> _Layout:
    """Draw the two-qubit gates of a circuit that reads n bits; see `circuits.circuit`."""
    level = noise.log_uniform(rng, *circuits.LEVEL)
    wires, n_gates = circuits.draw_size(rng, n, working, level)
    near, idle = rng.random() < circuits.NEAR, float(rng.choice(circuits.MIXING))
    gates = [
        _Gate(circuits.draw_pair(rng, wires, near), rng.random() < 0.5, int(rng.integers(wires)))
        for _ in range(n_gates if wires > 1 else 0)
    ]
    errors = np.triu(level * rng.lognormal(0, 0.6, (wires, wires)))
    return _Layout(wires, gates, errors + np.triu(errors, 1).T, idle * level * circuits.IDLING)


def _propagate(rng: np.random.Generator, n: int, layout: _Layout) -> _Faults:
    """Draw one-qubit Clifford gates between the gates of a layout, and propagate its faults to the end."""
    mixing, wires = float(rng.choice(circuits.MIXING)), layout.wires
    x, z = np.zeros((n, wires), dtype=bool), np.eye(n, wires, dtype=bool)
    masks: list[NDArray[np.bool_]] = []
    rates: list[float] = []
    places: list[int] = []
    for (a, b), forward, other in layout.gates:
        for qubit in (a, b):
            if rng.random() < mixing:
                circuits.pull_back(rng, x, z, qubit)
        masks += circuits.flipped_by_gate(x, z, a, b)
        rates += [layout.errors[a, b] / 15] * 15
        places += [min(a, b) * wires + max(a, b)] * 15
        if layout.idle:
            masks += circuits.flipped_by_idling(x, z, other)
            rates += [layout.idle] * 3
            places += [wires * wires + other] * 3
        control, target = (a, b) if forward else (b, a)
        x[:, target] ^= x[:, control]
        z[:, control] ^= z[:, target]
    return _Faults(np.array(masks, dtype=bool).reshape(-1, n), np.array(rates), np.array(places, dtype=np.intp), x, z)


def _fault_masks(masks: NDArray[np.bool_], rates: Floats, readout: Floats, measured: bool = False) -> FaultMasks:
    merged = merge_masks(pack(masks), rates, np.zeros(len(rates), dtype=np.uint8))
    return FaultMasks(masks.shape[1], *merged, readout, measured=measured)


def _learn(reference: _Faults, factors: Floats, published: Floats, seen: Floats, n_places: int) -> Floats:
    """Learn the factors on published rates from the counts of a reference, as for a real one.

    Args:
        reference: faults of the reference.
        factors: ``(n_masks,)`` published rates divided by `reference.rates`.
        published: ``(n, 2)`` published readout errors.
        seen: ``(2^n,)`` shots of each pattern of flips.
        n_places: number of places, those of readout not counted.

    Returns:
        The factors of all places, followed by those of the readout of each bit.
    """
    n, index = len(published), LinearIndex(len(published))
    flips = np.maximum(-0.5 * np.log1p(-2 * published[:, 0]), _LEAST)  # the reference reads zeros
    patterns = ReferencePatterns(
        index=index,
        place=np.concatenate([reference.places, n_places + np.arange(n)]),
        shifts=index.of(pack(np.vstack([reference.masks, np.eye(n, dtype=bool)]))),
        rates=np.concatenate([reference.rates * factors, flips]),
        seen=seen,
    )
    width = np.repeat([PRIOR_WIDTHS["pair"], PRIOR_WIDTHS["readout"]], [n_places, n])
    return learn_factors([patterns], width)[0]
