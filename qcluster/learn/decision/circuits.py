"""Cases with a circuit to train on: an ideal output, the circuit's faults, their published rates, and counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Words, pack, unpack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.circuit_features import LEAST_READOUT
from qcluster.core.noise.faults import FaultMasks, merge_masks, non_clifford_weight
from qcluster.core.noise.kernel import Kernel
from qcluster.core.stats.special import unevenness
from qcluster.files import read_ideals, read_lines, read_pair
from qcluster.learn.decision import cases, ideals, noise
from qcluster.learn.decision.cases import Case, check_width, few_strings, of_shots, of_vector

WIDTHS = (2, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 9, 9, 10, 11)
"""Numbers of bits; repeated numbers are drawn more often."""
SMALL = (2, 3, 4, 5, 6)
"""Numbers of bits where few bits of many qubits are read."""
_SHOTS = (500, 1000, 2000, 4096, 8192)
"""Numbers of shots of wide registers."""
_NARROWEST = 13
"""Fewest bits of a wide register."""
_DECAYING = 0.4
"""Fraction of wide registers whose bits may also decay from 1 to 0 before they are read."""
WORKING, WORKING_OWN, _FAULTS = 0.25, 0.6, 6.0
"""Share of circuits with qubits that are not read, the same where outputs are the circuit's own, and most faults for
each shot at the two-qubit gates of these."""
LEVEL = 0.0015, 0.03
"""Least and largest typical error of a two-qubit gate."""
MIXING, NEAR = (0.0, 0.3, 1.0), 0.8
"""Shares of one-qubit gates that mix X and Z, one of which is drawn, and shares of idle qubits; and share of circuits
whose gates act on neighbours."""
EVEN = 1e-3
"""Largest unevenness of an output that counts as even."""
_CLIFFORD = 0.44
"""Share of Clifford circuits among those with even outputs. This and the next three constants are fitted by
``python -m benchmarks.compiled_records --rotations``."""
_EVEN = (0.37, 1.55)
"""Mean and standard deviation of the logarithm of the rotations of the other circuits with even outputs."""
_UNEVEN = (0.77, 1.38)
"""Mean and standard deviation of the logarithm of ``rotations / unevenness - 1`` for uneven outputs: rotations partly
undo each other."""
_INSIDE = {True: 0.36, False: 0.22}
"""Share of circuits without last rotations among those that are not Clifford circuits, for even and uneven outputs;
fitted to random programs as well."""
IDLING = 0.1
"""Faults of an idle qubit, relative to those of a gate."""
_ROTATIONS_UNKNOWN = 0.1
"""Share of circuits whose rotations are unknown."""
TOLD = ("right", "3 x too bad", "3 x too good", "scattered", "other")
"""Kinds of published noise: each recorded circuit becomes one case for each kind."""
MEASURED = "measured"
"""Kind of noise whose rates were learned from a reference circuit."""
_REDRAWN, _WIDEST_REDRAWN = 3, 12
"""Number of times the counts of a recorded circuit are drawn again for a table of counts alone, and most bits of such a
circuit."""
_OFF = 1.4
"""Largest logarithm of the common factor by which published noise differs from the true noise."""
HARDWARE = ("ibm_brussels_2025", "ghz_compiled_dev", "hanoi_chains_dev")
"""Recorded sets of real machines whose compiled circuits are known."""
Published = tuple[str, FaultMasks]
"""How the published noise differs from the true noise, and the published faults."""


class Output(NamedTuple):
    """The ideal output of a circuit."""

    family: str
    """Family of ideal outputs."""
    p: Floats
    """``(2^n,)`` probabilities."""
    rotations: float | None = None
    """Rotations of the circuit, see `FaultMasks`; None where the output was drawn without a circuit."""
    last_rotations: Floats | None = None
    """``(n,)`` those of them that nothing follows, see `FaultMasks`; None if unknown."""

    @property
    def n_bits(self) -> int:
        """Number of bits."""
        return len(self.p).bit_length() - 1


def drawn(seed: int, families: tuple[str, ...] = tuple(ideals.FAMILIES)) -> Case:
    """Draw a circuit's noise, an ideal output of any family, counts, and a more or less accurate calibration.

    Args:
        seed: seed of the case.
        families: families of ideal outputs to draw from.
    """
    rng = np.random.default_rng([2030, seed])
    output = _ideal(rng, families)
    base = faults(rng, output.n_bits)
    return read(rng, base, output, draw_published(rng, base))


def clean(seed: int) -> Case:
    """Draw counts with little or no noise, together with a calibration that publishes some."""
    rng = np.random.default_rng([2033, seed])
    output = _ideal(rng)
    base = faults(rng, output.n_bits)
    _, published = draw_published(rng, base)
    weak = base.scaled(float(rng.choice([0.0, 0.0, 0.02, 0.1])))
    return case_of(rng, through_faults(weak, output), output, ("clean", published))


def right(seed: int) -> Case:
    """Draw counts with a calibration that is right, or wrong by a common factor only."""
    rng = np.random.default_rng([2034, seed])
    output = _ideal(rng)
    base = faults(rng, output.n_bits)
    off = float(np.exp(rng.choice([0.0, 0.0, rng.normal(0, 0.1), rng.uniform(-1.2, 1.2)])))
    return case_of(rng, through_faults(base, output), output, ("right" if off == 1 else "off", base.scaled(off)))


def sharp(seed: int) -> Case:
    """Draw a few strings (among them GHZ, Dicke and small stabilizer states) with any calibration."""
    rng = np.random.default_rng([2035, seed])
    base = faults(rng, int(rng.integers(3, 12)))
    return read(rng, base, draw_sharp(rng, base.n_bits), draw_published(rng, base))


def draw_sharp(rng: np.random.Generator, n: int) -> Output:
    """Draw an output of few strings."""
    family = str(rng.choice(["ghz", "dicke", "strings"], p=[0.35, 0.15, 0.5]))
    return Output(
        family, ideals.sharp(rng, n, 0.3, 1 << (n - 2)) if family == "strings" else ideals.draw(rng, n, family)
    )


def own(seed: int) -> Case:
    """Draw a circuit with its noise and its own ideal output, and any calibration.

    Noise and output of one circuit are related. Bits that many faults flip have been randomised by gates, and the
    output may be invariant under the very flips that its faults cause, as in order finding. A rotation by a small angle
    leaves a tail in the same pattern as a fault at its place.
    """
    rng = np.random.default_rng([2039, seed])
    n = int(rng.choice(SMALL if rng.random() < 0.5 else WIDTHS))
    for _ in range(3):  # most circuits spread over all strings, which gives little to learn from
        base, x, z = circuit(rng, n, working=WORKING_OWN)
        p = affine(rng, flips_at_start(rng, x, z))
        if not p.all():
            break
    return read(rng, base, Output("own", *rotated(rng, p, base)), draw_published(rng, base))


def flips_at_start(rng: np.random.Generator, x: NDArray[np.bool_], z: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where the Zs that are read have an X at the start, before Hadamards on some qubits, on one, or on none."""
    return np.where(rng.random(x.shape[1]) < rng.choice([0.0, 1 / x.shape[1], 0.5]), z, x)


