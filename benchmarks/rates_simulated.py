"""Simulated runs for benchmarks/rates.py: the model is fitted without the machine that it is asked about."""

from collections.abc import Iterator
from typing import Any

from qcluster.bench.rate_plan import Job
from qcluster.bench.rate_table import simulate_runs
from qcluster.learn.rates import Rates, estimate_rates, rate_model
from qcluster.learn.table import effective_rate, read_table

CASES = ("ghz:5", "ghz:16", "bv:5", "bv:13", "cat:14", "hidden_shift:4", "mirror:10:depth=6", "w_state:3", "full_adder")
MACHINES = ("fake_brisbane", "fake_torino", "fake_mumbai")


def simulated() -> Iterator[tuple[str, Any, Any, float, Rates]]:
    """Yield name, counts, ideal, true rate and estimated rates; seeds that the table does not use."""
    table = read_table()
    for number, machine in enumerate(MACHINES):
        model = rate_model(table[table.facts["machine"] != machine])
        for place, case in enumerate(CASES):
            for run in simulate_runs(Job(case, machine, 0, 2, 4096, 900_000 + 100 * number + place)):
                rates = estimate_rates(run.profile, run.calibration, run.counts, model=model)
                truth = effective_rate(run.counts, run.case.ideal)
                yield f"{case} {machine} x{run.scale:g}", run.counts, run.case.ideal, truth, rates
