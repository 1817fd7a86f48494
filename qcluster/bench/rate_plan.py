"""The plan of the rate model's training table: circuits, machines, and the jobs that combine them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from qcluster.core.checks import check_whole

MACHINES = {
    "falcon": ("fake_auckland", "fake_cairo", "fake_hanoi", "fake_kolkata", "fake_montreal", "fake_mumbai"),
    "eagle": ("fake_brisbane", "fake_brussels", "fake_kyiv", "fake_osaka", "fake_sherbrooke", "fake_strasbourg"),
    "heron": ("fake_aachen", "fake_fez", "fake_kingston", "fake_marrakesh", "fake_pittsburgh", "fake_torino"),
}
"""Recorded machines by generation."""

PEAKED = (
    *("ghz:3", "ghz:5", "ghz:7", "cat:4", "cat:6", "w_state:3", "w_state:5", "w_state:7", "w_state:9"),
    *("bv:3", "bv:5", "bv:7", "deutsch_jozsa:4", "hidden_shift:4", "hidden_shift:6", "grover:3"),
    *("full_adder", "adder:2", "toffoli:3", "toffoli:5", "fredkin:3", "lpn:5", "lpn:7", "parity_encoder:5"),
    *("basis_change:3", "basis_change:5", "linear_solver:3", "variational:4", "quantum_walk:3", "sat:7"),
    *("trotter:4:layers=2", "trotter:4:layers=12", "trotter:4:layers=40", "trotter:4:layers=93", "trotter:6:layers=6"),
    *("inverse_qft:4", "inverse_qft:6", "qpe:4", "qpe:6", "ising:5", "ising:7:steps=2", "ising:6:steps=3"),
    *("mirror:3:depth=10", "mirror:4:depth=40", "mirror:5:depth=20", "mirror:7:depth=6", "mirror:8:depth=16"),
)
"""Circuits whose ideal output is a few strings: all such families, with up to some hundred gates, on few enough qubits
to compute the density matrix."""

SPREAD = (
    *("coin:3", "coin:5", "coin:8", "qft:4", "qft:6", "simon:3", "vqe:4", "vqe:5", "vqe:7", "vqe:8", "vqe:9"),
    *("qaoa:4", "qaoa:5", "qaoa:6", "qaoa:7", "qaoa:6:layers=2", "qaoa:8"),
    *("dense:3", "dense:4", "dense:5", "dense:6", "dense:5:layers=1", "dense:7:layers=1", "dense:8:layers=1"),
    *("iqp:4", "iqp:5", "iqp:6", "iqp:7:density=0.3", "iqp:8:density=0.3", "iqp:5:seed=1", "iqp:6:density=0.3,seed=2"),
    *("dicke:4", "dicke:5", "dicke:6", "dicke:6:ones=3", "dicke:7", "dicke:8"),
    *("brickwork:3:depth=2", "brickwork:4:depth=3", "brickwork:5:depth=8", "brickwork:6:depth=2"),
    *("brickwork:6:depth=6", "brickwork:7:depth=4", "brickwork:8:depth=3", "brickwork:8:depth=10"),
    *("brickwork:9:depth=5", "brickwork:10:depth=4"),
)
"""Circuits whose ideal output is spread over many strings, with a normalised entropy above 0.6."""

WIDE = (
    *("ghz:9", "ghz:11", "ghz:16", "ghz:23", "cat:9", "cat:14", "cat:22", "bv:9", "bv:13", "bv:18", "lpn:9"),
    *("hidden_shift:10", "hidden_shift:16", "simon:5", "coin:12"),
    *("mirror:10:depth=6", "mirror:12:depth=16", "mirror:20:depth=8"),
)
"""Wide Clifford circuits, which are sampled with Pauli-twirled noise."""

CASES = (*PEAKED, *SPREAD, *WIDE)
"""Circuits of the table."""

SCALES = (0.5, 1.0, 2.0)
"""Multiples of the recorded calibration at which rows are simulated; the model knows the multiple."""

SHOTS = (1024, 4096, 4096, 4096, 8192, 8192, 16384)
"""Numbers of shots; each job uses one of them."""


@dataclass(frozen=True)
class Job:
    """One circuit, compiled once for one machine, for a few rows with different noise."""

    case: str
    """Name of the case."""
    machine: str
    """Name of the recorded machine."""
    layout: int
    """0 for the compiler's own choice of qubits, otherwise the number of a random region."""
    rows: int
    """Number of rows, at most 6. The scales of the noise take turns, at most twice. For each row it is drawn whether
    the machine is as published or has drifted, and how."""
    shots: int
    """Shots of each row."""
    seed: int
    """Seed of the compiler, twirls, noise and shots."""

    def __post_init__(self) -> None:
        check_whole("rows", self.rows, 1, 2 * len(SCALES))
        check_whole("shots", self.shots, 1)

    def __str__(self) -> str:
        return f"{self.case} on {self.machine}, layout {self.layout}"

    @property
    def mark(self) -> tuple[str, str, str, str]:
        """Circuit, machine, layout and seed, which identify the rows of the job in a table."""
        return self.case, self.machine, str(self.layout), str(self.seed)


def plan(
    cases: Iterable[str] = CASES,
    machines: Iterable[str] | None = None,
    *,
    each: int = 4,
    rows: int = 3,
    rounds: int = 1,
    seed: int = 0,
) -> list[Job]:
    """List jobs: every case on some machines, and in every round on others.

    The order passes over all machines five times, with a fifth of the jobs each time. An unfinished table is therefore
    balanced, and the noise model of a machine serves many circuits in a row.

    Args:
        cases: names for `make_case`.
        machines: names of recorded machines; all of `MACHINES` by default.
        each: number of machines for each case and round, drawn anew each time; all machines if there are fewer.
        rows: rows of each job, each with its own noise.
        rounds: repetitions, each with other layouts and seeds.
        seed: seed of all random choices.
    """
    check_whole("each", each, 1)
    check_whole("rounds", rounds, 1)
    names = tuple(name for group in MACHINES.values() for name in group) if machines is None else tuple(machines)
    rng = np.random.default_rng(seed)
    jobs = []
    for turn in range(rounds):
        for case in cases:
            for place in sorted(rng.permutation(len(names))[:each].tolist()):
                layout = int(rng.integers(1, 1000)) if rng.random() < 0.3 else 0
                shots, name = int(rng.choice(SHOTS)), names[place]
                jobs.append(
                    (rng.random() // 0.2, turn, name, Job(case, name, layout, rows, shots, int(rng.integers(2**31))))
                )
    return [job for *_, job in sorted(jobs, key=lambda entry: entry[:3])]