def affine(rng: np.random.Generator, spread: NDArray[np.bool_]) -> Floats:
    """Draw the output of a Clifford circuit: uniform over an affine space.

    Args:
        rng: random source.
        spread: ``(n_bits, wires)`` True where a Z that is read has an X at the start; the columns span the space.
    """
    index = np.arange(1 << len(spread))
    p = np.zeros(len(index))
    p[rng.integers(len(index))] = 1.0
    for shift in np.unique((1 << np.arange(len(spread))) @ spread):
        if p[index ^ shift] @ p == 0:  # a new direction
            p = (p + p[index ^ shift]) / 2
    return p


def rotated(rng: np.random.Generator, p: Floats, base: FaultMasks) -> tuple[Floats, float | None, Floats | None]:
    """Rotate qubits at some places of a circuit: each rotation flips the same bits as a fault there. Half of those that
    flip a single bit are the last ones on their qubits. Return the output, and all and the last rotations, see
    `FaultMasks`."""
    if not len(base.masks) or rng.random() < 0.3:
        return p, None, None
    n_rotations = int(noise.log_uniform(rng, 1, 3 * base.n_bits))
    size = float(rng.choice([np.pi / 8, noise.log_uniform(rng, 0.03, 1.0)]))
    angles = size * (np.ones(n_rotations) if rng.random() < 0.5 else rng.normal(0, 1, n_rotations))
    index = np.arange(len(p))
    shifts, weights = rng.choice(base.masks[:, 0], n_rotations).astype(int), non_clifford_weight(2 * angles)
    for shift, angle in zip(shifts, angles, strict=True):
        p = np.cos(angle) ** 2 * p + np.sin(angle) ** 2 * p[index ^ shift]
    last = (shifts[:, None] == 1 << np.arange(base.n_bits)) & (rng.random((n_rotations, 1)) < 0.5)
    return p, float(weights.sum()), weights @ last


