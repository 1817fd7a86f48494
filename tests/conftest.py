"""Shared fixtures, and where the recorded hardware counts are."""

import gzip
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("steady")

DATA = Path(os.environ.get("QCLUSTER_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))


def read_records(name: str) -> list[dict[str, Any]]:
    """Read recorded counts, or skip the test, saying so, where they are not at hand."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"needs recorded hardware counts: {name} is not in QCLUSTER_DATA or ../shared/data")
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def brussels() -> list[dict[str, Any]]:
    """Six records of ibm_brussels with their ideal distributions."""
    return read_records("ibm_brussels_2025.jsonl.gz")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 100 kB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", place], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    yield place
    subprocess.run(["umount", place], check=True)
