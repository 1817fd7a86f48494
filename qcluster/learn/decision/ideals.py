"""Ideal outputs to train on, family by family: what circuits return without noise.

Every family takes a generator and a number of bits n, and returns probabilities ``(2^n,)``; entry y belongs to the
string whose bits are the binary digits of y. The outputs resemble those of real circuits; most are not simulated.
"""

from collections.abc import Callable
from math import comb

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.learn.decision.noise import log_uniform

Complexes = NDArray[np.complex128]
Family = Callable[[np.random.Generator, int], Floats]


def bits_of(n: int) -> NDArray[np.bool_]:
    """Return the bits of all strings, ``(2^n, n)``."""
    return np.asarray((np.arange(1 << n)[:, None] >> np.arange(n)) & 1 == 1)


def _apply(psi: Complexes, qubit: int, gate: NDArray[np.complex128] | Floats) -> Complexes:
    """Apply a one-qubit gate to a state vector."""
    cube = psi.reshape(-1, 2, 1 << qubit)
    return np.asarray(np.einsum("ij,ajb->aib", gate, cube)).reshape(-1)


def _apply_to_all(psi: Complexes, n: int, gate: NDArray[np.complex128]) -> Complexes:
    for qubit in range(n):
        psi = _apply(psi, qubit, gate)
    return psi


def _ry(angle: float) -> Floats:
    c, s = np.cos(angle / 2), np.sin(angle / 2)
    return np.array([[c, -s], [s, c]])


def _rx(angle: float) -> NDArray[np.complex128]:
    c, s = np.cos(angle / 2), -1j * np.sin(angle / 2)
    return np.array([[c, s], [s, c]])


_H = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
_S, _T = np.diag([1, 1j]), np.diag([1, np.exp(0.25j * np.pi)])


def _basis(n: int, string: int = 0) -> Complexes:
    psi = np.zeros(1 << n, dtype=complex)
    psi[string] = 1
    return psi


def _cnot(psi: Complexes, control: int, target: int) -> Complexes:
    index = np.arange(len(psi))
    return np.asarray(psi[np.where((index >> control) & 1 == 1, index ^ (1 << target), index)])


def _with_flipped_bits(p: Floats, rng: np.random.Generator) -> Floats:
    """Flip the same random bits of all strings."""
    return np.asarray(p[np.arange(len(p)) ^ rng.integers(len(p))])


def strings(rng: np.random.Generator, n: int) -> Floats:
    """A few strings with equal or unequal weights."""
    n_strings = int(min(1 << n, np.exp(rng.uniform(0, np.log(48)))))
    p: Floats = np.zeros(1 << n)
    p[rng.choice(1 << n, n_strings, replace=False)] = rng.dirichlet(np.full(n_strings, rng.choice([0.5, 1, 3, 50])))
    return p


def sharp(rng: np.random.Generator, n: int, single: float, most: int) -> Floats:
    """One string, with probability `single`, or 2 to 16 (at most `most`); weights are equal, similar or unequal."""
    n_strings = min(1 if rng.random() < single else int(log_uniform(rng, 2, 16)), most)
    p = np.zeros(1 << n)
    p[rng.choice(1 << n, n_strings, replace=False)] = rng.dirichlet(np.full(n_strings, rng.choice([1, 3, 1000])))
    return p


def ghz(rng: np.random.Generator, n: int) -> Floats:
    """Two opposite strings: all zeros and all ones."""
    p = np.zeros(1 << n)
    p[[0, -1]] = 0.5
    return p


