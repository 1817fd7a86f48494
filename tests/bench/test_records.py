"""Recorded counts: the format, what is missing, and the real records."""

import gzip
import json

import numpy as np
import pytest

from qcluster.bench.campaign import score_samples
from qcluster.bench.records import read_records
from qcluster.bench.reports.report import latest
from qcluster.bench.store import read_scores
from qcluster.bench.table import read_rows
from qcluster.device.machines.calibration import Calibration
from qcluster.errors import StorageError
from tests.conftest import DATA
from tests.conftest import read_records as raw_records

FULL = {
    "id": "mine/bell_1",
    "machine": "ibm_somewhere",
    "counts": {"00": 48, "11": 45, "01": 7},
    "ideal": {"00": 0.5, "11": 0.5},
    "readout": [[0.01, 0.02], [0.03, 0.04]],
    "expected_errors": 0.1,
    "effective_rate": 0.03,
    "p": 4,
    "colour": "ignored",
}


def write(path, lines):
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_a_record_becomes_a_sample(tmp_path, name):
    (sample,) = read_records(write(tmp_path / name, [FULL]))
    assert sample.identity == sample.case == "mine/bell_1"
    assert sample.family == "bell"
    assert sample.counts.shots == 100
    assert sample.ideal.to_probs() == {"00": 0.5, "11": 0.5}
    assert np.array_equal(sample.readout, [[0.01, 0.02], [0.03, 0.04]])
    assert (sample.expected_errors, sample.rate, sample.facts) == (0.1, 0.03, {"p": 4})


def test_a_hexadecimal_ideal_has_the_width_of_the_counts(tmp_path):
    (sample,) = read_records(write(tmp_path / "r.jsonl", [{"id": "a", "counts": {"00011": 3}, "ideal": {"0x1": 1}}]))
    assert sample.ideal.to_counts() == {"00001": 1}


@pytest.mark.parametrize("name", ["n_bits", "num_bits"])
def test_hexadecimal_counts_have_the_width_that_a_record_tells(tmp_path, name):
    """They had that of the widest key, and fidelities were of other strings."""
    record = {"id": "a", "counts": {"0x3": 3}, "ideal": {"0x1": 1}, name: 5}
    (sample,) = read_records(write(tmp_path / "r.jsonl", [record]))
    assert (sample.counts.to_counts(), sample.ideal.to_counts()) == ({"00011": 3}, {"00001": 1})
    with pytest.raises(StorageError, match="line 1: keys must have 5 bits; got '11' with 2"):
        list(read_records(write(tmp_path / "r.jsonl", [record | {"counts": {"11": 3}}])))


def test_ideals_may_lie_in_a_file_beside(tmp_path):
    record = {"id": "a1", "counts": {"0": 3}, "ideal_id": "x"}
    path = write(tmp_path / "r.jsonl", [record])
    with pytest.raises(StorageError, match="line 1: lacks 'x'"):
        list(read_records(path))
    write(tmp_path / "r_ideals.jsonl", [{"ideal_id": "x", "ideal": {"0": 1}}])
    (sample,) = read_records(path)
    assert sample.ideal.to_probs() == {"0": 1.0}
    assert (sample.identity, sample.case) == ("a1", "x")  # records of one ideal are of one circuit
    write(path, [record | {"circuit": "mine"}])
    (sample,) = read_records(path)
    assert sample.case == "mine"
    other = write(tmp_path / "other.jsonl", [{"ideal_id": "x", "ideal": {"1": 1}}])
    (sample,) = read_records(path, other)
    assert sample.ideal.to_probs() == {"1": 1.0}


@pytest.mark.parametrize("line", ["[]", "3", '{"ideal": {"0": 1}}'])
def test_wrong_ideals_are_named(tmp_path, line):
    (tmp_path / "ideals.jsonl").write_text(line + "\n")
    with pytest.raises(StorageError, match=r"ideals.jsonl, line 1: an ideal must be an object of 'ideal_id'"):
        list(read_records(write(tmp_path / "r.jsonl", [FULL]), tmp_path / "ideals.jsonl"))


