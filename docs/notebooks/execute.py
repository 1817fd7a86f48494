"""Execute the notebooks of this folder, each in a fresh kernel, and store their outputs.

Run: python docs/notebooks/execute.py [01_answer.ipynb ...]

The same commit gives the same files: outputs have no times and no paths. A notebook that raises or warns is not stored.
"""

import importlib.metadata
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbclient
import nbformat

HERE = Path(__file__).parent
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
"""The metadata of a kernel that are stored."""
MAKERS = ("numpy", "qiskit", "qiskit-aer", "scipy")
"""Packages of which another version may compile, draw or round differently, and so change the figures."""
SECONDS = 900
"""Longest time for one cell, generous since a busy machine is slow."""


def execute(path: Path) -> Any:
    """Run a notebook in a fresh kernel and an empty folder, and return it with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
        ValueError: a cell wrote to stderr, as warnings do.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "IPYTHONDIR": f"{folder}/.ipython"}
        environment.pop("MPLBACKEND", None)  # the kernel's own draws into the notebook
        client = nbclient.NotebookClient(
            notebook,
            timeout=SECONDS,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
            extra_arguments=["--log-level=ERROR"],
        )
        client.execute(env=environment)
    notebook.metadata = nbformat.from_dict(KERNEL | {"made_with": versions()})
    for cell in notebook.cells:
        errors = [output.text for output in cell.get("outputs", ()) if output.get("name") == "stderr"]
        if errors:
            raise ValueError(f"{path.name}: notebooks must not write to stderr; cell {cell.id} wrote {''.join(errors)}")
    return notebook


def versions() -> dict[str, str]:
    """Return the versions, major and minor, of the packages on which the figures depend."""
    return {name: ".".join(importlib.metadata.version(name).split(".")[:2]) for name in MAKERS}


def main(*names: str) -> None:
    """Execute and store the named notebooks; by default all."""
    for path in [HERE / name for name in names] or sorted(HERE.glob("*.ipynb")):
        nbformat.write(execute(path), path)
        print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