def dicke(rng: np.random.Generator, n: int) -> Floats:
    """All strings of one Hamming weight (W states among them), sometimes with bits flipped."""
    p = (bits_of(n).sum(axis=1) == rng.integers(1, max(2, n // 2 + 1))).astype(float)
    return _with_flipped_bits(p, rng) if rng.random() < 0.5 else p


def affine(rng: np.random.Generator, n: int) -> Floats:
    """Uniform on a linear subspace: stabilizer states."""
    span = np.zeros(1, dtype=np.int64)
    for _ in range(rng.integers(1, n + 1)):
        span = np.unique(np.concatenate([span, span ^ rng.integers(1 << n)]))
    p = np.zeros(1 << n)
    p[span] = 1
    return p


def qaoa(rng: np.random.Generator, n: int) -> Floats:
    """Linear-ramp QAOA of an Ising problem, 1 to 20 layers."""
    z = 1.0 - 2 * bits_of(n)
    kind, density = rng.integers(3), rng.uniform(0.2, 1)
    if kind == 2:
        couplings = np.diag(rng.uniform(0.2, 1, n - 1), 1) if n > 1 else np.zeros((n, n))
    else:
        couplings = np.triu((rng.random((n, n)) < density) * (rng.normal(size=(n, n)) if kind else 1.0), 1)
    cost = np.einsum("yi,ij,yj->y", z, couplings, z)
    if rng.random() < 0.4:
        cost = cost + z @ rng.normal(size=n) * rng.uniform(0, 0.7)
    cost = cost / max(np.abs(couplings).max(), 1e-9)
    layers, step = int(rng.choice([1, 2, 3, 4, 6, 10, 20])), rng.uniform(0.2, 0.9)
    psi = np.full(1 << n, 2 ** (-n / 2), dtype=complex)
    for layer in range(layers):
        ramp = (layer + 1) / (layers + 1) if layers > 1 else 0.6
        psi = _apply_to_all(psi * np.exp(-1j * step * ramp * cost), n, _rx(2 * step * (1 - ramp)))
    return np.asarray(np.abs(psi) ** 2)


def tfim(rng: np.random.Generator, n: int) -> Floats:
    """Trotter evolution of a transverse-field Ising chain."""
    z = 1.0 - 2 * bits_of(n)
    chain = (z[:, :-1] * z[:, 1:]).sum(axis=1) if n > 1 else z[:, 0]
    psi = _basis(n, int(rng.choice([0, sum(1 << i for i in range(0, n, 2)), (1 << n) - 1])))
    coupling, field, step = rng.uniform(0.3, 1.2), rng.uniform(0.2, 1.5), rng.uniform(0.1, 0.6)
    for _ in range(rng.integers(1, 9)):
        psi = _apply_to_all(psi, n, _rx(2 * step * field)) * np.exp(-1j * step * coupling * chain)
    if rng.random() < 0.6:
        psi = _apply_to_all(psi, n, _rx(2 * step * field))
    return np.asarray(np.abs(psi) ** 2)


def ansatz(rng: np.random.Generator, n: int) -> Floats:
    """Hardware-efficient ansatz with angles from tiny to arbitrary."""
    psi, spread, bits = _basis(n), rng.choice([0.1, 0.3, 0.7, 1.5, 3.0]), bits_of(n)
    for _ in range(rng.integers(1, 5)):
        for qubit in range(n):
            psi = _apply(psi, qubit, _ry(rng.normal(0, spread)))
        for qubit in range(n - 1):
            if rng.random() < 0.5:
                psi = psi * np.where(bits[:, qubit] & bits[:, qubit + 1], -1, 1)
            else:
                psi = _cnot(psi, qubit, qubit + 1)
    return np.asarray(np.abs(psi) ** 2)


def clifford_t(rng: np.random.Generator, n: int) -> Floats:
    """Random Clifford+T circuit."""
    psi = _basis(n)
    for _ in range(int(rng.integers(1, 5)) * n):
        gate = rng.choice(4, p=[0.45, 0.2, 0.15, 0.2]) if n > 1 else rng.integers(3)
        if gate == 3:
            control, target = rng.choice(n, 2, replace=False)
            psi = _cnot(psi, int(control), int(target))
        else:
            psi = _apply(psi, int(rng.integers(n)), (_H, _S, _T)[gate])
    for qubit in np.flatnonzero(rng.random(n) < 0.5):
        psi = _apply(psi, int(qubit), _H)
    return np.asarray(np.abs(psi) ** 2)


def heisenberg(rng: np.random.Generator, n: int) -> Floats:
    """Trotter evolution of a Heisenberg chain from a product string."""
    psi = _basis(n, int(rng.integers(1 << n)))
    index, step, skew = np.arange(1 << n), rng.uniform(0.1, 0.8), rng.uniform(0.5, 1.5)
    for _ in range(rng.integers(1, 6)):
        for qubit in range(n - 1):
            apart = ((index >> qubit) ^ (index >> (qubit + 1))) & 1 == 1
            swapped = psi[index ^ (3 << qubit)]
            psi = np.where(apart, np.cos(step) * psi - 1j * np.sin(step) * swapped, psi * np.exp(-0.5j * step * skew))
        if rng.random() < 0.3:
            psi = _apply_to_all(psi, n, _rx(rng.normal(0, 0.3)))
    return np.asarray(np.abs(psi) ** 2) / float((np.abs(psi) ** 2).sum())


def iqp(rng: np.random.Generator, n: int) -> Floats:
    """Diagonal gates between layers of Hadamards."""
    z = 1.0 - 2 * bits_of(n)
    couplings = np.triu(rng.choice([0, 1, 3], size=(n, n)) * np.pi / rng.choice([4, 8]), 1)
    phase = np.einsum("yi,ij,yj->y", z, couplings, z) + z @ rng.uniform(0, 2 * np.pi, n)
    psi = np.full(1 << n, 2 ** (-n / 2), dtype=complex) * np.exp(1j * phase)
    return np.asarray(np.abs(_apply_to_all(psi, n, _H.astype(complex))) ** 2)


def _kernel(n: int, phase: float) -> Floats:
    """The output of phase estimation: the Fejer kernel about a phase, in turns."""
    size = 1 << n
    away = (phase - np.arange(size) / size + 0.5) % 1 - 0.5
    near = np.abs(away) < 1e-12
    safe = np.where(near, 0.5, away)
    return np.where(near, 1.0, (np.sin(np.pi * size * safe) / (size * np.sin(np.pi * safe))) ** 2)


def phase_estimation(rng: np.random.Generator, n: int) -> Floats:
    """One eigenphase or two (amplitude estimation, counting), dyadic or with tails."""
    phases = rng.random(rng.choice([1, 2])) if rng.random() < 0.6 else np.array([1, -1]) * rng.random()
    if rng.random() < 0.3:
        phases = np.round(phases * (1 << n)) / (1 << n)
    weights = rng.dirichlet(np.full(len(phases), 3.0))
    p: Floats = np.sum([w * _kernel(n, x % 1) for w, x in zip(weights, phases, strict=True)], axis=0)
    return _reversed(p, n) if rng.random() < 0.3 else p


def _reversed(p: Floats, n: int) -> Floats:
    return np.asarray(p.reshape((2,) * n).transpose()).reshape(-1)


def order_finding(rng: np.random.Generator, n: int) -> Floats:
    """A comb of equally spaced peaks, with tails where the order is no power of two."""
    order = int(rng.integers(2, max(3, min(1 << (n - 1), 24) + 1))) if n > 1 else 2
    return np.asarray(np.sum([_kernel(n, s / order) for s in range(order)], axis=0))


def grover(rng: np.random.Generator, n: int) -> Floats:
    """Marked strings on a flat floor."""
    n_strings = min(int(rng.integers(1, 4)), 1 << n)
    success = rng.uniform(0.3, 1)
    p = np.full(1 << n, (1 - success) / (1 << n))
    p[rng.choice(1 << n, n_strings, replace=False)] += success / n_strings
    return p


def porter_thomas(rng: np.random.Generator, n: int) -> Floats:
    """Probabilities of a random state, or sharper or flatter ones."""
    return np.asarray(rng.gamma(rng.choice([1.0, 1.0, 4.0, 0.5]), size=1 << n))


def boltzmann(rng: np.random.Generator, n: int) -> Floats:
    """Boltzmann weights of an Ising model: smooth."""
    z = 1.0 - 2 * bits_of(n)
    couplings = np.triu(rng.normal(0, rng.choice([0.1, 0.2, 0.4, 0.8]), (n, n)), 1)
    fields = rng.normal(0, 0.3, n) * (rng.random() < 0.5)
    return np.asarray(np.exp(-np.einsum("yi,ij,yj->y", z, couplings, z) + z @ fields))


def product(rng: np.random.Generator, n: int) -> Floats:
    """Independent bits: nearly certain, even, or at any angle."""
    p = np.ones(1)
    shape = rng.choice([0.5, 2.0])
    for chance in rng.beta(shape, shape, n):
        p = np.kron(p, [1 - chance, chance])
    return p


def pairs(rng: np.random.Generator, n: int) -> Floats:
    """Independent blocks of one to three bits, each with its own small distribution."""
    p: Floats = np.ones(1)
    left = n
    while left:
        size = min(left, int(rng.integers(1, 4)))
        block = rng.dirichlet(np.full(1 << size, rng.choice([0.1, 0.5, 2.0])))
        p, left = np.asarray(np.kron(p, block), dtype=np.float64), left - size
    return p


def loaded(rng: np.random.Generator, n: int) -> Floats:
    """A smooth function of the register's value: a sum of bells, a log-normal, or a binomial."""
    x = (np.arange(1 << n) + 0.5) / (1 << n)
    kind = rng.integers(3)
    if kind == 0:
        bells = rng.uniform(0.2, 1, 3), rng.random(3), rng.uniform(0.02, 0.3, 3)
        heights = [a * np.exp(-(((x - b) / c) ** 2)) for a, b, c in zip(*bells, strict=True)]
        return np.asarray(np.sum(heights, axis=0) + 1e-6)
    if kind == 1:
        return np.asarray(np.exp(-(((np.log(x) - rng.normal(-1, 0.5)) / rng.uniform(0.2, 0.9)) ** 2)) / x)
    size = 1 << min(n, 6)
    binomial = np.array([comb(size - 1, k) for k in range(size)], dtype=float)
    return np.repeat(binomial, (1 << n) // size)


def dirichlet(rng: np.random.Generator, n: int) -> Floats:
    """Sharp and irregular: few large probabilities and many small ones."""
    return rng.gamma(rng.choice([0.01, 0.03, 0.1, 0.3]), size=1 << n) + 1e-300


def uniform(rng: np.random.Generator, n: int) -> Floats:
    """All strings with equal probability."""
    return np.ones(1 << n)


def fixed(rng: np.random.Generator, n: int, flipped: float = 0.5) -> Floats:
    """Some fixed bits, and others with an output of any other family; `flipped` as for `draw`."""
    if n < 2:
        return strings(rng, n)
    free = np.sort(rng.choice(n, rng.integers(1, n), replace=False))
    inner = _draw(rng, len(free), str(rng.choice([name for name in FAMILIES if name != "fixed"])), flipped)
    base = int(rng.integers(1 << n)) & ~int((1 << free).sum())
    index = np.arange(1 << len(free))
    where = base | (((index[:, None] >> np.arange(len(free))) & 1) << free).sum(axis=1)
    p = np.zeros(1 << n)
    p[where] = inner
    return p


def parities(rng: np.random.Generator, n: int) -> Floats:
    """A few levels of probability: some independent parities are biased, all others are even."""
    bits = bits_of(n)
    p = np.ones(1 << n)
    for _ in range(int(rng.integers(1, n + 1))):
        odd = bits[:, rng.random(n) < rng.choice([0.2, 0.5])].sum(axis=1) % 2 == 1
        p = p * (1 + np.where(odd, -1, 1) * rng.uniform(-0.9, 0.9))
    return np.asarray(p / p.sum())


def tailed(rng: np.random.Generator, n: int, flipped: float = 0.5) -> Floats:
    """Few strings surrounded by small weights: from qubits rotated by small angles, or a small share of another output.
    `flipped` as for `draw`."""
    p = draw(rng, n, str(rng.choice(["strings", "ghz", "dicke", "affine", "order_finding"])), flipped)
    if rng.random() < 0.7:
        tilt = np.sin(rng.uniform(0.02, 0.5) * rng.normal(0, 1, n)) ** 2 * (rng.random(n) < rng.choice([0.4, 1.0]))
        for place, chance in enumerate(tilt):
            cube = p.reshape(-1, 2, 1 << place)
            p = ((1 - chance) * cube + chance * cube[:, ::-1]).reshape(-1)
        return p
    share = float(rng.uniform(0.01, 0.3))
    return (1 - share) * p + share * draw(rng, n, str(rng.choice(["dirichlet", "porter_thomas", "ansatz"])))


FAMILIES: dict[str, Family] = {
    family.__name__: family
    for family in (
        strings, ghz, dicke, affine, qaoa, tfim, ansatz, clifford_t, heisenberg, iqp, phase_estimation, order_finding,
        grover, porter_thomas, boltzmann, product, pairs, loaded, dirichlet, uniform, fixed,
    )
}  # fmt: skip
"""All families by name."""

FREQUENCY = {"strings": 3.0, "affine": 2.0, "qaoa": 3.0, "ansatz": 3.0, "fixed": 3.0, "tfim": 1.5, "uniform": 0.5}
"""Relative frequency of each family, 1 for those not listed."""


def draw_family(rng: np.random.Generator, families: tuple[str, ...]) -> str:
    """Draw a family from some families, with the odds of `FREQUENCY`."""
    odds = np.array([FREQUENCY.get(name, 1.0) for name in families])
    return str(rng.choice(families, p=odds / odds.sum()))


def draw(rng: np.random.Generator, n: int, family: str, flipped: float = 0.5) -> Floats:
    """Draw an ideal distribution of a family, normalised.

    GHZ and stabilizer states have random bits flipped with probability `flipped`. Circuits prepare them around the
    string of zeros, and decay leads to that string, so noise changes states with flipped bits in another way.

    Example:
        >>> draw(np.random.default_rng(0), 2, "ghz").sum()
        np.float64(1.0)
    """
    p = np.maximum(_draw(rng, n, family, flipped), 0.0)
    return np.asarray(p / p.sum())


def _draw(rng: np.random.Generator, n: int, family: str, flipped: float) -> Floats:
    if family == "fixed":
        return fixed(rng, n, flipped)
    p = FAMILIES[family](rng, n)
    states = family in ("ghz", "affine")
    return _with_flipped_bits(p, rng) if states and (flipped >= 1 or rng.random() < flipped) else p
