"""Why HAMMER and Q-BEEP do better here than in arXiv:2504.10801: its setting replayed, one thing changed at a time.

Run from the repository: python -m benchmarks.replay          writes benchmarks/results/replay.csv, prints its table;
                                                              resumes when it was killed, setting by setting
                         python -m benchmarks.replay table    prints the table again

The published table gives for each of 29 circuits on five machines the effective flip rate of a bit, and the estimated
success probability that follows from the calibration. So the noisy counts can be drawn again, as far as independent
flips at that rate are like them: the share of the likeliest string is then the published one. All settings hold the
circuits that are low in entropy, each method on the same counts. Q-Cluster gets the rate that the counts were made
with, so that nothing depends on the model that predicts it.
"""

import csv
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log

import numpy as np

import qcluster as qc
from benchmarks.data import DATA, RESULTS, read_rows, write_rows
from qcluster.baselines.qbeep import poisson
from qcluster.bench.circuits import make_case
from qcluster.bench.machines import machine_name, run_task
from qcluster.bench.records import read_records
from qcluster.bench.reports.summary import LOW_ENTROPY
from qcluster.bench.sample import Sample
from qcluster.bench.store import read_scores
from qcluster.bench.tasks import REFERENCE, Task
from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.device.machines.machine import find_machine

FILE = "replay.csv"
SHOTS = 8192
WIDEST_CODE = 15
"""Most bits that the program of Q-BEEP's authors handles."""
PUBLISHED = {
    "brussels/ghz_state_n11": 0.708,
    "brussels/wstate_n3": 0.890,
    "brussels/bv_n14": 0.080,
    "brussels/bv_n19": 0.067,
    "brussels/wstate_n27": 0.069,
    "brussels/cat_state_n22": 0.127,
}
"""Fidelities of Q-Cluster with its learned rate, as its authors publish them beside the counts."""
METHODS = ("raw", "paper", "hammer", "qbeep")


@dataclass(frozen=True)
class Output:
    """One noisy output, and what is published or known of it."""

    circuit: str
    machine: str
    counts: Distribution
    ideal: Distribution
    rate: float
    """Flip rate of a bit that Q-Cluster is told."""
    expected: float
    """Mean number of bit errors that Q-BEEP is told: what the calibration predicts."""


Tried = Callable[[Output], Distribution]


def published() -> list[dict[str, str]]:
    """Rows of the published table whose ideal output is low in entropy."""
    with (DATA / "effective_rates_2025.csv").open(newline="") as lines:
        return [row for row in csv.DictReader(lines) if float(row["ideal_entropy"]) <= LOW_ENTROPY]


def flipped(circuit: str, machine: str, rate: float, expected: float, shots: int) -> Output:
    """Draw ideal shots and flip every bit independently."""
    ideal = make_case(f"paper/{circuit}").ideal
    assert ideal is not None
    rng = np.random.default_rng(zlib.crc32(f"{circuit} {machine}".encode()))
    rows = np.repeat(ideal.bits, rng.multinomial(shots, ideal.probabilities / ideal.probabilities.sum()), axis=0)
    counts = Distribution(rows ^ (rng.random(rows.shape) < rate), np.ones(len(rows)))
    return Output(circuit, machine, counts, ideal, rate, expected)


def at_published_rates(shots: int = SHOTS) -> Iterator[Output]:
    """Flips at the published rates; the calibration's own prediction is minus the logarithm of the published esp."""
    for row in published():
        rate = float(np.clip(float(row["target"]), 0, 0.499))
        yield flipped(row["circuit"], row["machine"], rate, -log(float(row["esp"])), shots)


def at_simulated_rates() -> Iterator[Output]:
    """Flips at the rates of the simulated machines, by the published formula, on the raw counts of the campaign."""
    expected = {(row["circuit"], row["machine"]): -log(float(row["esp"])) for row in published()}
    for score in read_scores(RESULTS / "paper"):
        circuit, machine = score["case"].removeprefix("paper/"), machine_name(score["machine"]).replace("fake", "ibm")
        if score["method"] == "identity" and (circuit, machine) in expected:
            rate = 1 - float(score["success_probability"]) ** (1 / int(score["n_bits"]))
            yield flipped(circuit, machine, min(rate, 0.499), expected[circuit, machine], SHOTS)


def output_of(sample: Sample, circuit: str) -> Output:
    """Take over a sample with its calibration's prediction."""
    if sample.ideal is None or sample.rate is None or sample.expected_errors is None:
        raise ValueError(f"an output to replay must have an ideal and a calibration; {circuit} lacks one")
    return Output(circuit, sample.machine, sample.counts, sample.ideal, sample.rate, sample.expected_errors)


