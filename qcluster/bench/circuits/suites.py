"""Cases by name, and named lists of cases."""

from collections.abc import Callable
from dataclasses import replace
from inspect import Parameter, signature
from math import isfinite
from typing import Any

from qiskit.exceptions import QiskitError

from qcluster.bench.circuits import arithmetic, dynamics, oracles, physics, programs, scrambled, states
from qcluster.bench.circuits.case import SIMULATED_QUBITS, Case
from qcluster.core.words import suggestion

_MAKERS: tuple[Callable[..., Case], ...] = (
    *(states.cat, states.coin, states.dicke, states.ghz, states.w_state),
    *(oracles.bv, oracles.deutsch_jozsa, oracles.grover, oracles.hidden_shift, oracles.lpn, oracles.sat),
    oracles.simon,
    *(arithmetic.adder, arithmetic.fredkin, arithmetic.full_adder, arithmetic.inverse_qft, arithmetic.qft),
    *(arithmetic.qpe, arithmetic.toffoli),
    *(physics.basis_change, physics.ising, physics.linear_solver, physics.parity_encoder, physics.qaoa),
    *(physics.quantum_walk, physics.trotter, physics.variational, physics.vqe),
    *(scrambled.brickwork, scrambled.dense, scrambled.iqp, scrambled.mirror),
    *(dynamics.annealing, dynamics.blockade, dynamics.gauge_chain, dynamics.hubbard, dynamics.interferometer),
    *(dynamics.matchgates, dynamics.mermin, dynamics.squeezing, dynamics.state_transfer, dynamics.time_crystal),
    *(dynamics.unequal_cat, dynamics.valence_bonds),
    *(programs.bayesian_network, programs.boolean_oracle, programs.bucket_brigade, programs.comparator),
    *(programs.forrelation, programs.galton, programs.hamming_weight, programs.hidden_subgroup, programs.incrementer),
    *(programs.key_exchange, programs.multiplier, programs.purification, programs.shor_code),
    *(programs.signal_processing, programs.steane, programs.superdense, programs.swapping, programs.toffoli_network),
    *(programs.unary_loading, programs.weight_phase),
)
FAMILIES = {make.__name__: make for make in sorted(_MAKERS, key=lambda make: make.__name__)}
"""Families by name: functions of a width, with options."""

PAPER = {
    "adder_n10": "adder:4",
    "adder_n4": "full_adder",
    "basis_change_n3": "basis_change:3",
    "basis_test_n4": "trotter:4:layers=2",
    "basis_trotter_n4": "trotter:4:layers=93",
    "bv_n14": "bv:13",
    "bv_n19": "bv:18",
    "cat_state_n22": "cat:22",
    "cat_state_n4": "cat:4",
    "fredkin_n3": "fredkin:3",
    "ghz_state_n11": "ghz:11",
    "ghz_state_n23": "ghz:23",
    "hamsim_20": "ising:20",
    "hs4_n4": "hidden_shift:4",
    "linearsolver_n3": "linear_solver:3",
    "lpn_n5": "lpn:5",
    "qaoa_10": "qaoa:10:seed=11",
    "qaoa_15": "qaoa:15:seed=1",
    "qec_en_n5": "parity_encoder:5",
    "qft_n4": "qft:4",
    "qrng_n4": "coin:4",
    "sat_n7": "sat:7",
    "toffoli_n3": "toffoli:3",
    "variational_n4": "variational:4",
    "vqe_20": "vqe:20:seed=1",
    "wstate_n14": "dense:10:seed=36",
    "wstate_n27": "w_state:27",
    "wstate_n3": "w_state:3",
    "wstate_n8": "dense:10:seed=36",
}
"""The 29 circuits of the published table (arXiv:2504.10801), and the cases that reproduce them.

Each case is built from the same algorithm at the same width, not from the published file, so gate counts differ a
little. ``wstate_n8`` and ``wstate_n14`` are in the table as one circuit of 10 qubits with 90 two-qubit gates and a
normalised ideal entropy of .81, which no W state has (log2(10)/10 = .33). Both are replaced by a random real-amplitude
state with as many two-qubit gates and that entropy. The angles of ``qaoa_*``, ``vqe_20`` and ``hamsim_20`` are not
published; seeds and angles were chosen to approximate the ideal entropies of the table.
"""

