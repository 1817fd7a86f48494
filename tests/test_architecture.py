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
    "learn": {"errors", "core", "files", "workers"},
    "workers": {"errors"},
    "batch": {"errors", "core", "workers"},
    "files": {"errors", "core"},
    "folders": {"errors", "files"},
    "plot": {"errors", "core", "files"},
    "handover": {"errors", "core"},
    "notebook": {"errors", "core"},
    "device": {"errors", "core", "learn", "baselines", "files", "folders", "plot", "notebook"},
    "qnn": {"errors", "core", "learn", "baselines", "device", "files", "plot"},
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
    """What a file imports, wherever in it: `import_module("...")`, and what only type checkers read, count too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the arrows"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            names |= literal(node.args)
        elif isinstance(node, ast.Call) and any("import_module" in ast.unparse(item) for item in node.args):
            names |= literal(node.args)  # such as partial(import_module, "...")
    return names


def literal(arguments: list[ast.expr]) -> set[str]:
    return {item.value for item in arguments if isinstance(item, ast.Constant) and isinstance(item.value, str)}


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files_imported(path: Path, known: set[str]) -> set[str]:
    """Files of the package that a file imports: of ``a.b.c`` the longest part that is a file."""
    found = set()
    for name in imported(path):
        parts = name.split(".")
        files = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
        found |= set([file for file in files if file in known][:1])
    return found - {dotted(path)}


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of files that all import one another, by way of others or directly: strongly connected components."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = [start]
        while ahead:
            new = arrows[ahead.pop()] - seen
            seen |= new
            ahead += new
        return seen

    reach = {name: reached(name) for name in arrows}
    groups = {tuple(sorted(b for b in reach[a] if a in reach[b])) for a in arrows if a in reach[a]}
    return [list(group) for group in sorted(groups)]


def test_no_files_import_one_another_in_a_circle():
    paths = {dotted(path): path for path in modules()}
    arrows = {name: files_imported(path, set(paths)) for name, path in paths.items()}
    assert circles(arrows) == []


def test_circles_are_seen(tmp_path):
    """The check above can fail: by a function's import, a type checker's, and by name."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    path = tmp_path / "file.py"
    path.write_text(
        "from functools import partial\nfrom importlib import import_module\n"
        'def late():\n    from qcluster import cli\n    return import_module("qcluster.plot")\n'
        'load = partial(import_module, "qcluster.qnn.data")\n'
    )
    assert {"qcluster.cli", "qcluster.plot", "qcluster.qnn.data"} <= imported(path)


FOLDERS = sorted({path.parent for path in modules()} - {PACKAGE})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(PACKAGE)))
def test_a_folder_can_be_read_at_a_glance(folder):
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= 14


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_in_one_direction(path):
    here = room(path)
    if here not in ALLOWED:
        return
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("qcluster.")} - {"__version__"}
    assert rooms <= ALLOWED[here] | {here}


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "core").rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_core_imports_numpy_and_the_standard_library_only(path):
    tops = {name.split(".")[0] for name in imported(path)}
    assert tops <= {"numpy", "qcluster"} | set(sys.stdlib_module_names)
    assert not tops & {"time", "logging", "random", "os", "io"}, "core has no clock, no I/O and no hidden randomness"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_pickle_is_read_or_written(path):
    assert not {name.split(".")[0] for name in imported(path)} & {"pickle", "dill", "cloudpickle", "shelve", "marshal"}
    assert "allow_pickle=True" not in path.read_text(encoding="utf-8")


CORE = ("counts", "stats", "noise", "uncertainty", "dense", "sparse", "decision", "estimators", "methods")
"""Rooms of the core, in the order of the physics: each imports from itself and from those before it."""


@pytest.mark.parametrize("name", CORE)
def test_rooms_of_the_core_import_from_those_before_them(name):
    found = {
        part[2]
        for path in (PACKAGE / "core" / name).glob("*.py")
        for part in (one.split(".") for one in imported(path))
        if part[:2] == ["qcluster", "core"] and part[2] in CORE
    }
    assert found <= set(CORE[: CORE.index(name) + 1])


def test_the_rooms_of_the_core_are_all_named():
    assert {path.name for path in (PACKAGE / "core").iterdir() if (path / "__init__.py").exists()} == set(CORE)
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^\| `core/(\w+)` \|", page, re.MULTILINE)) == CORE


def test_importing_the_package_costs_numpy_only():
    heavy = (
        "qiskit",
        "qiskit_aer",
        "qiskit_ibm_runtime",
        "sklearn",
        "scipy",
        "matplotlib",
        "pandas",
        "mthree",
        "typer",
        "attr",
    )
    heavy += "statistics", "numpy.random", "importlib.resources"  # a tenth each of what else is imported
    code = f"import sys, qcluster; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_described():
    import qcluster

    for name in qcluster.__all__:
        assert getattr(qcluster, name).__doc__, name
    assert set(qcluster.__all__) <= set(dir(qcluster))
    assert [name for name in dir(qcluster) if not hasattr(qcluster, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = qcluster.nothing


@pytest.mark.parametrize("room", ["baselines", "device", "qnn"])
def test_rooms_with_public_names_are_attributes_at_once(room):
    """Messages and pages say qcluster.device.fault_masks, which was there only after something else had imported it."""
    code = f"import qcluster; print(len(qcluster.{room}.__all__) > 5, 'name' in dir(qcluster))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True False"


@pytest.mark.parametrize("room", ["baselines", "device", "qnn"])
def test_the_shell_completes_public_names_before_their_first_use(room):
    code = f"import qcluster.{room} as room; print(set(room.__all__) - set(dir(room)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_only_bits_reverses_text():
    for path in modules():
        if path.name != "bits.py":
            reversed_ = [line for line in path.read_text(encoding="utf-8").splitlines() if "::-1]" in line]
            wrong = [line for line in reversed_ if re.search(r"bits|text|string|key|char", line)]
            assert not wrong, f"{path}: bit order belongs in core/counts/bits.py: {wrong}"
