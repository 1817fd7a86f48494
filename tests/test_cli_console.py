"""What the commands print: the words of others as they are, and whole lines where a program reads them."""

import json
import os
import pty
import re
import shlex
import subprocess
import sys

import pytest
from qiskit import QuantumCircuit, qpy
from rich.table import Table
from typer.testing import CliRunner

from qcluster.bench import campaign
from qcluster.cli.bench import bench_app
from qcluster.cli.console import echo, open_bar, open_console
from qcluster.cli.decision import decision_app
from qcluster.cli.jobs import jobs_app
from qcluster.device import jobs
from qcluster.learn.decision import table

SEPARATE = [sys.executable, "-m", "qcluster"]
PLAN = 'cases = ["ghz:3"]\nmachines = ["flips:0.05"]\nshots = 50\ntwirls = 1\nmethods = ["identity", "hammer"]\n'
REASON = "[/v1/jobs] refused [bold]twice[/bold] :boom: " + "and explained it at length " * 12


def piped(*words, columns=None, **more):
    """Run a command with pipes for all streams, COLUMNS set or not."""
    known = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    known |= {} if columns is None else {"COLUMNS": columns}
    words = [str(word) for word in words]
    return subprocess.run(SEPARATE + words, capture_output=True, text=True, env=known, check=False, **more)


@pytest.fixture
def deep(tmp_path):
    """A folder whose path is longer than any line of a terminal, with what Rich would take for markup."""
    folder = tmp_path / ("long" * 50) / ("[red]deep[/x] :bug: " * 8)
    folder.mkdir(parents=True)
    (folder / "plan.toml").write_text(PLAN)
    return folder


@pytest.mark.parametrize("columns", [None, "40"])
def test_paths_stay_whole_in_a_pipe(deep, columns):
    out = deep / "out"
    done = piped("bench", "run", deep / "plan.toml", "--out", out, columns=columns)
    assert done.returncode == 0, done.stderr
    assert f"saved in {out}; next: qcluster bench report {shlex.quote(str(out))}" in done.stdout.splitlines()
    done = piped("bench", "report", out, "--no-figures", columns=columns)
    assert {str(out / name) for name in ("report.md", "summary.csv", "report.html")} <= set(done.stdout.splitlines())
    done = piped("bench", "report", deep / "none", columns=columns)
    assert done.stderr == f"error: there are no scores in {deep / 'none'}: run a campaign or score records first\n"


@pytest.mark.parametrize("columns", [None, "40"])
def test_tables_stay_whole_in_a_pipe(columns):
    counts = {"0" * 200: 300, "1" * 200: 290}
    done = piped("mitigate", "-", "--observable", "I" * 199 + "Z", columns=columns, input=json.dumps(counts))
    assert done.returncode == 0, done.stderr
    for whole in (*counts, "I" * 199 + "Z"):
        assert any(whole in line for line in done.stdout.splitlines())


def test_an_option_that_is_none_is_told_on_one_line():
    name = "--nothing-" + "x" * 120
    done = piped("mitigate", "-", name)
    assert done.returncode == 2
    assert any(name in line for line in done.stderr.splitlines())


