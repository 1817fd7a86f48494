"""Every way in, with a valid document and what reads it.

A `Path` draws inputs and feeds one to the code that users call. Bad input may raise what the house promises
(ValueError, TypeError, QClusterError), or end the command line with exit code 2 and one line of words; anything else is
a defect.
"""

import contextlib
import gzip
import io
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path as File
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from typer.main import get_command

import qcluster as qc
from qcluster.cli import main as cli
from qcluster.errors import QClusterError
from tests.fuzz.mutate import damaged, exchanged, files, leaves, text_of, values

PROMISED = (ValueError, TypeError, QClusterError)
COUNTS = {"000": 430, "001": 70, "110": 60, "111": 440}


@dataclass(frozen=True)
class Path:
    """One way in."""

    inputs: Callable[[], st.SearchStrategy[Any]]
    """Draws what to feed."""
    feed: Callable[[Any], Any]
    """Feeds one; may raise PROMISED."""


def at(name: str, content: bytes, read: Callable[[File], Any]) -> None:
    """Write a file into a fresh folder and let it be read."""
    with tempfile.TemporaryDirectory() as folder:
        path = File(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        read(path)


@cache
def commands() -> Any:
    """The tree of all commands. Typer builds it at every call, which takes longer than most inputs do."""
    return get_command(cli.app)


def command(*words: str) -> None:
    """Run the command line in this process; fails unless it ends as promised."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["qcluster", *words]
    try:
        with mock.patch.object(cli, "app", commands()), redirect_stdout(out), redirect_stderr(err):
            cli.main()
        code: Any = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.argv = before
    assert code in (0, 2), (code, err.getvalue())
    if code == 2:
        assert "Traceback" not in err.getvalue()
        assert err.getvalue().strip(), "a failure must say what is wrong"


def fed(content: bytes, *words: str) -> None:
    at("in.json", content, lambda path: command(*(word.replace("FILE", str(path)) for word in words)))


# --- objects in memory ------------------------------------------------------------------------------------------------

keys = st.one_of(st.text("01", max_size=8), st.integers(-4, 2**66), leaves.filter(lambda x: x == x))
weights = st.one_of(st.integers(0, 1000), st.floats(), leaves, st.just(np.float32(2)), st.just(np.int8(-3)))


def any_counts() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.dictionaries(keys, weights, max_size=6),
        st.dictionaries(st.text("01", min_size=3, max_size=3), st.integers(0, 99), max_size=8),
        st.lists(st.text("01 x", max_size=5), max_size=5),
        values,
        st.binary(max_size=5),
    )


def mitigated(counts: Any) -> None:
    fixed = qc.mitigate(counts)
    assert abs(fixed.distribution.shots - fixed.raw.shots) <= 1e-6 * fixed.raw.shots
    fixed.interval("0" * fixed.raw.n_bits)


arrays = hnp.arrays(
    st.sampled_from([np.uint8, np.int64, np.float64, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=5, min_side=0),
)
widths = st.one_of(st.integers(-2, 40), st.sampled_from([None, "3", 2.5, 10**9, 2**63, True]))


def registers() -> st.SearchStrategy[Any]:
    one = st.builds(lambda array, width: SimpleNamespace(array=array, num_bits=width), arrays, widths)
    good = st.builds(
        lambda rows, width: SimpleNamespace(
            array=np.resize(rows, (3, (width + 7) // 8)).astype(np.uint8), num_bits=width
        ),
        hnp.arrays(np.uint8, 12),
        st.integers(1, 30),
    )
    several = st.dictionaries(st.text(max_size=3), st.one_of(one, good, values), max_size=3)
    return st.one_of(
        one,
        good,
        several.map(lambda found: SimpleNamespace(items=found.items, keys=found.keys)),
        several.map(lambda found: SimpleNamespace(join_data=None, data=found)),
        st.one_of(values, good).map(lambda inner: SimpleNamespace(counts=inner)),
        st.lists(st.one_of(good, values), max_size=2).map(lambda inner: _Result(inner)),
    )


class _Result(list):  # type: ignore[type-arg]
    metadata: Mapping[str, Any] = {}


rate_values = st.one_of(
    st.floats(-0.1, 1.1),
    values,
    arrays,
    st.lists(st.floats(0, 0.6), max_size=4),
    st.lists(st.lists(st.floats(0, 0.6)), max_size=4),
)


def rated(rates: Any) -> None:
    for method in ("mixture", "paper", "qbeep", "hammr_l", "em_uniform"):
        qc.mitigate(COUNTS, rates, method=method)


observables = st.one_of(
    values, arrays, st.dictionaries(st.text("IZX01", max_size=4), leaves, max_size=3), st.text("IXYZ01", max_size=4)
)

# --- files ------------------------------------------------------------------------------------------------------------


@cache
def saved_result() -> Any:
    from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult
    from qiskit_ibm_runtime import RuntimeEncoder

    pub = SamplerPubResult(DataBin(meas=BitArray.from_counts(COUNTS)))
    return json.loads(json.dumps(PrimitiveResult([pub]), cls=RuntimeEncoder))


RECORD = {
    "id": "ghz_n3", "counts": COUNTS, "ideal": {"000": 0.5, "111": 0.5}, "machine": "ibm_none", "family": "ghz",
    "readout": [[0.01, 0.02]] * 3, "expected_errors": 0.4, "rate": 0.03, "edges": [[0, 1, 1.0]],
}  # fmt: skip


def lines(document: Any) -> st.SearchStrategy[bytes]:
    """JSON lines: good ones among broken ones, also compressed, also damaged after that."""
    good = st.just(text_of(document).encode())
    bad = st.one_of(exchanged(document).map(lambda value: text_of(value).encode()), files(document))
    whole = st.lists(st.one_of(good, bad), min_size=1, max_size=3).map(b"\n".join)
    packed = gzip.compress(text_of(document).encode() + b"\n", mtime=0)
    return st.one_of(whole, whole.map(gzip.compress), damaged(packed))


def recorded(content: bytes) -> None:
    from qcluster.bench.records import read_records

    name = "r.jsonl.gz" if content[:2] == b"\x1f\x8b" else "r.jsonl"
    at(name, content, lambda path: list(read_records(path)))


CAMPAIGN = b"""name = "c"
suites = ["low_entropy"]
cases = ["ghz:3"]
families = ["bv"]
widths = [3]
exclude = ["ghz:4"]
machines = ["flips:0.05"]
shots = [100]
twirls = 2
dd = [false, "XX"]
seeds = [0, 1]
methods = ["identity", "hammer"]
"""


def campaigns() -> st.SearchStrategy[bytes]:
    table = st.dictionaries(
        st.sampled_from(["cases", "machines", "shots", "families", "widths", "suites", "dd", "x"]), values
    )
    return st.one_of(damaged(CAMPAIGN), st.binary(max_size=60), st.text(max_size=60).map(str.encode), table.map(_toml))


def _toml(table: dict[str, Any]) -> bytes:
    return "".join(f"{key} = {text_of(value)}\n" for key, value in table.items()).encode()


def planned(content: bytes) -> None:
    from qcluster.bench.methods import check_methods
    from qcluster.bench.tasks import find_case, read_campaign

    def read(path: File) -> None:
        campaign = read_campaign(path)
        check_methods(campaign.methods)
        for name in campaign.cases[:3]:
            if all(
                len(part) < 3 for part in name.split(":")[1:2]
            ):  # the simulation of wide cases is not the input's fault
                find_case(name)

    at("c.toml", content, read)


@cache
def run_folder() -> dict[str, bytes]:
    """A finished run directory of a simulated machine."""
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    with tempfile.TemporaryDirectory() as folder:
        qc.execute([circuit], "fake_manila", shots=50, twirls=2, seed=3, directory=File(folder) / "run")
        return _contents(File(folder) / "run")


@cache
def campaign_folder() -> dict[str, bytes]:
    """A finished campaign folder."""
    from qcluster.bench.campaign import run
    from qcluster.bench.tasks import parse_campaign

    content = {"cases": ["ghz:3"], "machines": ["FakeManila"], "shots": 50, "twirls": 2, "methods": ["identity"]}
    with tempfile.TemporaryDirectory() as folder:
        list(run(parse_campaign(content), File(folder)))
        return _contents(File(folder))


def _contents(folder: File) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stat().st_size
    }


def broken(contents: Callable[[], dict[str, bytes]]) -> st.SearchStrategy[tuple[str, bytes]]:
    """One file of a folder, broken."""

    def of(name: str) -> st.SearchStrategy[tuple[str, bytes]]:
        content = contents()[name]
        options = [damaged(content), st.binary(max_size=20)]
        if name.endswith(".json"):
            options += [files(json.loads(content))] * 2
        if name.endswith(".json.gz"):
            options += [files(json.loads(gzip.decompress(content))).map(gzip.compress)] * 2
        if name.endswith(".jsonl"):
            options += [lines(json.loads(content.splitlines()[0]))]
        return st.one_of(options).map(lambda data: (name, data))

    return st.deferred(lambda: st.sampled_from(sorted(contents())).flatmap(of))


def _fill(folder: File, contents: dict[str, bytes], name: str, data: bytes) -> None:
    for part, content in (contents | {name: data}).items():
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        (folder / part).write_bytes(content)


class NoService:
    """A service that knows no job; a damaged request may ask for one."""

    def state(self, job_id: str) -> Any:
        raise qc.JobError(f"no job {job_id}")

    def find(self, tag: str) -> None:
        return None

    def submit(self, *_: Any) -> str:
        raise qc.JobError("nothing is sent from here")

    def result(self, job_id: str) -> Any:
        raise qc.JobError(f"no job {job_id}")


def collected(case: tuple[str, bytes]) -> None:
    from qcluster.device import jobs

    with tempfile.TemporaryDirectory() as folder:
        place = File(folder) / "run"
        _fill(place, run_folder(), *case)
        for act in (jobs.status, jobs.collect):
            with contextlib.suppress(*PROMISED):
                act(place, service=NoService())


def reopened(case: tuple[str, bytes]) -> None:
    from qcluster.bench.campaign import rescore
    from qcluster.bench.reports.report import write_report
    from qcluster.bench.store import load_samples, read_scores, read_tasks

    with tempfile.TemporaryDirectory() as folder:
        place = File(folder)
        _fill(place, campaign_folder(), *case)
        acts: list[Callable[[], Any]] = [
            lambda: read_tasks(place),
            lambda: read_scores(place),
            lambda: list(load_samples(place)),
            lambda: write_report(place, figures=False),
            lambda: list(rescore(place, ("plurality",))),
        ]
        for act in acts:
            with contextlib.suppress(*PROMISED):
                act()


@cache
def rate_rows() -> bytes:
    text = (File(qc.__file__).parent / "learn" / "rates.csv").read_text(encoding="utf-8")
    return "\n".join([line for line in text.splitlines() if not line.startswith("#")][:4]).encode() + b"\n"


def tables() -> st.SearchStrategy[bytes]:
    columns = rate_rows().split(b"\n")[0]
    row = st.lists(st.one_of(leaves.map(str), st.floats(0, 1).map(str)), min_size=1, max_size=columns.count(b",") + 2)
    rows = st.lists(row.map(lambda cells: ",".join(cells).encode("utf-8", "replace")), max_size=3)
    return st.one_of(
        damaged(rate_rows()), rows.map(lambda found: b"\n".join([columns, *found, b""])), st.binary(max_size=50)
    )


def tabled(content: bytes) -> None:
    from qcluster.learn.table import read_table

    at("rates.csv", content, read_table)


@cache
def model() -> Any:
    from qcluster.qnn import QNNClassifier
    from qcluster.qnn.storage import save_model

    fitted = QNNClassifier("zx", random_state=0).fit(np.eye(4), np.array([0, 1, 0, 1]))
    with tempfile.TemporaryDirectory() as folder:
        save_model(fitted, File(folder) / "m.json")
        return json.loads((File(folder) / "m.json").read_text())


def loaded(content: bytes) -> None:
    from qcluster.qnn.storage import load_model

    at("m.json", content, load_model)


def device_files() -> st.SearchStrategy[tuple[str, bytes]]:
    def of(name: str) -> st.SearchStrategy[tuple[str, bytes]]:
        request = json.loads(run_folder()["request.json"])
        document = request["calibration"] if name == "calibration" else request["prepared"][0]["profile"]
        return files(document).map(lambda data: (name, data))

    return st.deferred(lambda: st.sampled_from(["calibration", "profile"]).flatmap(of))


def described(case: tuple[str, bytes]) -> None:
    name, content = case
    kind = qc.Calibration if name == "calibration" else qc.Profile
    at(f"{name}.json", content, kind.load)


QASM2 = b'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'
QASM3 = b'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\nh q[0];\ncx q[0],q[1];\nc = measure q;\n'


def circuits() -> st.SearchStrategy[tuple[str, bytes]]:
    def of(name: str) -> st.SearchStrategy[tuple[str, bytes]]:
        whole = {"two": QASM2, "three": QASM3}[name]
        return st.one_of(damaged(whole), st.binary(max_size=30), st.text(max_size=30).map(str.encode)).map(
            lambda data: (f"{name}.qasm", data)
        )

    return st.sampled_from(["two", "three"]).flatmap(of)


def drawn(case: tuple[str, bytes]) -> None:
    from qcluster.bench.circuits import read_cases
    from qcluster.device.circuits.files import read_circuits

    for read in (read_circuits, read_cases):
        with contextlib.suppress(*PROMISED):
            at(*case, read)


PATHS = {
    "counts in memory": Path(any_counts, mitigated),
    "results in memory": Path(registers, qc.Distribution.of),
    "rates in memory": Path(lambda: rate_values, rated),
    "observables": Path(lambda: observables, lambda one: qc.Distribution.of(COUNTS).expectation(one)),
    "counts file": Path(
        lambda: files({"counts": COUNTS}), lambda data: fed(data, "mitigate", "FILE", "--level", "0.9")
    ),
    "saved result": Path(lambda: files(saved_result()), lambda data: fed(data, "mitigate", "FILE", "--pub", "0")),
    "rates file": Path(lambda: files([[0.01, 0.02]] * 3), lambda data: _rates_file(data)),
    "records": Path(lambda: lines(RECORD), recorded),
    "campaign file": Path(campaigns, planned),
    "run directory": Path(lambda: broken(run_folder), collected),
    "campaign folder": Path(lambda: broken(campaign_folder), reopened),
    "rate table": Path(tables, tabled),
    "calibration and profile": Path(device_files, described),
    "classifier file": Path(lambda: files(model()), loaded),
    "circuit files": Path(circuits, drawn),
}
"""Name to way in."""


def _rates_file(data: bytes) -> None:
    def read(path: File) -> None:
        (path.parent / "counts.json").write_text(json.dumps(COUNTS))
        command("mitigate", str(path.parent / "counts.json"), "--noise", str(path), "--method", "paper")

    at("rates.json", data, read)


def quiet() -> Any:
    """Warnings of third-party readers about damaged files are no defects of ours."""
    return warnings.catch_warnings(action="ignore")