def test_a_record_may_lack_almost_everything(tmp_path):
    (sample,) = read_records(write(tmp_path / "r.jsonl", [{"id": 7, "counts": {"01": 1}}]), snapshots=True)
    assert sample.ideal is None
    assert sample.readout is None
    assert sample.machine == "unknown"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"counts": {"0": 1}}, "lacks 'id'"),
        ({"id": "a"}, "lacks 'counts'"),
        ({"id": "a", "counts": {"0": -1}}, "line 1"),
        ({"id": "a", "counts": {"00": 1}, "readout": [[0, 0]]}, "2 pairs"),
        (["nonsense"], "line 1"),
        ({"id": None, "counts": {"0": 1}}, "id must name the record; got null"),
        ({"id": "", "counts": {"0": 1}}, "id must name the record; got an empty text"),
        (
            {"id": "caf\udce9", "counts": {"0": 1}},
            r"line 1: id must be text that UTF-8 can encode.*got 'caf\\udce9'",
        ),
        ({"id": "a\u240ab", "counts": {"0": 1}}, "without \u240a and \u240d.*got 'a\u240ab'"),
        ({"id": "a", "counts": {"00": 1}, "edges": 5}, r"edges must be a list of \[i, j, weight\]; got 5"),
        ({"id": "a", "counts": {"00": 1}, "ideal": {"000": 1}}, "strings of 2 bits, as the counts; got 3"),
        ({"id": "a", "counts": {"00": 1}, "readout": [[0, 0], [1.1, 0]]}, r"from 0 to 1; got \[1.1, 0\] for bit 1"),
        ({"id": "a", "counts": {"0": 1}, "readout": [[0.1], [0, 0]]}, r"must hold 1 pairs of numbers; got \[\[0.1\]"),
        ({"id": "a", "counts": {"0": 1}, "readout": [[None, 0]]}, "readout must hold probabilities"),
        ({"id": "a", "counts": {"0": 1}, "rate": "low"}, r"rate must be a finite number in \[0, 1\]; got 'low'"),
        ({"id": "a", "counts": {"0": 1}, "expected_errors": -1}, "expected_errors must be"),
        ({"id": "a", "counts": {"00": 1}, "edges": [[0, 2, 1]]}, "bit of an edge must be a whole number from 0 to 1"),
        ({"id": "a", "counts": {"00": 1}, "edges": [[0, -1, 1]]}, "bit of an edge must be"),
        (
            {"id": "a", "counts": {"00": 1}, "edges": [[0, 1, float("nan")]]},
            "weight of an edge must be a finite number",
        ),
        (
            {"id": "a", "counts": {"00": 1}, "edges": [[0, 1]]},
            r"line 1: an edge must be \[i, j, weight\] of two bits; got",
        ),
        ({"id": "a", "counts": {"00": 1}, "edges": [[1, 1, 2]]}, "an edge must be .* of two bits; got"),
        (["nonsense"], "a record must be an object of 'id', 'counts' and more; got"),
        ({"id": "a", "counts": {"0": 1}, "rate": 10**400}, r"line 1: rate must be a finite number in \[0, 1\]"),
        (
            {"id": "a", "counts": {"00": 1}, "edges": [[0, 1, 10**400]]},
            "line 1: the weight of an edge must be a finite",
        ),
        ({"id": "a", "counts": {"0": 1}, "readout": [[10**400, 0]]}, "line 1: int too large to convert to float"),
    ],
)
def test_wrong_lines_are_named(tmp_path, line, message):
    with pytest.raises(StorageError, match=message):
        list(read_records(write(tmp_path / "r.jsonl", [line])))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "b"', "line 3: Expecting ',' delimiter$"),
        ('{"id": "b", "counts": {"0": 1, "0": 2}}', "line 3: keys must be distinct; '0' came twice"),
    ],
)
def test_a_line_that_is_not_json_is_named_by_its_number(tmp_path, line, message):
    path = tmp_path / "r.jsonl"
    path.write_text(f'{{"id": "a", "counts": {{"0": 1}}}}\n\n{line}\n')
    with pytest.raises(StorageError, match=message):
        list(read_records(path))


def test_null_is_as_if_the_key_were_not_there(tmp_path):
    keys = ("ideal", "ideal_id", "machine", "family", "circuit", "readout", "rate", "edges", "transpiled_openqasm3")
    record = {"id": "bell/1", "counts": {"00": 4, "11": 5}, "effective_rate": 0.1}
    plain, null = read_records(write(tmp_path / "r.jsonl", [record, record | dict.fromkeys(keys)]))
    for name in ("case", "family", "machine", "ideal", "readout", "rate", "edges"):
        assert getattr(null, name) == getattr(plain, name)
    assert (null.machine, null.rate) == ("unknown", 0.1)