def smooth(seed: int) -> Case:
    """Draw outputs of 12 or more bits that are not a few strings, under the noise of a circuit.

    Qubits rotated by small angles look like bit flips, and wide counts look like one string under strong noise. Only
    the circuit shows that its noise is not that strong.
    """
    rng = np.random.default_rng([2040, seed])
    if rng.random() < 0.4:
        return _product(rng)
    n = int(rng.integers(WIDTHS[-1] + 1, 17))
    base, x, z = circuit(rng, n)
    even = affine(rng, flips_at_start(rng, x, z))
    output = Output("smooth", *(rotated(rng, even, base) if rng.random() < 0.5 else (ideals.tailed(rng, n),)))
    return read(rng, base, output, draw_published(rng, base))


def tails(seed: int) -> Case:
    """Draw few strings surrounded by small true weights, as small rotation angles leave them, with any calibration.

    A calibration that is too pessimistic explains these tails as noise, and nothing in the counts contradicts it.
    """
    rng = np.random.default_rng([2038, seed])
    base = faults(rng, int(rng.choice(WIDTHS)))
    output, published = Output("tails", ideals.tailed(rng, base.n_bits)), draw_published(rng, base)
    if rng.random() < 0.3:
        published = "off", base.scaled(float(rng.uniform(1.5, 4)))
    return read(rng, base, output, published)


def foreign(seed: int) -> Case:
    """Draw counts whose noise is not that of the circuit's faults: flips at rates up to almost one half, uniform noise.

    Deep circuits on real machines behave so. The counts alone may reveal the ideal output where the circuit does not.
    """
    rng = np.random.default_rng([2036, seed])
    kind = str(rng.choice(["full", "sharp", "wide"], p=[0.5, 0.3, 0.2]))
    case = {"full": cases.full, "sharp": cases.sharp, "wide": cases.wide}[kind](5_000_000 + seed)
    return _with_foreign_faults(rng, case)


def foreign_wide(seed: int) -> Case:
    """Draw counts of 13 or more bits whose noise is not that of the circuit's faults, since `foreign` draws few."""
    rng = np.random.default_rng([2044, seed])
    kind = str(rng.choice(["wide", "deep", "turned"], p=[0.6, 0.2, 0.2]))
    return _with_foreign_faults(
        rng, {"wide": cases.wide, "deep": cases.deep, "turned": cases.turned}[kind](6_000_000 + seed)
    )


def _with_foreign_faults(rng: np.random.Generator, case: Case) -> Case:
    """Add to a case the faults of a circuit that it did not come from."""
    n = case.counts.n_bits
    published = faults(rng, n) if n <= WIDTHS[-1] + 1 else _run_faults(rng, n)
    gates, readout = float(np.exp(rng.uniform(-1, 1.5))), float(np.exp(rng.uniform(-0.5, 1)))
    published = _scattered(rng, published, 0.3, gates, readout)
    published = _with_rotations(rng, published, case.ideal.probabilities)
    return case._replace(family=f"foreign-{case.family}", kind="foreign", known=None, faults=published)


def _run_faults(rng: np.random.Generator, n: int, most: float = 2.5) -> FaultMasks:
    """Draw the faults of a wide circuit, at most `most` for each shot; they flip runs of bits, or a few neighbours."""
    start = rng.integers(n, size=int(rng.integers(n, 4 * n)))
    long = rng.random(len(start)) < rng.choice([0.1, 0.6])
    length = np.where(long, rng.integers(1, n, len(start)), rng.geometric(0.6))
    places = np.arange(n)
    patterns = (places >= start[:, None]) & (places < (start + length)[:, None])
    rates = rng.exponential(size=len(start))
    rates *= noise.log_uniform(rng, 0.05, most) / rates.sum()
    read = noise.log_uniform(rng, 0.003, 0.04) * rng.lognormal(0, 0.6, (n, 1)) * np.ones((1, 2))
    return FaultMasks(n, pack(patterns), rates, np.zeros(len(rates), dtype=np.uint8), np.minimum(read, 0.3))


