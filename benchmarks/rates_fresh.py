"""Test runs for the rate model: circuits of families, and machines, that are not in the table of rates."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks import outside_circuits, rates_circuits
from benchmarks.data import append_json_lines, read_json_lines
from benchmarks.rates_scores import bootstrap, mae, r2
from qcluster.bench.circuits import Case, make_case
from qcluster.bench.circuits.suites import SUITES
from qcluster.bench.rate_plan import Job
from qcluster.bench.rate_runs import Simulated, simulate_runs
from qcluster.bench.rate_table import target
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel
from qcluster.learn.features import NAMES, features
from qcluster.learn.kernels import kernel_features, lost
from qcluster.learn.label import effective_rate
from qcluster.learn.physics import COLUMNS
from qcluster.learn.rates import HIGHEST, clustering_rate, divide, flip_shares, looks_uniform, rate_model
from qcluster.learn.table import read_table

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "qcluster-rates"
SHOTS = 4096
PARTS = ("peaked", "spread")
SPREAD = 0.6
"""Ideal entropy per bit above which an output counts as spread: the published threshold."""
HARM = 0.02
"""A run is harmed when its fidelity falls by more than this."""
TABLED = ("dicke",)
"""Families of the first set that are also in the table."""
WIDEST = 8
"""Most qubits of a circuit of the second set, since density matrices of more take long."""
MORE_SPREAD = (
    *("annealing:6:seed=2", "bayesian_network:5:seed=3", "blockade:5:steps=1", "boolean_oracle:3:seed=2"),
    *("key_exchange:6:seed=2", "mermin:6:angle=0.7", "purification:4:angle=0.9", "signal_processing:3:degree=4"),
    *("valence_bonds:4:angle=0.9", "state_transfer:6:steps=2"),
)
"""More circuits of the families of the suite with a spread output, of which it has few."""


@dataclass(frozen=True)
class Fresh:
    """One run, with its true rate and the inputs of the model."""

    circuit: str
    family: str
    machine: str
    counts: qc.Distribution
    ideal: qc.Distribution
    rate: float
    """The true effective rate."""
    row: np.ndarray
    """``(n_features,)`` features of the model."""
    shares: np.ndarray
    """``(n_bits,)`` relative flip rates of the bits."""
    faults: FaultMasks | None
    """Flip patterns of the circuit's faults, from the published calibration."""
    facts: dict[str, Any]
    """Scale of the noise, drift, ideal entropy, and whether the label is saturated."""
    oracles: dict[str, float]
    """Rates from more knowledge than the model has; see the function `oracles`."""

    @property
    def spread(self) -> bool:
        """Whether the ideal entropy exceeds the published threshold."""
        return float(self.facts["ideal_entropy"]) > SPREAD

    def per_bit(self, value: float) -> np.ndarray:
        """Return the rates of the bits for a given mean rate, ``(n_bits,)``."""
        return divide(value, self.shares)


@dataclass(frozen=True)
class FreshSet:
    """A set of circuits and machines outside the table."""

    name: str
    """Name of the set, and of the file with its runs."""
    machines: tuple[str, ...]
    """Machines, to which the circuits are assigned in turn."""
    seed: int
    """Seed of the first circuit's job; the others have consecutive seeds."""
    cases: Callable[[], list[tuple[Case, int]]]
    """Circuits, with the number of runs of each: noise of half, once or twice the calibration, with or without drift,
    as in the table."""

    def jobs(self) -> list[tuple[Case, Job]]:
        """Return each circuit with its job."""
        return [
            (case, Job(case.name, self.machines[number % len(self.machines)], 0, rows, SHOTS, self.seed + number))
            for number, (case, rows) in enumerate(self.cases())
        ]

    @property
    def path(self) -> Path:
        """File with the runs."""
        return CACHE / f"{self.name}.jsonl"


def _first() -> list[tuple[Case, int]]:
    """Return the circuits of `benchmarks.outside_circuits` without feed-forward, of families that the table lacks."""
    plain = [case for case in outside_circuits.cases() if not {"if_else", "reset"} & set(case.circuit.count_ops())]
    return [(case, 2) for case in plain if case.family not in TABLED]


