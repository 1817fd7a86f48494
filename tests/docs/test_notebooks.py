"""The notebooks of the pages: what is stored is whole and clean, and running them anew prints the same."""

import base64
import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
EXECUTE = "python docs/notebooks/execute.py"
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def printed(cell: dict[str, Any]) -> str:
    """All text that a cell shows, tables and the names of figures included."""
    shown = [output.get("text") or output["data"]["text/plain"] for output in cell["outputs"]]
    return "\n".join(joined(text) for text in shown)


def kinds(notebook: dict[str, Any]) -> list[list[list[str]]]:
    """What each output is: a stream's name, or the formats of what is displayed."""
    return [
        [[output["name"]] if "name" in output else sorted(output["data"]) for output in cell["outputs"]]
        for cell in code_cells(notebook)
    ]


def same(stored: str, fresh: str) -> bool:
    """Whether texts agree, numbers within one unit of their last digit: there other processors round otherwise."""
    if NUMBER.sub("#", stored).split() != NUMBER.sub("#", fresh).split():
        return False
    pairs = zip(NUMBER.findall(stored), NUMBER.findall(fresh), strict=True)
    return all(abs(float(a) - float(b)) < 1.5 * 10.0 ** -len(a.partition(".")[2]) for a, b in pairs)


def test_texts_agree_up_to_the_last_digit():
    assert same("gain 0.82  at -0.001", "gain 0.81  at 0.000")
    assert not same("gain 0.82", "gain 0.84")
    assert not same("gain 0.82", "gain -0.82")
    assert not same("applied 3", "declined 3")
    assert not same("gain 0.82", "gain 0.82 0.82")


@each_notebook
def test_what_is_stored_is_whole_and_clean(path):
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1)), f"run: {EXECUTE}"
    assert {output["output_type"] for cell in cells for output in cell["outputs"]} <= {
        "stream",
        "display_data",
        "execute_result",
    }
    assert not [output for cell in cells for output in cell["outputs"] if output.get("name") == "stderr"]
    words = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not re.findall(r"/home/|/root/|/tmp/|/Users/|/opt/|[A-Z]:\\\\|at 0x", words)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info", "made_with"}
    assert all(not cell["metadata"] for cell in notebook["cells"])
    pictures = [
        base64.b64decode(joined(output["data"]["image/png"]))
        for cell in cells
        for output in cell["outputs"]
        if "image/png" in output.get("data", {})
    ]
    assert pictures
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert all(printed(cell) for cell in cells if cell["outputs"])
    assert "<Figure" not in "".join(
        printed(cell) for cell in cells if not any("image/png" in o.get("data", {}) for o in cell["outputs"])
    )


def test_notebooks_stay_small_and_stand_in_the_pages():
    assert len(NOTEBOOKS) >= 3
    assert sum(path.stat().st_size for path in NOTEBOOKS) < 150_000 * len(NOTEBOOKS)
    contents = (FOLDER.parent / "index.md").read_text(encoding="utf-8")
    assert not [path.stem for path in NOTEBOOKS if f"\nnotebooks/{path.stem}\n" not in contents]


@each_notebook
def test_links_of_notebooks_lead_somewhere(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    prose = "".join(joined(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose)
    assert targets
    assert not [target for target in targets if "://" not in target and not (path.parent / target).exists()]


CLAIMS = (
    ("01_answer", "49 of the 64 possible strings were read", "49 strings of 6 bits"),
    ("02_machine", "mitigates only an eighth of the answer", "as they came, with 12% of another answer: deconvolution"),
    ("02_machine", "and twice as much is mitigated", "as they came, with 29% of another answer: deconvolution"),
    ("02_machine", "calibration predicts 99% raw fidelity", "the calibration predicts 99% raw fidelity"),
    ("03_campaign", "The table is empty", "Empty DataFrame"),
    ("03_campaign", "M3 should have the best mean, and it does", "worst method m3"),
    ("05_reference", "48 two-qubit gates on a recorded 27-qubit machine", "5 of 27 qubits, 48 two-qubit gates"),
)
"""A notebook, what its text claims, and the output on which the claim rests."""


@pytest.mark.parametrize(("name", "claim", "output"), CLAIMS)
def test_the_text_agrees_with_the_outputs(name, claim, output):
    notebook = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    prose = " ".join(joined(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    outputs = " ".join(printed(cell) for cell in code_cells(notebook))
    assert claim in " ".join(prose.split())
    assert output in " ".join(outputs.split())


@pytest.mark.slow
@each_notebook
def test_a_fresh_run_prints_what_is_stored(path):
    pytest.importorskip("nbclient", reason="pip install 'qcluster[docs]'")
    pytest.importorskip("pandas", reason="pip install 'qcluster[docs]'")
    pytest.importorskip("mthree", reason="pip install 'qcluster[bench]'")
    module = runpy.run_path(str(FOLDER / "execute.py"))
    stored, fresh = json.loads(path.read_text(encoding="utf-8")), module["execute"](path)
    assert kinds(fresh) == kinds(stored), f"run: {EXECUTE}"
    made, here = stored["metadata"]["made_with"], module["versions"]()
    if made != here:
        pytest.skip(f"runs without errors; its figures, made with {made}, are not compared with those of {here}")
    for old, new in zip(code_cells(stored), code_cells(fresh), strict=True):
        assert same(printed(old), printed(new)), f"cell {old['id']} prints {printed(new)!r}; run: {EXECUTE}"


@pytest.mark.slow
def test_a_notebook_that_warns_is_not_stored(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="pip install 'qcluster[docs]'")
    cell = nbformat.v4.new_code_cell("import warnings\nwarnings.warn('old')", id="loud")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "loud.ipynb")
    with pytest.raises(ValueError, match=r"cell loud wrote .*UserWarning: old"):
        runpy.run_path(str(FOLDER / "execute.py"))["execute"](tmp_path / "loud.ipynb")