@pytest.mark.parametrize("more", [{}, {"ideal": {"0": 1}}, {"ideal": {"0": 1}, "ideal_id": "x"}, {"ideal_id": None}])
def test_ideals_that_no_record_takes_are_refused(tmp_path, more):
    """Scores without an ideal, or by another one than the file that was given, came out unsaid."""
    path = write(tmp_path / "r.jsonl", [{"id": "a", "counts": {"0": 3}} | more])
    ideals = write(tmp_path / "i.jsonl", [{"ideal_id": "x", "ideal": {"1": 1}}])
    with pytest.raises(ValueError, match=r"ideals would have no effect: no record names one of .*i\.jsonl"):
        list(read_records(path, ideals, limit=1))
    write(tmp_path / "r_ideals.jsonl", [{"ideal_id": "x", "ideal": {"1": 1}}])
    assert len(list(read_records(path))) == 1, "what lies beside was not given"
    write(path, [{"id": "a", "counts": {"0": 3}} | more, {"id": "b", "counts": {"0": 3}, "ideal_id": "x"}])
    assert len(list(read_records(path, ideals))) == 2


def test_an_ideal_may_have_a_number(tmp_path):
    path = write(tmp_path / "r.jsonl", [{"id": "a", "counts": {"0": 3}, "ideal_id": 7}])
    write(tmp_path / "r_ideals.jsonl", [{"ideal_id": 7, "ideal": {"0": 1}}])
    (sample,) = read_records(path)
    assert sample.ideal.to_probs() == {"0": 1.0}


@pytest.mark.parametrize(
    ("identity", "family"),
    [("bell/1", "bell"), ("mine/bell_1", "bell"), ("mine/bell/12", "bell"), ("qft5", "qft"), ("17", "17")],
)
def test_repeats_are_one_family(tmp_path, identity, family):
    (sample,) = read_records(write(tmp_path / "r.jsonl", [{"id": identity, "counts": {"0": 3}}]))
    assert sample.family == family


def test_whether_measurements_were_twirled_is_true_or_false(tmp_path):
    line = {"id": "a", "machine": "ibm_torino", "counts": {"0": 1}, "measure_twirl": "no"}
    line["transpiled_openqasm3"] = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nbit[1] c;\nc[0] = measure $0;\n'
    with pytest.raises(StorageError, match="line 1: measure_twirl must be True or False; got 'no'"):
        list(read_records(write(tmp_path / "r.jsonl", [line]), snapshots=True))


def test_unreadable_files_are_clear_errors(tmp_path):
    (tmp_path / "bad.jsonl.gz").write_text("no gzip")
    (tmp_path / "torn.jsonl").write_text('{"id": 1')
    for name in ("bad.jsonl.gz", "torn.jsonl"):
        with pytest.raises(StorageError, match="cannot read records"):
            list(read_records(tmp_path / name))
    with pytest.raises(StorageError, match=r"cannot read records from .*absent\.jsonl: No such file or directory$"):
        list(read_records(tmp_path / "absent.jsonl"))
    with pytest.raises(StorageError, match=r"^cannot read records from \.: Is a directory$"):
        list(read_records("."))


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_a_file_without_records_is_refused(tmp_path, name):
    """What a download that failed leaves behind; it was scored, and called saved."""
    for content in (b"", b"\n \r\n\n"):
        (tmp_path / name).write_bytes(gzip.compress(content) if content and name.endswith("gz") else content)
        with pytest.raises(StorageError, match="must hold records, one on a line; found none"):
            list(read_records(tmp_path / name))


def test_records_and_their_ideals_may_begin_with_a_byte_order_mark(tmp_path):
    """Some editors put one there, and counts, rates and calibrations are read with it."""
    mark, line = b"\xef\xbb\xbf", b'{"id": "a", "counts": {"0": 1}, "ideal_id": "i"}\r\n'
    ideal = mark + b'{"ideal_id": "i", "ideal": {"1": 1}}'
    (tmp_path / "r.jsonl").write_bytes(mark + line)
    (tmp_path / "r_ideals.jsonl").write_bytes(ideal)
    (tmp_path / "z.jsonl.gz").write_bytes(gzip.compress(mark + line))
    (tmp_path / "z_ideals.jsonl.gz").write_bytes(gzip.compress(ideal))
    for name in ("r.jsonl", "z.jsonl.gz"):
        (sample,) = read_records(tmp_path / name)
        assert sample.ideal.to_probs() == {"1": 1.0}


