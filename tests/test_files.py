"""The one function that writes a file whole, and what it promises."""

import os
import stat
import threading

import pytest

from qcluster.errors import StorageError
from qcluster.files import write_whole
from qcluster.folders import write_once


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