def _ideal(rng: np.random.Generator, families: tuple[str, ...] = tuple(ideals.FAMILIES)) -> Output:
    n = int(rng.choice(WIDTHS))
    family = ideals.draw_family(rng, families)
    return Output(family, ideals.draw(rng, n, family))


def through_faults(faults: FaultMasks, output: Output) -> Floats:
    """Return the distribution ``(2^n,)`` of an output under faults."""
    noisy = Kernel.of(faults).forward(output.p)
    return np.asarray(noisy / noisy.sum())


def read(rng: np.random.Generator, base: FaultMasks, output: Output, published: Published) -> Case:
    """Read an output through faults, and through noise that no calibration lists; the case has the published faults."""
    noisy = through_faults(_with_unlisted_faults(rng, base), output)
    return case_of(rng, _with_other_noise(rng, noisy), output, published)


def case_of(
    rng: np.random.Generator, noisy: Floats, output: Output, published: Published, shots: int | None = None
) -> Case:
    """Draw shots from a noisy distribution ``(2^n,)`` of an output, and what is known of its circuit's rotations."""
    (family, p, rotations, last), n, (kind, faults) = output, output.n_bits, published
    counts = rng.multinomial(noise.shots(rng) if shots is None else shots, noisy)
    known = _with_rotations(rng, faults, p, rotations, last)
    return Case(of_vector(counts, n), of_vector(p, n), family, kind, None, few_strings(p, n), known)


def _with_rotations(
    rng: np.random.Generator, published: FaultMasks, p: Floats, rotations: float | None = None,
    last_rotations: Floats | None = None,
) -> FaultMasks:  # fmt: skip
    """Add what is known of the circuit's rotations, or leave it unknown.

    Given rotations are published as they are or with others that undo each other. Otherwise the number is drawn as for
    compiled circuits with similarly uneven outputs; the last ones are unknown, unless there are none.
    """
    if rng.random() < _ROTATIONS_UNKNOWN:
        return published
    if rotations is not None:
        others = 1 + np.exp(rng.normal(*_UNEVEN)) if rng.random() < 0.5 else 1.0
        return replace(published, rotations=float(rotations * others), last_rotations=last_rotations)
    distance, none = float(unevenness(p)), np.zeros(published.n_bits)
    if distance < EVEN and rng.random() < _CLIFFORD:
        return replace(published, rotations=0.0, last_rotations=none)
    even = distance < EVEN
    total = np.exp(rng.normal(*_EVEN)) if even else distance * (1 + np.exp(rng.normal(*_UNEVEN)))
    inside = rng.random() < _INSIDE[even]
    return replace(published, rotations=float(total), last_rotations=none if inside else None)


def wide(seed: int) -> Case:
    """Draw a circuit of 13 to 100 bits: few strings, some dozens, or a product of fixed bits and free ones.

    Its faults flip runs of bits, as in chains of gates, or a few neighbours. A few thousand shots keep vectors short.
    In some cases a 1 may decay before it is read: no pattern of flips describes that, and no calibration lists it.
    """
    rng = np.random.default_rng([2032, seed])
    n = int(noise.log_uniform(rng, _NARROWEST, 101))
    shots = int(rng.choice(_SHOTS))
    kind = str(rng.choice(["one", "few", "ghz", "ring", "many", "product"], p=[0.15, 0.3, 0.15, 0.1, 0.15, 0.15]))
    sizes = {"one": 1, "few": int(noise.log_uniform(rng, 2, 40)), "many": int(rng.choice([100, 400, 2000]))}
    sent, weights = cases.strings_of(rng, n, kind, sizes.get(kind, 1))
    if kind == "product":
        free = int(rng.integers(1, 11))
        sent = np.tile(sent[0], (1 << free, 1))
        sent[:, rng.choice(n, free, replace=False)] = ideals.bits_of(free)
        weights = np.full(len(sent), 1 / len(sent))
    base = _run_faults(rng, n, 5.0)
    kind_published, published = draw_published(rng, base)
    read = _read_shots(rng, sent[rng.choice(len(sent), shots, p=weights)], base)
    if rng.random() < _DECAYING:
        read &= rng.random(read.shape) >= noise.log_uniform(rng, 0.003, 0.15) * rng.lognormal(0, 0.6, n)
    ideal, published = Distribution(sent, weights), _with_rotations(rng, published, weights)
    return Case(of_shots(read), ideal, "wide-" + kind, kind_published, None, len(sent) <= 60, published)