def simulated(twirls: int) -> Iterator[Output]:
    """Simulate the circuits of up to 5 qubits on the machine of the recorded counts, twirled so many times."""
    for circuit in dict.fromkeys(row["circuit"] for row in published()):
        case = make_case(f"paper/{circuit}")
        if case.n_qubits <= 5:
            sample = run_task(Task(case.name, case.fingerprint, "FakeBrussels", SHOTS, twirls, "", 0))
            yield output_of(sample, circuit)


def recorded() -> Iterator[Output]:
    """The counts that the authors of Q-Cluster publish."""
    for sample in read_records(DATA / "ibm_brussels_2025.jsonl.gz", snapshots=True):
        yield output_of(sample, sample.identity)


def qbeep(told: Callable[[Output], float]) -> Tried:
    """Q-BEEP, told some mean number of bit errors."""
    return lambda output: qc.baselines.qbeep(output.counts, told(output))


@lru_cache(maxsize=8)
def readout_error(machine: str) -> float:
    """Median readout error of the machine's snapshot."""
    return float(np.nanmedian(find_machine(machine.replace("ibm_", "fake_")).calibration.readout))


def without_two_qubit_gates(output: Output) -> float:
    """What the program of Q-BEEP's authors adds up on machines without CX, whose other gates it does not look for."""
    return output.counts.n_bits * readout_error(output.machine)


def whole_shots(output: Output) -> Distribution:
    """Q-BEEP as its authors' program does it: flows rounded down to whole shots, near distances only, few bits.

    Distances run to where the Poisson weight has fallen below 0.05 after a peak above 0.2; where there is no such peak
    the program has no edges, and above `WIDEST_CODE` bits it does not run: the counts are left as they are.
    """
    weights = poisson(output.expected, output.counts.n_bits)
    peak = np.flatnonzero(weights > 0.2)
    if output.counts.n_bits > WIDEST_CODE or not len(peak):
        return output.counts
    fallen = np.flatnonzero((weights < 0.05) & (np.arange(len(weights)) > peak[0]))
    weights[0], weights[fallen[0] if len(fallen) else len(weights) :] = 0, 0
    words = output.counts.words[:, 0]
    edges: Floats = weights[np.bitwise_count(words[:, None] ^ words)]
    held = output.counts.weights.copy()
    for turn in range(1, 21):
        offered = edges @ held
        scale = np.minimum(1, np.divide(held, offered, out=np.ones_like(held), where=offered > held))
        flows = np.floor(edges * held * scale[:, None] / turn)
        held = held - flows.sum(axis=1) + flows.sum(axis=0)
    return Distribution(output.counts.bits, held)


def hammer_of_all(output: Output) -> Distribution:
    """HAMMER where heavier neighbours count, too: the sum that its text explains, without the test in its listing."""
    counts, words = output.counts, output.counts.words
    share, reach = counts.probabilities, counts.n_bits // 2
    support, strength = np.zeros((len(share), reach)), np.zeros(reach)
    for row, word in enumerate(words):
        distance = np.bitwise_count(words ^ word).sum(axis=1, dtype=np.intp)
        support[row] = np.bincount(distance, share, max(reach, int(distance.max()) + 1))[:reach]
        strength += support[row]
    score = support @ np.divide(1, strength, out=np.zeros(reach), where=strength > 0)
    return Distribution(counts.bits, (share + score) * share)


HERE: dict[str, Tried] = {
    "raw": lambda output: output.counts,
    "paper": lambda output: qc.mitigate(output.counts, output.rate, method="paper").distribution,
    "hammer": lambda output: qc.baselines.hammer(output.counts),
    "qbeep": qbeep(lambda output: output.expected),
}
"""The methods as this package has them."""
STORED = "simulated machines"
BASE = "flips at published rates"
SETTINGS: dict[str, tuple[Callable[[], Iterator[Output]], dict[str, Tried]]] = {
    "flips at rates simulated here": (at_simulated_rates, {}),
    BASE: (at_published_rates, {}),
    "lambda as the rates have it": (at_published_rates, {"qbeep": qbeep(lambda o: o.rate * o.counts.n_bits)}),
    "lambda without two-qubit gates": (at_published_rates, {"qbeep": qbeep(without_two_qubit_gates)}),
    "Q-BEEP in whole shots": (at_published_rates, {"qbeep": whole_shots}),
    "HAMMER of all neighbours": (at_published_rates, {"hammer": hammer_of_all}),
    "1024 shots": (lambda: at_published_rates(1024), {}),
    "4096 shots": (lambda: at_published_rates(4096), {}),
    "simulated, 1 twirl": (lambda: simulated(1), {}),
    "simulated, 32 twirls": (lambda: simulated(32), {}),
    "recorded counts": (recorded, {}),
}
"""Where the outputs come from, and which method is another than in `HERE`; those without a source of their own differ
from `BASE` in the method they name."""


