"""What a release must hold: one version everywhere, complete metadata, and distributions that install and work."""

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import qcluster as qc

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_one_version_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert PROJECT["version"] == qc.__version__ == re.findall(r"^version: (\S+)$", citation, re.MULTILINE)[0]
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", qc.__version__)
    if ".dev" not in qc.__version__:
        changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        (released,) = re.findall(r"^date-released: (\S+)$", citation, re.MULTILINE)
        assert f"\n## [{qc.__version__}] - {released}\n" in changes


def test_what_the_qiskit_ecosystem_asks_for():
    assert len(PROJECT["description"]) <= 135
    assert PROJECT["license"] == "Apache-2.0"
    assert f"name: {PROJECT['authors'][0]['name']}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    (qiskit,) = [line for line in PROJECT["dependencies"] if re.match(r"qiskit[^-\w]", line)]
    assert re.fullmatch(r"qiskit>=2\.\d+(\.\d+)?,<3", qiskit), "V2 primitives, and the major version capped"
    assert all(url.startswith("https://") for url in PROJECT["urls"].values())
    assert PROJECT["requires-python"] == ">=3.11"
    for name in ("CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff", "CHANGELOG.md", "README.md"):
        assert len((ROOT / name).read_text(encoding="utf-8")) > 300, name
    assert "support" in (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines()[0]


def test_every_dependency_has_a_lower_bound():
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    for line in [*PROJECT["dependencies"], *extras]:
        assert ">=" in line or line.startswith("qcluster["), line


def test_every_library_that_is_imported_is_declared():
    """Three came with others, which may go without them in their next version."""
    brings = packages_distributions()
    lines = [*PROJECT["dependencies"], *(line for lines in PROJECT["optional-dependencies"].values() for line in lines)]
    declared = {name for line in lines for name in re.findall(r"[\w-]+(?=[\[\]>])", line)}
    imported = set()
    for path in (ROOT / "qcluster").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {one.name.partition(".")[0] for one in node.names}
            if isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    assert {"numpy", "typer", "portalocker", "PIL", "pydantic"} <= imported
    for name in sorted(imported - sys.stdlib_module_names - {"qcluster"}):
        assert declared & {one.lower() for one in brings.get(name, [name])}, name


@pytest.mark.slow
def test_distributions_hold_what_they_should_and_work(tmp_path):
    pytest.importorskip("build", reason="pip install build twine")
    pytest.importorskip("twine")
    subprocess.run([sys.executable, "-m", "build", "--outdir", tmp_path, ROOT], check=True, capture_output=True)
    (wheel,), (source,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", wheel, source], check=True)

    held = zipfile.ZipFile(wheel).namelist()
    about = f"qcluster-{qc.__version__}.dist-info/"
    files = [path for path in (ROOT / "qcluster").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert {name for name in held if not name.startswith(about)} == {str(path.relative_to(ROOT)) for path in files}
    assert {"qcluster/py.typed", "qcluster/bench/reports/page.html.j2", f"{about}licenses/LICENSE"} <= set(held)
    assert not [name for name in held if "test" in name or name.endswith((".pyc", ".pkl"))]
    with tarfile.open(source) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"README.md", "LICENSE", "docs/conf.py", "tests/conftest.py", "examples/01_postprocess.py"} <= names
    assert not [name for name in names if "_build" in name or "__pycache__" in name or name.startswith("shared")]

    place = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(place)
    code = (
        "import qcluster as qc; from qcluster.learn.table import read_table;"
        "print(qc.__file__, *(qc.mitigate({'00' * n: 480, '11' * n: 470, '01' * n: 50}).raw.shots for n in (1, 7)),"
        "len(read_table()) > 1000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(place / "qcluster" / "__init__.py"), "1000.0", "1000.0", "True"]
