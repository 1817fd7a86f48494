"""The command line and files against a hostile world; by the thousand in tests/fuzz."""

import base64
import gzip
import io
import json
import os
import resource
import subprocess
import sys
import zlib

import numpy as np
import pytest

from qcluster import files
from qcluster.bench.records import read_records
from qcluster.bench.sample import unpack_sample
from qcluster.core.mitigate import mitigate
from qcluster.errors import StorageError
from qcluster.learn.table import read_table
from qcluster.qnn.images import load_csv, load_idx
from tests.fuzz.mutate import nested
from tests.test_cli import COUNTS, run


def bomb(size: int) -> bytes:
    """A megabyte or so that unpacks to `size` zeros, without holding them."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(size >> 20)) + packer.flush()


def test_what_is_packed_is_unpacked_up_to_a_limit():
    assert files.unpack(zlib.compress(b"abc")) == files.unpack(gzip.compress(b"abc")) == b"abc"
    packed = bomb(64 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="unpacks to more than"):
        files.unpack(packed, 1 << 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10
    for damaged, said in ((packed[:-9], "cut short|more than"), (b"\x1f\x8bnonsense", "damaged"), (b"", "cut short")):
        with pytest.raises(ValueError, match=said):
            files.unpack(damaged, 1 << 28)


@pytest.fixture
def modest(monkeypatch):
    """A limit that a test can afford to reach."""
    monkeypatch.setattr("qcluster.files.MOST_BYTES", 1 << 20)
    monkeypatch.setattr(files, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(files.unpack, "__defaults__", (1 << 20,))


def test_files_without_end_are_not_read_to_their_end(modest):
    with pytest.raises(StorageError, match="larger than the 1,048,576 bytes"):
        files.read_counts("/dev/zero")


@pytest.mark.parametrize("read", [read_table, load_csv, lambda path: load_idx(path, path)])
def test_tables_and_images_without_end_are_not_read_to_their_end(read, modest, monkeypatch):
    monkeypatch.setattr("qcluster.learn.table.MOST_BYTES", 1 << 20)
    with pytest.raises((StorageError, ValueError), match="/dev/zero: it is larger than the 1,048,576 bytes"):
        read("/dev/zero")


def test_arrays_that_unpack_to_gigabytes_are_refused(modest, tmp_path):
    array = {"__type__": "ndarray", "__value__": base64.b64encode(bomb(32 << 20)).decode()}
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"__type__": "BitArray", "__value__": {"array": array, "num_bits": 3}}))
    with pytest.raises(StorageError, match="unpacks to more than"):
        files.read_counts(str(path))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 50, 1)})
    array["__value__"] = base64.b64encode(zlib.compress(header.getvalue())).decode()
    path.write_text(json.dumps({"__type__": "BitArray", "__value__": {"array": array, "num_bits": 3}}))
    with pytest.raises(StorageError, match="cannot be decoded"):
        files.read_counts(str(path))


def test_records_and_samples_that_unpack_to_gigabytes_are_refused(modest, tmp_path):
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * (3 << 20)))
    with pytest.raises(StorageError, match="line 1 is longer than"):
        list(read_records(path))
    with pytest.raises(StorageError, match="unpacks to more than"):
        unpack_sample(gzip.compress(b" " * (3 << 20)), tmp_path, None)


@pytest.mark.parametrize("kind", ["[", "{", "open"])
def test_nesting_without_end_is_refused(kind):
    with pytest.raises(ValueError, match=r"nested too deeply|Expecting"):
        files.parse_json(nested(100_000, kind))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_the_output_is_a_line_of_words():
    code = "from qcluster.cli.main import main; main()"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, "mitigate", "-"],
            input=json.dumps(COUNTS), stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_a_result_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "out.json"
    files.write_mitigation(path, mitigate(COUNTS))
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(StorageError, match="No space left"):
        files.write_mitigation(path, mitigate(COUNTS))
    assert path.read_bytes() == before
    assert [part.name for part in tmp_path.iterdir()] == ["out.json"]


def test_a_folder_is_no_file(tmp_path):
    done = run("mitigate", tmp_path)
    assert (done.returncode, "cannot read" in done.stderr, done.stderr.count("\n")) == (2, True, 1)
