"""Records that are made for hours: whole in their file, or not at all."""

import pytest

from benchmarks.compiled_records import write_records
from qcluster.errors import StorageError
from qcluster.files import read_lines


def test_what_stood_there_stays_until_all_records_are_made(tmp_path):
    """The file was emptied at the start, and a kill left an archive that is cut short."""
    path = tmp_path / "new" / "records.jsonl.gz"
    write_records(path, [{"a": 1}, {"b": "\u00e9"}])
    before = path.read_bytes()

    def dying():
        yield {"c": 3}
        assert path.read_bytes() == before
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(path, dying())
    assert list(read_lines(path, lambda _, line: line)) == [{"a": 1}, {"b": "\u00e9"}]
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_made(tmp_path):
    def never():
        raise AssertionError("a record was made")
        yield {}

    with pytest.raises(StorageError, match=r"cannot write .*: Is a directory"):
        write_records(tmp_path, never())
