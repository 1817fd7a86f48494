"""Records that are made for hours: whole in their file, or not at all."""

import pytest

from benchmarks.compiled_records import rotations, write_records
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


def test_rotations_are_fitted_to_circuits_and_the_last_ones_to_each_compilation(tmp_path):
    def record(circuit, turned, last, ideal):
        return {"circuit": circuit, "ideal": ideal, "faults": {"rotations": turned, "last_rotations": last}}

    even, uneven = {"0": 0.5, "1": 0.5}, {"0": 0.9, "1": 0.1}
    lines = [
        record("clifford", 0.0, [0.0], even),
        *(record("even", 0.5, last, even) for last in ([0.0], [0.1])),
        *(record(f"uneven {place}", 0.4, [last], uneven) for place, last in enumerate((0.0, 0.1, 0.1, 0.1))),
    ]
    path = tmp_path / "runs.jsonl.gz"
    write_records(path, lines)
    told = rotations([path])
    assert told.startswith("6 circuits, 2 with even outputs, of which 0.50 are Clifford")
    assert told.endswith("in 0.50 of those with even outputs, and in 0.25 of those with uneven ones")
    del lines[0]["faults"]["last_rotations"]
    write_records(path, lines)
    with pytest.raises(ValueError, match="must hold the last rotations"):
        rotations([path])
