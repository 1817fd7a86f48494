"""What is no table, no gate and no record ends in words that name the file."""

import numpy as np
import pytest
from typer.testing import CliRunner

from qcluster.cli.decision import decision_app
from qcluster.errors import StorageError


def call(*arguments):
    return CliRunner().invoke(decision_app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.mark.parametrize("content", ["", "[]", "{}", "3", "[" * 100_000, '{"ideal": {"0": 1}}'])
def test_wrong_records_are_named(tmp_path, content):
    (tmp_path / "mine.jsonl").write_text(content)
    with pytest.raises((StorageError, ValueError), match=r"mine\.jsonl"):
        call(
            "build",
            "--out",
            tmp_path / "out",
            "--full",
            0,
            "--wide",
            0,
            "--sharp",
            0,
            "--records",
            tmp_path / "mine.jsonl",
        )


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18)])
def test_wrong_tables_and_gates_are_named(tmp_path, content):
    (tmp_path / "part.npz").write_bytes(content)
    for command in (("train", "--out", tmp_path / "gate.npz"), ("score",)):
        with pytest.raises(StorageError, match="damaged, or of another kind"):
            call(*command, "--table", tmp_path)


def test_an_archive_of_other_arrays_is_named(tmp_path):
    np.savez(tmp_path / "part.npz", a=np.arange(3))
    with pytest.raises(StorageError, match="damaged, or of another kind: KeyError"):
        call("score", "--table", tmp_path)