SUITES: dict[str, tuple[str, ...]] = {
    "paper": tuple(f"paper/{name}" for name in PAPER),
    "low_entropy": (
        *(f"ghz:{n}" for n in (3, 5, 8, 11)),
        *(f"bv:{n}" for n in (4, 6, 8, 10)),
        *(f"w_state:{n}" for n in (3, 5, 8)),
        *(f"mirror:{n}:depth=4,seed={n}" for n in (4, 6, 8, 11)),
        *(f"inverse_qft:{n}" for n in (3, 5)),
        *(f"hidden_shift:{n}" for n in (4, 6, 8)),
        *("cat:6:pattern=011010", "grover:3", "adder:2", "toffoli:4", "fredkin:5", "lpn:6", "deutsch_jozsa:4"),
        *("basis_change:4", "quantum_walk:3", "linear_solver:6", "qpe:5", "variational:4"),
    ),
    "guard": (
        *("coin:4", "coin:8", "qft:6", "iqp:5", "iqp:8", "dense:6", "dense:9", "vqe:6", "vqe:10"),
        *("qaoa:6", "qaoa:8:ring=1", "ising:8:steps=2,angle=1.3", "simon:5"),
        *("mirror:6:depth=80", "mirror:10:depth=60", "trotter:6:layers=200", "bv:11:secret=00000000001"),
    ),
    "scale": tuple(
        spec for n in (16, 32, 64, 100, 126) for spec in (f"ghz:{n}", f"bv:{n}", f"mirror:{n}:depth=2,seed={n}")
    ),
    "broad": (
        *("annealing:5", "annealing:8:steps=3,seed=1", "bayesian_network:4", "bayesian_network:7:seed=1"),
        *("blockade:4", "blockade:6:steps=1", "boolean_oracle:2:seed=1", "boolean_oracle:3"),
        *("bucket_brigade:1:data=2", "bucket_brigade:2", "comparator:3", "comparator:4:bound=9,superposed=1"),
        *("forrelation:4", "forrelation:6:cubic=2", "galton:1", "galton:2:angle=1.1"),
        *("gauge_chain:5", "gauge_chain:7", "hamming_weight:2", "hamming_weight:3:angle=2.6"),
        *("hidden_subgroup:4", "hidden_subgroup:5:seed=1", "hubbard:4:steps=2", "hubbard:6"),
        *("incrementer:3", "incrementer:4:steps=2", "interferometer:4", "interferometer:8:phase=0.1"),
        *("key_exchange:5", "key_exchange:8:seed=1", "matchgates:5", "matchgates:7:depth=2,seed=1"),
        *("mermin:5", "mermin:8:angle=0.1", "multiplier:2", "multiplier:2:left=1,right=3,superposed=2"),
        *("purification:4", "purification:4:angle=1.3", "shor_code:9", "shor_code:9:angle=2.2,error=8"),
        *("signal_processing:3", "signal_processing:4:degree=2", "squeezing:5", "squeezing:7:strength=0.1,angle=1.2"),
        *("state_transfer:4", "state_transfer:6:steps=4,completed=0.8", "steane:7", "steane:10:error=5"),
        *("superdense:6", "superdense:8:seed=1", "swapping:4", "swapping:8"),
        *("time_crystal:6", "time_crystal:7:steps=3,defect=0.1,seed=1"),
        *("toffoli_network:5", "toffoli_network:8:gates=6,superposed=2,seed=1"),
        *("unary_loading:5", "unary_loading:8:decay=0.7", "unequal_cat:6", "unequal_cat:8:angle=2.0"),
        *("valence_bonds:6", "valence_bonds:8:angle=1.1", "weight_phase:3:value=5", "weight_phase:4:value=3,angle=1.0"),
    ),
}
"""Lists of cases: ``paper`` as published; ``low_entropy`` where mitigation should help; ``guard`` where it should
change nothing; ``scale`` up to the width of a machine; ``broad`` with two circuits of each family of `programs` and
`dynamics`, on which nothing is trained or tuned."""


WIDEST = 1000
"""Largest width of a case."""
WIDEST_VECTOR = SIMULATED_QUBITS
"""Largest width of a case whose ideal output, a vector over all strings, is computed together with the circuit."""
MOST_WORK = 1_000_000
"""Approximate largest number of gates: repetitions times qubits, or times pairs of qubits."""

_VECTORS = {"grover", "qpe"}
_ALL_PAIRS = {"dense", "grover", "qaoa", "quantum_walk", "squeezing"}
"""Families whose layers have gates on all pairs of qubits, or on many qubits."""
_REPEATED = {"cubic", "degree", "depth", "gates", "layers", "rounds", "steps"}
"""Options that are numbers of repetitions."""