def chains(seed: int) -> Case:
    """Draw counts of 4 to 40 bits, without a circuit but with the noise of one: it flips runs of bits.

    The output is few strings, or a product of rotated qubits. As in chains of two-qubit gates, a fault flips all bits
    that follow it.
    """
    rng = np.random.default_rng([2043, seed])
    n = cases.draw_width(rng, 4, cases.DEEP[1])
    shots = noise.shots_of_wide(rng)
    base = _run_faults(rng, n, 5.0)
    patterns = unpack(base.masks, n)
    flipped = -0.5 * np.expm1(-2 * (base.rates @ patterns)) + base.readout[:, 0]
    known = cases.draw_known(rng, np.tile(flipped[:, None], 2))
    kind = str(rng.choice(["one", "few", "ghz", "turned"], p=[0.4, 0.2, 0.15, 0.25]))
    if kind == "turned":
        return Case(*_turned(rng, *cases.small_angles(rng, n), shots, base), "chains", "chains", known, False)
    sent, weights = cases.few_of(rng, n, kind)
    counts = of_shots(_read_shots(rng, sent[rng.choice(len(sent), shots, p=weights)], base))
    few = cases.few_strings(weights, n)
    return Case(counts, Distribution(sent, weights), "chains", "chains", known, few)


def _product(rng: np.random.Generator) -> Case:
    """Draw a wide register of qubits rotated by small angles, each by a different one or all by the same."""
    n = int(noise.log_uniform(rng, 17, 61))
    shots = int(rng.choice(_SHOTS))
    base = _run_faults(rng, n, 5.0)
    kind_published, published = draw_published(rng, base)
    mode, chance = cases.small_angles(rng, n)
    counts, ideal = _turned(rng, mode, chance, shots, base)
    last = non_clifford_weight(2 * np.arcsin(np.sqrt(np.broadcast_to(chance, n))))
    published = _with_rotations(rng, published, ideal.probabilities, float(last.sum()), last)
    return Case(counts, ideal, "wide-smooth", kind_published, None, False, published)


def _turned(
    rng: np.random.Generator, mode: NDArray[np.bool_], chance: Floats, shots: int, base: FaultMasks
) -> tuple[Distribution, Distribution]:
    """Read a register of rotated qubits through the faults of a circuit; return the counts and their ideal."""
    counts = of_shots(_read_shots(rng, mode ^ (rng.random((shots, len(mode))) < chance), base))
    return counts, cases.product_of(rng, counts, mode, chance)


def _read_shots(rng: np.random.Generator, bits: NDArray[np.bool_], base: FaultMasks) -> NDArray[np.bool_]:
    """Read shots ``(shots, n_bits)`` through the faults of a wide circuit; some shots are replaced by random bits."""
    shots, n = bits.shape
    for pattern, rate in zip(unpack(base.masks, n), base.rates, strict=True):
        bits = bits ^ (pattern & (rng.poisson(rate, shots) % 2 == 1)[:, None])
    bits = bits ^ (rng.random(bits.shape) < base.readout[:, 0])
    drawn = rng.random(shots)
    replaced = np.flatnonzero(drawn < (float(rng.beta(0.5, 6)) if rng.random() < 0.4 else 0.0))
    bits[replaced] = rng.random((len(replaced), n)) < 0.5
    return bits