def test_records_are_scored_once(tmp_path):
    records = [FULL, {**FULL, "id": "mine/bell_2"}]
    path = write(tmp_path / "r.jsonl", records)
    steps = list(score_samples(read_records(path), tmp_path / "out", ("identity", "hammer", "m3", "qbeep")))
    assert (steps[-1].done, steps[-1].total) == (2, 2)
    assert len(list(score_samples(read_records(path), tmp_path / "out", ("identity",)))) == 1
    assert (tmp_path / "out" / "bars.csv").exists()
    list(score_samples(read_records(path), tmp_path / "bare", ("identity",), drawn=False))
    assert not (tmp_path / "bare" / "bars.csv").exists()
    list(score_samples(read_records(path, limit=1), tmp_path / "out", ("identity",), drawn=False))
    assert {row["task"] for row in read_rows(tmp_path / "out" / "bars.csv")} == {"mine/bell_2"}
    with pytest.raises(ValueError, match="limit must be a whole number of at least 1; got 0"):
        next(read_records(path, limit=0))
    rows = read_scores(tmp_path / "out")
    assert [row["method"] for row in rows] == ["identity", "hammer", "m3", "qbeep"] * 2
    assert {row["status"] for row in rows} == {"ok"}


def test_a_method_that_lacked_a_calibration_scores_when_there_is_one(tmp_path):
    """--snapshots on a folder that was scored without had no effect, and said nothing."""
    bare = {key: FULL[key] for key in ("id", "counts", "ideal")} | {"machine": "ibm_torino"}
    path, out, methods = write(tmp_path / "r.jsonl", [bare]), tmp_path / "out", ("identity", "m3", "dem")

    def status(**options):
        list(score_samples(read_records(path, **options), out, methods))
        return {row["method"]: row["status"] for row in latest(read_scores(out))}, len(read_scores(out))

    assert status() == ({"identity": "ok", "m3": "skipped", "dem": "skipped"}, 3)
    assert status() == ({"identity": "ok", "m3": "skipped", "dem": "skipped"}, 3)
    assert status(snapshots=True) == ({"identity": "ok", "m3": "ok", "dem": "skipped"}, 4)
    assert status() == ({"identity": "ok", "m3": "ok", "dem": "skipped"}, 4)


def test_all_scores_of_a_record_have_its_present_names(tmp_path):
    """Records told later that they repeat a circuit: earlier scores counted as other circuits, in other groups."""
    records = [{**{key: FULL[key] for key in ("counts", "ideal", "readout")}, "id": f"bell/{k}"} for k in range(2)]
    named = [{**record, "circuit": "bell", "family": "ghz", "machine": "ibm_torino"} for record in records]
    path, out = tmp_path / "r.jsonl", tmp_path / "out"
    list(score_samples(read_records(write(path, records)), out, ("identity", "hammer")))
    assert {row["case"] for row in read_scores(out)} == {"bell/0", "bell/1"}
    before = read_scores(out)
    list(score_samples(read_records(write(path, named), limit=1), out, ("identity", "m3")))
    assert [row["case"] for row in read_scores(out)] == ["bell", "bell", "bell/1", "bell/1", "bell"]
    list(score_samples(read_records(path), out, ("identity",)))
    rows = read_scores(out)
    assert {(row["case"], row["family"], row["machine"]) for row in rows} == {("bell", "ghz", "ibm_torino")}
    assert [row["seconds"] for row in rows[:4]] == [row["seconds"] for row in before], "nothing is scored twice"


def test_the_recorded_hardware_counts_load():
    assert len(raw_records("lrqaoa_ibm_dev.jsonl.gz")) == 987
    samples = list(read_records(DATA / "lrqaoa_ibm_dev.jsonl.gz"))
    assert len(samples) == 987
    assert {sample.n_bits for sample in samples} == {5, 7, 10}
    assert all(sample.ideal is not None and sample.counts.shots == 1000 for sample in samples)
    assert {sample.family for sample in samples} == {"1D", "FC"}


