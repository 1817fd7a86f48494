"""Tasks on simulated machines: what a sample keeps, and the figures that the methods ask for."""

import gzip
import json
from dataclasses import fields, replace

import numpy as np
import pytest

from qcluster.bench.campaign import run
from qcluster.bench.faults import circuit_faults, effective_rate, median_error
from qcluster.bench.machines import machine_name, run_task
from qcluster.bench.records import read_records
from qcluster.bench.sample import pack_sample, unpack_sample
from qcluster.bench.store import load_samples, read_scores
from qcluster.bench.tasks import Task, parse_campaign
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.core.noise.faults import GATE
from qcluster.device.jobs import submit
from qcluster.device.machines.machine import find_machine
from qcluster.device.noise.faults import run_faults
from qcluster.device.prepare import Options, prepare
from qcluster.device.run import Run
from qcluster.errors import StorageError


def task(case="ghz:3", machine="FakeTorino", **more):
    from qcluster.bench.tasks import find_case

    given = {"shots": 600, "twirls": 2, "dd": "", "seed": 1} | more
    return Task(case=case, circuit=find_case(case).fingerprint, machine=machine, **given)


def test_machines_are_named_as_ibm_names_them():
    names = {"FakeTorino": "fake_torino", "fake_brisbane": "fake_brisbane", "ibm_torino": "ibm_torino", "aer": "aer"}
    names |= {"FakeTorino+reference": "fake_torino"}
    assert {name: machine_name(name) for name in names} == names


def test_a_sample_keeps_what_methods_ask_for():
    sample = run_task(task())
    assert sample.counts.shots == 600
    assert len(sample.run.twirl_counts) == 2
    assert sample.readout.shape == (3, 2)
    assert 0 < sample.rate < sample.expected_errors < 1
    assert hellinger_fidelity(sample.counts, sample.ideal) > 0.7
    assert sample.run.profile.n_bits == 3
    assert sample.run.calibration.backend == "fake_torino"


def test_a_run_survives_the_file(tmp_path):
    """What is read back gives the same fault patterns: the compiled circuit, its schedule and the twirls are there."""
    sample = run_task(task("qaoa:4"))
    sample = replace(sample, run=replace(sample.run, calibration_of="job"))  # as on hardware
    (tmp_path / f"{sample.run.calibration.identity}.json").write_text(sample.run.calibration.to_json())
    packed = pack_sample(sample)
    assert json.loads(gzip.decompress(packed))["run"].keys() == {one.name for one in fields(Run)} - {"counts"}
    back = unpack_sample(packed, tmp_path, sample.ideal)
    assert pack_sample(back) == packed
    assert back.run.calibration_of == "job"
    assert back.run.twirl_counts == sample.run.twirl_counts
    assert np.array_equal(back.run.flips, sample.run.flips)
    assert back.run.flips.any()
    assert back.run.profile.idle.max() > 0
    assert back.dt > 0
    there, here = (run_faults(one.run, dt=one.dt) for one in (sample, back))
    assert np.array_equal(there.masks, here.masks)
    assert np.array_equal(there.rates, here.rates)


def test_a_sample_without_the_fields_of_later_versions_is_read(tmp_path):
    sample = run_task(task())
    (tmp_path / f"{sample.run.calibration.identity}.json").write_text(sample.run.calibration.to_json())
    content = json.loads(gzip.decompress(pack_sample(sample)))
    for later in ("noiseless", "reference", "calibration_of"):
        del content["run"][later]
    back = unpack_sample(gzip.compress(json.dumps(content).encode()), tmp_path, sample.ideal)
    assert pack_sample(back) == pack_sample(sample)


@pytest.mark.parametrize(
    ("machine", "place", "value", "said"),
    [
        ("fake_torino", ("run", "noiseless"), "no", "noiseless must be true or false; got 'no'"),
        ("fake_torino", ("run", "twirl_counts"), [], "flips of the run must be 0 texts"),
        ("fake_torino", ("run", "flips", 0), "nan", "flips of the run must be 2 texts of 3 characters 0 and 1"),
        ("fake_torino", ("n_bits",), 4, "keys must have 4 bits; got .* with 3"),
        ("flips:0.05", ("known", "rate"), "0.05", "rate must be a finite number of at least 0; got '0.05'"),
        ("flips:0.05", ("known", "readout"), [["a", "b"]] * 3, "readout must be numbers"),
    ],
)
def test_a_part_of_a_sample_of_another_kind_is_refused(tmp_path, machine, place, value, said):
    sample = run_task(task(machine=machine))
    if sample.run is not None:
        (tmp_path / f"{sample.run.calibration.identity}.json").write_text(sample.run.calibration.to_json())
    content = part = json.loads(gzip.decompress(pack_sample(sample)))
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    with pytest.raises(StorageError, match=said):
        unpack_sample(gzip.compress(json.dumps(content).encode()), tmp_path, sample.ideal)