def recorded(path: Path) -> Iterator[Case]:
    """Read compiled circuits with their fault patterns as cases, one for each kind of published noise, or one alone if
    the rates were learned from a reference.

    Records are JSON lines as ``benchmarks/compiled_records.py`` writes them, with ``counts``, ``ideal`` or ``ideal_id``
    (see `read_pair`), and ``faults``.

    Raises:
        StorageError: the file cannot be read, or a line is not a record; the message names the line.
    """
    known = read_ideals(path)
    for cases_of_line in read_lines(path, lambda number, record: list(_recorded(number, record, known))):
        yield from cases_of_line


def _recorded(number: int, record: Any, known: Mapping[str, Any]) -> Iterator[Case]:
    counts, ideal = read_pair(record, known)
    if ideal is None or record.get("faults") is None:
        return
    check_width(counts.n_bits)
    rng = np.random.default_rng([2031, number - 1])
    true = read_faults(record["faults"], counts.n_bits)
    few = few_strings(ideal.probabilities, counts.n_bits)
    name = f"records-{record['circuit'].split(':')[0]}"
    if true.measured:
        yield Case(counts, ideal, name, MEASURED, None, few, true)
        return
    for kind in TOLD:
        yield Case(counts, ideal, name, kind, None, few, misreported(rng, true, kind))


def redrawn(name: str, number: int, ideal: Distribution, faults: Any) -> Iterator[Case]:
    """Draw the counts of a recorded circuit of up to `_WIDEST_REDRAWN` bits again, for a table of counts alone.

    Its ideal is read through its faults, scaled as a more or less accurate calibration would publish them, and through
    noise that no calibration lists. The outputs of compiled circuits resemble those of users, and many strengths of
    noise need no further simulation.

    Args:
        name: name of the set.
        number: number of the record, from 1.
        ideal: its ideal output.
        faults: as in `recorded`; without them nothing is drawn.
    """
    true = None if faults is None else read_faults(faults, ideal.n_bits)
    if true is None or true.n_bits > _WIDEST_REDRAWN:
        return
    rng = np.random.default_rng([2032, number - 1])
    output = Output(f"redrawn-{name}", Kernel.of(true).index.vector(ideal.words, ideal.probabilities))
    for _ in range(_REDRAWN):
        strength = draw_published(rng, true)
        yield read(rng, strength[1], output, strength)._replace(faults=None)


def read_faults(record: dict[str, Any], n_bits: int | None = None) -> FaultMasks:
    """Read fault patterns from JSON: ``masks`` as integers, ``rates``, ``kind``, ``readout``, and ``measured`` if the
    rates were learned from a reference.

    Raises:
        ValueError: they do not have `n_bits` bits, or a mask has a bit beyond.
    """
    n = len(record["readout"])
    if n_bits not in (None, n):
        raise ValueError(f"the readout of faults must have {n_bits} pairs, as the counts have bits; got {n}")
    beyond = [mask for mask in record["masks"] if mask >> n]
    if beyond:
        raise ValueError(f"the masks of faults must be integers of {n} bits, as the counts have; got {beyond[0]}")
    texts = [[(mask >> bit) & 1 == 1 for bit in range(n)] for mask in record["masks"]]
    masks = pack(np.array(texts, dtype=bool).reshape(-1, n))
    kind = np.array(record["kind"], dtype=np.uint8)
    rates, readout = np.array(record["rates"], dtype=float), np.array(record["readout"])
    known = {name: record[name] for name in ("rotations", "measured", "last_rotations") if name in record}
    return FaultMasks(n, masks, rates, kind, readout, **known)


def misreported(rng: np.random.Generator, true: FaultMasks, kind: str) -> FaultMasks:
    """Return the published noise of a kind, see `TOLD`."""
    if kind == "right":
        return true
    if kind == "3 x too bad":
        return true.scaled(3)
    if kind == "3 x too good":
        return true.scaled(1 / 3)
    scatter, gates, readout = (1.0, 0.0, 0.0) if kind == "scattered" else (0.5, 0.8, 0.8)
    return _scattered(rng, true, scatter, float(np.exp(rng.normal(0, gates))), float(np.exp(rng.normal(0, readout))))


def _scattered(rng: np.random.Generator, faults: FaultMasks, scatter: float, gates: float, read: float) -> FaultMasks:
    rates = faults.rates * gates * rng.lognormal(0, scatter, faults.rates.shape)
    readout = faults.readout * read * rng.lognormal(0, scatter, faults.readout.shape)
    return replace(faults, rates=rates, readout=np.minimum(readout, 0.49))


