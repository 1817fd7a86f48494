"""Why HAMMER and Q-BEEP do better here than in arXiv:2504.10801: its experiment repeated, with one change at a time.

Run from the repository: python -m benchmarks.replay          writes benchmarks/results/replay.csv, prints its table;
                                                              resumes a killed run, setting by setting
                         python -m benchmarks.replay table    prints the table again

For each of 29 circuits on five machines, the published table gives the effective flip rate of a bit and the estimated
success probability from the calibration. With these, noisy counts can be drawn again in the approximation of
independent flips at that rate, in which the share of the most probable string equals the published one. All settings
use the low-entropy circuits, and all methods get the same counts. Q-Cluster gets the rate with which the counts were
drawn, so that nothing depends on the model that predicts rates.
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
"""Most bits that the program of the authors of Q-BEEP handles."""
PUBLISHED = {
    "brussels/ghz_state_n11": 0.708,
    "brussels/wstate_n3": 0.890,
    "brussels/bv_n14": 0.080,
    "brussels/bv_n19": 0.067,
    "brussels/wstate_n27": 0.069,
    "brussels/cat_state_n22": 0.127,
}
"""Fidelities of Q-Cluster with its learned rate, which its authors published with the counts."""
METHODS = ("raw", "paper", "hammer", "qbeep")


@dataclass(frozen=True)
class Output:
    """One noisy output, with its ideal output and noise parameters."""

    circuit: str
    machine: str
    counts: Distribution
    ideal: Distribution
    rate: float
    """Flip rate of a bit, for Q-Cluster."""
    expected: float
    """Mean number of bit errors predicted by the calibration, for Q-BEEP."""


Method = Callable[[Output], Distribution]


def published() -> list[dict[str, str]]:
    """Read the rows of the published table with a low-entropy ideal output."""
    with (DATA / "effective_rates_2025.csv").open(newline="") as lines:
        return [row for row in csv.DictReader(lines) if float(row["ideal_entropy"]) <= LOW_ENTROPY]


def flipped(circuit: str, machine: str, rate: float, expected: float, shots: int) -> Output:
    """Draw shots of the ideal output and flip every bit independently."""
    ideal = make_case(f"paper/{circuit}").ideal
    assert ideal is not None
    rng = np.random.default_rng(zlib.crc32(f"{circuit} {machine}".encode()))
    rows = np.repeat(ideal.bits, rng.multinomial(shots, ideal.probabilities / ideal.probabilities.sum()), axis=0)
    counts = Distribution(rows ^ (rng.random(rows.shape) < rate), np.ones(len(rows)))
    return Output(circuit, machine, counts, ideal, rate, expected)


def at_published_rates(shots: int = SHOTS) -> Iterator[Output]:
    """Yield outputs with flips at the published rates; the expected errors are minus the logarithm of the published
    esp."""
    for row in published():
        rate = float(np.clip(float(row["target"]), 0, 0.499))
        yield flipped(row["circuit"], row["machine"], rate, -log(float(row["esp"])), shots)


def at_simulated_rates() -> Iterator[Output]:
    """Yield outputs with flips at the rates of the simulated machines, from the published formula on raw counts."""
    expected = {(row["circuit"], row["machine"]): -log(float(row["esp"])) for row in published()}
    for score in read_scores(RESULTS / "paper"):
        circuit, machine = score["case"].removeprefix("paper/"), machine_name(score["machine"]).replace("fake", "ibm")
        if score["method"] == "identity" and (circuit, machine) in expected:
            rate = 1 - float(score["success_probability"]) ** (1 / int(score["n_bits"]))
            yield flipped(circuit, machine, min(rate, 0.499), expected[circuit, machine], SHOTS)


def output_of(sample: Sample, circuit: str) -> Output:
    """Convert a sample with a calibration to an output."""
    if sample.ideal is None or sample.rate is None or sample.expected_errors is None:
        raise ValueError(f"an output to replay must have an ideal and a calibration; {circuit} lacks one")
    return Output(circuit, sample.machine, sample.counts, sample.ideal, sample.rate, sample.expected_errors)


def simulated(twirls: int) -> Iterator[Output]:
    """Simulate the circuits of up to 5 qubits on the machine of the recorded counts, with a number of twirls."""
    for circuit in dict.fromkeys(row["circuit"] for row in published()):
        case = make_case(f"paper/{circuit}")
        if case.n_qubits <= 5:
            sample = run_task(Task(case.name, case.fingerprint, "FakeBrussels", SHOTS, twirls, "", 0))
            yield output_of(sample, circuit)


def recorded() -> Iterator[Output]:
    """Yield the counts that the authors of Q-Cluster published."""
    for sample in read_records(DATA / "ibm_brussels_2025.jsonl.gz", snapshots=True):
        yield output_of(sample, sample.identity)


def qbeep(expected: Callable[[Output], float]) -> Method:
    """Return Q-BEEP with a given mean number of bit errors."""
    return lambda output: qc.baselines.qbeep(output.counts, expected(output))


@lru_cache(maxsize=8)
def readout_error(machine: str) -> float:
    """Return the median readout error in the snapshot of a machine."""
    return float(np.nanmedian(find_machine(machine.replace("ibm_", "fake_")).calibration.readout))


def without_two_qubit_gates(output: Output) -> float:
    """Return the expected errors without two-qubit gates, as the authors' program of Q-BEEP counts them on machines
    without CX."""
    return output.counts.n_bits * readout_error(output.machine)


def whole_shots(output: Output) -> Distribution:
    """Mitigate as the authors' program of Q-BEEP does: flows rounded down to whole shots, small distances, few bits.

    Distances extend to where the Poisson weight has fallen below 0.05 after a peak above 0.2. Without such a peak the
    program has no edges, and above `WIDEST_CODE` bits it does not run; in both cases the counts are returned unchanged.
    """
    weights = poisson(output.expected, output.counts.n_bits)
    peak = np.flatnonzero(weights > 0.2)
    if output.counts.n_bits > WIDEST_CODE or not len(peak):
        return output.counts
    beyond = np.flatnonzero((weights < 0.05) & (np.arange(len(weights)) > peak[0]))
    weights[0], weights[beyond[0] if len(beyond) else len(weights) :] = 0, 0
    words = output.counts.words[:, 0]
    edges: Floats = weights[np.bitwise_count(words[:, None] ^ words)]
    shots = output.counts.weights.copy()
    for step in range(1, 21):
        offered = edges @ shots
        scale = np.minimum(1, np.divide(shots, offered, out=np.ones_like(shots), where=offered > shots))
        flows = np.floor(edges * shots * scale[:, None] / step)
        shots = shots - flows.sum(axis=1) + flows.sum(axis=0)
    return Distribution(output.counts.bits, shots)


def hammer_of_all(output: Output) -> Distribution:
    """Apply HAMMER with heavier neighbours included: the sum in the text of its paper, without the test in its
    listing."""
    counts, words = output.counts, output.counts.words
    share, reach = counts.probabilities, counts.n_bits // 2
    support, strength = np.zeros((len(share), reach)), np.zeros(reach)
    for row, word in enumerate(words):
        distance = np.bitwise_count(words ^ word).sum(axis=1, dtype=np.intp)
        support[row] = np.bincount(distance, share, max(reach, int(distance.max()) + 1))[:reach]
        strength += support[row]
    score = support @ np.divide(1, strength, out=np.zeros(reach), where=strength > 0)
    return Distribution(counts.bits, (share + score) * share)


HERE: dict[str, Method] = {
    "raw": lambda output: output.counts,
    "paper": lambda output: qc.mitigate(output.counts, output.rate, method="paper").distribution,
    "hammer": lambda output: qc.baselines.hammer(output.counts),
    "qbeep": qbeep(lambda output: output.expected),
}
"""The methods as implemented in this package."""
STORED = "simulated machines"
BASE = "flips at published rates"
SETTINGS: dict[str, tuple[Callable[[], Iterator[Output]], dict[str, Method]]] = {
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
"""Source of the outputs of each setting, and the methods that differ from `HERE`; settings with a changed method use
the outputs of `BASE`."""


def stored() -> Iterator[dict[str, object]]:
    """Yield the scores of the campaign ``paper``: machines simulated from their calibrations, eight twirls.

    Its method ``paper`` uses a learned rate, and ``paper_given`` the rate of the noise.
    """
    names = {"identity": "raw", "paper_given": "paper", "hammer": "hammer", "qbeep": "qbeep"}
    for score in read_scores(RESULTS / "paper"):
        low = score["ideal_entropy"] and float(score["ideal_entropy"]) <= LOW_ENTROPY
        if low and score["method"] in names and score["status"] == "ok":
            circuit, machine = score["case"].removeprefix("paper/"), score["machine"].removesuffix(REFERENCE)
            yield row(STORED, circuit, machine, names[score["method"]], float(score["hellinger_fidelity"]))


def row(setting: str, circuit: str, machine: str, method: str, fidelity: float) -> dict[str, object]:
    """Return the row of one score."""
    names = {"setting": setting, "circuit": circuit, "machine": machine, "method": method}
    return names | {"fidelity": round(fidelity, 5)}


def replay(setting: str, base: Mapping[tuple[str, str, str], float]) -> Iterator[dict[str, object]]:
    """Score all outputs of a setting; scores of unchanged methods on the outputs of the base are copied from the
    base."""
    source, changed = SETTINGS[setting]
    for output in source():
        key = output.circuit, output.machine
        for name, method in (HERE | changed).items():
            if source is at_published_rates and name not in changed and (*key, name) in base:
                yield row(setting, *key, name, base[*key, name])
            else:
                fidelity = qc.metrics.hellinger_fidelity(method(output), output.ideal)
                yield row(setting, *key, name, float(fidelity))
        if output.circuit in PUBLISHED:
            yield row(setting, *key, "published", PUBLISHED[output.circuit])


def run() -> None:
    """Score the settings that the table lacks, and write the table after each."""
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
    """Format four averages of a factor: geometric mean / median / mean of ratios / ratio of means."""
    values = exp(np.log(ratio).mean()), np.median(ratio), ratio.mean(), above.mean() / below.mean()
    return " / ".join(f"{value:.2f}" for value in values)


def table(rows: list[dict[str, str]]) -> str:
    """Return a Markdown table of the factors of Q-Cluster over the other methods, in four averages."""
    lines = [
        "| setting | outputs | over raw | over HAMMER | over Q-BEEP | HAMMER over raw | Q-BEEP over raw |",
        "|---" * 7 + "|",
    ]
    order = [STORED, *SETTINGS]
    settings = dict.fromkeys(row["setting"] for row in rows)
    for setting in sorted(settings, key=lambda name: order.index(name) if name in order else len(order)):
        part = [row for row in rows if row["setting"] == setting]
        fidelity = {
            name: np.array([max(float(row["fidelity"]), 1e-6) for row in part if row["method"] == name])
            for name in (*METHODS, "published")
        }
        pairs = [(one, other) for one in ("paper",) for other in ("raw", "hammer", "qbeep")]
        pairs += [("hammer", "raw"), ("qbeep", "raw")]
        for ours in ("paper", "published"):
            if len(fidelity[ours]):
                title = setting if ours == "paper" else f"{setting}, Q-Cluster as published"
                cells = []
                for one, other in pairs:
                    above, below = fidelity[ours if one == "paper" else one], fidelity[other]
                    cells.append(averages(above / below, above, below))
                lines.append("| " + " | ".join([title, str(len(fidelity["raw"])), *cells]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:] != ["table"]:
        run()
    print(table(read_rows(FILE)))
