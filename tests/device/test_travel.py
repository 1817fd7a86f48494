"""Runs and answers travel: to other processes, into copies, and into files."""

import copy
import dataclasses
import json
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from qiskit import transpile
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder

import qcluster as qc
from qcluster.files import read_counts

WAYS = {"pickle": lambda it: pickle.loads(pickle.dumps(it)), "copy": copy.copy, "deepcopy": copy.deepcopy}


@pytest.fixture(scope="module")
def run(ghz):
    (made,) = qc.execute([ghz(3)], "fake_manila", shots=500, twirls=4, seed=1)
    return made


@pytest.fixture(scope="module")
def answers(run):
    dense = qc.Distribution(np.random.default_rng(0).random((4000, 5)) < 0.5, np.ones(4000))
    return {
        "circuit": qc.mitigate(run),
        "mixture": qc.mitigate(run.counts),
        "bare": qc.mitigate(run.counts, guard=False),
        "paper": qc.mitigate(run.counts, 0.05, method="paper"),
        "dense": qc.mitigate(dense),
    }


def arrays(record):
    values = [getattr(record, field.name) for field in dataclasses.fields(record)]
    return [value for value in values if isinstance(value, np.ndarray)]


@pytest.mark.parametrize("way", WAYS)
def test_a_run_travels_whole(run, way):
    again = WAYS[way](run)
    assert again.to_json() == run.to_json()
    assert again.profile.gates == run.profile.gates
    assert qc.mitigate(again) == qc.mitigate(run)
    for part in (again, again.counts, again.profile, again.calibration, again.faults):
        assert arrays(part)
        assert not any(array.flags.writeable for array in arrays(part))
    with pytest.raises(TypeError):
        again.profile.gates["x", (0,)] = 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["circuit", "mixture", "bare", "paper", "dense"])
def test_an_answer_travels_with_its_intervals(answers, way, name):
    fixed = answers[name]
    again = WAYS[way](fixed)
    assert again == fixed
    assert again.interval("Z" * fixed.raw.n_bits) == fixed.interval("Z" * fixed.raw.n_bits)
    assert not any(array.flags.writeable for array in arrays(again))


def test_answers_differ_where_anything_does(answers):
    different = list(answers.values())
    assert all((one == other) == (one is other) for one in different for other in different)
    assert answers["circuit"] != "circuit"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_runs_are_mitigated_in_a_pool_of_processes(run, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        assert list(pool.map(qc.mitigate, [run, run.counts])) == [qc.mitigate(run), qc.mitigate(run.counts)]


def test_a_run_comes_back_from_json(run):
    again = qc.Run.from_json(run.to_json())
    assert again.counts == run.counts
    assert again.twirl_counts == run.twirl_counts
    assert qc.mitigate(again) == qc.mitigate(run)
    for text, said in (
        ("{}", "expected a qcluster-run"),
        (run.to_json().replace('"version": 1', '"version": 99', 1), "newer than this qcluster"),
        (json.dumps({k: v for k, v in json.loads(run.to_json()).items() if k != "seed"}), "must have 'seed'"),
        (json.dumps(json.loads(run.to_json()) | {"flips": ["0"]}), "flips of the run must be 4 texts of 3 characters"),
    ):
        with pytest.raises(ValueError, match=said):
            qc.Run.from_json(text)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("noiseless",), "no", "noiseless must be true or false; got 'no'"),
        (("approximate",), 0, "approximate must be true or false; got 0"),
        (("seed",), True, "seed must be a whole number; got True"),
        (("backend",), None, "backend must be a text; got None"),
        (("notes",), "slow", "notes must be a list of texts; got 'slow'"),
        (("versions",), {"qiskit": 2}, "versions must be an object of texts"),
        (("options",), None, "options must be an object; got None"),
        (("options", "runtime"), None, "runtime of the options must be an object of objects; got None"),
        (("options", "runtime"), {"twirling": 1}, "runtime of the options must be an object of objects"),
        (("profile", "n_qubits"), "5", "n_qubits must be a whole number; got '5'"),
        (("profile", "duration"), None, "duration must be a number; got None"),
        (("profile", "mid_circuit", 0), "false", "mid_circuit must be true and false"),
        (("profile", "measured", 0), 0.5, "measured must be whole numbers"),
        (("profile", "measured", 0), 9, r"qubits of a profile must lie in 0\.\.4; got 9"),
        (("profile", "idle"), [0.0], r"idle of a profile must have shape \(5,\); got \(1,\)"),
        (("profile", "gates", 0, 1), ["0"], r"qubits of a profile must lie in 0\.\.4; got '0'"),
        (("profile", "gates", 0, 2), "many", "gates must be triples of a name, qubits and a number"),
        (("calibration", "date"), 2026, "date must be a text; got 2026"),
        (("calibration", "gates_1q", 0), None, "gates_1q must be a list of texts"),
        (("calibration", "dead_qubits", 0), "false", "dead_qubits must be true and false"),
        (("calibration", "couplings", 0), [0.9, 1], "couplings must be whole numbers"),
        (("calibration", "t1", "values", 0), "1e-4", "a part of the qcluster-calibration is not what it should be"),
    ],
)
def test_a_part_of_another_kind_is_refused_as_it_is_read(run, place, value, said):
    """Texts counted as true, fractions were cut off, and what was not looked at failed where it was used."""
    content = part = json.loads(run.to_json())
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    with pytest.raises(ValueError, match=said):
        qc.Run.from_json(json.dumps(content))