def test_a_sample_reads_no_calibration_outside_its_folder(tmp_path):
    """Its name went into the path as it was, and links were followed."""
    sample = run_task(task())
    text, identity = sample.run.calibration.to_json(), sample.run.calibration.identity
    folder, outside = tmp_path / "calibrations", tmp_path / "elsewhere.json"
    folder.mkdir()
    outside.write_text(text)
    packed = pack_sample(sample)
    named = gzip.compress(gzip.decompress(packed).replace(f'"{identity}"'.encode(), b'"../elsewhere"'))
    with pytest.raises(StorageError, match=r"named by 16 hexadecimal digits; got '\.\./elsewhere'"):
        unpack_sample(named, folder, sample.ideal)
    (folder / f"{identity}.json").symlink_to(outside)
    with pytest.raises(StorageError, match=f"{identity}.json: it is a link"):
        unpack_sample(packed, folder, sample.ideal)


@pytest.mark.parametrize("damage", ["cut", "another", "gone"])
def test_a_damaged_calibration_of_a_recorded_machine_is_read_from_it_and_written_again(tmp_path, damage):
    """It stayed as it was for ever, and no sample that names it could be scored."""
    content = {"cases": ["ghz:3"], "machines": ["FakeManila"], "shots": 100, "methods": ["identity"]}
    list(run(parse_campaign(content), tmp_path))
    (path,) = (tmp_path / "calibrations").iterdir()
    before = path.read_bytes()
    broken = {"cut": before[:50], "another": before.replace(b'"backend": "fake_manila"', b'"backend": "fake_lima"')}
    path.unlink() if damage == "gone" else path.write_bytes(broken[damage])
    assert path.read_bytes() != before if damage != "gone" else not path.exists()
    (sample,) = load_samples(tmp_path)
    assert sample.run.calibration.to_json().encode() == before
    steps = list(run(parse_campaign(content | {"cases": ["ghz:3", "bv:3"]}), tmp_path))
    assert not [step.error for step in steps if step.error]
    assert path.read_bytes() == before


@pytest.mark.parametrize("machine", ["fake_lima", "ibm_manila"])
def test_a_damaged_calibration_that_nothing_can_give_again_is_named_with_what_to_do(tmp_path, machine):
    """A recorded machine may have been updated since, and the real one has moved on."""
    sample = run_task(task(machine="FakeManila"))
    path = tmp_path / "calibrations" / f"{sample.run.calibration.identity}.json"
    path.parent.mkdir()
    path.write_text(sample.run.calibration.to_json()[:50])
    packed = pack_sample(replace(sample, machine=machine, run=replace(sample.run, backend=machine)))
    with pytest.raises(
        StorageError,
        match=f"{path.name} is damaged: its content .* {machine} cannot provide it again: restore the original file",
    ):
        unpack_sample(packed, path.parent, sample.ideal)


def test_a_damaged_calibration_of_a_real_machine_is_read_from_its_job(tmp_path):
    sample = run_task(task(machine="FakeManila"))
    folder, identity = tmp_path / "calibrations", sample.run.calibration.identity
    packed = pack_sample(replace(sample, run=replace(sample.run, backend="ibm_manila")))
    job = tmp_path / "jobs" / sample.identity
    machine = find_machine("fake_manila")
    submit(prepare([sample.run.profile.circuit], machine, Options(shots=10), 7, compiled=True), machine, job)
    assert unpack_sample(packed, folder, sample.ideal).run.calibration.identity == identity


def test_a_campaign_on_a_machine_survives_the_files(tmp_path):
    content = {"cases": ["ghz:3", "bv:3"], "machines": ["FakeTorino"], "shots": 400, "twirls": 2}
    methods = ["identity", "m3", "hammer", "qbeep", "hammr_l", "paper"]
    steps = list(run(parse_campaign({**content, "methods": methods}), tmp_path))
    assert not [step.error for step in steps if step.error]
    assert {row["status"] for row in read_scores(tmp_path)} == {"ok"}
    assert len(list((tmp_path / "calibrations").iterdir())) == 1
    first, second = load_samples(tmp_path)
    assert first.run.calibration.identity == second.run.calibration.identity
    again = run_task(task("ghz:3", shots=400, seed=0))
    assert first.counts == again.counts
    assert first.run.profile.circuit == again.run.profile.circuit
    assert first.expected_errors == pytest.approx(again.expected_errors)


