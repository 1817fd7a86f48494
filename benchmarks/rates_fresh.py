"""Runs that no table of rates has seen: circuits of families outside it, on machines outside it."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks.outside_circuits import cases
from benchmarks.rates_scores import bootstrap, mae, r2
from qcluster.bench.circuits import Case
from qcluster.bench.rate_plan import Job
from qcluster.bench.rate_table import Simulated, simulate_runs, target
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.learn.features import NAMES, features
from qcluster.learn.label import effective_rate
from qcluster.learn.physics import COLUMNS
from qcluster.learn.rates import HIGHEST, divide, flip_shares, learned, rate_model
from qcluster.learn.table import read_table

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "qcluster-rates" / "fresh.jsonl"
MACHINES = ("fake_kawasaki", "fake_boston", "fake_miami", "fake_peekskill")
"""An Eagle, a Heron, a Nighthawk and a Falcon, none of them in the table."""
SHOTS = 4096
ROWS = 2
"""Of each circuit: noise of half, once or twice the calibration, with or without drift, as in the table."""
PARTS = ("peaked", "spread")
HARM = 0.02
"""A run is harmed when its fidelity falls by more than this."""
TABLED = ("dicke",)
"""Families that the table has too."""


@dataclass(frozen=True)
class Fresh:
    """One run, and what the model may know of it."""

    circuit: str
    family: str
    machine: str
    counts: qc.Distribution
    ideal: qc.Distribution
    rate: float
    """The true effective rate."""
    row: np.ndarray
    """``(n_features,)``."""
    shares: np.ndarray
    """``(n_bits,)`` flip rates of the bits, of which only the ratios count."""
    facts: dict[str, Any]
    """Scale, drift, ideal entropy, whether the label is saturated."""

    @property
    def spread(self) -> bool:
        """Beyond the published cut on the ideal entropy."""
        return float(self.facts["ideal_entropy"]) > 0.6

    def per_bit(self, value: float) -> np.ndarray:
        """Divide a rate over the bits."""
        return divide(value, self.shares)


def fresh_cases() -> list[Case]:
    """Give the circuits of `benchmarks.outside_circuits` without feed-forward, of families that the table lacks."""
    return [
        case
        for case in cases()
        if case.family not in TABLED and not {"if_else", "reset"} & set(case.circuit.count_ops())
    ]


def simulate_fresh(path: Path = CACHE) -> Iterator[str]:
    """Simulate what the file does not hold yet, a line a run; yields the circuits' names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {run.circuit for run in read_fresh(path)} if path.exists() else set()
    for number, case in enumerate(fresh_cases()):
        if case.name not in done:
            job = Job(case.name, MACHINES[number % len(MACHINES)], 0, ROWS, SHOTS, 900_000 + number)
            lines = [json.dumps(_record(job, run)) + "\n" for run in simulate_runs(job, case)]
            with path.open("a") as file:
                file.write("".join(lines))
            yield case.name


def _record(job: Job, run: Simulated) -> dict[str, Any]:
    row, ideal = features(run.profile, run.calibration, run.counts, run.faults), run.case.ideal
    assert ideal is not None, f"{run.case.name} has no ideal output"
    facts = {"scale": run.scale, "drift": int(run.drift)} | target(run.counts, ideal)
    return {
        "circuit": run.case.name,
        "family": run.case.family,
        "machine": job.machine,
        "rate": effective_rate(run.counts, ideal),
        "facts": facts,
        "row": [None if np.isnan(value) else value for value in row.tolist()],
        "shares": flip_shares(run.counts.n_bits, run.profile, run.calibration, run.faults).tolist(),
        "counts": run.counts.to_counts(),
        "ideal": ideal.to_probs(),
    }


def read_fresh(path: Path = CACHE) -> list[Fresh]:
    """Read what `simulate_fresh` wrote."""
    found = []
    for line in path.read_text().splitlines():
        record = json.loads(line)
        record["row"] = np.array([np.nan if value is None else value for value in record["row"]])
        record["shares"] = np.array(record["shares"])
        counts, ideal = record.pop("counts"), record.pop("ideal")
        found.append(Fresh(counts=qc.Distribution.of(counts), ideal=qc.Distribution.of(ideal), **record))
    return found


def predictions(runs: list[Fresh], model: Any = None) -> dict[str, np.ndarray]:
    """Give rates of every run by the model and by the honest baselines, ``(n_runs,)`` each."""
    rows = np.stack([run.row for run in runs])
    model = rate_model() if model is None else model
    columns = dict(zip(COLUMNS, model[:-1].transform(rows).T, strict=True))
    constant = float(learned(read_table()).rates.mean())
    esp = 1 - rows[:, NAMES.index("esp")] ** (1 / rows[:, NAMES.index("n_measured")])
    plug_in = rows[:, NAMES.index("answer_rate")]
    return {
        "estimate": model.predict(rows),
        "constant": np.full(len(runs), constant),
        "1-esp^(1/m)": esp,
        "closed form with idling": columns["closed_form"],
        "plug-in": plug_in,
        "mean of plug-in and 1-esp^(1/m)": (plug_in + esp) / 2,
        "plug-in under the circuit's faults": np.nan_to_num(rows[:, NAMES.index("fault_rate")], nan=0.0),
        "untrained best form": columns["best_form"],
    }


