"""Campaigns killed at every write, and in the middle of one."""

import os
import signal

import pytest

from qcluster import folders
from qcluster.bench import campaign as engine
from qcluster.bench import table as tables
from qcluster.bench.rate_table import add_runs
from qcluster.bench.reports.report import write_report
from qcluster.bench.scores import SCORE_COLUMNS
from qcluster.bench.store import Store, load_samples, read_rows, read_scores, read_tasks, shots_path
from qcluster.errors import StorageError
from tests.bench.test_campaign import go, in_order, plan
from tests.device.test_jobs import in_a_child

SMALL = {"cases": ["ghz:3", "bv:3"], "seeds": 0, "methods": ["identity"]}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_killed_at_every_write_nothing_is_lost_or_done_twice(tmp_path):
    """kill -9 before, in the middle of, and after every row and rename; the next run ends with the same tables."""
    go(plan(**SMALL), tmp_path / "whole")
    whole, bars = in_order(read_scores(tmp_path / "whole")), in_order(read_rows(tmp_path / "whole" / "bars.csv"))
    for last in range(200):
        place = tmp_path / str(last)
        if not in_a_child(lambda last=last, place=place: interrupted(last, place)):
            assert last > 20, "the steps must be counted for this to mean anything"
            break
        before = set(read_tasks(place)) if place.exists() else set()
        assert len(list(load_samples(place))) == len(before)
        go(plan(**SMALL), place)
        assert in_order(read_scores(place)) == whole
        assert before <= set(read_tasks(place))
        assert len(read_tasks(place)) == 2
        assert in_order(read_rows(place / "bars.csv")) == bars


def interrupted(last, place):
    steps = iter(range(10_000))

    def hook():
        if next(steps) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    replace, write = os.replace, tables._write_whole

    def in_pieces(stream, content):
        hook()
        half = len(content) // 2
        write(stream, content[:half])
        hook()
        write(stream, content[half:])
        hook()

    os.replace = lambda a, b: (hook(), replace(a, b), hook())[1]
    tables._write_whole = in_pieces
    go(plan(**SMALL), place)


def test_shots_without_a_row_are_not_taken_for_those_that_are_scored(tmp_path):
    """A kill left them, and a newer version of a simulator draws others; or they are no shots at all."""
    (task,) = plan(**SMALL | {"cases": ["ghz:3"]}).tasks()
    go(plan(**SMALL | {"cases": ["bv:3"]}), tmp_path)
    (other,) = read_tasks(tmp_path)
    for left in (b"", shots_path(tmp_path, other.identity).read_bytes()):
        place = tmp_path / f"left_{len(left)}"
        (place / "shots").mkdir(parents=True)
        shots_path(place, task.identity).write_bytes(left)
        go(plan(**SMALL | {"cases": ["ghz:3"]}), place)
        (sample,) = load_samples(place)
        assert (sample.identity, sample.case) == (task.identity, "ghz:3")
        before = in_order(read_scores(place))
        list(engine.rescore(place, ("identity",), again=True))
        assert in_order(read_scores(place)) == before


def test_drawings_of_scores_that_were_forgotten_go_with_them(tmp_path, monkeypatch):
    """Killed between the two tables, those of the method as it was stayed beside those of the method as it is."""
    go(plan(**SMALL), tmp_path)
    bars = in_order(read_rows(tmp_path / "bars.csv"))
    with Store(tmp_path) as store, monkeypatch.context() as killed:
        killed.setattr(store.bars, "keep", lambda _: None)
        store.forget_scores(("identity",))
    old = (tmp_path / "bars.csv").read_text()
    (tmp_path / "bars.csv").write_text(old.replace(":", ":9"))
    go(plan(**SMALL), tmp_path)
    assert in_order(read_rows(tmp_path / "bars.csv")) == bars


def test_a_write_that_fails_takes_back_what_it_began(tmp_path, monkeypatch):
    table = tables.Table(tmp_path / "t.csv", ("a",))
    table.append([{"a": 1}])
    before = table.path.read_bytes()

    class Full:
        def __init__(self, stream):
            self.stream, self.left = stream, 2

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.stream.close()

        def write(self, data):
            if not self.left:
                raise OSError(28, "No space left on device")
            self.left -= 1
            return self.stream.write(data[:1])

        def __getattr__(self, name):
            return getattr(self.stream, name)

    real = tables.open_managed
    monkeypatch.setattr(tables, "open_managed", lambda *a: Full(real(*a)))
    with pytest.raises(StorageError, match="what was saved before is intact"):
        table.append([{"a": 12345}])
    monkeypatch.undo()
    assert table.path.read_bytes() == before


