"""The append-only table: torn lines, full disks, wrong columns."""

import csv
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


HOSTILE = ["=1+2", "+cmd", "-cmd|' /C calc'!A0", "@sum", "\t=1", "'=x", "''=x", "'quoted'", "#no comment"]
LINES = ["two\nlines", "\r\n", 'say "so",\nand more', "\u2028odd\x0cends\x1c"]


@pytest.mark.parametrize("name", [*HOSTILE, *LINES])
def test_names_stay_what_they_are_on_a_line_of_their_own(tmp_path, name):
    table = Table(tmp_path / "t.csv", ("a", "b"))
    table.append([{"a": name, "b": -0.5}, {"a": 1, "b": name}])
    assert table.rows() == [{"a": name, "b": "-0.5"}, {"a": "1", "b": name}]
    lines = (tmp_path / "t.csv").read_bytes().split(b"\n")
    assert len(lines) == 4
    assert not any(
        part.startswith((b"=", b"+", b"@", b"\t", b"-c", b"#")) for line in lines for part in line.split(b",")
    )


def test_a_tear_within_a_name_of_several_lines_costs_that_row_alone(tmp_path):
    table = Table(tmp_path / "t.csv", ("a", "b"))
    table.append([{"a": "one", "b": 1}, {"a": 'x\ny"', "b": 2}])
    whole = (tmp_path / "t.csv").read_bytes()
    for end in range(whole.index(b"x"), len(whole)):
        (tmp_path / "torn.csv").write_bytes(whole[:end])
        torn = Table(tmp_path / "torn.csv", ("a", "b"))
        torn.append([{"a": "three", "b": 3}])
        assert [row["b"] for row in torn.rows()] == ["1", "3"]


@pytest.mark.parametrize("text", ["-0.5", "+1e-3", "-inf", "nan", "1"])
def test_numbers_stay_numbers(tmp_path, text):
    table = Table(tmp_path / "t.csv", ("a", "b"))
    table.append([{"a": text, "b": float(text)}])
    assert (tmp_path / "t.csv").read_text().splitlines()[1].startswith(f"{text},")


def test_a_cell_of_any_length_is_read_back(tmp_path):
    """A method's error may quote its input; one such row once made the scores of a whole folder unreadable."""
    limit, long = csv.field_size_limit(), "x" * 200_000
    table = Table(tmp_path / "t.csv", ("task", "note"))
    table.append([{"task": "a", "note": long}, {"task": "b", "note": ""}])
    assert [row["note"] for row in Table(table.path, table.columns).rows()] == [long, ""]
    assert csv.field_size_limit() == limit


def test_a_character_that_is_none_costs_no_campaign(tmp_path):
    """Python reads a name of a file that is no UTF-8 so; an error of a method that quoted it ended the campaign."""
    table = Table(tmp_path / "t.csv", ("task", "note"))
    table.append([{"task": "a", "note": "cannot read '\udcff.dat'"}, {"task": "b", "note": "é \N{GRINNING FACE}"}])
    assert [row["note"] for row in table.rows()] == ["cannot read '\\udcff.dat'", "é \N{GRINNING FACE}"]


def test_a_torn_line_is_dropped_and_said(tmp_path, caplog):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,")
    with caplog.at_level(logging.WARNING):
        assert read_rows(path, ("a", "b")) == [{"a": "1", "b": "2"}]
    assert "the last line has no line end and is left out" in caplog.text
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


@pytest.mark.parametrize(
    "content", ["my own notes, without an end", "a,c\n1,2\n3,4", "x", "\n1", "a,b,c\n1", "a,bc", '"a\nb",c\n1']
)
def test_a_file_of_another_kind_is_not_cut(tmp_path, content):
    """Its last line was dropped before its columns were looked at, and all of it where there was one line."""
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(StorageError, match=r"t\.csv has other columns than this version writes"):
        Table(path, ("a", "b"))
    assert path.read_text() == content


@pytest.mark.parametrize("start", ["a,b\n", "\ufeffa,b\n", "a,b\r\n", '"a","b"\r\n', "", "\ufeff"])
@pytest.mark.parametrize("torn", ["a", "a,b"])
def test_a_torn_line_behind_any_header_of_ours_is_dropped(tmp_path, start, torn):
    path = tmp_path / "t.csv"
    path.write_bytes((start + torn).encode())
    table = Table(path, ("a", "b"))
    table.append([{"a": 5, "b": 6}])
    assert table.rows() == [{"a": "5", "b": "6"}]


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


def test_what_an_interrupted_attempt_kept_stays(tmp_path):
    """Rows go, new ones come for some of them, the process is killed, and all of it is done again."""
    table, old = Table(tmp_path / "t.csv", ("a", "b")), tmp_path / "t.csv.old"
    table.append([{"a": 1, "b": 10}, {"a": 2, "b": 20}, {"a": 3, "b": 30}])
    table.keep(lambda row: row["a"] == "1", old=old, key=("a",))
    table.append([{"a": 2, "b": 21}])
    table.keep(lambda row: row["a"] == "1", old=old, key=("a",))
    assert table.rows() == [{"a": "1", "b": "10"}]
    assert [(row["a"], row["b"]) for row in read_rows(old)] == [("1", "10"), ("2", "20"), ("3", "30")]
    table.append([{"a": 2, "b": 21}, {"a": 3, "b": 31}])  # this time all of it came
    table.keep(lambda row: row["a"] == "1", old=old, key=("a",))
    assert [row["b"] for row in read_rows(old)] == ["10", "21", "31"]


def test_a_table_that_cannot_be_replaced_is_as_it_was(tmp_path):
    table = Table(tmp_path / "t.csv", ("a",))
    table.append([{"a": 1}, {"a": 2}])
    (tmp_path / "t.csv.new").symlink_to("/dev/full")
    (tmp_path / "t.csv.old").mkdir()
    with pytest.raises(StorageError, match="it is unchanged"):
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