def test_the_noise_that_is_predicted_is_the_noise_that_comes():
    """The chance of no fault, exp(-expected), is near the probability that stays on the ideal string."""
    sample = run_task(task("bv:4", shots=8000, twirls=8))
    right = float(sample.counts.to_probs()["1111"])
    faults = circuit_faults(sample.profile, sample.calibration)
    assert np.exp(-faults.expected) == pytest.approx(right, abs=0.08)
    assert (1 - sample.rate) ** 4 == pytest.approx(right, abs=0.08)


def test_faults_by_hand():
    from qiskit import QuantumCircuit

    from qcluster.device.circuits.profile import read_profile
    from qcluster.device.machines.calibration import Calibration

    text = json.loads(Calibration.ideal(2).to_json())
    text |= {
        "readout": {"shape": [2, 2], "values": [0.01, 0.03, 0.02, 0.06]},
        "gates_1q": ["x"],
        "errors_1q": {"shape": [1, 2], "values": [0.001, 0.002]},
        "durations_1q": {"shape": [1, 2], "values": [0.0, 0.0]},
        "couplings": [[0, 1]],
        "gates_2q": ["cz"],
        "errors_2q": {"shape": [1, 1], "values": [0.01]},
        "durations_2q": {"shape": [1, 1], "values": [0.0]},
        "dead_couplings": [False],
    }
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.cz(0, 1)
    circuit.cz(0, 1)
    circuit.measure([1, 0], [0, 1])
    calibration = Calibration.from_json(json.dumps(text))
    faults = circuit_faults(read_profile(circuit, calibration), calibration)
    assert faults.readout.tolist() == [[0.02, 0.06], [0.01, 0.03]]
    assert faults.expected == pytest.approx(0.001 + 2 * 0.01 + 0.02 + 0.04)
    assert faults.rate == pytest.approx(effective_rate(0.081, 2))


def test_bits_that_hold_no_measurement_add_no_faults():
    """They are -1 among the measured qubits, which as an index is the machine's last qubit."""
    from qiskit import QuantumCircuit

    from qcluster import execute

    found = []
    for n_bits in (2, 5):
        circuit = QuantumCircuit(2, n_bits)
        circuit.h(0)
        circuit.cx(0, 1)
        circuit.measure([0, 1], [0, 1])
        (run,) = execute([circuit], "fake_torino", shots=10, seed=1)
        found.append(circuit_faults(run.profile, run.calibration))
    two, five = found
    assert five.readout.tolist() == [*two.readout.tolist(), [0, 0], [0, 0], [0, 0]]
    assert (five.expected, five.rate, five.bit_errors) == (two.expected, two.rate, two.bit_errors)


def test_the_closed_form_of_the_rate():
    assert effective_rate(0.0, 5) == 0.0
    assert effective_rate(1e9, 5) == 0.499
    assert effective_rate(0.3, 0) == 0.0
    rates = [effective_rate(x, 8) for x in np.linspace(0, 5, 30)]
    assert (np.diff(rates) > 0).all()
    assert median_error(np.array([0.1, np.nan, 1.0, 0.3])) == pytest.approx(0.2)
    assert median_error(np.array([1.0])) == 0.0


def test_snapshots_fill_in_what_a_record_lacks(tmp_path):
    record = {"id": "q", "machine": "ibm_torino", "family": "FC", "p": 3, "counts": {"00000": 9, "10101": 1}}
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(record) + "\n")
    (plain,) = read_records(path)
    (filled,) = read_records(path, snapshots=True)
    assert plain.readout is None
    assert filled.readout.shape == (5, 2)
    assert 0.2 < filled.expected_errors < 1.0
    circuit = (
        'OPENQASM 3.0;\ninclude "stdgates.inc";\nbit[2] c;\nx $5;\ncz $5, $6;\nc[0] = measure $6;\nc[1] = measure $5;\n'
    )
    path.write_text(json.dumps({**record, "counts": {"00": 1}, "transpiled_openqasm3": circuit}) + "\n")
    (exact,) = read_records(path, snapshots=True)
    assert not np.array_equal(exact.readout[0], exact.readout[1])
    path.write_text(json.dumps({**record, "machine": "ibm_nowhere"}) + "\n")
    (unknown,) = read_records(path, snapshots=True)
    assert unknown.readout is None


PHYSICAL = """OPENQASM 3.0;
include "stdgates.inc";
gate rzx(p0) a, b { h b; cx a, b; rz(p0) b; cx a, b; h b; }
gate ecr a, b { rzx(pi/4) a, b; x a; rzx(-pi/4) a, b; }
bit[2] c;
sx $63;
ecr $63, $62;
c[0] = measure $63;
c[1] = measure $62;
"""


