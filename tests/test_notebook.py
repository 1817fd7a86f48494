"""What notebooks show, and what other libraries take: HTML, the mapping protocol, Qiskit's types, pandas."""

import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.visualization import plot_histogram

import qcluster as qc
from qcluster.core import hooks
from qcluster.core.mitigation import left
from tests import strategies

COUNTS = {"000": 430, "001": 20, "010": 18, "100": 22, "011": 21, "101": 17, "110": 22, "111": 450}


class Page(HTMLParser):
    """Text of the cells, and whether every tag that opens is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.cells, self.bars = [], [], 0
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.bars += "height:6px" in dict(attrs).get("style", "")
        if tag != "br":
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data


def test_an_answer_shows_its_verdict_before_its_numbers():
    fixed = qc.mitigate(COUNTS, 0.08, method="paper")
    html = fixed._repr_html_()
    page = Page(html)
    assert html.index("Mitigated") < html.index(fixed.reason) < html.index("<table")
    assert page.cells[:4] == ["bitstring", "raw", "mitigated", ""]
    string = next(iter(fixed.distribution.top(1)))
    assert page.cells[4:7] == [string, f"{fixed.raw[string]:.4f}", f"{fixed.distribution[string]:.4f}"]
    assert page.bars == 2 * min(8, fixed.distribution.n_outcomes)


def test_counts_that_are_left_say_so_and_are_shown_once():
    page = Page(qc.mitigate({"01": 8, "10": 1})._repr_html_())
    assert page.cells[:3] == ["bitstring", "raw", ""]
    assert page.bars == 2
    raw = qc.Distribution.of(COUNTS)
    html = left(raw, "<b>", "a <script> & more")._repr_html_()
    assert "<script>" not in html
    assert "a &lt;script&gt; &amp; more" in html
    assert "Left as measured" in html
    assert "probability" not in html
    html = left(raw, "none", "so", confidence=0.4)._repr_html_()
    assert "; the rejected answer is nearer to the ideal than the counts with probability 0.40" in html
    assert "rejected" not in qc.mitigate(COUNTS, 0.08)._repr_html_()


def test_a_table_sums_what_it_does_not_list():
    many = {format(i, "05b"): 1 for i in range(20)}
    page = Page(qc.Distribution.of(many)._repr_html_())
    assert page.cells[-3:-1] == ["all others", "0.6000"]
    assert "20 strings of 5 bits, 20 shots" in qc.Distribution.of(many)._repr_html_()
    assert "all others" not in qc.Distribution.of(COUNTS)._repr_html_()
    assert "<table" in qc.Distribution(np.zeros((0, 3), dtype=bool), [])._repr_html_()


def test_every_column_of_a_table_sums_to_one():
    """The answer has as many strings as the counts, but not the same ones: `10` was in no row."""
    fixed = qc.mitigate({"00": 60, "10": 40}, 0.05, method="paper")
    other = replace(fixed, distribution=qc.Distribution.of({"00": 70, "11": 30}))
    cells = Page(other._repr_html_()).cells
    assert cells[-4:-1] == ["all others", "0.4000", "0.0000"]
    for column in (5, 6):
        assert sum(map(float, cells[column::4])) == pytest.approx(1)


def test_the_colours_of_the_bars_are_explained_by_the_head():
    head, body = qc.mitigate(COUNTS, 0.08, method="paper")._repr_html_().split("</tr>", 1)
    bars = re.findall(r"background:(#\w+)", body)[:2]
    assert re.findall(r"solid (#\w+)\">(\w+)", head) == list(zip(bars, ["raw", "mitigated"], strict=True))


def test_a_run_shows_where_its_counts_come_from():
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, name="<pair>")
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    (run,) = qc.execute([circuit], "fake_torino", shots=1000, twirls=2, seed=3)
    html = run._repr_html_()
    Page(html)
    assert "&lt;pair&gt;: 2 qubits, 1 two-qubit gate, 2 bits" in html
    assert "1,000 in 2 twirls" in html
    assert run.calibration.date in html


@given(strategies.counts())
def test_a_distribution_is_a_mapping_from_strings_to_probabilities(counts):
    d = qc.Distribution.of(counts)
    assert isinstance(d, Mapping)
    assert dict(d) == d.to_probs()
    assert len(d) == d.n_outcomes
    assert list(d) == list(d.to_probs())
    assert all(string in d and d[string] == value for string, value in d.items())
    assert qc.Distribution.of(d) is d


def test_a_string_without_a_shot_is_not_in_it():
    d = qc.Distribution.of(COUNTS)
    assert "0000" not in d
    assert d.get("0000", 0.0) == 0.0
    with pytest.raises(KeyError):
        d["0000"]
    assert (d == d.to_probs()) is False


def test_an_object_with_a_distribution_is_read_without_loss():
    """Weights are not probabilities: reading it as the mapping that it is would lose the shots."""
    d = qc.Distribution(np.array([[True], [False]]), [1 / 3, 7.1])
    assert qc.mitigate(d).raw is d
    run = type("Holder", (), {"counts": d})()
    assert qc.Distribution.of(run) is d


def test_answers_of_other_weights_are_not_equal():
    one, other = (left(qc.Distribution.of({"0": n, "1": 5}), "none", "") for n in (3, 4))
    assert one != other
    assert one == left(qc.Distribution.of({"0": 3, "1": 5}), "none", "")


@given(st.dictionaries(st.text("01", min_size=9, max_size=9), st.integers(1, 50), min_size=1, max_size=20))
def test_whole_shots_go_to_qiskit_and_come_back(counts):
    d = qc.Distribution.of(counts)
    bits = d.to_bit_array()
    assert (bits.num_bits, bits.num_shots) == (9, sum(counts.values()))
    assert bits.get_counts() == counts
    assert qc.Distribution.of(bits) == d
    assert qc.Distribution.of(d.to_quasi().binary_probabilities(9)).to_probs() == pytest.approx(d.to_probs())
    assert d.to_quasi().shots == d.shots
    assert qc.Distribution.of(d.to_quasi()).to_counts() == d.to_counts()
    assert (d.marginal([]).to_quasi(), d.marginal([]).to_quasi().shots) == ({0: 1.0}, d.shots)


def test_less_than_a_shot_is_no_bit_array():
    with pytest.raises(ValueError, match=r"at least one whole shot; got 0\.25"):
        qc.Distribution.of({"0": 0.25}).to_bit_array()
    with pytest.raises(ValueError, match=r"every shot.*10000000000 shots of 9 bits take 20,000,000,000: to_counts"):
        qc.Distribution.of({"0" * 9: 10**10}).to_bit_array()


def test_qiskit_and_pandas_take_a_distribution_as_it_is(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    fixed = qc.mitigate(COUNTS, 0.08, method="paper")
    figure = plot_histogram([fixed.raw, fixed.distribution], legend=["raw", "mitigated"])
    heights = {round(bar.get_height(), 6) for bar in figure.axes[0].patches}
    assert {round(value, 6) for value in fixed.distribution.values()} <= heights
    assert plot_histogram(fixed.distribution).axes[0].patches
    assert pandas.Series(fixed.distribution).to_dict() == fixed.distribution.to_probs()


def test_the_core_alone_says_what_it_lacks(monkeypatch):
    monkeypatch.setattr(hooks, "_functions", {})
    for show in ("to_bit_array", "to_quasi", "_repr_html_"):
        with pytest.raises(RuntimeError, match="import qcluster"):
            getattr(qc.Distribution.of(COUNTS), show)()