def test_a_run_without_shots_comes_back_from_json(run):
    none = qc.Distribution(np.zeros((0, 3), dtype=bool), np.zeros(0))
    empty = dataclasses.replace(run, counts=none, twirl_counts=(none,) * 4)
    assert qc.Run.from_json(empty.to_json()).twirl_counts == empty.twirl_counts


def test_results_of_the_sampler_are_saved_by_the_runtimes_encoder(ghz, tmp_path):
    from qiskit.circuit import Parameter, QuantumCircuit

    turned, angle = QuantumCircuit(1), Parameter("a")
    turned.rx(angle, 0)
    turned.measure_all()
    sampler = qc.MitigatedSampler("fake_manila", twirls=2, seed=1)
    result = sampler.run([ghz(3), (turned, [[0.0], [3.14]])], shots=100).result()
    path = tmp_path / "result.json"
    path.write_text(json.dumps(result, cls=RuntimeEncoder))
    again = json.loads(path.read_text(), cls=RuntimeDecoder)
    assert again[0].data.meas == result[0].data.meas
    fixed, run = (result[0].metadata[name].item() for name in ("mitigations", "runs"))
    assert json.loads(again[0].metadata["mitigations"].item()) == json.loads(fixed.to_json())
    assert qc.mitigate(qc.Run.from_json(again[0].metadata["runs"].item())) == fixed
    assert run.shots == 100
    assert again[1].metadata["mitigations"].shape == result[1].metadata["mitigations"].shape == (2,)
    assert read_counts(str(path), pub=0) == qc.Distribution.of(result[0])
    for way in WAYS.values():
        assert way(result)[0].metadata["mitigations"].item() == fixed


def test_pubs_of_the_runtimes_sampler_are_saved_by_its_encoder(ghz, tmp_path):
    """A whole result is not: its metadata hold an object that the encoder refuses."""
    from qiskit_ibm_runtime.executor_sampler import Sampler
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    result = Sampler(mode=FakeManilaV2()).run([transpile(ghz(3), FakeManilaV2())], shots=50).result()
    path = tmp_path / "result.json"
    path.write_text(json.dumps(list(result), cls=RuntimeEncoder))
    assert read_counts(str(path)) == qc.Distribution.of(result)


def test_counts_are_written_as_json_that_is_read_again(run, tmp_path):
    (tmp_path / "counts.json").write_text(run.counts.to_json())
    assert read_counts(str(tmp_path / "counts.json")) == run.counts


def test_joblib_keeps_answers_where_qiskit_was_imported_first(tmp_path):
    """Qiskit imports dill, with which joblib fails on methods of classes."""
    program = f"""
import dill, joblib, qcluster
fixed = qcluster.mitigate({{"00": 500, "01": 30, "11": 470}})
joblib.dump(fixed, {str(tmp_path / "fixed")!r})
assert joblib.load({str(tmp_path / "fixed")!r}) == fixed
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
