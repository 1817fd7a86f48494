"""Folders that others can write to: no file is opened through what they may have left there."""

import errno
import os
import stat
from contextlib import nullcontext
from pathlib import Path

import pytest
from qiskit import QuantumCircuit
from typer.testing import CliRunner

from qcluster.bench.campaign import run
from qcluster.bench.rate_table import add_runs
from qcluster.bench.reports.report import write_report
from qcluster.bench.store import Store, read_scores
from qcluster.bench.table import Table, exclusive_access
from qcluster.bench.tasks import parse_campaign
from qcluster.cli.main import app
from qcluster.device import jobs
from qcluster.device.execute import execute
from qcluster.errors import StorageError
from qcluster.files import write_whole
from qcluster.folders import open_managed, write_managed

CAMPAIGN = parse_campaign({"machines": "flips:0.05", "shots": 50, "twirls": 1, "cases": "ghz:3", "methods": "identity"})


@pytest.fixture
def precious(tmp_path):
    """A file of the user's elsewhere, its last line without an end."""
    path = tmp_path / "precious.txt"
    path.write_text("one\ntwo")
    yield path
    assert path.read_text() == "one\ntwo"


@pytest.fixture
def saved(tmp_path):
    circuit = QuantumCircuit(2)
    circuit.x(0)
    circuit.measure_all()
    execute([circuit], "aer", shots=20, seed=1, directory=tmp_path / "run")
    return tmp_path / "run"


def by_link(folder, name, target, kind):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    getattr(os, kind)(target, path)


@pytest.mark.parametrize("name", [".lock", "log.jsonl", "request.json", "results/0000.json"])
def test_a_saved_run_opens_no_link(saved, precious, name):
    by_link(saved, name, precious, "symlink")
    with pytest.raises(StorageError, match=r"it is a link, and links are not followed"):
        jobs.collect(saved)


def test_a_saved_run_appends_to_nothing_that_has_another_name(saved, precious):
    by_link(saved, "log.jsonl", precious, "link")
    (saved / "results" / "0000.json").unlink()
    with pytest.raises(StorageError, match=r"another file too|cannot be read"):
        jobs.collect(saved)


@pytest.mark.parametrize("name", ["results"])
def test_folders_in_a_saved_run_are_no_links(saved, tmp_path, name):
    (saved / name).rename(tmp_path / "elsewhere")
    (saved / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="it is a link"):
        jobs.collect(saved)


@pytest.mark.parametrize("name", [".lock", "runs.csv", "scores.csv", "bars.csv", "jobs.csv"])
@pytest.mark.parametrize("kind", ["symlink", "link"])
def test_a_campaign_opens_no_link(tmp_path, precious, name, kind):
    by_link(tmp_path / "campaign", name, precious, kind)
    with pytest.raises(StorageError, match=r"it is a link|another file too"):
        list(run(CAMPAIGN, tmp_path / "campaign"))


def test_a_file_that_goes_while_a_folder_is_opened_is_no_error(tmp_path, monkeypatch):
    """A report may be written meanwhile, for which no lock is taken."""
    (tmp_path / f".report.md.{'0' * 12}").write_text("half")
    kept = Path.lstat

    def gone(path):
        if path.name.startswith(".report"):
            path.unlink()
        return kept(path)

    monkeypatch.setattr(Path, "lstat", gone)
    list(run(CAMPAIGN, tmp_path))
    assert len(read_scores(tmp_path)) == 1


def test_the_shots_of_a_campaign_go_where_it_is(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "campaign").mkdir()
    (tmp_path / "campaign" / "shots").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="it is a link"):
        list(run(CAMPAIGN, tmp_path / "campaign"))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_link_in_the_place_of_new_shots_is_replaced(tmp_path):
    (task,) = CAMPAIGN.tasks()
    by_link(tmp_path / "campaign", f"shots/{task.identity}.json.gz", tmp_path / "planted", "symlink")
    list(run(CAMPAIGN, tmp_path / "campaign"))
    assert len(read_scores(tmp_path / "campaign")) == 1
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize(
    "name", ["report.md", "summary.csv", "report.html", "gain.png", "fidelity.png", "scores.csv.old"]
)
def test_what_is_written_anew_replaces_a_link(tmp_path, precious, name):
    folder = tmp_path / "campaign"
    list(
        run(
            parse_campaign(
                {"machines": "flips:0.05", "shots": 50, "cases": "ghz:3", "methods": ["identity", "hammer"]}
            ),
            folder,
        )
    )
    by_link(folder, name, precious, "symlink")
    write_report(folder)
    with Store(folder) as store:
        store.forget_scores({"hammer"})
    assert not (folder / name).is_symlink()