def test_what_a_pipe_cannot_hold_is_written_as_ascii(monkeypatch):
    """Commands that had done their work failed at the µ of their table, or at the name of a file."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    shown = piped("calibration", "show", "fake_manila")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert r"T1 (\xb5s)" in shown.stdout


def shown_in_a_terminal(code, columns, term="dumb"):
    """What a program writes to a terminal of this width; without colours in a dumb one."""
    leader, follower = pty.openpty()
    code = f"import os; os.environ |= {{'COLUMNS': '{columns}', 'TERM': '{term}'}}; {code}"
    subprocess.run([sys.executable, "-c", code], stdout=follower, check=True)
    os.close(follower)
    os.set_blocking(leader, False)
    return os.read(leader, 100_000).decode()


def test_a_terminal_has_its_own_width():
    code = "from qcluster.cli.console import open_console as o; o().print('word ' * 20)"
    lines = shown_in_a_terminal(code, 40, "xterm")  # older Rich gives any dumb terminal 80
    assert len(lines.splitlines()) > 1
    assert max(map(len, lines.splitlines())) <= 40


@pytest.mark.parametrize("columns", [50, 80])
def test_no_number_of_a_table_is_cut_off_in_a_terminal(tmp_path, columns):
    """Intervals lost their ends to an ellipsis, and the numbers of samples all their digits."""
    campaign = tmp_path / "plan.toml"
    campaign.write_text(PLAN.replace('"hammer"', '"hammer", "circuit", "mixture_unguarded"'))
    assert piped("bench", "run", campaign, "--out", tmp_path / "out").returncode == 0
    words = ["qcluster", "bench", "report", str(tmp_path / "out"), "--no-figures"]
    shown = shown_in_a_terminal(f"import sys; sys.argv = {words}; from qcluster.cli.main import main; main()", columns)
    assert "\u2026" not in shown
    report = (tmp_path / "out" / "report.md").read_text()
    (row,) = [line.split(" | ") for line in report.splitlines() if line.startswith("| mixture_unguarded |")]
    for number in (row[1], *re.findall(r"[\d.]+%?", row[10])):
        assert number in shown


def test_the_words_of_a_service_are_no_markup(monkeypatch):
    part = jobs.Part(0, 1, "ERROR", "job[/x]", 1, REASON)
    monkeypatch.setattr(jobs, "status", lambda directory: [part])
    shown = CliRunner().invoke(jobs_app, ["status", "anywhere"])
    assert shown.exception is None
    (line,) = [line for line in shown.output.splitlines() if "ERROR" in line]
    assert "job[/x]" in line
    assert REASON.strip() in line


def test_nothing_is_coloured_or_changed(capsys):
    text = "[/a] [bold]b[/bold] :smile: 3.14 'quoted' https://c"
    open_console().print(text)
    open_console(stderr=True).print(text)
    assert capsys.readouterr() == (text + "\n", text + "\n")


@pytest.mark.parametrize(
    ("closed", "code", "said"), [(">&-", 0, ""), ("<&-", 2, "standard input must be JSON"), ("2>&-", 2, "")]
)
def test_a_closed_stream_is_no_traceback(tmp_path, closed, code, said):
    (tmp_path / "counts.json").write_text('{"00": 60, "01": 4, "11": 40}')
    source = "counts.json" if code == 0 else "-" if said else "missing.json"
    line = f"exec {sys.executable} -m qcluster mitigate {source} --json fixed.json {closed}"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "fixed.json").exists() == (code == 0)


STEERING = "a\x1b]0;title\x07\r\x1b[2Jb\x7f\x9b1m\u202ec"
WRITTEN = r"a\x1b]0;title\x07\r\x1b[2Jb\x7f\x9b1m\u202ec"


def test_what_would_steer_a_terminal_is_written_out(capsys):
    table = Table(title=STEERING)
    table.add_column(STEERING)
    table.add_row(STEERING)
    console = open_console()
    console.print(STEERING, style="red")
    console.print(table)
    echo(STEERING)
    echo(STEERING, err=True)
    with open_bar(console) as bar:
        bar.add_task(STEERING, total=1)
    shown = capsys.readouterr()
    assert shown.out.count(WRITTEN) == 6
    assert shown.err == WRITTEN + "\n"
    assert not set(shown.out) & set("\x1b\x07\r\x7f\x9b\u202e")


@pytest.mark.parametrize(("done", "lines"), [(0, 0), (1, 1)])
def test_a_bar_of_work_that_fails_at_once_leaves_no_line(capsys, done, lines):
    """`qcluster qnn evaluate MODEL --backend mistyped` printed an empty line before its error."""

    def fail():
        with open_bar(open_console(stderr=True)) as bar:
            bar.add_task("running", total=2, completed=done)
            raise ValueError("mistyped")

    with pytest.raises(ValueError, match="mistyped"):
        fail()
    shown = capsys.readouterr().err
    assert (len(shown.splitlines()), shown.count("running")) == (lines, lines)


def test_an_interrupted_campaign_says_that_it_is_saved(tmp_path, monkeypatch):
    steps = campaign.run

    def interrupted(*args, **options):
        yield next(steps(*args, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(campaign, "run", interrupted)
    (tmp_path / "plan.toml").write_text(PLAN)
    done = CliRunner().invoke(bench_app, ["run", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "out")])
    assert done.exit_code != 0
    assert "interrupted: what is done is saved" in done.stderr


def test_an_interrupted_table_says_that_it_is_saved(tmp_path, monkeypatch):
    def interrupted(folder, *args, **options):
        yield folder / "full-0000000.npz"
        raise KeyboardInterrupt

    monkeypatch.setattr(table, "build", interrupted)
    done = CliRunner().invoke(decision_app, ["build", "--out", str(tmp_path)])
    assert done.exit_code != 0
    assert done.stdout == "full-0000000.npz\n"
    assert "interrupted: what is done is saved" in done.stderr


def test_names_of_files_and_circuits_steer_no_terminal(tmp_path):
    (tmp_path / "a\x1b[2Jb.json").write_text("[1]")
    done = piped("mitigate", tmp_path / "a\x1b[2Jb.json")
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    circuit = QuantumCircuit(1, 1, name="ghz\x1b]0;title\x07")
    circuit.measure(0, 0)
    with (tmp_path / "one.qpy").open("wb") as file:
        qpy.dump(circuit, file)
    done = piped("jobs", "submit", tmp_path / "one.qpy", "-d", tmp_path / "run", "--backend", "aer", "--shots", 9)
    assert done.returncode == 0, done.stderr
    done = piped("jobs", "collect", tmp_path / "run")
    assert r"ghz\x1b]0;title\x07" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_files_are_written_though_the_reader_of_standard_output_has_gone(tmp_path):
    """With `| head` they were lost, even values measured on a machine."""
    counts, result, figure = tmp_path / "counts.json", tmp_path / "fixed.json", tmp_path / "fixed.png"
    counts.write_text('{"000": 480, "111": 520}')
    reader, writer = os.pipe()
    os.close(reader)
    words = [*SEPARATE, "mitigate", counts, "--json", result, "--plot", figure]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(result.read_text())["shots"] == 1000
    assert figure.read_bytes().startswith(b"\x89PNG")