def _second() -> list[tuple[Case, int]]:
    """Return the circuits of the suite ``broad``, with one run of each peaked output and two of each spread one."""
    broad = [make_case(name) for name in (*SUITES["broad"], *MORE_SPREAD)]
    return [(case, 1 + (case.ideal_entropy > SPREAD)) for case in broad if case.n_qubits <= WIDEST]


def _third() -> list[tuple[Case, int]]:
    """Return the circuits of `benchmarks.rates_circuits`, with two runs each; more than half of them are spread."""
    return [(case, 2) for case in rates_circuits.cases()]


def _fourth() -> list[tuple[Case, int]]:
    """Return circuits of the families of the first and third set at other sizes, with two runs each."""
    return [(case, 2) for case in rates_circuits.cases(rates_circuits.AGAIN)]


SETS = (
    FreshSet("first", ("fake_kawasaki", "fake_boston", "fake_miami", "fake_peekskill"), 900_000, _first),
    FreshSet("second", ("fake_toronto", "fake_quebec", "fake_berlin", "fake_cusco"), 1_700_000, _second),
    FreshSet("third", ("fake_geneva", "fake_washington", "fake_prague", "fake_algiers"), 2_600_000, _third),
    FreshSet("fourth", ("fake_paris", "fake_sydney", "fake_brooklyn", "fake_guadalupe"), 3_500_000, _fourth),
)
"""The first set was examined during the development of an early model, the second and third between later models. The
fourth was run after the model was fixed. It scores the model under each gate of runs, and nothing was chosen by it."""


def simulate_fresh(one: FreshSet) -> Iterator[str]:
    """Simulate the runs that the file of a set lacks, store one line per run, and yield the names of the circuits."""
    stored = Counter(record["circuit"] for record in read_json_lines(one.path))
    for case, job in one.jobs():
        if stored[case.name] < job.rows:  # a killed process may have stored some runs of a job
            runs = list(simulate_runs(job, case))[stored[case.name] :]
            append_json_lines(one.path, [_record(job, run) for run in runs])
            yield case.name


def _record(job: Job, run: Simulated) -> dict[str, Any]:
    ideal = run.case.ideal
    assert ideal is not None, f"{run.case.name} has no ideal output"
    return {
        "circuit": run.case.name,
        "family": run.case.family,
        "machine": job.machine,
        "rate": effective_rate(run.counts, ideal),
        "facts": {"scale": run.scale, "drift": int(run.drift)} | target(run.counts, ideal),
        "known": dict(zip(NAMES, features(run.profile, run.calibration).tolist(), strict=True)),
        "faults": None if run.faults is None else plain(run.faults),
        "oracles": oracles(run, ideal),
        "shares": flip_shares(run.counts.n_bits, run.profile, run.calibration, run.faults).tolist(),
        "counts": run.counts.to_counts(),
        "ideal": ideal.to_probs(),
    }


def plain(faults: FaultMasks) -> dict[str, Any]:
    """Convert fault patterns to plain values for JSON."""
    parts = {field.name: getattr(faults, field.name) for field in fields(faults)}
    return {name: part.tolist() if isinstance(part, np.ndarray) else part for name, part in parts.items()}


