"""The append-only table: torn lines, full disks, wrong columns."""

import logging

import pytest

from qcluster.bench.table import Table, read_rows
from qcluster.errors import StorageError


def test_rows_come_back_as_written(tmp_path):
    table = Table(tmp_path / "t.csv", ("a", "b"))
    assert table.rows() == []
    table.append([{"a": 1, "b": 0.1 + 0.2}])
    table.append([{"a": 'say "x, y"', "b": None}, {"a": float("nan"), "b": "é"}])
    assert table.rows() == [{"a": "1", "b": repr(0.1 + 0.2)}, {"a": 'say "x, y"', "b": ""}, {"a": "", "b": "é"}]
    assert (tmp_path / "t.csv").read_text().startswith("a,b\n1,")


def test_a_torn_line_is_dropped_and_said(tmp_path, caplog):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,")
    assert read_rows(path, ("a", "b")) == [{"a": "1", "b": "2"}]
    with caplog.at_level(logging.WARNING):
        table = Table(path, ("a", "b"))
    assert "unfinished last line" in caplog.text
    table.append([{"a": 5, "b": 6}])
    assert path.read_text() == "a,b\n1,2\n5,6\n"


def test_a_torn_header_starts_again(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,")
    table = Table(path, ("a", "b"))
    table.append([{"a": 1, "b": 2}])
    assert path.read_text() == "a,b\n1,2\n"


def test_other_columns_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,c\n1,2\n")
    with pytest.raises(StorageError, match="other columns"):
        Table(path, ("a", "b")).rows()


def test_rows_that_are_not_wanted_go(tmp_path):
    table = Table(tmp_path / "t.csv", ("a",))
    table.append([{"a": 1}, {"a": 2}, {"a": 3}])
    before = (tmp_path / "t.csv").read_text()
    table.keep(lambda row: row["a"] != "2", old=tmp_path / "t.csv.old")
    assert table.rows() == [{"a": "1"}, {"a": "3"}]
    assert (tmp_path / "t.csv.old").read_text() == before
    table.append([{"a": 4}])
    assert len(table.rows()) == 3
    table.keep(lambda row: False)
    assert (tmp_path / "t.csv").read_text() == "a\n"


def test_a_table_that_cannot_be_replaced_is_as_it_was(tmp_path):
    table = Table(tmp_path / "t.csv", ("a",))
    table.append([{"a": 1}, {"a": 2}])
    (tmp_path / "t.csv.new").symlink_to("/dev/full")
    (tmp_path / "t.csv.old").mkdir()
    with pytest.raises(StorageError, match="it is as it was"):
        table.keep(lambda row: row["a"] == "1", old=tmp_path / "t.csv.old")
    assert table.rows() == [{"a": "1"}, {"a": "2"}]


def test_a_full_disk_is_a_clear_error(tmp_path):
    (tmp_path / "full.csv").symlink_to("/dev/full")
    table = Table(tmp_path / "full.csv", ("a",))
    with pytest.raises(StorageError, match=r"cannot write .*saved before is intact"):
        table.append([{"a": 1}])


def test_a_half_written_row_is_taken_back(tmp_path, monkeypatch):
    from qcluster.bench import table as module

    path = tmp_path / "t.csv"
    table = Table(path, ("a", "b"))
    table.append([{"a": 1, "b": 2}])
    before = path.read_bytes()
    whole = module._write_whole

    class Filling:
        """A stream whose disk is full after three bytes."""

        def __init__(self, stream):
            self.stream, self.room = stream, 3

        def write(self, content):
            if not self.room:
                raise OSError(28, "No space left on device")
            done = self.stream.write(content[: self.room])
            self.room -= done
            return done

        def __getattr__(self, name):
            return getattr(self.stream, name)

    monkeypatch.setattr(module, "_write_whole", lambda stream, content: whole(Filling(stream), content))
    with pytest.raises(StorageError, match="No space left"):
        table.append([{"a": 33, "b": 44}])
    assert path.read_bytes() == before
    monkeypatch.undo()
    table.append([{"a": 5, "b": 6}])
    assert table.rows() == [{"a": "1", "b": "2"}, {"a": "5", "b": "6"}]