def test_shots_that_cannot_be_written_leave_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StorageError, match="No space left"):
        folders.write_once(tmp_path / "shots" / "a.json.gz", b"x")
    assert list((tmp_path / "shots").iterdir()) == []


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    times = iter([5.0, 1e9, -3.0, 0.0, 1e-9, 7.0, 2.0] * 20)
    monkeypatch.setattr(engine.time, "monotonic", lambda: next(times))
    go(plan(**SMALL), tmp_path / "jumping")
    monkeypatch.undo()
    go(plan(**SMALL), tmp_path / "steady")
    assert in_order(read_scores(tmp_path / "jumping")) == in_order(read_scores(tmp_path / "steady"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("task,method\na\n", "row 1 of .* must have 2 values"),
        ("task,method\na,b\nc,d,e\n", "row 2 of .* must have 2 values"),
        ("task,other\n", "other columns"),
        ("task,method\n" + '"' + "x" * 200_000 + "\n", "cannot read|must have 2 values"),
    ],
)
def test_damaged_tables_are_named(tmp_path, content, said):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(StorageError, match=said):
        read_rows(path, ("task", "method"))


def test_damaged_cells_and_shots_are_named_with_their_file(tmp_path):
    go(plan(**SMALL), tmp_path)
    runs, scores = (tmp_path / name for name in ("runs.csv", "scores.csv"))
    task, whole = read_tasks(tmp_path)[0], runs.read_text()
    runs.write_text(whole.replace(f",{task.shots},", ",many,", 1))
    for read in (read_tasks, lambda folder: list(load_samples(folder)), lambda folder: go(plan(**SMALL), folder)):
        with pytest.raises(StorageError, match=rf"the row of {task.identity} in .*runs\.csv is damaged: .*'many'"):
            read(tmp_path)
    runs.write_text(whole)
    fidelity = read_scores(tmp_path)[0]["hellinger_fidelity"]
    scores.write_text(scores.read_text().replace(f",{fidelity},", ",x,", 1))
    with pytest.raises(StorageError, match=r"row 1 of .*scores\.csv must have a number as hellinger_fidelity; got 'x'"):
        read_scores(tmp_path)
    shots_path(tmp_path, task.identity).write_bytes(b"")
    with pytest.raises(
        StorageError, match=rf"cannot read .*{task.identity}\.json\.gz: this is no saved sample: it is cut"
    ):
        list(load_samples(tmp_path))


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("n_bits", "", "a whole number as n_bits; got ''"),
        ("n_bits", "3.0", "a whole number as n_bits; got '3.0'"),
        ("seconds", "", "a number as seconds; got ''"),
        ("shots", "nan", "a number as shots; got 'nan'"),
        ("hellinger_fidelity", "1.5", "a number from 0 to 1 as hellinger_fidelity; got '1.5'"),
        ("ideal_entropy", "inf", "a number as ideal_entropy; got 'inf'"),
    ],
)
def test_a_score_that_is_none_is_named_before_a_report_is_written(tmp_path, column, value, said):
    go(plan(**SMALL), tmp_path)
    rows = read_scores(tmp_path)
    (tmp_path / "scores.csv").unlink()
    tables.Table(tmp_path / "scores.csv", SCORE_COLUMNS).append([rows[0], rows[1] | {column: value}])
    with pytest.raises(StorageError, match=rf"row 2 of .*scores\.csv must have {said}"):
        write_report(tmp_path)


def test_a_table_that_a_spreadsheet_has_saved_goes_on(tmp_path):
    """With other line ends, and a byte order mark before them."""
    go(plan(**SMALL), tmp_path)
    before = read_scores(tmp_path), read_tasks(tmp_path)
    for path in tmp_path.glob("*.csv"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    go(plan(**SMALL), tmp_path)
    assert (read_scores(tmp_path), read_tasks(tmp_path)) == before


def test_a_folder_of_another_version_is_refused_and_unlocked(tmp_path):
    (tmp_path / "scores.csv").write_text("something,else\n1,2\n")
    with Store(tmp_path) as store, pytest.raises(StorageError, match="other columns"):
        store.scored()
    with Store(tmp_path):
        pass


def test_a_rate_table_is_written_by_one_process_at_a_time(tmp_path):
    go(plan(cases=["ghz:3"], seeds=0), tmp_path / "campaign")
    with tables.exclusive_access(tmp_path / "rates.csv"), pytest.raises(StorageError, match="another process"):
        add_runs(tmp_path / "campaign", tmp_path / "rates.csv")
    assert add_runs(tmp_path / "campaign", tmp_path / "rates.csv") == (1, 1, 0)
    assert add_runs(tmp_path / "campaign", tmp_path / "rates.csv") == (0, 0, 1)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        add_runs(tmp_path / "campaign", tmp_path / "file" / "rates.csv")