def stored() -> Iterator[dict[str, object]]:
    """Scores of the campaign ``paper``: machines simulated from their calibrations, eight twirls.

    Its method ``paper`` gets a rate that was learned, ``paper_given`` the one of the noise.
    """
    names = {"identity": "raw", "paper_given": "paper", "hammer": "hammer", "qbeep": "qbeep"}
    for score in read_scores(RESULTS / "paper"):
        low = score["ideal_entropy"] and float(score["ideal_entropy"]) <= LOW_ENTROPY
        if low and score["method"] in names and score["status"] == "ok":
            circuit, machine = score["case"].removeprefix("paper/"), score["machine"].removesuffix(REFERENCE)
            yield row(STORED, circuit, machine, names[score["method"]], float(score["hellinger_fidelity"]))


def row(setting: str, circuit: str, machine: str, method: str, fidelity: float) -> dict[str, object]:
    """Write one score."""
    names = {"setting": setting, "circuit": circuit, "machine": machine, "method": method}
    return names | {"fidelity": round(fidelity, 5)}


def replay(setting: str, base: Mapping[tuple[str, str, str], float]) -> Iterator[dict[str, object]]:
    """Score every output of a setting; what is not changed has the score that it has in the base."""
    source, other = SETTINGS[setting]
    for output in source():
        place = output.circuit, output.machine
        for name, method in (HERE | other).items():
            if source is at_published_rates and name not in other and (*place, name) in base:
                yield row(setting, *place, name, base[*place, name])
            else:
                fidelity = qc.metrics.hellinger_fidelity(method(output), output.ideal)
                yield row(setting, *place, name, float(fidelity))
        if output.circuit in PUBLISHED:
            yield row(setting, *place, "published", PUBLISHED[output.circuit])


def run() -> None:
    """Score the settings that the table does not hold yet, and write it anew after each."""
    rows: list[Mapping[str, object]] = [*read_rows(FILE)] or [*stored()]
    for setting in SETTINGS:
        if setting not in {str(one["setting"]) for one in rows}:
            known = {
                (str(one["circuit"]), str(one["machine"]), str(one["method"])): float(str(one["fidelity"]))
                for one in rows
                if one["setting"] == BASE
            }
            rows += replay(setting, known)
            write_rows(FILE, rows)
            print(f"done: {setting}", file=sys.stderr, flush=True)


def averages(ratio: Floats, above: Floats, below: Floats) -> str:
    """Average a factor in four ways: geometric mean / median / mean of ratios / ratio of means."""
    found = exp(np.log(ratio).mean()), np.median(ratio), ratio.mean(), above.mean() / below.mean()
    return " / ".join(f"{value:.2f}" for value in found)


def table(rows: list[dict[str, str]]) -> str:
    """Write the factors of Q-Cluster over the others, in four averages, as Markdown."""
    lines = [
        "| setting | outputs | over raw | over HAMMER | over Q-BEEP | HAMMER over raw | Q-BEEP over raw |",
        "|---" * 7 + "|",
    ]
    order = [STORED, *SETTINGS]
    held = dict.fromkeys(row["setting"] for row in rows)
    for setting in sorted(held, key=lambda name: order.index(name) if name in order else len(order)):
        part = [row for row in rows if row["setting"] == setting]
        found = {
            name: np.array([max(float(row["fidelity"]), 1e-6) for row in part if row["method"] == name])
            for name in (*METHODS, "published")
        }
        pairs = [(one, other) for one in ("paper",) for other in ("raw", "hammer", "qbeep")]
        pairs += [("hammer", "raw"), ("qbeep", "raw")]
        for ours in ("paper", "published"):
            if len(found[ours]):
                title = setting if ours == "paper" else f"{setting}, Q-Cluster as published"
                cells = []
                for one, other in pairs:
                    above, below = found[ours if one == "paper" else one], found[other]
                    cells.append(averages(above / below, above, below))
                lines.append("| " + " | ".join([title, str(len(found["raw"])), *cells]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:] != ["table"]:
        run()
    print(table(read_rows(FILE)))
