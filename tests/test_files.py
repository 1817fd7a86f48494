"""Files in and out: saved results are read as they were measured; what is written is whole or not there."""

import gzip
import json
import os
import stat
import threading
from pathlib import Path

import pytest
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult
from qiskit_ibm_runtime import RuntimeEncoder

import qcluster as qc
from qcluster.errors import StorageError
from qcluster.files import open_arrays, read_counts, read_reference, replace_whole, write_whole
from qcluster.folders import write_once


def test_a_path_names_a_file_too(tmp_path):
    """It has no endswith: an AttributeError, though the message for a path given to mitigate names this reader."""
    (tmp_path / "counts.json").write_text('{"00": 6, "11": 4}')
    assert read_counts(tmp_path / "counts.json").to_counts() == {"00": 6, "11": 4}
    assert read_reference(tmp_path / "counts.json", "00").survival == 0.6


def test_errors_name_arguments_and_no_options_of_the_command_line(tmp_path):
    """`read_counts` said "choose it by --pub 0", and `read_reference` "give it by --expected"."""
    (tmp_path / "counts.json").write_text('{"00": 6, "11": 4}')
    with pytest.raises(ValueError, match=r"counts of 1 PUB: choose it by pub 0; got 1"):
        read_counts(tmp_path / "counts.json", pub=1)
    with pytest.raises(ValueError, match=r"reads without noise: give it by expected$"):
        read_reference(tmp_path / "counts.json")


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        ("[0, 1, 3]", TypeError, "got a list of int: write integers as bitstrings"),  # it was said to hold 3 PUBs
        ("[0.5, 0.5]", TypeError, "got a list of float: values of all strings"),
        ("null", ValueError, "must hold counts; it holds null"),  # nothing of number 0 had arrived
    ],
)
def test_content_that_is_no_counts_is_named(tmp_path, content, error, said):
    (tmp_path / "counts.json").write_text(content)
    with pytest.raises(error, match=said):
        read_counts(tmp_path / "counts.json")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_no_part_of_a_write_is_seen(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    write_whole(path, "old")
    monkeypatch.setattr(os, step, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StorageError, match=r"cannot write .*file: No space left.*saved before is intact"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_data_and_folder_are_flushed_before_it_returns(tmp_path, monkeypatch):
    flushed, real = [], os.fsync

    def flush(handle):
        flushed.append(stat.S_IFMT(os.fstat(handle).st_mode))
        real(handle)

    monkeypatch.setattr(os, "fsync", flush)
    write_whole(tmp_path / "new" / "folder" / "file", b"content")
    assert flushed == [stat.S_IFREG, stat.S_IFDIR]
    assert (tmp_path / "new" / "folder" / "file").read_bytes() == b"content"


def test_others_may_read_it_as_far_as_the_umask_allows(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_what_nobody_else_may_read_stays_so(tmp_path):
    """Written anew, a private file was everybody's."""
    own, link = tmp_path / "own", tmp_path / "link"
    link.symlink_to(own)
    for mode in (0o600, 0o640):
        own.touch()
        own.chmod(mode)
        write_whole(link, "secret")
        assert (own.read_text(), stat.S_IMODE(own.stat().st_mode)) == ("secret", mode)
    replace_whole(link, b"new")
    assert stat.S_IMODE(link.lstat().st_mode) != 0o777
    assert own.read_text() == "secret"


def test_what_is_there_is_not_written_again(tmp_path):
    write_once(tmp_path / "file", b"first")
    write_once(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "store").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "store" / "file")
    for text in ("one", "two"):
        write_whole(link, text)
        assert link.is_symlink()
        assert (tmp_path / "store" / "file").read_text() == text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_written_to(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_whole(pipe, "through")
    reader.join(5)
    assert read == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(StorageError, match="cannot write"):
        write_whole(tmp_path, "text")


def saved(result, **options) -> str:
    return json.dumps(result, cls=RuntimeEncoder, **options)


def unsorted_registers() -> DataBin:
    """Register z on the lowest bit, and a above it: the reading is 001."""
    return DataBin(z=BitArray.from_counts({"1": 5}), a=BitArray.from_counts({"00": 5}, num_bits=2))


@pytest.mark.parametrize("sort_keys", [False, True])
@pytest.mark.parametrize("kind", [SamplerPubResult, PubResult])
def test_saved_registers_keep_their_order_whatever_the_order_of_the_keys(tmp_path, kind, sort_keys):
    pub, path = kind(unsorted_registers()), tmp_path / "result.json"
    for result in (pub, pub.data, PrimitiveResult([pub]), [pub]):
        path.write_text(saved(result, sort_keys=sort_keys, indent=1))
        assert read_counts(str(path)).to_counts() == {"001": 5}


def test_results_of_the_first_samplers_are_read(tmp_path):
    """In 2024 a result had no kind of its own, told the types of its registers, and had no shape where it was one."""
    content, path = json.loads(saved(PrimitiveResult([PubResult(unsorted_registers())]))), tmp_path / "result.json"
    data = content["__value__"]["pub_results"][0]["__value__"]["data"]["__value__"]
    data |= {"shape": None, "field_types": ["<class 'BitArray'>"] * 2}
    path.write_text(json.dumps(content, sort_keys=True))
    assert read_counts(str(path)).to_counts() == {"001": 5}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["z"], r"field_names must name the registers \['a', 'z'\]; got \['z'\]"),
        (["z", "b"], "field_names must name the registers"),
        (None, "must have field_names, which give their order"),
    ],
)
def test_registers_whose_order_is_not_told_are_refused(tmp_path, names, said):
    content, path = json.loads(saved(unsorted_registers())), tmp_path / "result.json"
    content["__value__"]["field_names"] = names
    path.write_text(json.dumps(content))
    with pytest.raises(StorageError, match=said):
        read_counts(str(path))


