"""Figures in sentences of the pages stand on the tables of results: a table made again must not leave them behind."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.claims import run_by_run
from tests.docs.test_claims import RESULTS, rows

DOCS = Path(__file__).parents[2] / "docs"
Runs = dict[tuple[str, str, str], dict[str, float]]


def short(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".replace("0.", ".", 1)


def whole(share: float) -> str:
    return f"{100 * share:.0f}"


def scored(suite: str) -> Runs:
    """Fidelities of the runs of a suite, by family, circuit and machine, and the entropy of the ideal."""
    found: Runs = {}
    for row in rows(f"{suite}/scores.csv"):
        if row["hellinger_fidelity"]:
            names = (row["family"], row["case"], row["machine"])
            run = found.setdefault(names, {"entropy": float(row["ideal_entropy"])})
            run[row["method"]] = float(row["hellinger_fidelity"])
    return found


def mean(runs: Runs, method: str, only: str = "") -> float:
    """Mean fidelity of a method; of a family or a circuit alone, where one is named."""
    return float(np.mean([run[method] for names, run in runs.items() if not only or only in names]))


def against_reference(suite: str) -> dict[str, list[str]]:
    """In how many runs a method is ahead of a reference, and in how many behind."""
    lines = (line.strip("| ").split(" | ") for line in run_by_run(RESULTS / suite))
    return {cells[0].strip("`"): cells[1:3] for cells in lines if len(cells) > 3 and cells[1].isdigit()}


def a_reference_on_the_papers_suite() -> Iterator[str]:
    runs = scored("paper")
    low, high = ({run: one for run, one in runs.items() if (one["entropy"] <= 0.6) is few} for few in (True, False))
    for part in (low, high):
        yield short(mean(part, "reference") - mean(part, "identity"))
    yield short(mean(low, "reference") - mean(low, "circuit"))
    yield short(mean(high, "circuit") - mean(high, "reference"))
    circuit = against_reference("paper")["circuit"]
    yield circuit[1]
    for family in ("trotter", "adder"):
        yield from (short(mean(runs, method, family), 2) for method in ("circuit", "reference"))
    yield circuit[0]
    worst = min(runs, key=lambda run: runs[run]["reference"] - runs[run]["circuit"])
    assert (worst[1], "Brussels" in worst[2]) == ("paper/wstate_n14", True)
    yield from (short(runs[worst][method], 2) for method in ("circuit", "reference"))


def others_on_the_papers_suite() -> Iterator[str]:
    found = against_reference("paper")
    assert found["dem"][0] == "0"
    yield from (found["dem"][1], *found["hammer"])


def others_on_low_entropy() -> Iterator[str]:
    found = against_reference("low_entropy")
    assert [found["hammer"][0], found["dem"][0], found["circuit"][0]] == ["0", "1", "1"]
    yield from (found["hammer"][1], found["dem"][1])


def wide_circuits_of_the_paper() -> Iterator[str]:
    notes = [
        row for row in rows("paper_wide/scores.csv") if (row["case"], row["method"]) == ("paper/hamsim_20", "mixture")
    ]
    kept = [re.match(r"the counts as they came, with (\d+)% of", row["note"]) for row in notes]
    assert [round(int(one[1]) / 25) for one in kept] == [1, 1]
    runs = scored("paper_wide")
    for method, case in (("dem", "vqe_20"), ("measured", "qaoa_15"), ("identity", "qaoa_15")):
        machines = [run for (_, name, _), run in sorted(runs.items()) if name == f"paper/{case}"]
        yield from (short(run[method], 2) for run in machines)


def rotations_that_undo_each_other() -> Iterator[str]:
    runs = scored("paper")
    cases = ("paper/adder_n10", "paper/basis_trotter_n4")
    for case in cases:
        yield from (short(mean(runs, method, case), 2) for method in ("identity", "circuit"))
    yield from (short(mean(runs, "reference", case), 2) for case in cases)


def wrong_calibrations() -> Iterator[str]:
    runs = scored("broad")
    yield short(mean(runs, "identity"))
    for method in ("circuit", "reference"):
        yield from (short(mean(runs, f"{method}{told}")) for told in ("", "@high", "@low", "@scattered"))


def outside(method: str, condition: str, file: str = "outside.csv") -> tuple[np.ndarray, np.ndarray]:
    """Fidelities of the runs of other circuits, before and after."""
    table = rows(file)
    raw = {(row["circuit"], row["machine"]): float(row["fidelity"]) for row in table if row["method"] == "raw"}
    chosen = [row for row in table if (row["method"], row["condition"]) == (method, condition)]
    before = np.array([raw[row["circuit"], row["machine"]] for row in chosen])
    return before, np.array([float(row["fidelity"]) for row in chosen])


WRONG = ("3 x too bad", "3 x too good", "scattered", "another's")


def harmed(condition: str, digits: int = 1) -> tuple[str, str]:
    """Percent of the runs that lost more than .02, and the worst change."""
    before, after = outside("mitigate(run)", condition)
    return f"{100 * np.mean(after < before - 0.02):.{digits}f}", short(-(after - before).min(), 2)


def circuits_outside() -> Iterator[str]:
    (before, after), (_, lucy) = (outside(method, "right") for method in ("mitigate(run)", "richardson_lucy"))
    worst, *rest = sorted(after - before)
    assert -0.02 < worst < -0.01
    assert rest[0] > -0.002
    yield from (short(after.mean()), short(lucy.mean()), short(-worst, 2))
    yield whole(float(np.mean(lucy < before - 0.02)))
    yield short(after[before > 0.93].mean())
    others = [outside("mitigate(run)", told) for told in WRONG]
    yield from (short(pick(after[raw > 0.93].mean() for raw, after in others)) for pick in (min, max))
    yield from harmed("3 x too bad")
    yield harmed("another's")[0]
    yield from harmed("scattered")


def rotations_of_all_qubits() -> Iterator[str]:
    means = {
        method: [
            short(outside(method, condition, file)[1].mean())
            for condition, file in (("right", "outside_rotated.csv"), ("measured", "outside_rotated_reference.csv"))
        ]
        for method in ("mitigate(run)", "m3", "richardson_lucy")
    }
    assert means["mitigate(run)"][0] == means["m3"][0]
    yield from (means[method][0] for method in ("mitigate(run)", "richardson_lucy"))
    yield from harm_by_rotations_of_all_qubits()
    yield from (means[method][1] for method in ("mitigate(run)", "richardson_lucy", "m3"))
    before, after = outside("mitigate(run)", "measured", "outside_rotated_reference.csv")
    assert (sum(after < before - 0.02), len(after)) == (1, 102)
    yield short(-(after - before).min(), 2)


def harm_by_rotations_of_all_qubits() -> Iterator[str]:
    before, after = outside("mitigate(run)", "right", "outside_rotated.csv")
    yield whole(float(np.mean(after < before - 0.02)))
    yield short(-(after - before).min(), 2)
    before, after = outside("mitigate(run)", "3 x too bad", "outside_rotated.csv")
    yield whole(float(np.mean(after < before - 0.02)))


def study_of_references() -> Iterator[str]:
    runs = [row for row in rows("reference_hidden.csv") if row["family"] in ("qaoa", "trotter", "vqe")]
    means = {
        name: np.mean([float(row[name]) for row in runs if int(row["bits"]) >= 6])
        for name in ("raw", "run", "reference", "true", "exact", "noiseless")
    }
    for name in ("reference", "run", "true", "exact", "noiseless"):
        yield whole((means[name] - means["raw"]) / (1 - means["raw"]))


def ahead_of_a_reference() -> Iterator[str]:
    table = rows("reference_hidden.csv")
    others = ("m3", "hammer", "dem", "counts", "run", "measured")
    best = [(row, max(others, key=lambda name: float(row[name]))) for row in table]
    lost = [(row, name) for row, name in best if float(row[name]) > float(row["reference"]) + 0.005]
    five = [row for row, _ in lost if (row["family"], row["bits"]) == ("qpe", "5")]
    assert len(five) == 2
    assert {row["measured"] for row in five} == {"1.0000"}
    rest = [(row, name) for row, name in lost if row not in five]
    noisy = [row for row, _ in rest if float(row["survival"]) < 0.11]
    assert len(noisy) == 3
    assert sorted(name for row, name in rest if row not in noisy) == ["counts", "counts", "run", "run"]
    yield str(len(lost))
    yield from (short(pick(float(row["reference"]) for row in five), 2) for pick in (min, max))


def records_of_brussels() -> Iterator[str]:
    (own,) = (row["record"].removeprefix("brussels/") for row in rows("circuit_brussels.csv") if not alone(row))
    yield own


def alone(row: dict[str, str]) -> bool:
    return row["reason"].startswith("what the counts say alone")


def sixty_qubits() -> Iterator[str]:
    few = [row for row in rows("circuit_noisy.csv") if (row["machine"], row["qubits"]) == ("fake_brisbane", "60")]
    wide = {row["circuit"]: row for row in few}
    assert len(few) == len(wide) == 2
    assert [alone(wide[name]) for name in ("ghz", "bv")] == [False, True]
    yield from (short(float(wide[name]["mitigate"]), 2) for name in ("ghz", "bv"))


def rates_in_use() -> Iterator[str]:
    table = rows("rates_use.csv")
    mean_of = {(row["set"], row["part"]): row for row in table if row["run"].startswith("mean of")}

    def of_sets(column: str) -> list[str]:
        return [short(float(mean_of[name, "all"][column])) for name in ("first", "second", "third", "fourth")]

    for column in (
        "paper: estimated, for clusters",
        "paper: constant",
        "default: estimated, per bit",
        "default: constant",
    ):
        yield from of_sets(column)
    third, fourth = mean_of["third", "spread"], mean_of["fourth", "spread"]
    (same,) = {short(float(third[f"default: {rates}"])) for rates in ("estimated, per bit", "constant")}
    yield same
    yield from (short(float(fourth[f"default: {rates}"])) for rates in ("estimated, per bit", "constant"))
    peaked = mean_of["third", "peaked"]
    yield from (short(float(peaked[f"paper: {rates}"])) for rates in ("constant .12", "estimated, for clusters"))
    assert 0 < float(fourth["default: constant .12"]) - float(fourth["default: estimated, per bit"]) < 0.001
    yield from (of_sets(f"default: {rates}")[2] for rates in ("none", "estimated, per bit", "constant"))


def rates_of_brussels() -> Iterator[str]:
    table = rows("rates_brussels.csv")
    for column in ("all", "circuit_and_counts", "counts_only"):
        yield short(float(np.mean([abs(float(row[column]) - float(row["published"])) for row in table])))


def intervals_of_rates() -> Iterator[str]:
    table = [row for row in rows("rates_fresh.csv") if row["rates"] == "estimate"]
    names = list(dict.fromkeys(row["set"] for row in table))
    covered, runs = (
        {(row["set"], row["part"]): float(row[key]) for row in table} for key in ("coverage_of_80", "runs")
    )

    def hits(part: str) -> float:
        return sum(round(covered[name, part] * runs[name, part]) for name in names)

    n_all, n_within = (sum(runs[name, part] for name in names) for part in ("all", "in range"))
    yield from (whole(hits("in range") / n_within), f"{n_within:.0f}")
    yield from (whole((hits("all") - hits("in range")) / (n_all - n_within)), f"{n_all - n_within:.0f}")
    yield from (whole(covered[name, "in range"]) for name in names)


def intervals_of_blends() -> Iterator[str]:
    table = {
        (row["case"], row["shots"]): row
        for row in rows("coverage.csv")
        if (row["method"], row["observable"]) == ("mixture", "parity")
    }
    ghz = table["ghz, uneven flips, 10% lost", "1000"]
    yield from (short(-float(ghz["bias"])), f"{40 * float(ghz['coverage']):.0f}")
    assert {row["trials"] for row in table.values()} == {"40"}
    yield from (f"{40 * float(table['Porter-Thomas, 8 bits', shots]['coverage']):.0f}" for shots in ("1000", "8000"))


def m3_under_twirled_measurements() -> Iterator[str]:
    table = rows("m3_twirled.csv")
    machines = list(dict.fromkeys(row["machine"] for row in table))
    for rates in ("published", "averaged"):
        yield from (
            short(float(np.mean([float(row[rates]) for row in table if row["machine"] == machine])))
            for machine in machines
        )
    yield f"{len(table) // len(machines)}"
    changes = sorted((float(row["averaged"]) - float(row["published"]), row["case"]) for row in table)
    assert [changes[0][1], changes[-1][1]] == ["bv:8", "w_state:8"]
    yield from (short(abs(change)) for change, _ in (changes[0], changes[-1]))


SENTENCES: dict[Callable[[], Iterator[str]], tuple[str, str]] = {
    a_reference_on_the_papers_suite: (
        "results.md",
        """a reference gains # (low) and # (high), ... it gains # and loses #: ... ahead of `circuit` in # runs, ...
        (family # to #) and on `adder` (# to #), and behind in #, most of all on ... (# to #).""",
    ),
    others_on_the_papers_suite: (
        "results.md",
        """it is ahead of `reference` in no run and behind in #. HAMMER ...; it is ahead in # ... and behind in #.""",
    ),
    wide_circuits_of_the_paper: (
        "results.md",
        """three quarters of the answer are the counts as they came ... Only DEM gains (.03 to # and #), ... The
        reference's counts alone (`measured`) give # and # (raw # and #)""",
    ),
    others_on_low_entropy: (
        "results.md",
        """HAMMER is ahead of `reference` in no run and behind in # of 32, DEM is ahead in one
        (`quantum_walk:3`) and behind in #, and `circuit` is ahead in one""",
    ),
    rotations_that_undo_each_other: (
        "limits.md",
        "an adder rises from # to #, a circuit of 93 Trotter steps from # to #; with a reference they rise to # and #:",
    ),
    wrong_calibrations: (
        "guides/reference.md",
        """where raw counts have #: `mitigate(run)` has # under the right calibration, # under one ... too bad, # under
        ... too good, # where ... With a reference it has #, #, # and #.""",
    ),
    study_of_references: (
        "guides/reference.md",
        """a reference recovers # % (a run without one # %, the true noise as calibration # %). If the noise were
        exactly as measured, it would recover # %: ... No noise at all would recover # %""",
    ),
    ahead_of_a_reference: (
        "guides/reference.md",
        """another method is ahead by more than .005 in # of the 54. Two are ... (1.000; the answer has # to #) ... In
        three of the others, the reference keeps at most 11 % of its shots, in two the counts alone are ahead, and in
        two the run without its reference.""",
    ),
    circuits_outside: (
        "circuit.md",
        """Under the right one it has # (Richardson-Lucy #). None of the 356 runs is harmed (worst: -#), and only one
        loses more than .002, while Richardson-Lucy harms # %. ... the mean is # under the right
        calibration and # to # under ... too bad, # % of the runs are harmed (worst: -#), under another machine's # %,
        and # % ... (worst: -#)""",
    ),
    rotations_of_all_qubits: (
        "circuit.md",
        """Under the right calibration it has #, as M3 has, and Richardson-Lucy #; it harms # % of the runs, by at most
        #. Where ... # % are harmed: ... and `mitigate(run)` is ahead ...: #, Richardson-Lucy under the measured noise
        #, M3 with the measured readout errors #. One of the 102 runs is harmed (-#).""",
    ),
    harm_by_rotations_of_all_qubits: (
        "limits.md",
        "than the calibration lists, and # % of ... under the right calibration, at most #; # % if every rate",
    ),
    records_of_brussels: (
        "circuit.md",
        "For all but `#`, the noise is far from the circuit's faults, and the answer is that of the counts alone.",
    ),
    sixty_qubits: (
        "circuit.md",
        """On 60 qubits of brisbane, ... still found under the circuit's faults (#); for ... the answer is mostly that
        of the counts alone (#).""",
    ),
    rates_in_use: (
        "rates.md",
        """on every set: #, #, # and # with the published method against #, #, # and #, and #, #, # and # with the
        default against #, #, # and #. ... both have #, on the fourth the estimate has #, the constant #. ... with the
        published method, # to #, and by less than .001 ... ahead of both, # to # and #.""",
    ),
    rates_of_brussels: (
        "rates.md",
        """the mean error is #; from circuit and counts without the stand-in calibration it is #, and from the counts
        alone #.""",
    ),
    intervals_of_rates: (
        "rates.md",
        """the intervals hold for # % of the # runs of the four sets; where it is False, for # % of #. The former are #,
        #, # and # % by set.""",
    ),
    m3_under_twirled_measurements: (
        "m3.md",
        """M3 has # and # with the published errors, and # and # with their mean, on the # circuits ... single circuits
        lose # (`bv:8`, ... or gain # (`w_state:8`,""",
    ),
    intervals_of_blends: (
        "uncertainty.md",
        """it lies # too close to the noisy value at a thousand shots, for which # of 40 intervals ... # of 40 intervals
        contain it at 1000 shots, # at 8000.""",
    ),
}
"""The page and a sentence for what tells its figures, which are # there; dots are words that do not matter."""


def figures(page: str, sentence: str) -> list[str]:
    """Find a sentence on a page, and give what stands in place of each #."""
    known = re.escape(" ".join(sentence.split())).replace(r"\#", r"(\w*\.?\w+)").replace(r"\ \.\.\.", r".*?")
    (found,) = re.finditer(known, " ".join((DOCS / page).read_text(encoding="utf-8").split()))
    return list(found.groups())


@pytest.mark.parametrize("told", SENTENCES, ids=lambda told: told.__name__)
def test_the_figures_of_a_sentence_are_those_of_its_table(told):
    assert figures(*SENTENCES[told]) == list(told())