def parts(runs: list[Fresh]) -> dict[str, np.ndarray]:
    """Give the sets that are scored, ``(n_runs,) bool`` each."""
    spread = np.array([run.spread for run in runs])
    drift = np.array([run.facts["drift"] == 1 for run in runs])
    mixed = np.array([run.facts["saturated"] == 1 for run in runs])
    named = {"all": np.ones(len(runs), dtype=bool), "peaked": ~spread, "spread": spread}
    named |= {"drift": drift, "no drift": ~drift, "saturated labels left out": ~mixed}
    named |= {"spread, saturated left out": spread & ~mixed, "peaked, saturated left out": ~spread & ~mixed}
    return named | {run.machine: np.array([other.machine == run.machine for other in runs]) for run in runs}


def fresh() -> list[dict[str, Any]]:
    """R2, error, bias and coverage on runs outside the table, of the estimate and the baselines."""
    for name in simulate_fresh():
        print(name, flush=True)
    runs = read_fresh()
    truth, groups = np.array([run.rate for run in runs]), np.array([run.circuit for run in runs])
    model, lines = rate_model(), []
    columns = model[:-1].transform(np.stack([run.row for run in runs]))
    low, high = model[-1].predict_interval(columns, 0.8)[1:]
    held, near = (truth >= low) & (truth <= high), model[-1].in_range(columns)
    for part, chosen in parts(runs).items():
        for name, said in predictions(runs, model).items():
            line = {"part": part, "rates": name, "runs": int(chosen.sum())}
            line |= {"r2": round(r2(truth[chosen], said[chosen]), 3), "mae": round(mae(truth[chosen], said[chosen]), 4)}
            line["bias"] = round(float((said - truth)[chosen].mean()), 4)
            if name == "estimate":
                line["r2_low"], line["r2_high"] = (
                    round(value, 3) for value in bootstrap(scored(truth[chosen], said[chosen]), groups[chosen])
                )
                line |= {"coverage_of_80": round(float(held[chosen].mean()), 3)}
                line |= {"width": round(float(np.median((high - low)[chosen])), 4)}
                line |= {"in_range": round(float(near[chosen].mean()), 3)}
            lines.append(line)
    return lines


def scored(truth: np.ndarray, said: np.ndarray) -> Callable[[np.ndarray], float]:
    """R2 of some of the rows."""
    return lambda rows: r2(truth[rows], said[rows])


def use() -> list[dict[str, Any]]:
    """Fidelity of `paper` and of the default, and how often they harm, with each kind of rate."""
    runs = read_fresh()
    said, lines = predictions(runs), []
    for place, run in enumerate(runs):
        estimate = float(np.clip(said["estimate"][place], 0.001, HIGHEST))
        rates: dict[str, Any] = {
            "estimated": estimate,
            "estimated, per bit": np.maximum(run.per_bit(estimate), 0.001),
            "true": float(np.clip(run.rate, 0.001, HIGHEST)),
            "constant": said["constant"][place],
            "constant .12": 0.12,
        }
        line: dict[str, Any] = {
            "run": f"{run.circuit} {run.machine} x{run.facts['scale']:g}",
            "part": PARTS[run.spread],
        }
        line["raw"] = hellinger_fidelity(run.counts, run.ideal)
        for name, rate in rates.items():
            line[f"paper: {name}"] = hellinger_fidelity(
                qc.mitigate(run.counts, rate, method="paper").distribution, run.ideal
            )
            line[f"default: {name}"] = hellinger_fidelity(qc.mitigate(run.counts, rate).distribution, run.ideal)
        line["default: none"] = hellinger_fidelity(qc.mitigate(run.counts).distribution, run.ideal)
        print(line["run"], flush=True)
        lines.append({name: round(value, 4) if isinstance(value, float) else value for name, value in line.items()})
    return [*means(lines), *lines]


def means(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean fidelity, and the share of runs that lose more than `HARM`, by part."""
    labels, found = [name for name in lines[0] if name not in ("run", "part")], []
    for part in ("all", *PARTS):
        some = [line for line in lines if part in ("all", line["part"])]
        table = np.array([[line[name] for name in labels] for line in some])
        harm = (table < table[:, :1] - HARM).mean(axis=0)
        for name, values in (("mean", table.mean(axis=0)), ("harmed", harm)):
            found.append(
                {"run": f"{name} of {len(some)}", "part": part}
                | dict(zip(labels, values.round(4).tolist(), strict=True))
            )
    return found