def test_a_physical_circuit_gives_the_faults_of_a_record(tmp_path):
    raw_records("hanoi_chains_dev.jsonl.gz")
    path = DATA / "hanoi_chains_dev.jsonl.gz"
    exported = Calibration.load(DATA / "ibm_hanoi_2023-07-13.csv")
    (dated,) = read_records(path, calibrations={"ibm_hanoi": exported}, limit=1)
    (snapshot,) = read_records(path, snapshots=True, limit=1)
    (bare,) = read_records(path, limit=1)
    assert bare.run is None
    assert dated.run.faults.n_bits == snapshot.run.faults.n_bits == 2
    assert dated.run.faults.expected_faults != snapshot.run.faults.expected_faults
    assert not dated.run.flips.any()


def test_a_circuit_on_fewer_qubits_than_the_machine_has_is_no_physical_one(tmp_path):
    program = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0], q[1]; measure q -> c;'
    line = FULL | {"machine": "ibm_torino", "circuit": program}
    (sample,) = read_records(write(tmp_path / "r.jsonl", [line]), snapshots=True)
    assert sample.run is None


def test_hammer_reaches_its_known_figures_on_hardware(tmp_path):
    """Hellinger fidelities of HAMMER on the ibm_brussels records that were found independently of this code."""
    raw_records("ibm_brussels_2025.jsonl.gz")
    path = DATA / "ibm_brussels_2025.jsonl.gz"
    list(score_samples(read_records(path), tmp_path, ("identity", "hammer")))
    found = {
        (row["task"].split("/")[1], row["method"]): float(row["hellinger_fidelity"]) for row in read_scores(tmp_path)
    }
    known = {
        "cat_state_n22": (0.037, 0.42),
        "bv_n14": (0.027, 0.27),
        "ghz_state_n11": (0.45, 0.94),
        "bv_n19": (0.002, 0.03),
        "wstate_n27": (0.013, 0.18),
        "wstate_n3": (0.857, 0.98),
    }
    for name, (raw, hammer) in known.items():
        assert found[name, "identity"] == pytest.approx(raw, abs=0.001)
        assert found[name, "hammer"] == pytest.approx(hammer, abs=0.006)


def test_scores_of_another_record_are_not_kept_for_this_one(tmp_path):
    path, out = tmp_path / "mine.jsonl", tmp_path / "out"

    def score(*records, again=False):
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        list(score_samples(read_records(path), out, ("identity",), again=again))
        return {row["task"]: float(row["success_probability"]) for row in read_scores(out)}

    first = {"id": "a", "counts": {"00": 9, "01": 1}, "ideal": {"00": 1}, "readout": [[0.1, 0.1], [0.1, 0.1]]}
    assert score(first) == {"a": 0.9}
    assert score(first | {"readout": None}, first | {"id": "b"}) == {"a": 0.9, "b": 0.9}
    for change in ({"counts": {"00": 5, "01": 5}}, {"ideal": {"01": 1}}):
        for again in (False, True):
            with pytest.raises(StorageError, match=r"record 'a' is not the one that .* has scores of: counts or ideal"):
                score(first | change, again=again)
    assert score(first) == {"a": 0.9, "b": 0.9}
    with pytest.raises(ValueError, match="each record must have an id of its own; 'c' came twice"):
        score(first | {"id": "c"}, first | {"id": "c"})
    (out / "records.csv").unlink()  # a folder of an earlier version has none
    assert score(first) == {"a": 0.9, "b": 0.9}


def test_a_record_that_was_never_scored_may_change(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"id": "a", "counts": {"00": 9, "01": 1}, "ideal": {"00": 1}}\n')
    steps = score_samples(read_records(path), tmp_path / "out", ("identity",))
    next(steps)  # killed before the first score
    steps.close()
    path.write_text('{"id": "a", "counts": {"00": 5, "01": 5}, "ideal": {"00": 1}}\n')
    list(score_samples(read_records(path), tmp_path / "out", ("identity",)))
    assert [float(row["success_probability"]) for row in read_scores(tmp_path / "out")] == [0.5]


def test_records_that_cannot_be_read_leave_no_folder(tmp_path):
    """A mistyped file name made a folder of that name."""
    for content in (None, '{"id": "a", "counts": {"0": 1}}\nbroken'):
        if content is not None:
            (tmp_path / "typo.jsonl").write_text(content)
        with pytest.raises((ValueError, StorageError)):
            list(score_samples(read_records(tmp_path / "typo.jsonl"), tmp_path / "typo", ("identity",)))
        assert not (tmp_path / "typo").exists()