def draw_published(rng: np.random.Generator, true: FaultMasks) -> Published:
    """Draw the published noise: in 45 % of the cases nearly right, otherwise wrong by a common factor, by a factor for
    each place, or by both."""
    kind = str(rng.choice(["near", "off", "scattered", "other"], p=[0.45, 0.25, 0.15, 0.15]))
    whole = {
        "near": rng.normal(0, 0.2),
        "off": rng.uniform(-_OFF, _OFF),
        "scattered": rng.normal(0, 0.3),
        "other": rng.normal(0, 0.6),
    }[kind]
    scatter = {"near": 0.25, "off": 0.25, "scattered": float(rng.uniform(0.5, 1.2)), "other": 0.5}[kind]
    read = whole + rng.normal(0, 0.8 if kind == "other" else 0.15)
    return kind, _scattered(rng, true, scatter, float(np.exp(whole)), float(np.exp(read)))


def faults(rng: np.random.Generator, n: int) -> FaultMasks:
    """Draw the faults of a random circuit, see `circuit`."""
    return circuit(rng, n)[0]


def circuit(
    rng: np.random.Generator, n: int, working: float = WORKING
) -> tuple[FaultMasks, NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw a random circuit of Clifford gates and propagate its faults to the end.

    Two-qubit gates act on neighbours on a line or on any pair. One-qubit Clifford gates stand between them, or none, as
    in chains that prepare GHZ states. Some circuits are deep, on more qubits than are read, as in order finding.
    The Zs that are read are propagated backwards, as in `qcluster.device.noise.faults`: a Pauli error flips the bits
    with whose Z it anticommutes at its place.

    Args:
        rng: random source.
        n: number of bits read.
        working: probability that there are qubits that are not read.

    Returns:
        The faults, and ``(n, wires)`` where each Z that is read has an X or Y, and a Z or Y, at the start.
    """
    level = noise.log_uniform(rng, *LEVEL)
    wires, gates = draw_size(rng, n, working, level)
    mixing, near, idle = float(rng.choice(MIXING)), rng.random() < NEAR, float(rng.choice(MIXING))
    x, z = np.zeros((n, wires), dtype=bool), np.eye(n, wires, dtype=bool)  # rows: Zs that are read; columns: qubits
    errors = level * rng.lognormal(0, 0.6, (wires, wires))
    masks, rates = [], []
    for _ in range(gates if wires > 1 else 0):
        a, b = draw_pair(rng, wires, near)
        for qubit in (a, b):
            if rng.random() < mixing:
                pull_back(rng, x, z, qubit)
        masks += flipped_by_gate(x, z, a, b)
        rates += [errors[a, b] / 15] * 15
        if idle:
            masks += flipped_by_idling(x, z, int(rng.integers(wires)))
            rates += [idle * level * IDLING] * 3
        control, target = (a, b) if rng.random() < 0.5 else (b, a)
        x[:, target] ^= x[:, control]
        z[:, control] ^= z[:, target]
    words = pack(np.array(masks, dtype=bool).reshape(-1, n))
    merged: tuple[Words, Floats, NDArray[np.uint8]] = merge_masks(
        words, np.array(rates), np.zeros(len(rates), dtype=np.uint8)
    )
    return FaultMasks(n, *merged, draw_readout(rng, n)), x, z


def draw_size(rng: np.random.Generator, n: int, working: float, level: float) -> tuple[int, int]:
    """Draw the numbers of qubits and of two-qubit gates of a circuit that reads n bits; see `circuit`."""
    gates = int(noise.log_uniform(rng, max(1, n - 1), 12 * n))
    if rng.random() >= working:
        return n, gates
    wires = n + int(rng.integers(1, n + 4))
    return wires, int(noise.log_uniform(rng, wires, max(wires + 1.0, min(40 * wires, _FAULTS / level))))


def draw_readout(rng: np.random.Generator, n: int) -> Floats:
    """Draw readout errors, ``(n, 2)``: P(read 1|0) and P(read 0|1) of each bit."""
    read = noise.log_uniform(rng, LEAST_READOUT, 0.06) * rng.lognormal(0, 0.6, (n, 1))
    lean = np.array([-1, 1]) * (0.0 if rng.random() < 0.5 else rng.uniform(0, 0.8))
    return np.asarray(np.minimum(read * np.exp(lean), 0.4))


def draw_pair(rng: np.random.Generator, wires: int, near: bool) -> tuple[int, int]:
    """Draw the qubits of a gate: neighbours on a line, or any pair."""
    a = int(rng.integers(wires - 1))
    return a, a + 1 if near else int(rng.choice([q for q in range(wires) if q != a]))


def flipped_by_gate(x: NDArray[np.bool_], z: NDArray[np.bool_], a: int, b: int) -> list[NDArray[np.bool_]]:
    """Return the bits ``(n,)`` that each of the 15 Pauli errors after a gate on two qubits flips."""
    flips = np.stack([x[:, a], z[:, a], x[:, b], z[:, b]])
    masks = []
    for place in range(1, 16):  # the bits of `place` are the Xs and Zs with which the Pauli error anticommutes
        bits = np.array([(place >> part) & 1 for part in range(4)], dtype=bool)
        masks.append((flips & bits[:, None]).sum(axis=0) % 2 == 1)
    return masks


def flipped_by_idling(x: NDArray[np.bool_], z: NDArray[np.bool_], qubit: int) -> list[NDArray[np.bool_]]:
    """Return the bits ``(n,)`` that each of the three Pauli errors of an idle qubit flips."""
    return [x[:, qubit].copy(), z[:, qubit].copy(), x[:, qubit] ^ z[:, qubit]]


def pull_back(rng: np.random.Generator, x: NDArray[np.bool_], z: NDArray[np.bool_], qubit: int) -> None:
    """Propagate the Zs that are read backwards past a one-qubit Clifford gate."""
    for gate in rng.integers(2, size=3):
        if gate:
            x[:, qubit], z[:, qubit] = z[:, qubit].copy(), x[:, qubit].copy()
        else:
            z[:, qubit] ^= x[:, qubit]


def _with_unlisted_faults(rng: np.random.Generator, base: FaultMasks) -> FaultMasks:
    """Add faults that no calibration lists, such as crosstalk, in half of the cases."""
    if rng.random() < 0.5:
        return base
    n, n_extra = base.n_bits, int(rng.integers(1, 6))
    extra = draw_patterns(rng, n_extra, n)
    return with_patterns(base, extra, rng.exponential(0.05 * (base.rates.sum() + 0.02), n_extra))


def draw_patterns(rng: np.random.Generator, many: int, n: int) -> NDArray[np.bool_]:
    """Draw patterns ``(many, n)`` of some two bits."""
    return np.asarray(rng.random((many, n)) < min(0.5, 2 / n))


def with_patterns(base: FaultMasks, patterns: NDArray[np.bool_], rates: Floats) -> FaultMasks:
    """Add flip patterns ``(m, n)`` at given rates ``(m,)``."""
    masks, kind = np.vstack([base.masks, pack(patterns)]), np.zeros(len(base.masks) + len(rates), dtype=np.uint8)
    return FaultMasks(base.n_bits, masks, np.concatenate([base.rates, rates]), kind, base.readout)


def _with_other_noise(rng: np.random.Generator, noisy: Floats) -> Floats:
    """Add noise that is not a Pauli fault: shots replaced by random strings, and over-dispersed probabilities."""
    return over_dispersed(rng, with_uniform(noisy, draw_lost(rng)))


def draw_lost(rng: np.random.Generator) -> float:
    """Draw the share of shots that are replaced by random strings."""
    return float(rng.beta(0.5, 8)) if rng.random() < 0.3 else 0.0


def with_uniform(noisy: Floats, lost: float) -> Floats:
    """Replace a share of a distribution by the uniform one."""
    return np.asarray((1 - lost) * noisy + lost / len(noisy))


def over_dispersed(rng: np.random.Generator, noisy: Floats) -> Floats:
    """Scatter probabilities, in some cases, by more than shot noise."""
    if rng.random() < 0.4:
        spread = float(rng.choice([0.005, 0.02, 0.05]))
        noisy = noisy * rng.gamma(1 / spread, spread, len(noisy))
    return np.asarray(noisy / noisy.sum())
