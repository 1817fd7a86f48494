"""Figures of answers and of any counts."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_pgf import LatexError
from matplotlib.figure import Figure

import qcluster as qc
from qcluster.bench.reports.figures import draw_figures
from qcluster.bench.reports.summary import summarise
from qcluster.errors import QClusterError
from qcluster.plot import COLOURS, save_mitigation

COUNTS = {"00": 60, "01": 10, "11": 50}


def said(figure):
    return " ".join(figure.axes[0].get_title(loc="left").split())


def names(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_any_counts_are_drawn_side_by_side():
    figure = qc.plot(qc.Distribution.of({"00": 1, "11": 2}), {"00": 3}, labels=["raw", "ideal"])
    assert names(figure) == ["raw", "ideal"]
    assert [patch.get_height() for patch in figure.axes[0].patches] == pytest.approx([1 / 3, 2 / 3, 1, 0])
    assert len(qc.plot(COUNTS, top=2).axes[0].patches) == 2


@pytest.mark.parametrize(
    ("shown", "options", "error", "said"),
    [
        (
            [{"0": 1}],
            {"labels": ["a", "b"]},
            ValueError,
            r"a label for each.*got 1 distribution and labels=\['a', 'b'\]",
        ),
        ([{"0": 1}] * 4, {}, ValueError, r"as labels=\[\.\.\.\]; got 4 distributions and no labels"),
        ([{"a": {"0": 1}, "b": {"0": 2}}], {}, TypeError, r"a dict of 2 results by name: .*labels=\[\*results\]"),
        (
            [{"a": qc.mitigate({"0": 1})}],
            {},
            TypeError,
            "a dict of 1 result by name: .* the distribution of a Mitigation",
        ),
        ([{"0": 1}, {"0": 2}], {"labels": "ab"}, ValueError, "labels must be a list of texts.*; got 'ab'"),
        ([], {}, ValueError, "must be something to draw"),
        ([{"0": 1}], {"errors": []}, ValueError, "errors, or None, for each"),
        ([{"0": 1}, {"0": 2}], {"labels": ["_a", "b"]}, ValueError, "no underscore, for the legend; got '_a'"),
        ([{"0": 1}, {"0": 2}], {"labels": ["a", ""]}, ValueError, "no underscore, for the legend; got ''"),
        ([{"0": 1}], {"labels": [None]}, ValueError, "for the legend; got None"),
        ([{"0": 1}], {"errors": [0.1]}, TypeError, "errors must be functions .*; got 0.1"),
        ([{"0": 1}], {"top": 0}, ValueError, "top must be a whole number of at least 1; got 0"),
        ([{"0": 1}], {"top": 2.5}, ValueError, "top must be a whole number of at least 1; got 2.5"),
        ([{"0": 1}], {"top": "3"}, ValueError, "top must be a whole number of at least 1; got '3'"),
        ([{"0": 1}, {"00": 1}], {}, ValueError, "distributions must have strings of equal widths; got 1 and 2 bits"),
        ([3], {}, TypeError, "counts must be"),
        ([[{"0": 1}, {"0": 2}]], {}, TypeError, r"must be separate arguments.*got a list of 2: put a star before it"),
        ([({"0": 1},)], {}, TypeError, "must be separate arguments"),
    ],
)
def test_what_cannot_be_drawn_is_told(shown, options, error, said):
    with pytest.raises(error, match=said):
        qc.plot(*shown, **options)


def test_no_shots_are_not_told_to_be_one_string():
    none = qc.Distribution(np.zeros((0, 2), dtype=bool), np.zeros(0))
    assert said(qc.plot(none, top=3)) == said(qc.plot(none)) == "No string was read"
    assert said(qc.mitigate(none).plot(top=3)).endswith("there are no shots to mitigate")
    assert len(qc.plot(qc.mitigate(none), {"00": 1, "11": 1}).axes[0].patches) == 6


def test_notebooks_can_draw_the_figure_without_pyplot():
    assert qc.plot({"00": 1, "11": 2})._repr_png_().startswith(b"\x89PNG")


def test_an_answer_draws_raw_and_mitigated_with_intervals_under_its_verdict():
    fixed = qc.mitigate(COUNTS, 0.05, method="paper")
    figure = fixed.plot()
    assert names(figure) == ["raw", "mitigated"]
    assert fixed.reason in said(figure)
    bars = figure.axes[0].collections[1]
    for segment, string in zip(bars.get_segments(), ("00", "01", "11"), strict=True):
        wanted = fixed.interval(string)
        assert sorted(segment[:, 1]) == pytest.approx([wanted.low, wanted.high])
    assert names(fixed.plot({"00": 0.5, "11": 0.5}, top=3)) == list(COLOURS)
    assert names(qc.plot(fixed)) == ["raw", "mitigated"]


def test_an_answer_is_drawn_on_given_axes():
    from matplotlib.figure import Figure

    left, right = Figure().subplots(1, 2)
    assert qc.mitigate(COUNTS).plot(ax=right) is right.figure
    assert right.patches
    assert right.get_title(loc="left")
    assert not left.patches
    assert not left.get_title(loc="left")


def test_an_answer_is_drawn_on_axes_of_a_subfigure():
    from matplotlib.figure import Figure

    whole = Figure(figsize=(6, 4))
    left = whole.subfigures(1, 2)[0].subplots()
    assert qc.plot(COUNTS, ax=left) is whole
    assert qc.mitigate(COUNTS).plot(ax=left) is whole
    lines = left.get_title(loc="left").splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 14 * 3 * 0.775  # of half of the figure


@pytest.mark.parametrize("first", ["", "import qcluster.plot", "from qcluster.plot import COLOURS", "qc.mitigate"])
def test_plot_is_called_whatever_was_imported_before(first):
    code = f"import qcluster as qc\n{first}\nprint(type(qc.plot({{'0': 1}})).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "NotebookFigure"


def test_the_title_is_a_sentence_and_tells_the_fidelity_where_the_ideal_is_known():
    assert said(qc.plot(COUNTS, top=2)) == "The 2 likeliest of 3 strings: 92% of raw"
    assert said(qc.plot(COUNTS, {"00": 1, "11": 1}, labels=["raw", "$x"], top=2)).endswith(": 92% of raw, 100% of $x")
    assert said(qc.plot(COUNTS)) == "All 3 strings that were read or expected"
    fixed = qc.mitigate(COUNTS, 0.05, method="paper")
    ideal = {"00": 0.5, "11": 0.5}
    raw, mitigated = (qc.metrics.hellinger_fidelity(one, ideal) for one in (fixed.raw, fixed.distribution))
    for same in (ideal, {0: 0.5, 3: 0.5}):
        assert f"raw {raw:.3f}, mitigated {mitigated:.3f}" in said(fixed.plot(ideal=same))
    assert "fidelity to the ideal" in said(fixed.plot(ideal={0: 1}))


def test_long_strings_are_short_below_the_axis():
    figure = qc.plot({"0" * 20: 5, "1" * 20: 4})
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0x00000", "0xfffff"]
    assert figure.axes[0].get_xlabel() == "bitstring of 20 bits, in hexadecimal"
    figure.draw_without_rendering()
    axes = figure.axes[0].get_window_extent()
    assert axes.height > 0.6 * figure.bbox.height


@pytest.mark.parametrize("n_bits", [100, 300])
def test_long_labels_leave_room_for_the_bars(n_bits):
    """Labels of strings that differ in the middle keep all of it; the axes above them shrank to nothing."""
    rows = np.vstack([np.zeros(n_bits, dtype=bool), np.eye(n_bits, dtype=bool)[:: n_bits // 20]])
    figure = qc.plot(qc.Distribution(rows, [500] + [20] * (len(rows) - 1)))
    figure.draw_without_rendering()
    assert figure.axes[0].bbox.height > 1.5 * figure.dpi
    assert figure.axes[0].get_tightbbox().height <= figure.bbox.height


def test_the_legend_can_be_read_above_bars():
    """Bars of one string fill the axes."""
    frame = qc.plot({"0": 1}).axes[0].get_legend().get_frame()
    assert frame.get_visible()
    assert frame.get_facecolor()[3] >= 0.9


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("top", [None, 4])
def test_every_role_stands_out_from_its_axes(style, top):
    """The ideal was nearly black on the black axes of a dark notebook."""
    import matplotlib.style
    from matplotlib.colors import to_rgb

    def luminance(colour):  # WCAG 2
        channels = np.array(to_rgb(colour))
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    flat = {format(i, "06b"): 1 for i in range(64)}
    with matplotlib.style.context(style):
        axes = qc.plot(flat, flat, flat, top=top).axes[0]
    drawn = [bars.patches[0].get_facecolor() for bars in axes.containers] or [line.get_color() for line in axes.lines]
    assert len(drawn) == 3
    for colour in drawn:
        dark, light = sorted(map(luminance, (colour, axes.get_facecolor())))
        assert (light + 0.05) / (dark + 0.05) > 2.5


def report_of(n_bits, n_places, published=True):
    from qcluster.device.noise.audit import Place, ReferenceReport

    flips = np.full((n_bits, 2), [0.02, 0.01 if published else np.nan])
    places = tuple(Place(f"gates on qubits {i}-{i + 1}", 2.0, 1.5, 2.7, 9.0) for i in range(n_places))
    return ReferenceReport("one", 0.8, 0.9 if published else np.nan, flips, places, ())


def test_a_reference_without_wrong_places_has_no_empty_axes():
    for published, expected in ((True, "2.1 times the calibrated faults, and no place has"), (False, "No errors are")):
        figure = report_of(3, 0, published).plot()
        assert len(figure.axes) == 1
        assert said(figure).startswith(expected)


def test_a_reference_draws_whole_bits_and_plain_factors():
    figure = report_of(1, 14).plot()
    figure.draw_without_rendering()
    bits, places = figure.axes
    low, high = bits.get_xlim()
    assert [tick for tick in bits.get_xticks() if low <= tick <= high] == [0]
    assert bits.get_title(loc="left") == "2.1 times the calibrated faults"
    assert " ".join(places.get_title(loc="left").split()) == "The 12 most significant of 14 places that differ"
    assert len(places.get_yticklabels()) == 12
    numbers = {text.get_text() for text in places.get_xticklabels() + places.get_xticklabels(minor=True)}
    assert {"1", "2"} <= numbers
    assert not any("$" in number for number in numbers)
    assert len(report_of(2, 3).plot().axes[1].get_yticklabels()) == 3


def test_many_strings_are_drawn_by_rank_unless_bars_are_asked_for():
    """Neither counts nor ideal have half of their weight in sixteen strings."""
    flat = {format(i, "07b"): 1 + i % 3 for i in range(128)}
    figure = qc.plot(flat, {format(i, "07b"): 1 for i in range(64)}, labels=["raw", "ideal"])
    axes = figure.axes[0]
    assert not axes.patches
    raw, ideal = axes.lines
    assert [line.get_color() for line in (raw, ideal)] == [COLOURS["raw"], COLOURS["ideal"]]
    assert list(raw.get_ydata()) == sorted(qc.Distribution.of(flat).probabilities, reverse=True)
    assert len(ideal.get_ydata()) == 64
    assert said(figure) == "No few strings stand out among 128: all are drawn, by rank"
    assert len(qc.plot(flat, top=5).axes[0].patches) == 5
    assert qc.plot(flat, {"0000000": 1}).axes[0].patches  # one has its weight in few strings


def test_a_thousand_bars_fit_a_figure():
    """Each had half an inch and a label, which took most of a minute to draw."""
    rng = np.random.default_rng(1)
    wide, narrow = ({format(i, "020b"): int(n) for i, n in enumerate(rng.integers(1, 9, size))} for size in (3000, 128))
    figure = qc.plot(wide, narrow, top=1000)
    (axes,) = figure.axes
    chosen = qc.Distribution.of(wide).top(3000)
    pooled = {string: chosen[string] + qc.Distribution.of(narrow).get(string, 0) for string in chosen}
    kept = sorted(sorted(pooled, key=lambda string: (-pooled[string], string))[:1000])
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == [f"0x{int(string, 2):05x}" for string in kept[::8]]
    assert list(axes.get_xticks()) == list(range(0, 1000, 8))
    heights = [patch.get_height() for patch in axes.patches]
    assert heights[:1000] == pytest.approx([chosen[string] for string in kept])
    assert heights[1000:] == pytest.approx([qc.Distribution.of(narrow).get(string, 0) for string in kept])
    assert figure.bbox.width == qc.plot(wide, top=125).bbox.width < 60 * figure.dpi
    assert qc.plot(narrow, top=128).axes[0].get_xticks().size == 128


def test_nothing_cannot_be_drawn():
    with pytest.raises(ValueError, match=r"there must be something to draw: .* got nothing"):
        qc.plot()


@pytest.mark.parametrize("error", [RuntimeError, LatexError])
def test_a_program_that_a_format_needs_and_lacks_is_named(error, tmp_path, monkeypatch):
    """Without LaTeX, which matplotlib runs for .pgf files, or without its fonts, there was a traceback."""

    def without(*_, **options):
        raise error("'xelatex' not found; install it")

    monkeypatch.setattr(Figure, "savefig", without)
    with pytest.raises(QClusterError, match=r"^matplotlib cannot draw the figure: 'xelatex' not found; install it$"):
        save_mitigation(tmp_path / "bars.pgf", qc.mitigate(COUNTS))
    assert not any(tmp_path.iterdir())
    rows = [{"method": method, "task": "a", "status": "ok", "hellinger_fidelity": "0.5", "case": "bv:3", "correct": "1",
             "seconds": "1"} for method in ("identity", "hammer")]  # fmt: skip
    with pytest.raises(QClusterError, match=r"^matplotlib cannot draw the figure"):
        draw_figures(tmp_path, rows, summarise(rows, "all"))