def read_faults(record: dict[str, Any]) -> FaultMasks:
    """Read fault patterns that `plain` converted."""
    parts = {name: np.array(part) if type(part) is list else part for name, part in record.items()}
    words = max(1, -(-record["n_bits"] // 64))
    return FaultMasks(**parts | {"masks": np.array(record["masks"], dtype=np.uint64).reshape(-1, words)})


def oracles(run: Simulated, ideal: qc.Distribution) -> dict[str, float]:
    """Estimate the rate with knowledge of the ideal output, of the actual noise, or of both with infinite shots.

    The difference to the model's error shows how much of it is due to missing knowledge. Empty if the fault patterns of
    the circuit are unknown.
    """
    if run.faults is None or run.hidden is None:
        return {}
    n, shots, kernel = ideal.n_bits, run.counts.shots, Kernel.of(run.faults)
    sent = kernel.index.vector(ideal.words, ideal.probabilities)
    return {
        "ideal known": lost(kernel.forward(sent), sent, n, shots),
        "noise known": kernel_features(run.counts, run.hidden)["kernel_rate"],
        "both known": lost(Kernel.of(run.hidden).forward(sent), sent, n, shots),
    }


@lru_cache
def read_fresh(one: FreshSet) -> list[Fresh]:
    """Read the runs that `simulate_fresh` stored, with features of the counts from the current `mitigate`."""
    runs = []
    for record in read_json_lines(one.path):
        counts, ideal = (qc.Distribution.of(record.pop(name)) for name in ("counts", "ideal"))
        faults, known = record.pop("faults"), record.pop("known")
        faults = faults and read_faults(faults)
        stored = np.array([known.get(name, np.nan) for name in NAMES])
        current = features(counts=counts, faults=faults)
        row = np.where(np.isnan(current), stored, current)
        record["shares"] = np.array(record["shares"])
        runs.append(Fresh(counts=counts, ideal=ideal, row=row, faults=faults, **record))
    return runs


def predictions(runs: list[Fresh], model: Any = None) -> dict[str, np.ndarray]:
    """Return the rates of all runs from the model, the baselines and the oracles, ``(n_runs,)`` each."""
    rows = np.stack([run.row for run in runs])
    model = rate_model() if model is None else model
    columns = dict(zip(COLUMNS, model[:-1].transform(rows).T, strict=True))
    constant = float(read_table().rates.mean())
    esp = 1 - rows[:, NAMES.index("esp")] ** (1 / rows[:, NAMES.index("n_measured")])
    plug_in = rows[:, NAMES.index("answer_rate")]
    return {
        "estimate": np.clip(model.predict(rows), 0.0, HIGHEST),
        "constant": np.full(len(runs), constant),
        "1-esp^(1/m)": esp,
        "closed form with idling": columns["closed_form"],
        "plug-in": plug_in,
        "mean of plug-in and 1-esp^(1/m)": (plug_in + esp) / 2,
        "untrained kernel speckle": columns["kernel_speckle"],
        "untrained kernel best": columns["kernel_best"],
    } | {
        f"oracle: {name}": np.array([run.oracles.get(name, np.nan) for run in runs])
        for name in ("ideal known", "noise known", "both known")
    }


def parts(runs: list[Fresh]) -> dict[str, np.ndarray]:
    """Return the subsets of runs that are scored, ``(n_runs,) bool`` each."""
    spread = np.array([run.spread for run in runs])
    drift = np.array([run.facts["drift"] == 1 for run in runs])
    mixed = np.array([run.facts["saturated"] == 1 for run in runs])
    named = {"all": np.ones(len(runs), dtype=bool), "peaked": ~spread, "spread": spread}
    named |= {"drift": drift, "no drift": ~drift, "saturated labels left out": ~mixed}
    named |= {"spread, saturated left out": spread & ~mixed, "peaked, saturated left out": ~spread & ~mixed}
    return named | {run.machine: np.array([other.machine == run.machine for other in runs]) for run in runs}


def fresh() -> list[dict[str, Any]]:
    """Score the estimate, the baselines and the oracles on runs outside the table: R2, error, bias and coverage."""
    lines = []
    for one in SETS:
        for name in simulate_fresh(one):
            print(name, flush=True)
        lines += [{"set": one.name} | line for line in judged(read_fresh(one))]
    return lines


def judged(runs: list[Fresh]) -> list[dict[str, Any]]:
    """Score the runs of a set, as a whole and by part."""
    truth, groups = np.array([run.rate for run in runs]), np.array([run.circuit for run in runs])
    model, lines = rate_model(), []
    columns = model[:-1].transform(np.stack([run.row for run in runs]))
    low, high = np.clip(model[-1].predict_interval(columns, 0.8)[1:], 0.0, HIGHEST)
    mixed = np.array([looks_uniform(run.counts) for run in runs])
    high, in_range = np.where(mixed, HIGHEST, high), model[-1].in_range(columns) & ~mixed  # as `predict_rates` does
    clipped = np.clip(truth, 0.0, HIGHEST)
    covered = (clipped >= low) & (clipped <= high)
    rates = predictions(runs, model)
    for part, members in (parts(runs) | {"in range": in_range}).items():
        for name, predicted in rates.items():
            some = members & ~np.isnan(predicted)
            line = {"part": part, "rates": name, "runs": int(some.sum())}
            line["r2"] = round(r2(truth[some], predicted[some]), 3)
            line["mae"] = round(mae(truth[some], predicted[some]), 4)
            line["bias"] = round(float((predicted - truth)[some].mean()), 4)
            if name == "estimate":
                line["r2_low"], line["r2_high"] = (
                    round(value, 3) for value in bootstrap(scored(truth[some], predicted[some]), groups[some])
                )
                line["share_of_three"] = round(share_of_three((predicted - truth)[some] ** 2, groups[some]), 3)
                line["coverage_of_80"] = round(float(covered[some].mean()), 3)
                line["width"] = round(float(np.median((high - low)[some])), 4)
                line["in_range"] = round(float(in_range[some].mean()), 3)
            lines.append(line)
    return lines


def share_of_three(errors: np.ndarray, circuits: np.ndarray) -> float:
    """Return the share of the total squared error that is due to the three worst circuits."""
    by_circuit = np.bincount(np.unique(circuits, return_inverse=True)[1], errors)
    return float(np.sort(by_circuit)[-3:].sum() / by_circuit.sum())


def scored(truth: np.ndarray, predicted: np.ndarray) -> Callable[[np.ndarray], float]:
    """Return a function that computes R2 on selected rows."""
    return lambda rows: r2(truth[rows], predicted[rows])


def use() -> list[dict[str, Any]]:
    """Score `paper` and the default method with each kind of rate: mean fidelity, and how often they harm."""
    return [line for one in SETS for line in used(one)]


def used(one: FreshSet) -> list[dict[str, Any]]:
    """Score the methods on the runs of one set."""
    runs = read_fresh(one)
    predicted, lines = predictions(runs), []
    for k, run in enumerate(runs):
        estimate = float(np.clip(predicted["estimate"][k], 0.001, HIGHEST))
        rates: dict[str, Any] = {
            "estimated": estimate,
            "estimated, per bit": np.maximum(run.per_bit(estimate), 0.001),
            "true": float(np.clip(run.rate, 0.001, HIGHEST)),
            "constant": predicted["constant"][k],
            "constant .12": 0.12,
        }
        line: dict[str, Any] = {
            "set": one.name,
            "run": f"{run.circuit} {run.machine} x{run.facts['scale']:g}",
            "part": PARTS[run.spread],
        }
        line["raw"] = hellinger_fidelity(run.counts, run.ideal)
        for name, rate in rates.items():
            line[f"paper: {name}"] = hellinger_fidelity(
                qc.mitigate(run.counts, rate, method="paper").distribution, run.ideal
            )
            line[f"default: {name}"] = hellinger_fidelity(qc.mitigate(run.counts, rate).distribution, run.ideal)
        answer = qc.mitigate(run.counts, run.per_bit(estimate) if run.faults is None else run.faults).distribution
        clusters = clustering_rate(run.counts, answer, run.shares > 0)
        line["paper: estimated, for clusters"] = hellinger_fidelity(
            qc.mitigate(run.counts, clusters, method="paper").distribution, run.ideal
        )
        line["default: none"] = hellinger_fidelity(qc.mitigate(run.counts).distribution, run.ideal)
        print(line["run"], flush=True)
        lines.append({name: round(value, 4) if isinstance(value, float) else value for name, value in line.items()})
    return [*means(lines), *lines]


def means(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the mean fidelities, and the shares of runs that lose more than `HARM`, by part."""
    labels, rows = [name for name in lines[0] if name not in ("set", "run", "part")], []
    for part in ("all", *PARTS):
        some = [line for line in lines if part in ("all", line["part"])]
        table = np.array([[line[name] for name in labels] for line in some])
        harm = (table < table[:, :1] - HARM).mean(axis=0)
        for name, values in (("mean", table.mean(axis=0)), ("harmed", harm)):
            rows.append(
                {"set": lines[0]["set"], "run": f"{name} of {len(some)}", "part": part}
                | dict(zip(labels, values.round(4).tolist(), strict=True))
            )
    return rows
