import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcluster.core.counts.distribution import Distribution
from qcluster.errors import StorageError
from qcluster.learn.features import NAMES, features
from qcluster.learn.table import FACTS, TABLE_COLUMNS, RateTable, effective_rate, format_row, read_table


def write(path, rows, columns=TABLE_COLUMNS):
    lines = [",".join(columns)] + [",".join(str(row.get(name, "")) for name in columns) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def test_the_label_is_the_published_one(brussels):
    """Six published labels, reproduced to the digits that are given; ties are the exception that is declared."""
    for record in brussels:
        ideal = Distribution.of(record["ideal"])
        heavy = ideal.weights >= ideal.weights.max() * (1 - 1e-9)
        found = effective_rate(record["counts"], ideal)
        if heavy.sum() == 1:
            assert found == pytest.approx(record["effective_rate"], abs=1e-5), record["id"]


@given(st.integers(1, 12), st.floats(0.0, 0.4))
def test_the_label_of_flips_is_their_rate(bits, rate):
    right = (1 - rate) ** bits
    counts = {"0" * bits: 1e9 * right, "1" * bits: 1e9 * (1 - right) + 1e-9}
    assert effective_rate(counts, {"0" * bits: 1}) == pytest.approx(rate, abs=1e-6)


def test_ties_are_pooled_and_what_was_never_read_counts_half_a_shot():
    ideal = {"00": 0.5, "11": 0.5}
    assert effective_rate({"00": 30, "11": 51, "01": 19}, ideal) == pytest.approx(0.1)
    assert effective_rate({"01": 8}, {"00": 1}) == pytest.approx(0.75)
    assert effective_rate({"0": 0.3, "1": 0.7}, {"0": 1}) == pytest.approx(0.7), (
        "half a shot is for what was never read"
    )


def test_rows_go_to_text_and_back(tmp_path):
    row = features(counts={"000": 90, "001": 10})
    facts = {"circuit": "ghz:3", "family": "ghz", "machine": "fake_x", "layout": 7}
    write(tmp_path / "mine.csv", [format_row(row, 0.034567891, facts)])
    table = read_table(tmp_path / "mine.csv")
    assert np.allclose(table.features[0], row, rtol=1e-6, equal_nan=True)
    assert table.rates[0] == pytest.approx(0.03456789)
    assert {name: table.facts[name][0] for name in FACTS} == dict.fromkeys(FACTS, "") | {
        k: str(v) for k, v in facts.items()
    }
    both = table + read_table()
    assert len(both) == len(read_table()) + 1
    assert both[:1].groups.tolist() == ["ghz"]


def test_an_unfinished_line_is_left_out_and_other_orders_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("rate,n_measured,machine\n0.1,4,a\n0.2,5,b\n0.3,6")
    table = read_table(path)
    assert table.rates.tolist() == [0.1, 0.2]
    assert table.features[:, NAMES.index("n_measured")].tolist() == [4, 5]
    assert np.isnan(table.features[:, NAMES.index("esp")]).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "column named rate"),
        ("a,b\n1,2\n", "column named rate"),
        ("rate,esp\n0.1\n", "differ in length"),
        ("rate,esp\n0.1,many\n", "many"),
        ("rate,esp\n0.1,inf\n", "numbers must be finite; got inf"),
        ("rate,esp\n-inf,0.5\n", "numbers must be finite"),
        ("rate,esp\n0.1,0.5\n7,0.5\n", "a rate must be at most 1; got 7"),
        ("rate,esp\n0.1,0.5\n-5,0.5\n", "a rate must be at least -1; got -5"),
        ("rate,esp,rate\n0.1,0.5,0.2\n", "has the column rate twice"),
        ("rate,n_measured\n0.1,0\n", "n_measured must be at least 1; got 0"),
        ("rate,entropy\n0.1,3.2\n", "entropy must be at most 1; got 3.2"),
        ("rate,esp\n0.1,0.5\n0.1,-0.5\n", "esp must be at least 0; got -0.5"),
    ],
)
def test_other_files_are_refused(tmp_path, text, said):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(StorageError, match=said):
        read_table(tmp_path / "t.csv")


