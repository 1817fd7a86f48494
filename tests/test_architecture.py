"""The fences and arrows of the house: what may import what."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "qcluster"
ALLOWED = {
    "errors": set(),
    "core": {"errors"},
    "baselines": {"errors", "core"},
    "learn": {"errors", "core"},
    "workers": set(),
    "batch": {"errors", "core", "workers"},
    "files": {"errors", "core"},
    "folders": {"errors", "files"},
    "plot": {"errors", "core", "files"},
    "device": {"errors", "core", "learn", "baselines", "files", "folders"},
    "qnn": {"errors", "core", "learn", "baselines", "device", "files"},
    "bench": {"errors", "core", "learn", "baselines", "device", "files", "folders", "plot", "workers"},
    "demo": {"errors", "core", "device", "bench"},
    "doctor": {"errors", "device", "demo"},
}
"""Rooms, and the rooms each may import from. What is not listed (the command line) may import all."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the arrows"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_in_one_direction(path):
    here = room(path)
    if here not in ALLOWED:
        return
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("qcluster.")} - {"__version__"}
    assert rooms <= ALLOWED[here] | {here}


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").rglob("*.py")), ids=lambda path: path.name)
def test_core_imports_numpy_and_the_standard_library_only(path):
    tops = {name.split(".")[0] for name in imported(path)}
    assert tops <= {"numpy", "qcluster"} | set(sys.stdlib_module_names)
    assert not tops & {"time", "logging", "random", "os", "io"}, "core has no clock, no I/O and no hidden randomness"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_pickle_is_read_or_written(path):
    assert not {name.split(".")[0] for name in imported(path)} & {"pickle", "dill", "cloudpickle", "shelve", "marshal"}
    assert "allow_pickle=True" not in path.read_text(encoding="utf-8")


def test_importing_the_package_costs_numpy_only():
    heavy = "qiskit", "qiskit_aer", "qiskit_ibm_runtime", "sklearn", "scipy", "matplotlib", "pandas", "mthree", "typer"
    code = f"import sys, qcluster; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_described():
    import qcluster

    for name in qcluster.__all__:
        assert getattr(qcluster, name).__doc__, name
    assert set(qcluster.__all__) <= set(dir(qcluster))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = qcluster.nothing


def test_only_bits_reverses_text():
    for path in modules():
        if path.name != "bits.py":
            reversed_ = [line for line in path.read_text(encoding="utf-8").splitlines() if "::-1]" in line]
            wrong = [line for line in reversed_ if re.search(r"bits|text|string|key|char", line)]
            assert not wrong, f"{path}: bit order belongs in core/bits.py: {wrong}"
