"""The command line, run in its own process where the exit code matters."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult
from qiskit_ibm_runtime import RuntimeEncoder
from typer.testing import CliRunner

import qcluster as qc
from qcluster.cli.main import app

COUNTS = {"000": 430, "001": 70, "110": 60, "111": 440}


def run(*arguments, text=None, cwd=None):
    return subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:qcluster", "-c", "from qcluster.cli.main import main; main()"]
        + [str(argument) for argument in arguments],
        input=text,
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def pub(counts):
    return SamplerPubResult(DataBin(meas=BitArray.from_counts(counts)))


def test_counts_from_standard_input_give_a_table():
    done = run("mitigate", "-", "--noise", "0.08", "--method", "paper", text=json.dumps(COUNTS))
    assert done.returncode == 0, done.stderr
    assert "3 bits, 1000 shots, 4 different strings" in done.stdout
    assert "0.4300" in done.stdout
    assert "method paper, applied" in done.stdout


@pytest.mark.parametrize("asked", [None, 3])
def test_a_figure_shows_as_many_strings_as_were_asked_for(tmp_path, monkeypatch, asked):
    """Asked for none it shows what `plot` does: a broad output by rank, of which ten bars show next to nothing."""
    source, drawn = tmp_path / "counts.json", []
    source.write_text(json.dumps({f"{value:05b}": 30 + value % 3 for value in range(32)}))
    monkeypatch.setattr("qcluster.plot.save_mitigation", lambda path, fixed, top=None: drawn.append(top))
    options = [] if asked is None else ["--top", str(asked)]
    done = CliRunner().invoke(app, ["mitigate", str(source), "--plot", "out.png", "--noise", "0.01", *options])
    assert done.exit_code == 0, done.output
    assert drawn == [asked]
    assert sum(line.count("0.03") > 0 for line in done.output.splitlines()) == (asked or 10)


def test_the_result_is_written_as_json_and_drawn(tmp_path):
    source = tmp_path / "counts.json"
    source.write_text(json.dumps({"counts": COUNTS}))
    rates = tmp_path / "rates.json"
    rates.write_text("[0.08, 0.05, [0.1]]")
    done = run("mitigate", source, "--noise", rates)
    assert done.returncode == 2
    rates.write_text("[0.08, 0.05, 0.1]")
    out, figure = tmp_path / "out.json", tmp_path / "out.png"
    done = run("mitigate", source, "--noise", rates, "--method", "paper", "--json", out, "--plot", figure)
    assert done.returncode == 0, done.stderr
    written = json.loads(out.read_text())
    wanted = qc.mitigate(COUNTS, [0.08, 0.05, 0.1], method="paper")
    assert written["mitigated"] == pytest.approx(wanted.distribution.to_probs())
    assert written["raw"] == pytest.approx(wanted.raw.to_probs())
    assert (written["reason"], written["version"], written["shots"]) == (wanted.reason, 1, 1000)
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {"counts.json", "rates.json", "out.json", "out.png"}


def test_millions_of_shots_are_told_to_the_last_one():
    done = run("mitigate", "-", text=json.dumps({"00": 1_000_000, "11": 234_567}))
    assert done.stdout.startswith("2 bits, 1234567 shots, 2 different strings"), done.stderr


def test_intervals_are_shown_and_written(tmp_path):
    out = tmp_path / "out.json"
    words = "--observable", "ZZI", "--observable", "IIZ", "--level", "0.9", "--json", out
    done = run("mitigate", "-", *words, text=json.dumps(COUNTS))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("90% interval") == 2
    fixed, written = qc.mitigate(COUNTS), json.loads(out.read_text())["intervals"]
    for name in ("111", "ZZI", "IIZ"):
        wanted = fixed.interval(name, 0.9)
        assert written[name] == pytest.approx(dataclasses.asdict(wanted))
        assert f"{wanted.low:.4f} to {wanted.high:.4f}" in done.stdout
    wrong = run("mitigate", "-", "--observable", "XXI", text=json.dumps(COUNTS))
    assert (wrong.returncode, "diagonal" in wrong.stderr, wrong.stdout) == (2, True, "")
    wrong = run("mitigate", "-", "--level", "95", text=json.dumps(COUNTS))
    assert (wrong.returncode, "level must lie between" in wrong.stderr, wrong.stdout) == (2, True, "")


def test_a_file_of_rates_that_holds_none_is_no_silence(tmp_path):
    source, rates = tmp_path / "counts.json", tmp_path / "rates.json"
    source.write_text(json.dumps(COUNTS))
    rates.write_text("null")
    done = run("mitigate", source, "--noise", rates)
    assert done.returncode == 2
    assert "rates.json must hold flip rates; it holds null" in done.stderr


def test_counts_are_mitigated_under_the_noise_of_a_reference(tmp_path):
    reference = tmp_path / "ref.json"
    reference.write_text(json.dumps({"01": 820, "00": 90, "11": 82, "10": 8}))
    text = json.dumps({"00": 410, "11": 405, "01": 90, "10": 95})
    done = run("mitigate", "-", "--reference", reference, "--expected", "01", text=text)
    assert (done.returncode, "method measured, applied" in done.stdout) == (0, True), done.stderr
    assert "the reference kept 82% of its shots" in " ".join(done.stdout.split())
    reference.write_text(json.dumps({"counts": {"01": 82, "11": 8}, "expected": "01"}))
    assert run("mitigate", "-", "--reference", reference, text=text).returncode == 0
    for words, said in (
        (("--expected", "01"), "--expected goes with --reference"),
        (("--reference", reference, "--expected", "0"), "width of the reference's counts"),
        (("--reference", reference, "--noise", "0.1"), "give one of them"),
        (("--reference", tmp_path / "none.json"), "none.json"),
        (("--reference", "-", "--expected", "01"), "standard input can hold only one of these"),
        (("--noise", "-"), "standard input can hold only one of these"),
    ):
        wrong = run("mitigate", "-", *words, text=text)
        assert (wrong.returncode, said in wrong.stderr) == (2, True), wrong.stderr
    shots = {"counts": ["01"] * 82 + ["11"] * 8, "expected": "01"}
    for content in (shots, {"reference": shots}):
        reference.write_text(json.dumps(content))
        done = run("mitigate", "-", "--reference", reference, text=text)
        assert (done.returncode, "the reference kept 91% of its" in " ".join(done.stdout.split())) == (0, True), content
    for content, said in (
        ({"01": 820}, "give it by --expected"),
        ({"data": {"01": 820}, "expected": "01"}, "give it by --expected"),
        ({"expected": "01"}, "a reference must have counts, and expected, a bitstring; got {'expected': '01'}"),
        ({"reference": {"expected": "01"}}, "a reference must have counts, and expected"),
        ({"counts": {"01": 820}, "expected": 1}, "a reference must have counts, and expected, a bitstring"),
    ):
        reference.write_text(json.dumps(content))
        wrong = run("mitigate", "-", "--reference", reference, text=text)
        assert (wrong.returncode, said in wrong.stderr) == (2, True), wrong.stderr


def test_a_saved_runtime_result_is_read(tmp_path):
    source = tmp_path / "result.json"
    source.write_text(json.dumps(PrimitiveResult([pub(COUNTS), pub({"1011": 9})]), cls=RuntimeEncoder))
    done = run("mitigate", source, "--noise", "0.08", "--pub", "1", "--method", "paper")
    assert "1011" in done.stdout, done.stderr
    many = run("mitigate", source, "--noise", "0.08")
    assert (many.returncode, "2 PUBs: choose one by --pub, 0 to 1; got None" in many.stderr) == (2, True)
    beyond = run("mitigate", source, "--noise", "0.08", "--pub", "2")
    assert (beyond.returncode, "0 to 1; got 2" in beyond.stderr) == (2, True)


def test_parameter_sets_of_a_saved_result_are_pooled_with_a_note(tmp_path):
    source = tmp_path / "result.json"
    swept = DataBin(meas=BitArray.from_counts({"00": 20, "11": 20}).reshape(2, 20), shape=(2,))
    source.write_text(json.dumps(PrimitiveResult([SamplerPubResult(swept)]), cls=RuntimeEncoder))
    done = run("mitigate", source)
    assert (done.returncode, "2 bits, 40 shots" in done.stdout) == (0, True)
    assert done.stderr == (
        f"note: the shots of 2 parameter sets are pooled ({source})\n"
        "note: the sweep has the shape (2,): choose one parameter set by --point, 0 to 1\n"
    )


def test_one_point_of_a_sweep_is_mitigated(tmp_path):
    source, grid = (
        tmp_path / "result.json",
        np.array([[f"{3 * row + column:03b}" for column in range(3)] for row in (0, 1)]),
    )
    high = BitArray.from_samples(np.repeat(grid.ravel(), 10).tolist()).reshape(2, 3, 10)
    low = BitArray.from_samples(["1"] * 60).reshape(2, 3, 10)
    swept = SamplerPubResult(DataBin(low=low, high=high, shape=(2, 3)))
    source.write_text(json.dumps(PrimitiveResult([swept, pub(COUNTS)]), cls=RuntimeEncoder))
    for point, string in (("0,0", "0001"), ("1,2", "1011"), (" 1, 0", "0111")):
        done = run("mitigate", source, "--pub", 0, "--point", point, "--json", "-")
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert json.loads(done.stdout)["raw"] == {string: 1.0}
        assert json.loads(done.stdout)["shots"] == 10
    assert run("rates", source, "--pub", 0, "--point", "1,2").returncode == 0
    assert (
        "the sweep has the shape (2, 3): choose one parameter set by --point, 0,0 to 1,2"
        in run("mitigate", source, "--pub", 0).stderr
    )
    for words, said in (
        (("--pub", 0, "--point", "2"), "an index into a sweep of the shape (2, 3), from 0; got (2,)"),
        (("--pub", 0, "--point", "0,3"), "an index into a sweep of the shape (2, 3), from 0; got (0, 3)"),
        (
            ("--pub", 0, "--point=-1,0"),
            "--point must be indices from 0, such as 3 or 1,2, in the shape (2, 3); got '-1,0'",
        ),
        (("--pub", 1, "--point", "0"), "--point would have no effect"),
        (("--pub", 0, "--point", "0,0", "--bits", 5), "num_bits must be the width of the counts, 4; got 5"),
    ):
        wrong = run("mitigate", source, *words)
        assert (wrong.returncode, said in wrong.stderr) == (2, True), wrong.stderr


def test_a_list_of_counts_is_read_one_at_a_time(tmp_path):
    """Such as `qcluster jobs collect --json` writes of several circuits."""
    text = json.dumps([{"counts": COUNTS}, {"00": 9, "11": 8}])
    assert "3 bits, 1000 shots" in run("mitigate", "-", "--pub", "0", text=text).stdout
    assert "2 bits, 17 shots" in run("mitigate", "-", "--pub", "1", text=text).stdout
    for words, said in ((), "got None"), (("--pub", "2"), "got 2"), (("--pub=-1",), "got -1"):
        done = run("mitigate", "-", *words, text=text)
        assert (done.returncode, f"2 PUBs: choose one by --pub, 0 to 1; {said}" in done.stderr) == (2, True)
    assert "2 bits, 3 shots" in run("mitigate", "-", text='["00", "00", "11"]').stdout


def test_strings_of_a_hundred_bits_leave_room_for_their_figures(tmp_path):
    counts = {"0" * 120: 300, "1" * 120: 280, **{format(1 << i, "0120b"): 2 for i in range(40)}}
    done = run("mitigate", "-", "--top", "2", "--plot", tmp_path / "wide.png", text=json.dumps(counts))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("1") > 120
    for figure in ("0.4545", "0.4242", "mitigated", "95% interval"):
        assert figure in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be JSON"),
        ("{", "must be JSON"),
        ("[" * 100_000, "must be JSON"),
        ("{}", "empty mapping"),
        ("3", "got int"),
        ('{"00": 1, "00": 2}', "'00' came twice"),
        ('{"00": 1, "0x": 2}', "all hexadecimal"),
        ('{"00": -1}', "not negative"),
        ('{"00": NaN}', "finite"),
        ('{"00": "5"}', "real numbers"),
        ('{"__type__": "settings", "__module__": "os", "__class__": "x", "__value__": {}}', "'settings'"),
        ('{"__type__": "BitArray", "__value__": {"array": 3}}', "cannot be decoded"),
    ],
)
def test_bad_input_ends_with_one_line_and_code_two(text, said):
    done = run("mitigate", "-", "--noise", "0.1", "--method", "paper", text=text)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_missing_and_unwritable_files_are_named(tmp_path):
    missing = run("mitigate", tmp_path / "none.json", "--noise", "0.1")
    assert (missing.returncode, "none.json: No such file" in missing.stderr) == (2, True)
    no_rates = run("mitigate", "-", "--noise", "rates.json", text=json.dumps(COUNTS), cwd=tmp_path)
    assert (no_rates.returncode, "cannot read rates.json" in no_rates.stderr) == (2, True)
    listed = run("mitigate", "-", "--noise", "0.05,0.04,0.03", text=json.dumps(COUNTS), cwd=tmp_path)
    said = "noise must be a number, or a JSON file with one, a list or pairs: cannot read 0.05,0.04,0.03: No such file"
    assert (listed.returncode, said in listed.stderr, listed.stderr.count("\n")) == (2, True, 1)
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xff")  # \xff\xfe begins UTF-16
    out = run("mitigate", "-", "--noise", ".1", "--method", "paper", "--json", binary / "o", text=json.dumps(COUNTS))
    assert (out.returncode, f"cannot write {binary / 'o'}" in out.stderr) == (2, True)
    assert "not UTF-8" in run("mitigate", binary).stderr


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "qcluster", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, f"qcluster {qc.__version__}")


def test_version_and_help():
    assert run("--version").stdout.strip() == f"qcluster {qc.__version__}"
    assert "mitigate" in run("--help").stdout


@pytest.mark.slow
def test_the_demo_runs_and_gains(tmp_path):
    done = run("demo", "--qubits", "6", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    raw, mitigated = (float(word.strip(",")) for word in done.stdout.split("raw ")[-1].split() if word[0] == "0")
    assert mitigated > raw
    assert (tmp_path / "qcluster-demo.png").exists()


def test_every_method_is_reached_from_the_command_line():
    done = run("mitigate", "-", "--method", "hammer", text=json.dumps(COUNTS))
    assert done.returncode == 0
    assert "method hammer, applied" in done.stdout
    done = run("mitigate", "-", "--method", "m3", text=json.dumps(COUNTS))
    assert done.returncode == 2
    assert "method='m3' needs flip rates as its noise" in done.stderr
    done = run("mitigate", "-", "--method", "magic", text=json.dumps(COUNTS))
    assert "method must be one of" in done.stderr
    assert "Traceback" not in done.stderr


def test_json_goes_to_standard_output_alone():
    done = run("mitigate", "-", "--json", "-", "--top", "2", text=json.dumps(COUNTS))
    assert done.returncode == 0, done.stderr
    written = json.loads(done.stdout)
    assert written["mitigated"] == pytest.approx(qc.mitigate(COUNTS).distribution.to_probs())
    assert len(written["intervals"]) == 2


def test_what_is_known_of_the_ideal_is_said_by_expect():
    for word in ("sparse", "dense"):
        done = run("mitigate", "-", "--expect", word, text=json.dumps(COUNTS))
        assert qc.mitigate(COUNTS, expect=word).reason in " ".join(done.stdout.split())
    wrong = run("mitigate", "-", "--expect", "few", text=json.dumps(COUNTS))
    assert (wrong.returncode, "expect" in wrong.stderr) == (2, True)


def test_one_set_of_counts_is_called_one():
    wrong = run("mitigate", "-", "--pub", "1", text=json.dumps(COUNTS))
    assert "1 PUB: choose it by --pub 0; got 1" in wrong.stderr


@pytest.mark.parametrize("words", [("bench", "score"), ("bench", "collect")])
def test_a_mistyped_folder_is_refused_and_not_made(tmp_path, words):
    wrong = run(*words, "mistyped", cwd=tmp_path)
    assert (wrong.returncode, "there is no folder mistyped" in wrong.stderr) == (2, True)
    assert "0/" not in wrong.stderr  # no bar that never moves
    assert not (tmp_path / "mistyped").exists()


def commands(command, path=()):
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


def test_every_command_shows_an_example_that_names_it_and_its_options():
    import shlex

    import typer

    from qcluster.cli.examples import EXAMPLES
    from qcluster.cli.main import app

    found = {" ".join(path): command for path, command in commands(typer.main.get_command(app)) if path}
    assert set(EXAMPLES) <= set(found)
    for name, command in found.items():
        if name.startswith("decision "):
            assert "Example" in command.help, name
            assert f"qcluster {name} -" in command.help
            continue
        assert command.epilog == f"Example: {EXAMPLES[name]}", name
        program, *words = shlex.split(EXAMPLES[name])
        assert program == "qcluster"
        assert words[: len(name.split())] == name.split() or name == "rates estimate"
        if not getattr(command, "commands", {}):
            known = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in words if word.startswith("-")} <= known, name


def test_the_shell_completes_commands_and_methods():
    from qcluster.cli.main import _method_names

    assert _method_names("mi") == ["mixture"]
    assert "--show-completion" in run("--help").stdout


def test_hexadecimal_keys_have_the_width_that_is_given(tmp_path):
    (tmp_path / "hex.json").write_text(json.dumps({"0x0": 500, "0x3": 460, "0x1": 40}))
    done = run("mitigate", "hex.json", "--bits", "5", "--json", "-", cwd=tmp_path)
    assert json.loads(done.stdout)["raw"] == {"00000": 0.5, "00001": 0.04, "00011": 0.46}
    assert run("mitigate", "hex.json", cwd=tmp_path).stdout.startswith("2 bits, ")
    assert "effective flip rate" in run("rates", "hex.json", "--bits", "5", cwd=tmp_path).stdout
    done = run("mitigate", "hex.json", "--bits", "1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: keys must lie in 0..2**1 - 1 for 1 bit; got '0x3'\n")


def test_a_reference_of_hexadecimal_keys_has_the_width_of_what_it_expects(tmp_path):
    (tmp_path / "counts.json").write_text(json.dumps({"0000": 500, "0011": 460, "0001": 40}))
    (tmp_path / "ref.json").write_text(json.dumps({"0x2": 900, "0x0": 60, "0x3": 40}))
    held = {"counts": {"0000": 500}, "reference": {"counts": {"0x2": 900, "0x0": 100}, "expected": "0010"}}
    (tmp_path / "held.json").write_text(json.dumps(held))
    for place, options in (("ref.json", ("--expected", "0010")), ("held.json", ())):
        done = run("mitigate", "counts.json", "--reference", place, *options, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), place


@pytest.mark.parametrize(("options", "noted"), [((), True), (("--reference", "held.json"), False)])
def test_a_reference_beside_the_counts_that_is_not_used_is_noted(tmp_path, options, noted):
    held = {"counts": COUNTS, "reference": {"counts": {"010": 900, "000": 100}, "expected": "010"}}
    (tmp_path / "held.json").write_text(json.dumps(held))
    done = run("mitigate", "held.json", "--json", "-", *options, cwd=tmp_path)
    note = "note: held.json holds a reference as well, which is not used; mitigate takes --reference held.json\n"
    assert (done.returncode, done.stderr) == (0, note if noted else "")
    assert json.loads(done.stdout)["method"] == ("mixture" if noted else "measured")