def test_a_column_that_is_not_known_is_told_of(tmp_path, caplog):
    """Misspelt, what it holds counted as unknown, and nobody said so."""
    (tmp_path / "t.csv").write_text("rate,Esp,depth of mine\n0.1,0.5,3\n")
    assert np.isnan(read_table(tmp_path / "t.csv").features).all()
    assert "columns that a table of rates has not are passed over: Esp, depth of mine" in caplog.text
    caplog.clear()
    read_table()
    assert not caplog.text


def test_a_table_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "t.csv").write_text("\ufeffrate,n_measured\n0.1,4\n", encoding="utf-8")
    assert read_table(tmp_path / "t.csv").rates.tolist() == [0.1]


def test_lines_and_columns_without_content_are_passed_over(tmp_path, caplog):
    (tmp_path / "t.csv").write_text("rate,n_measured,,\n0.1,4,,\n\n,,,\n0.2,5,,\n\n")
    table = read_table(tmp_path / "t.csv")
    assert table.rates.tolist() == [0.1, 0.2]
    assert table.features[:, NAMES.index("n_measured")].tolist() == [4, 5]
    assert not caplog.text


def test_a_table_made_by_hand_needs_no_facts_but_fitting_arrays():
    row = np.full((2, len(NAMES)), np.nan)
    table = RateTable(row, np.array([0.1, 0.2]), {"circuit": np.array(["a", "b"])})
    assert (table + read_table())[:2].groups.tolist() == ["a", "b"]
    assert {name: table.facts[name].tolist() for name in FACTS} == {
        name: ["a", "b"] if name == "circuit" else ["", ""] for name in FACTS
    }
    for features_, rates, facts, said in (
        (row[:, :3], [0.1, 0.2], {}, r"got \(2, 3\) and \(2,\)"),
        (row, [0.1], {}, r"got \(2, 48\) and \(1,\)"),
        (row, [0.1, 0.2], {"circuit": np.array(["a"])}, r"got 'circuit', \(1,\)"),
        (row, [0.1, 0.2], {"circus": np.array(["a", "b"])}, "got 'circus'"),
    ):
        with pytest.raises(ValueError, match=said):
            RateTable(features_, np.array(rates), facts)
    with pytest.raises(ValueError, match=r"got \(48,\) and \(\)"):
        table[0]


def test_a_cell_may_be_of_any_length(tmp_path):
    """A campaign's circuit may be a program in one line."""
    (tmp_path / "t.csv").write_text(f"circuit,rate\n{'x' * 200_000},0.1\n")
    assert read_table(tmp_path / "t.csv").facts["circuit"].tolist() == ["x" * 200_000]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match="cannot read"):
        read_table(tmp_path / "none.csv")


def test_the_shipped_table_is_what_it_claims():
    table = read_table()
    assert not np.isnan(table.rates).any()
    assert not np.isnan(table.features[:, [NAMES.index(n) for n in ("entropy", "shots")]]).any()
    run = table[table.facts["drawn"] == ""]
    assert not np.isnan(run.features[:, [NAMES.index(n) for n in ("esp", "idle_loss")]]).any()
    assert len(np.unique(table.facts["machine"])) >= 15
    assert {"falcon", "eagle", "heron"} == set(table.facts["generation"].tolist())
    assert len(np.unique(table.facts["family"])) >= 20
    assert (table.facts["snapshot"] != "").all()
    assert len(table) >= 3000
    bits, shots = (table.features[:, NAMES.index(name)] for name in ("n_measured", "shots"))
    noise = 2.0**-bits  # what is left of a string in pure noise; shots scatter about it
    assert ((1 - table.rates) ** bits >= noise - 4 * np.sqrt(noise / shots)).all()
    assert (table.rates > 0.5).mean() < 0.01