def test_a_table_of_rates_opens_no_link(tmp_path, precious):
    by_link(tmp_path, ".rates.csv.lock", precious, "symlink")
    with pytest.raises(StorageError, match="it is a link"), exclusive_access(tmp_path / "rates.csv"):
        pass
    (tmp_path / ".rates.csv.lock").unlink()
    list(run(CAMPAIGN, tmp_path / "campaign"))
    by_link(tmp_path, "rates.csv", precious, "symlink")
    with pytest.raises(StorageError, match="it is a link"):
        add_runs(tmp_path / "campaign", tmp_path / "rates.csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    for mode in ("rb", "rb+"):
        with pytest.raises(OSError, match="it is no plain file"):
            open_managed(tmp_path / "t.csv", mode)
    with pytest.raises(StorageError, match="cannot write"):
        Table(tmp_path / "t.csv", ("a",)).append([{"a": 1}])


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can give a file to another user")
def test_a_result_is_not_written_through_the_link_of_another_user(tmp_path, precious):
    by_link(tmp_path, "out.json", precious, "symlink")
    os.lchown(tmp_path / "out.json", 12345, 12345)
    with pytest.raises(StorageError, match="a link that another user has put there"):
        write_whole(tmp_path / "out.json", "new")


def test_what_a_killed_process_was_writing_is_swept_at_the_next_opening(saved, tmp_path):
    """SIGKILL between the writing of a file and its rename."""
    left = ".0000.json.0123456789ab"
    for place in (saved / "results" / left, saved / ".request.json.0123456789ab"):
        place.write_text("half")
    (saved / "results" / "mine.txt").write_text("kept")
    jobs.collect(saved)
    assert sorted(path.name for path in saved.iterdir()) == [".lock", "log.jsonl", "request.json", "results"]
    assert sorted(path.name for path in (saved / "results").iterdir()) == ["0000.json", "mine.txt"]
    list(run(CAMPAIGN, tmp_path / "campaign"))
    for place in (tmp_path / "campaign", tmp_path / "campaign" / "shots"):
        (place / left).write_text("half")
    with Store(tmp_path / "campaign"):
        assert not list((tmp_path / "campaign").rglob(left))


def test_a_lock_keeps_what_is_in_it(saved):
    (saved / ".lock").write_text("a note")
    jobs.collect(saved)
    assert (saved / ".lock").read_text() == "a note"
    assert stat.S_ISREG((saved / ".lock").stat().st_mode)


@pytest.mark.parametrize(
    "command",
    [
        ["jobs", "submit", "circuit.qasm", "--backend", "aer", "-d", ""],
        ["jobs", "collect", ""],
        ["bench", "run", "toy.toml", "--out", ""],
        ["bench", "report", ""],
        ["rates", "build", "--out", ""],
        ["decision", "build", "--out", ""],
    ],
)
def test_an_empty_name_is_not_the_current_folder(command):
    """As of a variable that is not set: requests, shots and tables were written into the current folder."""
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert "a folder must have a name; got an empty one" in " ".join(result.stderr.replace("│", "").split())


def test_an_empty_name_is_not_the_current_folder_in_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    circuit = QuantumCircuit(1)
    circuit.measure_all()
    for use in (Store, jobs.read, lambda place: execute([circuit], "aer", shots=10, seed=1, directory=place)):
        with pytest.raises(ValueError, match="a folder must have a name"):
            use("")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("answer", [errno.EINVAL, errno.EIO])
def test_a_file_system_that_cannot_flush_folders_is_written_to(tmp_path, monkeypatch, answer):
    """The file was written, and the caller told that it was not."""
    flush = os.fsync

    def refuse(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(answer, os.strerror(answer))
        flush(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    with nullcontext() if answer == errno.EINVAL else pytest.raises(StorageError, match="Input/output error"):
        write_managed(tmp_path / "request.json", "{}")
    assert (tmp_path / "request.json").read_text() == "{}"