def make_case(spec: str) -> Case:
    """Build a case from its name.

    Args:
        spec: ``family:width``, with options as in ``mirror:8:depth=6,seed=3``, or ``paper/NAME``.

    Raises:
        ValueError: there is no such family, paper circuit or option; or the width lies outside 1 to `WIDEST`, or the
            repetitions exceed `MOST_WORK`, which is checked before anything is built.

    Example:
        >>> case = make_case("bv:4:secret=0110")
        >>> case.n_qubits, case.n_bits, case.ideal.to_probs()
        (5, 4, {'0110': 1.0})
    """
    if spec.startswith("paper/"):
        name = spec.removeprefix("paper/")
        if name not in PAPER:
            raise ValueError(f"no paper circuit {name!r}; there are {', '.join(PAPER)}{suggestion(name, PAPER)}")
        return replace(make_case(PAPER[name]), name=spec)
    family, _, rest = spec.partition(":")
    if family not in FAMILIES:
        raise ValueError(
            f"no family {family!r}; there are {', '.join(FAMILIES)}; a case is FAMILY:WIDTH, paper/NAME, or "
            f"file:PATH#k for the k-th circuit of a file, from 0; got {spec[:60]!r}{_meant(spec, family)}"
        )
    width, _, options = rest.partition(":")
    try:
        positional = [_whole(width, "the width")] if width else []
        pairs = [_option(part) for part in options.split(",") if part]
        named = dict(pairs)
        if len(named) < len(pairs):
            raise ValueError(f"each option must come once; got {options}")
        _check_call(family, width, named)
        _check_work(family, positional[0] if positional else 1, named)
        case = FAMILIES[family](*positional, **named)
    except (TypeError, ValueError, QiskitError) as error:
        raise ValueError(f"case {spec[:60]!r} cannot be built: {error}") from error
    return replace(case, name=spec)


def _meant(spec: str, family: str) -> str:
    """Return a suggestion of what was meant by a name whose family is unknown."""
    if spec in SUITES:
        return f'; it is a suite: suites = ["{spec}"]'
    return suggestion(family, FAMILIES) or suggestion(spec, [f"paper/{name}" for name in PAPER])


def _option(text: str) -> tuple[str, Any]:
    """Read ``key=value``; bit strings remain text."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"options are key=value; got {text!r}")
    if key in {"secret", "pattern", "marked", "shift", "period"}:
        return key, value
    if "." not in value:
        return key, _whole(value, key)
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{key} must be a number; got {value!r:.60}") from None
    if not isfinite(number):
        raise ValueError(f"{key} must be finite; got {value}")
    return key, number


def _whole(text: str, name: str) -> int:
    """Read a whole number with at most as many digits as any seed has."""
    if len(text) > 20:
        raise ValueError(f"{name} must be a whole number of at most 20 digits; got {len(text)} characters")
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} must be a whole number; got {text!r}") from None


def _check_call(family: str, width: str, options: dict[str, Any]) -> None:
    """Refuse a width that is missing, or that a family does not have, and options that it does not have."""
    parameters = signature(FAMILIES[family]).parameters
    if width and "n" not in parameters:
        raise ValueError(f"{family} has one width, and is written {family}")
    if not width and "n" in parameters and parameters["n"].default is Parameter.empty:
        raise ValueError(f"{family} must have a width, written {family}:WIDTH")
    known = [name for name in parameters if name != "n"]
    unknown = next((name for name in options if name not in known), None)
    if unknown is not None:
        offered = f"the options of {family} are {', '.join(known)}" if known else f"{family} has no options"
        raise ValueError(f"{offered}; got {unknown!r}{suggestion(unknown, known)}")


def _check_work(family: str, width: int, options: dict[str, Any]) -> None:
    """Refuse a circuit that would need more memory or time than any that a machine runs."""
    widest = WIDEST_VECTOR if family in _VECTORS else WIDEST
    if not 1 <= width <= widest:
        raise ValueError(f"the width of {family} must lie in 1..{widest}; got {width}")
    layer = width * (width if family in _ALL_PAIRS else 1)
    for name in _REPEATED & options.keys():
        most = MOST_WORK // layer
        if not isinstance(options[name], int) or not 0 <= options[name] <= most:
            raise ValueError(f"{name} of {family} at width {width} must lie in 0..{most}; got {options[name]}")


def names_of_suite(name: str) -> tuple[str, ...]:
    """Return the names of the cases of a suite.

    Raises:
        ValueError: no such suite.
    """
    if name not in SUITES:
        raise ValueError(f"no suite {name!r}; there are {', '.join(SUITES)}{suggestion(name, SUITES)}")
    return SUITES[name]


def suite(name: str) -> list[Case]:
    """Build the cases of a suite.

    Raises:
        ValueError: no such suite.
    """
    return [make_case(spec) for spec in names_of_suite(name)]
