import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from qiskit import QuantumCircuit, qasm2, qpy
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult
from typer.testing import CliRunner

from qcluster import execute, mitigate
from qcluster.cli.jobs import jobs_app
from qcluster.cli.main import app
from qcluster.core.counts.distribution import Distribution
from qcluster.device import jobs
from qcluster.device.circuits.files import read_circuits
from qcluster.errors import StorageError
from qcluster.files import read_counts, read_reference

PANIC = "qreg q[99999999999999999999];"
"""Where a size does not fit a machine word, Qiskit's parser does not raise: it panics."""


@pytest.fixture
def bell(tmp_path):
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    path = tmp_path / "bell.qasm"
    qasm2.dump(circuit, path)
    return path


def run(*words):
    result = CliRunner().invoke(jobs_app, [str(word) for word in words], env={"COLUMNS": "120"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_submit_status_collect(bell, tmp_path):
    folder = tmp_path / "run"
    output = run("submit", bell, "-d", folder, "--backend", "fake_manila", "--shots", 300, "--twirls", 2, "--seed", 7)
    assert "DONE" in output
    assert "qcluster jobs collect" in output
    assert "DONE" in run("status", folder)
    output = run("collect", folder, "--json", tmp_path / "out.json")
    assert "Run('bell' on fake_manila, 300 shots, 2 twirls, density_matrix)" in output
    counts = read_counts(str(tmp_path / "out.json"))
    assert counts.shots == 300
    assert sum(counts.to_probs()[key] for key in ("00", "11")) > 0.8


def test_fetch(tmp_path, monkeypatch):
    monkeypatch.setattr(
        jobs, "fetch", lambda job_id, as_read: [{"00": 3, "11": 1}] if (job_id, as_read) == ("abc", False) else None
    )
    assert "00  0.7500" in run("fetch", "abc", "--json", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == {"counts": {"00": 3, "11": 1}}


def test_a_sweep_is_fetched_with_its_parameter_sets(tmp_path, monkeypatch):
    """Its shots were pooled, in the file too, without a word."""
    sweep = BitArray.from_samples(["00", "01", "11", "11"]).reshape(2, 2)
    data = DataBin(c=BitArray.from_samples(["0", "1"])), DataBin(c=sweep, shape=(2,))
    pubs = [SamplerPubResult(one) for one in data]
    monkeypatch.setattr(jobs, "fetch", lambda job_id, as_read: PrimitiveResult(pubs))
    result = CliRunner().invoke(app, ["jobs", "fetch", "abc", "--json", str(tmp_path / "out.json")])
    assert result.stderr == "note: the shots of 2 parameter sets are pooled (PUB 1)\n"
    assert read_counts(str(tmp_path / "out.json"), 0).to_counts() == {"0": 1, "1": 1}
    for point, counts in ((0, {"00": 0.5, "01": 0.5}), (1, {"11": 1.0})):
        words = ["mitigate", str(tmp_path / "out.json"), "--pub", "1", "--point", str(point), "--json", "-"]
        assert json.loads(CliRunner().invoke(app, words).stdout)["raw"] == counts


def test_circuits_from_files(bell, tmp_path):
    assert read_circuits(bell)[0].name == "bell"
    (tmp_path / "three.qasm").write_text(
        'OPENQASM 3.0; include "stdgates.inc"; bit[1] c; qubit[1] q; x q[0]; c = measure q;'
    )
    assert read_circuits(tmp_path / "three.qasm")[0].count_ops() == {"x": 1, "measure": 1}
    with open(tmp_path / "two.qpy", "wb") as file:
        qpy.dump([QuantumCircuit(1), QuantumCircuit(2)], file)
    assert [c.num_qubits for c in read_circuits(tmp_path / "two.qpy")] == [1, 2]
    two = "OPENQASM 2.0; "
    for name, text in (
        ("a.qasm", "no"),
        ("b.qasm", two + "no"),
        ("c.qpy", "no"),
        ("d.json", "{}"),
        ("e.qasm", two + PANIC),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(StorageError, match="cannot read circuits from"):
            read_circuits(tmp_path / name)
    with pytest.raises(StorageError, match=r"cannot read circuits from .*missing.qasm: No such file"):
        read_circuits(tmp_path / "missing.qasm")
    for name in ("empty.qasm", "empty.qpy"):
        (tmp_path / name).touch()
        with pytest.raises(StorageError, match=f"cannot read circuits from .*{name}: it is empty"):
            read_circuits(tmp_path / name)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
def test_a_killed_command_is_resumed(bell, tmp_path):
    """kill -9 at a random moment of a real process; `collect` then gives what an undisturbed run gives."""
    code = "from qcluster.cli.jobs import jobs_app; jobs_app()"
    words = ["submit", str(bell), "--backend", "fake_manila", "--shots", "300", "--seed", "7", "-d"]
    subprocess.run([sys.executable, "-c", code, *words, str(tmp_path / "whole")], check=True, capture_output=True)
    run("collect", tmp_path / "whole", "--json", tmp_path / "whole.json")
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", code, *words, str(folder)], stdout=subprocess.DEVNULL)
    while not (folder / "request.json").exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run("collect", folder, "--json", tmp_path / "killed.json")
    assert Distribution.of(json.loads((tmp_path / "killed.json").read_text())["counts"]) == Distribution.of(
        json.loads((tmp_path / "whole.json").read_text())["counts"]
    )


def mitigated(*words):
    from qcluster.cli.main import app

    return CliRunner().invoke(app, ["mitigate", *map(str, words)], env={"COLUMNS": "200"})


def test_a_saved_run_is_mitigated_with_all_it_has(bell, tmp_path):
    folder = tmp_path / "run"
    run("submit", bell, bell, "-d", folder, "--backend", "fake_manila", "--shots", 300, "--twirls", 4, "--seed", 7)
    refused = mitigated(folder)
    assert "holds the runs of 2 circuits: choose one by --pub, 0 to 1" in str(refused.exception)
    done = mitigated(folder, "--pub", 1, "--json", tmp_path / "out.json")
    assert done.exit_code == 0, done.output
    assert "Run('bell' on fake_manila, 300 shots, 4 twirls" in done.output
    wanted = mitigate(jobs.read(folder)[1])
    assert wanted.method == "circuit", "the circuit must count, or this shows nothing"
    written = json.loads((tmp_path / "out.json").read_text())
    assert (written["method"], written["reason"]) == (wanted.method, wanted.reason)
    assert written["mitigated"] == wanted.distribution.to_probs()


def test_a_run_in_a_file_is_mitigated_as_in_python(bell, tmp_path):
    from qcluster.cli.main import app

    run("submit", bell, "-d", tmp_path / "run", "--backend", "fake_manila", "--shots", 300, "--twirls", 4, "--seed", 7,
        "--reference")  # fmt: skip
    (saved,) = jobs.read(tmp_path / "run")
    path, out = tmp_path / "run.json", tmp_path / "out.json"
    path.write_text(saved.to_json())
    done = mitigated(path, "--json", out)
    assert done.exit_code == 0, done.output
    assert "Run('bell' on fake_manila, 300 shots, 4 twirls" in done.output
    wanted, written = mitigate(saved), json.loads(out.read_text())
    assert (written["method"], written["reason"]) == (wanted.method, wanted.reason)
    assert written["mitigated"] == wanted.distribution.to_probs()
    assert json.loads(mitigated(path, "--method", "mixture", "--json", "-").stdout)["method"] == "mixture"
    rates = CliRunner().invoke(app, ["rates", str(path)])
    assert "Run('bell' on fake_manila" in rates.output, rates.output
    piped = CliRunner().invoke(app, ["mitigate", "-", "--json", "-"], input=saved.to_json())
    assert json.loads(piped.stdout)["reason"] == wanted.reason
    for words, said in (
        (("--bits", 2), "--bits would have no effect"),
        (("--point", 0), "--point would have no effect: .* is a saved run, whose parameters are bound"),
        (("--pub", 1), "run.json holds the runs of 1 circuit: choose it by --pub 0; got 1"),
    ):
        with pytest.raises(ValueError, match=said):
            raise mitigated(path, *words).exception
    document = json.loads(saved.to_json())
    for damaged, said in (
        ({**document, "version": 99}, "run.json: qcluster-run version 99 is newer"),
        ({**document, "profile": None}, "run.json: "),
    ):
        path.write_text(json.dumps(damaged))
        with pytest.raises(ValueError, match=said):
            raise mitigated(path).exception


def test_what_a_run_notes_is_printed(bell, tmp_path):
    folder = tmp_path / "run"
    asked = ("--backend", "fake_manila", "--shots", 100, "--twirls", 2, "--reference")
    run("submit", bell, "-d", folder, *asked)
    printed = run("collect", folder)
    (saved,) = jobs.read(folder)
    assert saved.notes
    for note in saved.notes:
        assert f"  note: {note}" in printed.splitlines()
        assert f"  note: {note}" in mitigated(folder).output.splitlines()


def test_what_is_no_finished_run_is_told(bell, tmp_path):
    folder = tmp_path / "run"
    run("submit", bell, "-d", folder, "--backend", "fake_manila", "--shots", 100, "--twirls", 4, "--seed", 7)
    for part in ("results/0000.json", "request.json"):
        assert f"qcluster mitigate {folder}" in str(mitigated(folder / part).exception)
    (folder / "results" / "0000.json").unlink()
    assert f"1 of 1 results are not in {folder} yet: qcluster jobs collect" in str(mitigated(folder).exception)
    said = str(mitigated(tmp_path).exception)
    assert f"cannot read {tmp_path}: it is a directory, and not that of a saved run; name one of those in it" in said


def test_a_reference_is_run_told_and_written(bell, tmp_path):
    said = run(
        "submit", bell, "-d", tmp_path / "run", "--backend", "fake_manila", "--shots", "500", "--seed", "1",
        "--reference",
    )  # fmt: skip
    assert "1 reference for 1 circuit: 500 shots (100% more), some 0.1 s on the machine" in said
    out = tmp_path / "counts.json"
    assert "MeasuredReference(fake_manila, 500 shots" in run("collect", tmp_path / "run", "--json", out)
    assert read_reference(str(out)).shots == 500
    assert read_counts(str(out)).shots == 500


def test_several_references_are_all_written_and_read(bell, tmp_path):
    """Only the first one's shots were."""
    run("submit", bell, "-d", tmp_path / "run", "--backend", "fake_manila", "--shots", "500", "--seed", "1",
        "--reference", "--references", "2")  # fmt: skip
    out, whole = tmp_path / "counts.json", tmp_path / "reference.json"
    run("collect", tmp_path / "run", "--json", out)
    (found,) = jobs.read(tmp_path / "run")
    document = json.loads(found.reference.to_json())
    (other,) = document["more"]
    assert other["expected"] == "11"
    other |= {"expected": "01", "counts": {f"{1 - int(text[0])}{text[1]}": n for text, n in other["counts"].items()}}
    whole.write_text(json.dumps(document))
    for path in (out, whole):
        noise = read_reference(str(path))
        assert (noise.shots, noise.survival) == (1000, found.reference.noise.survival)
    for more in ("two", [{"counts": {"00": 1}}], [{"counts": {"0": 1}, "expected": "0"}]):
        whole.write_text(json.dumps({**document, "more": more}))
        with pytest.raises(ValueError, match="must"):
            read_reference(str(whole))


def test_a_reference_measured_earlier_serves_jobs_submitted_later(bell, tmp_path):
    machine = ("--backend", "fake_manila", "--shots", 300, "--twirls", 2, "--seed", 7)
    run("submit", bell, "-d", tmp_path / "first", *machine, "--reference", "--references", 2)
    (before,) = jobs.read(tmp_path / "first")
    (tmp_path / "run.json").write_text(before.to_json())
    (tmp_path / "reference.json").write_text(before.reference.to_json())
    for name in ("first", "run.json", "reference.json"):
        place = tmp_path / f"later-{name}"
        words = ("submit", bell, "-d", place, *machine, "--reference-from", tmp_path / name)
        said = run(*words)
        assert "no reference runs: one that was measured earlier costs nothing" in said
        assert "note: reference measured 0.0 hours ago" in said
        assert "holds this request already: continuing it" in run(*words)
        assert "MeasuredReference(fake_manila, 600 shots" in run("collect", place)
        (later,) = jobs.read(place)
        assert later.reference.to_json() == before.reference.to_json()
        assert later.counts.shots == 300
        (alone,) = execute(read_circuits(bell), "fake_manila", shots=300, twirls=2, seed=7, reference=before.reference)
        assert (later.counts, later.notes) == (alone.counts, alone.notes)
        fixed = mitigated(place, "--json", "-")
        assert json.loads(fixed.stdout)["reason"] == mitigate(alone).reason
        assert "note: reference measured" in fixed.stderr
    run("submit", bell, "-d", tmp_path / "second", *machine, "--reference-from", tmp_path / "later-first")
    assert jobs.read(tmp_path / "second")[0].reference.to_json() == before.reference.to_json()


def twist(bell):
    """A circuit of other gates beside that of Bell."""
    path = bell.with_name("twisted.qasm")
    path.write_text(bell.read_text().replace("cx q[0],q[1];", "cx q[0],q[1]; h q[1]; cx q[1],q[0];"))
    return path


def test_each_circuit_has_the_reference_of_its_gates(bell, tmp_path):
    machine, both = ("--backend", "fake_manila", "--shots", 100, "--seed", 7), (bell, twist(bell))
    run("submit", *both, "-d", tmp_path / "first", *machine, "--reference")
    before = [one.reference.to_json() for one in jobs.read(tmp_path / "first")]
    assert len(set(before)) == 2
    for place, circuits, wanted in (("same", both, before), ("second", both[1:], before[1:])):
        words = ("submit", *circuits, "-d", tmp_path / place, *machine, "--reference-from", tmp_path / "first")
        run(*words)
        assert "continuing it" in run(*words)
        assert [one.reference.to_json() for one in jobs.read(tmp_path / place)] == wanted


def test_the_folder_of_a_run_is_taken_as_the_reference_of_counts(bell, tmp_path):
    """It was called a directory that cannot be read, while the JSON of the same run was taken."""
    machine, both = ("--backend", "fake_manila", "--shots", 400, "--seed", 7), (bell, twist(bell))
    run("submit", *both, "-d", tmp_path / "run", *machine, "--reference")
    run("submit", bell, bell, "-d", tmp_path / "shared", *machine, "--reference")
    run("submit", bell, "-d", tmp_path / "plain", *machine)
    counts = tmp_path / "counts.json"
    counts.write_text(json.dumps([{"00": 430, "11": 420, "01": 80, "10": 70}] * 2))

    def reason(*words):
        return json.loads(mitigated(counts, "--json", "-", *words).stdout)["reason"]

    for folder in ("run", "shared"):
        for i, saved in enumerate(jobs.read(tmp_path / folder)):
            wanted = mitigate(read_counts(str(counts), i), saved.reference.noise)
            assert reason("--pub", i, "--reference", tmp_path / folder) == wanted.reason
    counts.write_text('{"00": 430, "11": 420, "01": 80, "10": 70}')
    assert "the reference kept" in reason("--reference", tmp_path / "shared")
    both_runs = jobs.read(tmp_path / "run")
    several = tmp_path / "several.json"
    several.write_text(json.dumps([json.loads(one.reference.to_json()) for one in both_runs]))
    for i, saved in enumerate(both_runs):  # --pub chooses the reference alone
        wanted = mitigate(read_counts(str(counts)), saved.reference.noise).reason
        for place in (tmp_path / "run", several):
            assert reason("--pub", i, "--reference", place) == wanted
    (plain,) = jobs.read(tmp_path / "plain")
    expected = next(iter(plain.counts.top(1)))  # as of a reference circuit made by hand
    assert reason("--reference", tmp_path / "plain", "--expected", expected).count("the reference") >= 1
    for words, said in (
        ([tmp_path / "run"], "holds the runs of 2 circuits: choose one by --pub, 0 to 1; got None"),
        ([several, "--pub", 2], "several.json holds the counts of 2 PUBs: choose one by --pub, 0 to 1; got 2"),
        ([tmp_path / "shared", "--pub", 1], "counts.json holds the counts of 1 PUB: choose it by --pub 0; got 1"),
        ([tmp_path / "plain"], "plain has no reference, since its circuits ran without one; if they are references"),
        ([tmp_path], "it is a directory, and not that of a saved run; name one of those in it"),
        ([""], "a file to read must have a name; got an empty one"),  # not the folder in which the command runs
        ([tmp_path / "shared", "--expected", "0"], "expected must have the width of the reference's counts, 2 bits"),
    ):
        assert said in str(mitigated(counts, "--reference", *words).exception)


def test_a_reference_that_does_not_fit_is_refused_before_anything_is_submitted(bell, tmp_path):
    one, plain = tmp_path / "one", tmp_path / "plain"
    machine, twisted = ("--backend", "fake_manila", "--shots", 100, "--seed", 7), twist(bell)
    run("submit", bell, "-d", one, *machine, "--reference")
    run("submit", bell, "-d", plain, *machine)
    (tmp_path / "counts.json").write_text('{"00": 9}')
    for circuit, words, said in (
        (twisted, [*machine, "--reference-from", one], "the reference must have the gates of 'twisted', up to angles"),
        (bell, ["--backend", "fake_lima", "--reference-from", one], "must come from the machine that runs, fake_lima"),
        (bell, [*machine, "--reference-from", plain], "plain has no reference, .*: measure one with --reference"),
        (bell, [*machine, "--reference-from", tmp_path], "it is a directory, and not that of a saved run"),
        (bell, [*machine, "--reference-from", ""], "must name a folder or a file; got an empty name"),
        (bell, [*machine, "--reference-from", tmp_path / "counts.json"], "counts.json is none of these"),
        (bell, [*machine, "--reference-from", tmp_path / "none"], "none: No such file"),
        (
            bell,
            [*machine, "--reference-from", one, "--reference"],
            "--reference would have no effect: a reference of",
        ),
        (bell, [*machine, "--reference-from", one, "--references", 2], "--references would have no effect"),
        (bell, [*machine, "--reference-from", one, "--reference-share", 2], "--reference-share would have no effect"),
    ):
        with pytest.raises((ValueError, StorageError), match=said):
            run("submit", circuit, "-d", tmp_path / "later", *words)
        assert not (tmp_path / "later").exists()


def test_the_same_command_goes_on_with_the_same_request(bell, tmp_path):
    place = tmp_path / "run"
    words = ("submit", bell, "-d", place, "--backend", "fake_manila", "--shots", 100, "--twirls", 2, "--seed", 3)
    run(*words)
    before = (place / "request.json").read_bytes(), (place / "results" / "0000.json").read_bytes()
    assert "holds this request already: continuing it" in run(*words)
    assert before == ((place / "request.json").read_bytes(), (place / "results" / "0000.json").read_bytes())
    (place / "results" / "0000.json").unlink()
    run(*words)
    assert (place / "results" / "0000.json").read_bytes() == before[1], "the same simulation again"
    result = CliRunner().invoke(jobs_app, [*map(str, words[:-1]), "4"])
    assert "holds another request already" in str(result.exception)


def test_what_execute_takes_submit_takes(bell, tmp_path):
    place, machine = tmp_path / "run", ("--backend", "fake_manila", "--seed", 7, "--shots", 400)
    run("submit", bell, "-d", place, *machine, "--twirls", 4, "--group", "balanced_pauli", "--strategy", "all",
        "--no-measure-twirl", "--reference",
        "--references", 2, "--reference-share", 0.5, "--simulation", "statevector")  # fmt: skip
    (found,) = jobs.read(place)
    asked = {
        "group": "balanced_pauli",
        "strategy": "all",
        "measure_twirl": False,
        "reference": 2,
        "reference_share": 0.5,
        "simulation": "statevector",
    }
    assert {name: found.options[name] for name in asked} == asked
    assert not found.flips.any()
    assert found.reference.counts.shots == 200
    assert found.method == "statevector"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--group", "balanced_pauli"), "--group would have no effect: it goes with --twirls"),
        (("--strategy", "all"), "--strategy would have no effect: it goes with --twirls"),
        (("--strategy", "some", "--twirls", 2), "strategy must be"),
        (("--group", "local_c1", "--twirls", 2), "drawn by the runtime only, with twirling='server'"),
        (("--references", 2), "--references would have no effect: it goes with --reference"),
        (("--reference-share", 0.5), "--reference-share would have no effect: it goes with --reference"),
        (("--max-circuits", 5), "--max-circuits would have no effect"),
        (("--runtime", "{}"), "--runtime would have no effect"),
        (("--runtime", "{time: 1}"), "--runtime must be JSON"),
        (("--runtime", "[" * 100_000), "--runtime must be JSON; got .* nested too deeply"),
        (("--runtime", '{"max_execution_time": 60, "max_execution_time": 9}'), "'max_execution_time' came twice"),
        (("--runtime", '{"max_execution_time": NaN}'), "--runtime must be JSON; got .* must be finite; got NaN"),
        (("--runtime", "[1]"), "--runtime must be a JSON object"),
        (("--runtime", '{"speed": 1}'), "runtime option 'speed'"),
        (("--twirling", "server", "--twirls", 2), "twirling='server' needs a real machine"),
    ],
)
def test_options_that_do_nothing_are_refused(bell, tmp_path, words, message):
    with pytest.raises(ValueError, match=message):
        run("submit", bell, "-d", tmp_path / "run", "--backend", "fake_manila", *words)
    assert not (tmp_path / "run").exists()


def test_a_reference_is_the_one_that_was_chosen_and_never_the_counts_beside_it(tmp_path):
    """--pub did not reach it, and without an expected string beside them the circuit's own counts were its noise."""
    counts, noise = {"00": 430, "11": 420, "01": 80, "10": 70}, {"11": 870, "10": 70, "01": 50, "00": 10}
    entry, path = {"counts": counts, "reference": {"counts": noise}}, tmp_path / "saved.json"

    def survival(content, expected="11", pub=None):
        path.write_text(json.dumps(content))
        return read_reference(str(path), expected, pub).survival

    assert survival(entry) == survival([{"counts": counts}, {"counts": noise}], pub=1) == 0.87
    told = {"counts": counts, "reference": {"counts": noise, "expected": "11"}}
    assert survival([{"counts": counts}, told], None, pub=1) == 0.87
    assert survival({"counts": noise}, pub=3) == 0.87, "one reference serves all PUBs of a file of counts"
    with pytest.raises(ValueError, match="does not say what the reference reads"):
        survival([{"counts": counts}, told], None, pub=0)
    with pytest.raises(ValueError, match=r"2 PUBs: choose one by pub, 0 to 1; got 2"):
        survival([entry, entry], pub=2)


def test_a_reference_may_come_by_standard_input(monkeypatch):
    """It was read twice, and empty the second time."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"11": 87, "10": 13}')))
    assert read_reference("-", "11").survival == 0.87