def test_a_recorded_circuit_is_a_run(tmp_path):
    """On its own qubits, with the machine's own gate, so that the faults of its circuit are known."""
    record = {"id": "q", "machine": "ibm_brussels", "counts": {"00": 45, "01": 3, "10": 2, "11": 50}}
    path = tmp_path / "r.jsonl"
    told = [{**record, "transpiled_openqasm3": PHYSICAL, **more} for more in ({}, {"measure_twirl": False})]
    path.write_text("".join(json.dumps(line) + "\n" for line in told))
    twirled, plain = read_records(path, snapshots=True)
    assert plain.run.profile.measured.tolist() == [63, 62]
    assert plain.run.profile.gates == {("sx", (63,)): 1, ("ecr", (63, 62)): 1}
    faults, even = run_faults(plain.run), run_faults(twirled.run)
    calibrated = plain.run.calibration.readout[[63, 62]]
    assert (faults.readout >= calibrated - 1e-12).all()  # the decay before the measurement comes on top
    assert not np.allclose(faults.readout[:, 0], faults.readout[:, 1])
    assert np.array_equal(even.readout[:, 0], even.readout[:, 1])
    assert set(faults.masks[faults.kind == GATE].ravel().tolist()) == {1, 2, 3}


def test_the_flips_of_qbeep_are_its_authors_formula():
    """On equal gates and qubits: gates + readout + n (exp(-T1/t) + exp(-T2/t)), t the length of the circuit."""
    run = run_task(task("ghz:4")).run
    n, length = run.calibration.n_qubits, run.profile.duration
    even = replace(
        run.calibration,
        t1=np.full(n, 2 * length),
        t2=np.full(n, length),
        readout=np.full((n, 2), 0.03),
        errors_1q=np.full_like(run.calibration.errors_1q, 0.001),
        errors_2q=np.full_like(run.calibration.errors_2q, 0.01),
    )
    two = run.profile.n_two_qubit
    one = sum(run.profile.counts_by_kind.values()) - two
    expected = 0.01 * two + 0.001 * one + 4 * 0.03 + 4 * (np.exp(-2) + np.exp(-1))
    assert circuit_faults(run.profile, even).bit_errors == pytest.approx(expected)


def test_a_campaign_runs_reference_circuits_and_keeps_what_they_measured(tmp_path):
    content = {"cases": ["ghz:3"], "machines": ["FakeTorino", "FakeTorino+reference"], "shots": 800, "twirls": 2}
    methods = ["identity", "circuit", "measured", "dem", "reference"]
    steps = list(run(parse_campaign({**content, "methods": methods}), tmp_path))
    assert not [step.error for step in steps if step.error]
    status = {(row["machine"], row["method"]): row["status"] for row in read_scores(tmp_path)}
    assert {status["FakeTorino+reference", name] for name in methods} == {"ok"}
    assert [status["FakeTorino", name] for name in methods] == ["ok", "ok", *["skipped"] * 3]
    plain, served = load_samples(tmp_path)
    assert plain.run.reference is None
    fresh = run_task(task("ghz:3", "FakeTorino+reference", shots=800, seed=0))
    back, made = served.run.reference, fresh.run.reference
    assert (back.counts, back.expected, back.skeleton) == (made.counts, made.expected, made.skeleton)
    assert back.profile.circuit == made.profile.circuit
    assert back.calibration.identity == made.calibration.identity
    assert np.array_equal(back.learned.factors, made.learned.factors)
    assert served.counts == plain.counts == fresh.counts


def test_shots_of_0_1_0_are_scored_by_what_they_hold(tmp_path):
    """They had the figures that follow from a run in the place of the run."""
    sample = run_task(task("ghz:3"))
    content = json.loads(gzip.decompress(pack_sample(sample)))
    content |= {"readout": sample.readout.tolist(), "expected_errors": sample.expected_errors, "rate": sample.rate}
    content |= {"profile": sample.run.profile.to_json(), "calibration": sample.run.calibration.identity}
    for name in ("known", "run", "dt"):
        del content[name]
    old = gzip.compress(json.dumps(content).encode())
    back = unpack_sample(old, tmp_path, sample.ideal)
    assert (back.run, back.dt, back.rate, back.expected_errors) == (None, None, sample.rate, sample.expected_errors)
    assert np.array_equal(back.readout, sample.readout)
    assert back.counts == sample.counts
    del content["rate"]
    with pytest.raises(StorageError, match="no saved sample: 'rate'"):
        unpack_sample(gzip.compress(json.dumps(content).encode()), tmp_path, sample.ideal)