def test_an_answer_is_not_taken_for_counts(tmp_path):
    counts = {"00": 60, "01": 4, "11": 40}
    answer = tmp_path / "fixed.json"
    answer.write_text(qc.mitigate(counts).to_json())
    with pytest.raises(ValueError, match=r"fixed\.json must hold counts; got a file of the format qcluster-mitigation"):
        read_counts(str(answer))
    answer.write_text('{"format": "qcluster-run", "version": 1}')
    with pytest.raises(ValueError, match=r"format qcluster-run: mitigate takes qcluster\.Run\.from_json\(text\)$"):
        read_counts(str(answer))
    plain = tmp_path / "counts.json"
    plain.write_text(qc.Distribution.of(counts).to_json())
    assert read_counts(str(plain)).to_counts() == counts


def test_a_table_or_shots_as_text_are_told_what_counts_look_like(tmp_path):
    for text in ("bitstring,shots\n00,5\n", "00\n11\n", "{'00': 5}", ""):
        (tmp_path / "counts.csv").write_text(text)
        with pytest.raises(StorageError, match=r'counts.csv must be JSON, such as {"00": 480, "11": 520}; E'):
            read_counts(str(tmp_path / "counts.csv"))


def test_a_dash_is_no_name_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="got '-': standard output is /dev/stdout"):
        write_whole(Path("-"), "text")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
def test_json_is_read_in_every_encoding_and_packed(tmp_path, encoding, packed):
    """On Windows, PowerShell writes UTF-16 behind `>`."""
    data = '{"00": 6, "11": 4}\r\n'.encode(encoding)
    path = tmp_path / ("counts.json.gz" if packed else "counts.json")
    path.write_bytes(gzip.compress(data) if packed else data)
    assert read_counts(str(path)).to_counts() == {"00": 6, "11": 4}


@pytest.mark.parametrize(
    ("content", "said"),
    [(gzip.compress(b'{"00": 6}')[:20], "Compressed file ended"), (b'{"00": 6}', "Not a gzipped file")],
    ids=["cut short", "not packed"],
)
def test_a_damaged_gzip_file_is_named(tmp_path, content, said):
    path = tmp_path / "counts.json.gz"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=rf"cannot read .*counts\.json\.gz: {said}"):
        read_counts(str(path))


def test_no_advice_to_load_a_pickle(tmp_path):
    """NumPy takes a file that is no archive for a pickle, and its message tells how to load that."""
    path = tmp_path / "gate.npz"
    path.write_text('{"00": 6}')
    with pytest.raises(StorageError, match=r"gate\.npz must be an \.npz file of arrays"), open_arrays(path):
        pass
