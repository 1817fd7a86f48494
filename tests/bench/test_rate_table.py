import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from qcluster.bench.circuits import make_case
from qcluster.bench.rate_plan import CASES, MACHINES, PEAKED, SCALES, SPREAD, Job, plan
from qcluster.bench.rate_runs import (
    DRAWN,
    DRAWN_BITS,
    DRIFT,
    STRENGTHS,
    _region,
    drifted,
    redrawn,
    scaled,
    simulate_runs,
)
from qcluster.bench.rate_table import add_runs, build, simulate_job
from qcluster.bench.sample import Sample
from qcluster.core.counts.distribution import Distribution
from qcluster.device import read_profile
from qcluster.learn.features import NAMES
from qcluster.learn.kernels import kernel_features
from qcluster.learn.label import effective_rate
from qcluster.learn.table import read_table

MARK = ("circuit", "machine", "layout", "seed")
SMALL = [Job("ghz:3", "fake_mumbai", 0, 2, 512, 5), Job("bv:3", "fake_mumbai", 17, 1, 512, 6)]


def calibration():
    from qcluster.device.machines.machine import find_machine

    return find_machine("fake_mumbai").calibration


def test_the_plan_covers_machines_and_cases_early_and_repeats_itself():
    jobs = plan()
    assert jobs == plan()
    assert plan(seed=1) != jobs
    assert len({job.mark for job in jobs}) == len(jobs) == 4 * len(CASES)
    early = jobs[: len(jobs) // 4]
    assert {job.machine for job in early} == {name for group in MACHINES.values() for name in group}
    assert len({job.case for job in early}) > 0.6 * len(CASES)


def test_a_job_asks_for_rows_that_can_be_made():
    for rows, shots, said in (
        (7, 100, "rows .* 1 to 6; got 7"),
        (0, 100, "rows"),
        (1, 0, "shots .* at least 1; got 0"),
    ):
        with pytest.raises(ValueError, match=said):
            Job("ghz:3", "fake_mumbai", 0, rows, shots, 5)
    with pytest.raises(ValueError, match="rows"):
        plan(rows=7)


def test_spread_circuits_are_spread_and_peaked_ones_are_not():
    assert all(make_case(name).ideal_entropy > 0.6 for name in SPREAD)
    assert all(make_case(name).ideal_entropy <= 0.6 for name in PEAKED)


def test_noise_scales_and_drifts():
    known = calibration()
    twice = scaled(known, 2.0)
    alive = known.errors_2q < 0.3
    assert np.allclose(twice.errors_2q[alive], 2 * known.errors_2q[alive])
    assert np.allclose(twice.t1, known.t1 / 2)
    moved = drifted(known, np.random.default_rng(0))
    assert (moved.t2 <= 2 * moved.t1 + 1e-12).all()
    assert not np.allclose(moved.readout, known.readout)
    assert (known.readout == calibration().readout).all()


def test_drift_has_the_medians_that_are_declared():
    known, rng = calibration(), np.random.default_rng(1)
    moved = [drifted(known, rng) for _ in range(400)]
    alive = known.errors_2q < 0.1
    for name, pick in (("t1", slice(None)), ("readout", slice(None)), ("errors_2q", alive)):
        old = getattr(known, name)[pick]
        ratios = np.stack([getattr(new, name)[pick] for new in moved]) / old
        assert np.median(ratios) == pytest.approx(DRIFT[name][0], rel=0.1), name


def test_the_shipped_table_is_the_plan_s():
    """Rows with a kernel tell where they come from, and the job that made them is in the plan, once; so do drawn."""
    whole, jobs = read_table(), {job.mark for job in plan()}
    known = whole[~np.isnan(whole.features[:, NAMES.index("kernel_rate")])]
    drawn = known.facts["drawn"] != ""
    table, other = known[~drawn], known[drawn]
    assert len(other) > 400
    assert set(zip(*(other.facts[n].tolist() for n in MARK), strict=True)) <= jobs
    assert np.isnan(other.features[:, [NAMES.index(name) for name in ("answer_rate", "esp")]]).all()
    facts = table.facts
    assert len(table) > 400
    assert all((facts[name] != "").all() for name in facts if name != "drawn")
    assert set(facts["drift"]) == {"0", "1"}
    assert set(whole.facts["drift"]) == {"0", "1"}
    marks = list(zip(*(facts[name].tolist() for name in MARK), strict=True))
    assert set(marks) <= jobs
    rows = {(*mark, scale) for mark, scale in zip(marks, facts["scale"].tolist(), strict=True)}
    assert len(rows) == len(table)


@pytest.mark.slow
def test_a_shipped_row_can_be_made_again():
    table = read_table()
    table = table[table.facts["drawn"] == ""]
    known = dict(zip(zip(*(table.facts[n].tolist() for n in ("circuit", "machine", "layout", "seed", "scale")),
                         strict=True), table.rates.tolist(), strict=True))  # fmt: skip
    job = next(job for job in plan() if job.case == "ghz:9" and (*job.mark, "1.0") in known)
    for row in simulate_job(job)[:: 1 + DRAWN]:
        assert float(str(row["rate"])) == pytest.approx(known[(*job.mark, str(row["scale"]))], abs=0.02)


def test_other_outputs_are_drawn_through_the_noise_of_a_circuit():
    """Without noise the counts of a drawn output are of its own strings; the same seed draws the same."""
    run = next(simulate_runs(Job("ghz:4", "fake_mumbai", 0, 1, 512, 5)))
    quiet = run._replace(calibration=scaled(run.calibration, 1e-9))
    found = [pair for seed in range(8) for pair in redrawn(quiet, (seed,))]
    assert len(found) == 8 * DRAWN
    kinds = [kind for kind, _ in found]
    assert len(set(kinds)) > 5
    for kind, other in found:
        assert set(other.counts.to_counts()) <= set(other.case.ideal.to_probs())
        assert (other.case.ideal == run.case.ideal) == (kind == "own")
        assert STRENGTHS[0] <= other.scale / run.scale <= STRENGTHS[1]
        assert other.drift == (other.hidden is not other.faults)
        assert other.faults.rotations == (run.faults.rotations if kind == "own" else None)
        assert (other.faults.last_rotations is not None) == (kind == "own")
    once, twice = ([other.counts.to_counts() for _, other in redrawn(run, (5,))] for _ in range(2))
    assert once == twice
    assert not list(redrawn(run._replace(faults=None), (0,)))
    wide = Distribution(np.zeros((1, DRAWN_BITS + 1), bool), np.ones(1))
    assert not list(redrawn(run._replace(counts=wide), (0,)))


def test_stronger_noise_of_a_drawn_output_is_told_and_made():
    run = next(simulate_runs(Job("ghz:4", "fake_mumbai", 0, 1, 512, 5)))
    others = [other for seed in range(6) for _, other in redrawn(run, (seed,))]
    faults, scales = (
        np.array(found) for found in zip(*((o.faults.expected_faults, o.scale) for o in others), strict=True)
    )
    assert np.corrcoef(faults, scales)[0, 1] > 0.95
    steady = [other for other in others if not other.drift and max(other.case.ideal.probabilities) > 0.9]
    assert steady
    for other in steady:
        assert effective_rate(other.counts, other.case.ideal) == pytest.approx(
            kernel_features(other.counts, other.faults)["kernel_flip"], abs=0.05
        )


def test_regions_are_connected_and_live():
    from qcluster.device.machines.machine import find_machine

    machine = find_machine("fake_mumbai")
    pairs = {tuple(sorted(pair)) for pair in machine.calibration.couplings.tolist()}
    for layout in range(1, 6):
        region = _region(machine, 7, layout)
        assert len(set(region)) == 7
        assert all(any(tuple(sorted((q, other))) in pairs for other in region[:i]) for i, q in enumerate(region) if i)


@pytest.mark.slow
def test_rows_make_sense_and_repeat_themselves():
    rows = simulate_job(Job("ghz:4", "fake_mumbai", 0, 3, 4096, 11))
    assert rows == simulate_job(Job("ghz:4", "fake_mumbai", 0, 3, 4096, 11))
    assert len(rows) == 3 * (1 + DRAWN)
    by_scale = {row["scale"]: float(row["rate"]) for row in rows if not row["drawn"]}
    assert set(by_scale) == set(SCALES)
    assert by_scale[0.5] < by_scale[2.0]
    assert all((float(row["idle_loss"]) > 0) if not row["drawn"] else row["idle_loss"] == "" for row in rows)


@pytest.mark.slow
def test_a_build_goes_on_where_it_stopped(tmp_path):
    steps = build(SMALL, tmp_path)
    next(steps), next(steps)
    steps.close()
    with (tmp_path / "rates.csv").open("a") as stream:
        stream.write("torn,li")
    again = list(build(SMALL, tmp_path))
    assert [step.done for step in again] == [1, 2]
    assert len(read_table(tmp_path / "rates.csv")) == 3 * (1 + DRAWN)
    assert [step.done for step in build(SMALL, tmp_path)] == [2]


def test_a_build_goes_on_with_jobs_that_have_too_few_rows(tmp_path):
    """One that was torn between two rows, and one that asks for more rows than it did."""
    small = Job("ghz:3", "fake_mumbai", 0, 1, 512, 5)
    large = dataclasses.replace(small, rows=2)
    once, torn = tmp_path / "once" / "rates.csv", tmp_path / "torn" / "rates.csv"
    list(build([large], once.parent))
    assert [step.done for step in build([small], torn.parent)] == [0, 1]
    assert [step.done for step in build([large], torn.parent)] == [0, 1]
    assert torn.read_text() == once.read_text()
    torn.write_text("".join(once.read_text().splitlines(keepends=True)[: 2 + DRAWN // 2]))
    assert [step.done for step in build([large], torn.parent)] == [0, 1]
    assert torn.read_text() == once.read_text()
    assert [step.done for step in build([small], torn.parent)] == [1]


def test_a_build_makes_the_rows_again_that_were_torn_from_the_last_job(tmp_path):
    job = Job("ghz:3", "fake_mumbai", 0, 1, 512, 5)
    list(build([job], tmp_path))
    path = tmp_path / "rates.csv"
    whole = path.read_text()
    path.write_text("".join(whole.splitlines(keepends=True)[:5])[:-3])
    assert [step.done for step in build([job], tmp_path)] == [0, 1]
    assert path.read_text() == whole
    with pytest.raises(
        ValueError, match=r"rows of ghz:3 on fake_mumbai, layout 0 in .* 1024 shots; got 512: name another"
    ):
        list(build([dataclasses.replace(job, shots=1024)], tmp_path))
    assert path.read_text() == whole


def test_jobs_that_would_make_the_same_rows_are_refused(tmp_path):
    job = Job("ghz:3", "fake_mumbai", 0, 1, 512, 5)
    with pytest.raises(ValueError, match=r"jobs must differ .*; got ghz:3, fake_mumbai, 0, 5 2 times"):
        list(build([job, dataclasses.replace(job, shots=1024)], tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert [step.done for step in build([], tmp_path)] == [0]


@pytest.mark.slow
def test_a_failing_job_is_reported_and_the_others_go_on(tmp_path):
    steps = list(build([Job("ghz:3", "fake_nowhere", 0, 1, 100, 1), SMALL[1]], tmp_path))
    assert [bool(step.error) for step in steps] == [False, True, False]
    assert steps[-1].done == 1


@pytest.mark.slow
def test_workers_give_the_same_rows(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    list(build(SMALL, one))
    list(build(SMALL, two, workers=2))
    lines = [sorted((folder / "rates.csv").read_text().splitlines()) for folder in (one, two)]
    assert lines[0] == lines[1]


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_rows(tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        list(build(SMALL, tmp_path / "dask", dask=cluster.scheduler_address))
    list(build(SMALL, tmp_path / "here"))
    lines = [sorted((tmp_path / name / "rates.csv").read_text().splitlines()) for name in ("dask", "here")]
    assert lines[0] == lines[1]


def test_a_row_has_what_is_known_where_a_run_is_estimated(tmp_path):
    """A simulator that publishes no error is one of which nothing is known, and not one without errors."""
    from qcluster.bench.campaign import run
    from qcluster.bench.tasks import Campaign

    list(run(Campaign("toy", ("ghz:3",), ("aer",), shots=(300,), methods=("identity",)), tmp_path / "toy"))
    assert add_runs(tmp_path / "toy", tmp_path / "mine.csv") == (1, 1, 0)
    row = dict(zip(NAMES, read_table(tmp_path / "mine.csv").features[0], strict=True))
    assert row["n_qubits"] == 3
    assert np.isnan([row["esp"], row["readout_mean"]]).all()


@pytest.mark.parametrize("spare", [0, 2])
def test_the_label_is_of_the_bits_that_are_measured(tmp_path, monkeypatch, spare):
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, 2 + spare)
    circuit.measure([0, 1], [0, 1])
    run = SimpleNamespace(profile=read_profile(circuit, calibration()), calibration=calibration(), faults=None)
    counts, ideal = ({"0" * spare + key: n for key, n in one.items()} for one in ({"00": 81, "01": 19}, {"00": 1}))
    silent = SimpleNamespace(**vars(run) | {"profile": read_profile(QuantumCircuit(2, 2 + spare))})
    samples = [
        Sample(name, "idle", "idle", "fake_mumbai", Distribution.of(counts), Distribution.of(ideal), run=one)
        for name, one in (("a", run), ("b", silent))
    ]
    monkeypatch.setattr("qcluster.bench.store.load_samples", lambda folder: samples)
    monkeypatch.setattr("qcluster.bench.rate_table.read_tasks", lambda folder: samples)
    assert add_runs(tmp_path, tmp_path / "mine.csv") == (1, 1, 1)
    table = read_table(tmp_path / "mine.csv")
    assert table.rates[0] == pytest.approx(0.1)
    assert table.features[0, NAMES.index("n_measured")] == 2


def test_your_campaigns_become_rows(tmp_path):
    from qcluster.bench.campaign import run
    from qcluster.bench.tasks import Campaign

    list(
        run(Campaign("toy", ("ghz:3", "bv:4"), ("flips:0.1",), shots=(20000,), methods=("identity",)), tmp_path / "toy")
    )
    assert add_runs(tmp_path / "toy", tmp_path / "mine.csv") == (2, 2, 0)
    assert add_runs(tmp_path / "toy", tmp_path / "mine.csv") == (0, 0, 2)
    table = read_table(tmp_path / "mine.csv")
    assert table.facts["circuit"].tolist() == ["ghz:3", "bv:4"]
    assert np.allclose(table.rates, 0.1, atol=0.01)


def test_a_circuit_of_a_file_is_a_family_of_its_own(tmp_path):
    """All of them were one family, and a table of nothing else could not be fitted."""
    from qiskit import qasm2

    from qcluster.bench.campaign import run
    from qcluster.bench.tasks import parse_campaign

    for name in ("ghz:2", "bv:2"):
        (tmp_path / f"{name[:-2]}.qasm").write_text(qasm2.dumps(make_case(name).circuit))
    plan = {"files": ["ghz.qasm", "bv.qasm"], "machines": "flips:0.1", "shots": 500, "methods": "identity"}
    list(run(parse_campaign(plan, tmp_path), tmp_path / "toy"))
    add_runs(tmp_path / "toy", tmp_path / "mine.csv")
    table = read_table(tmp_path / "mine.csv")
    assert table.groups.tolist() == [f"file:{tmp_path / name}.qasm#0" for name in ("ghz", "bv")]


def test_a_task_that_was_run_again_is_another_run(tmp_path, monkeypatch):
    """The same campaign on the same machine, a week later: no run of it was added."""
    ideal = Distribution.of({"00": 1})
    one, other = (
        Sample("a", "idle", "idle", "ibm_torino", Distribution.of({"00": 90, "01": n, "11": 10 - n}), ideal)
        for n in (10, 4)
    )
    monkeypatch.setattr("qcluster.bench.rate_table.read_tasks", lambda folder: [one])
    for sample, wanted in ((one, (1, 1, 0)), (other, (1, 1, 0)), (one, (0, 0, 1)), (other, (0, 0, 1))):
        monkeypatch.setattr("qcluster.bench.store.load_samples", lambda folder, sample=sample: [sample])
        assert add_runs(tmp_path, tmp_path / "mine.csv") == wanted
