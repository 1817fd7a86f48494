"""Summaries by hand, and the files of a report."""

import csv
import errno
import json
import os
import re
import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pytest

from qcluster.bench.campaign import run, score_samples
from qcluster.bench.methods import METHODS
from qcluster.bench.records import read_records
from qcluster.bench.reports import figures
from qcluster.bench.reports.about import read_about
from qcluster.bench.reports.figures import draw_figures
from qcluster.bench.reports.intervals import mean_intervals, raw_interval
from qcluster.bench.reports.page import _description
from qcluster.bench.reports.report import compare_pairs, latest, pair_table, plain, table, write_report
from qcluster.bench.reports.summary import caveats, few_circuits, group_rows, summarise
from qcluster.bench.scores import SCORE_COLUMNS
from qcluster.bench.store import Outcome, Store, read_scores
from qcluster.bench.table import Table
from qcluster.bench.tasks import parse_campaign
from qcluster.errors import StorageError


def row(task, method, fidelity, *, status="ok", **more):
    given = {
        "task": task,
        "case": f"case {task}",
        "family": "bv",
        "machine": "m",
        "n_bits": "5",
        "ideal_entropy": "0.2",
        "status": status,
        "hellinger_fidelity": "" if fidelity is None else str(fidelity),
        "correct": "1",
        "seconds": "0.5",
        "note": "",
        "method": method,
    }
    return given | more


def test_a_summary_by_hand():
    raw, fixed = [0.5, 0.4, 0.9, 0.2], [0.8, 0.403, 0.85, 0.19]
    rows = [row(str(k), "identity", value) for k, value in enumerate(raw)]
    rows += [row(str(k), "ours", value, correct=str(int(k < 3))) for k, value in enumerate(fixed)]
    rows += [row("9", "ours", 0.1)]  # no raw score: left out
    rows += [row("0", "other", None, status="skipped")]
    rows += [row("1", "damaged", "nan"), row("2", "damaged", 0.4)]
    rows += [row("3", "damaged", None, status="failed"), row("0", "damaged", None, status="skipped")]
    found = {one.method: one for one in summarise(rows, "all")}
    ours, other, damaged = found["ours"], found["other"], found["damaged"]
    gain = np.array(fixed) - raw
    assert (ours.n, ours.circuits, ours.wins, ours.ties, ours.losses) == (4, 4, 1, 1, 2)
    assert ours.gain == pytest.approx(gain.mean())
    assert np.isnan([ours.gain_low, ours.mean_high, ours.factor_low]).all()  # four circuits
    assert 0 < ours.harm_low < 0.25 < ours.harm_high
    assert ours.factor == pytest.approx(np.prod(np.array(fixed) / raw) ** 0.25)
    assert ours.mean_factor == pytest.approx(np.mean(fixed) / np.mean(raw))
    assert ours.median_factor == pytest.approx(np.median(np.array(fixed) / raw))
    assert ours.harm == 0.25
    assert ours.worst == pytest.approx(-0.05)
    assert ours.correct == 0.75
    assert (other.n, other.skipped, other.failed) == (0, 1, 0)
    assert (damaged.n, damaged.skipped, damaged.failed) == (1, 1, 2)
    assert np.isnan([other.mean, other.gain_low, other.seconds]).all()
    assert damaged.gain == pytest.approx(0.4 - 0.9)


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.88), (0.5, 0.48), (0.3, 0.28), (1.0, 0.98), (0.7, 0.68)])
def test_a_loss_of_two_hundredths_is_no_harm_and_a_change_of_five_thousandths_a_tie(before, after):
    """Harm is to lose more than .02, a tie a change within .005; of decimals the difference is not exact."""
    rows = [row(task, "identity", before) for task in "012"]
    changed = (after, before - 0.005, after - 1e-6)
    rows += [row(task, "ours", round(value, 6)) for task, value in zip("012", changed, strict=True)]
    (one,) = (one for one in summarise(rows, "all") if one.method == "ours")
    assert (one.harm, one.wins, one.ties, one.losses) == (pytest.approx(1 / 3), 0, 1, 2)


def ran(case, method, fidelity, machine="m"):
    return row(f"{case} {machine}", method, fidelity, case=case, machine=machine)


def test_intervals_are_over_circuits():
    """Twelve circuits on three machines alike: intervals as if each ran once, and none of a method against itself."""
    pairs = [(0.5, 0.8), (0.4, 0.403), (0.9, 0.85), (0.2, 0.19), (0.6, 0.9), (0.7, 0.75)] * 2
    once = [
        one
        for k, (raw, fixed) in enumerate(pairs)
        for one in (ran(str(k), "identity", raw), ran(str(k), "ours", fixed))
    ]
    thrice = [
        one
        for k, (raw, fixed) in enumerate(pairs)
        for machine in "abc"
        for one in (ran(str(k), "identity", raw, machine), ran(str(k), "ours", fixed, machine))
    ]
    ours, raw = summarise(once, "all")
    again, _ = summarise(thrice, "all")
    assert (ours.n, ours.circuits, again.n, again.circuits) == (12, 12, 36, 12)
    for name in ("mean", "gain", "factor", "harm"):
        ends = [getattr(ours, f"{name}_low"), getattr(ours, f"{name}_high")]
        assert ends == pytest.approx([getattr(again, f"{name}_low"), getattr(again, f"{name}_high")])
        assert ends[0] < getattr(ours, name) < ends[1]
    assert raw.mean_low < raw.mean < raw.mean_high
    assert np.isnan([raw.gain_low, raw.factor_high, raw.harm_high]).all()
    low, high = mean_intervals(np.log([[b / a] for a, b in pairs]), [str(k) for k in range(12)])[0]
    assert (ours.factor_low, ours.factor_high) == pytest.approx((np.exp(low), np.exp(high)))
    assert f"| ours | 36 | 12 | {again.mean:.3f} [{again.mean_low:.3f}, {again.mean_high:.3f}] |" in table([again, raw])
    assert f"| {ours.harm:.0%} [{ours.harm_low:.0%}, {ours.harm_high:.0%}] |" in table([ours])
    assert table([raw]).splitlines()[-1].count("[") == 1


def test_a_table_tells_skipped_from_failed():
    rows = [row(str(k), "identity", 0.5) for k in range(6)] + [row("0", "ours", 0.7)]
    rows += [row(str(k), "ours", None, status="skipped" if k < 3 else "failed") for k in range(1, 6)]
    head, _, ours, raw, *_ = table(summarise(rows, "all")).splitlines()
    assert head.endswith("| skipped | failed |")
    assert ours.endswith("| 2 | 3 |")
    assert raw.endswith("|  |  |")


def test_a_table_says_why_it_has_no_intervals():
    few = [ran(case, method, value) for case in "abcdefghi" for method, value in (("identity", 0.5), ("ours", 0.7))]
    said = "Means of fewer than 10 circuits have no interval."
    assert few_circuits(summarise(few, "all")) == said
    assert table(summarise(few, "all")).endswith(f"|\n\n{said}")
    assert table(summarise(few, "all")).count("[0") == 1  # harm has one
    enough = few + [ran("j", method, value) for method, value in (("identity", 0.5), ("ours", 0.7))]
    assert few_circuits(summarise(enough, "all")) == ""
    assert table(summarise(enough, "all")).endswith("|")


def test_a_table_names_methods_that_have_not_scored_all_samples(tmp_path):
    """As after a campaign's file named other methods than before, their means are of other samples."""
    rows = [row(str(k), "identity", 0.5) for k in range(12)]
    rows += [row(str(k), "whole", 0.6) if k else row("0", "whole", None, status="skipped") for k in range(12)]
    rows += [row(str(k), "_later_", 0.9) for k in range(10)]
    said = "Of 12 samples, _later_ has 10: score the others before comparing their means."
    assert caveats(summarise(rows, "all")) == said
    assert table(summarise(rows, "all")).endswith(f"|\n\n{plain(said)}")
    assert caveats(summarise(rows[:24], "all")) == "" == caveats(compare_pairs(rows))
    with Store(tmp_path) as store:
        blank = dict.fromkeys(SCORE_COLUMNS, "")
        store.add(Outcome("", scores=tuple(blank | {"shots": "10", "applied": "1"} | one for one in rows)))
    write_report(tmp_path, figures=False)
    assert said in (tmp_path / "report.html").read_text()


def test_methods_are_compared_with_each_other_where_entropy_is_low():
    """`paper` against `m3` by hand: on low entropies that both scored, and nowhere else."""
    paper, m3 = [0.9, 0.3, 0.6], [0.6, 0.4, 0.6]
    rows = [row(str(k), "paper", value) for k, value in enumerate(paper)]
    rows += [row(str(k), "m3", value) for k, value in enumerate(m3)]
    rows += [row("8", "paper", 0.1, ideal_entropy="0.7"), row("8", "m3", 0.9, ideal_entropy="0.7")]
    rows += [row("9", "paper", 0.1), row("9", "m3", None, status="skipped")]
    (duel,) = compare_pairs(rows)
    assert (duel.method, duel.base, duel.n) == ("paper", "m3", 3)
    assert duel.factor == pytest.approx((0.9 / 0.6 * 0.3 / 0.4) ** (1 / 3))
    assert duel.mean_factor == pytest.approx(1.8 / 1.6)
    assert (duel.wins, duel.ties, duel.losses, duel.worst) == (1, 1, 1, pytest.approx(-0.1))
    assert "| paper | m3 | 3 | 3 |" in pair_table([duel])


def test_groups_are_in_order():
    rows = [row(str(n), "identity", 0.5, n_bits=str(n)) for n in (100, 15, 3, 7, 10, 30)]
    names = list(group_rows(rows, "width"))
    assert names == ["over 40 bits", "up to 4 bits", "up to 8 bits", "up to 12 bits", "up to 20 bits", "up to 40 bits"]
    rows = [row("a", "identity", 0.5, ideal_entropy=text) for text in ("0.6", "0.61", "")]
    families = [row | {"family": name} for row, name in zip(rows, ("x \u00b2", "x 10", "x 9"), strict=False)]
    assert list(group_rows(families, "family")) == ["x 9", "x 10", "x \u00b2"], "a power of two is no number here"
    assert list(group_rows(rows, "entropy")) == ["high (H/n > 0.6)", "low (H/n <= 0.6)", "unknown"]


def test_the_newest_score_counts():
    assert [one["hellinger_fidelity"] for one in latest([row("a", "m", 0.1), row("a", "m", 0.2)])] == ["0.2"]


def test_figures_draw_the_intervals_that_are_there(tmp_path, monkeypatch):
    """Of three methods one has too few circuits for an interval of its mean."""
    rows = [ran(case, "identity", 0.5) for case in "abcdefghijkl"]
    rows += [ran(case, "ours", 0.5 + 0.04 * k) for k, case in enumerate("abcdefghijkl")]
    rows += [ran(case, "worse", 0.5 - 0.04 * k) for k, case in enumerate("abcdefghijkl")]
    rows += [ran(case, "seldom", 0.6) for case in "ab"]
    kept = {}
    monkeypatch.setattr(figures, "_save", lambda figure, path: kept.update({path.name: figure}))
    shown = summarise(rows, "all")
    draw_figures(tmp_path, rows, shown)
    shown = [one for one in shown if one.method != "identity"]
    for axes, name in zip(kept["gain.png"].axes, ("gain", "harm"), strict=True):
        drawn = [line[:, 0].tolist() for lines in axes.collections for line in lines.get_segments()]
        wanted = np.array([[getattr(one, f"{name}_low"), getattr(one, f"{name}_high")] for one in shown])
        assert np.allclose(drawn, wanted[~np.isnan(wanted[:, 0])])
        assert len(drawn) == (2 if name == "gain" else 3)
        assert [bar.get_width() for bar in axes.patches] == pytest.approx([getattr(one, name) for one in shown])
    assert kept["gain.png"].get_supxlabel().startswith("Means of fewer")


def test_names_of_methods_are_no_formulas_in_figures(tmp_path):
    """matplotlib reads what stands between two dollars as a formula, and ended the report where it was none."""
    rows = [ran(case, method, 0.5) for case in "ab" for method in ("identity", r"$\frac$")]
    assert all(path.exists() for path in draw_figures(tmp_path, rows, summarise(rows, "all")))


def test_every_column_of_the_scatter_plots_has_numbers_below_it(tmp_path, monkeypatch):
    """Of nine methods, the last is alone in its line; the others of the line above had no numbers."""
    rows = [ran(case, method, 0.5) for case in "ab" for method in ("identity", *"abcdefghi")]
    kept = {}
    monkeypatch.setattr(figures, "_save", lambda figure, path: kept.update({path.name: figure}))
    draw_figures(tmp_path, rows, summarise(rows, "all"))
    figure = kept["fidelity.png"]
    figure.draw_without_rendering()
    numbered = [any(label.get_visible() for label in axes.get_xticklabels()) for axes in figure.axes]
    assert numbered[:9] == [False] * 5 + [True] * 4


@pytest.mark.parametrize("length", [60, 300])
def test_long_names_of_methods_stay_beside_and_above_what_they_name(tmp_path, monkeypatch, length):
    """Users' methods are called by module and function: titles ran into each other, and axes shrank to nothing."""
    methods = [f"package.{which}:{'with_three_rounds_' * 20}"[:length] for which in ("bare", "early", "late", "twice")]
    rows = [ran(case, method, 0.5) for case in "abcdefghijkl" for method in ("identity", *methods)]
    kept = {}
    monkeypatch.setattr(figures, "_save", lambda figure, path: kept.update({path.name: figure}))
    draw_figures(tmp_path, rows, summarise(rows, "all"))
    gains, scatter = kept["gain.png"], kept["fidelity.png"]
    for figure in (gains, scatter):
        figure.draw_without_rendering()
    for axes, method in zip(scatter.axes, sorted(methods), strict=True):
        assert axes.get_title().replace("\n", "") == method
        assert axes.title.get_window_extent().width <= axes.bbox.width
    left, right = (axes.xaxis.label.get_window_extent() for axes in gains.axes)
    assert left.x1 < right.x0
    labels = [label.get_window_extent() for label in gains.axes[0].get_yticklabels()]
    assert all(above.y0 >= below.y1 for above, below in pairwise(labels))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("campaign")
    content = {"cases": ["ghz:3", "bv:4", "qaoa:4"], "machines": ["flips:0.05", "flips:0.1"], "shots": 500, "twirls": 1}
    list(run(parse_campaign({**content, "methods": ["identity", "hammer", "plurality", "m3"]}), place))
    return place


def test_a_report_has_its_files(folder):
    written = write_report(folder, title="Flips </script> & more", notes="Published: x1.46.")
    assert [path.name for path in written] == ["report.md", "summary.csv", "report.html", "gain.png", "fidelity.png"]
    text = (folder / "report.md").read_text()
    assert "6 samples of 3 circuits" in text
    assert "Means of fewer than 10 circuits have no interval." in text
    assert "Published: x1.46." in text
    assert "### flips:0.05" in text
    with (folder / "summary.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert [line["gain_low"] for line in lines if line["group"] == "all"] == ["nan"] * 4
    assert {line["group"] for line in lines} >= {"all", "machine=flips:0.1", "family=bv", "entropy=low (H/n <= 0.6)"}
    best = max(float(line["mean"]) for line in lines if line["group"] == "all")
    assert text.index(f"{best:.3f}") < text.index("| identity")
    for name in ("gain.png", "fidelity.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_figures_of_an_earlier_report_do_not_stand_beside_a_later_one(folder):
    drawn = {path for path in write_report(folder) if path.suffix == ".png"}
    assert len(drawn) == 2
    (folder / "mine.png").touch()
    assert not drawn & set(write_report(folder, figures=False))
    assert [path.name for path in folder.glob("*.png")] == ["mine.png"]


def test_the_page_is_whole_and_needs_no_network(folder):
    write_report(folder, title="Flips </script> & more", figures=False)
    page = (folder / "report.html").read_text()
    assert not re.findall(r"(?:src|href)\s*=|https?://|@import|url\(", page)
    data = data_of(page)
    assert len(data["tasks"]) == 6
    scores = read_scores(folder)
    shown = {(task["case"], task["machine"], m): hf for task in data["tasks"] for m, hf in task["hf"].items()}
    for one in scores:
        assert shown[one["case"], one["machine"], one["method"]] == float(one["hellinger_fidelity"])
    for task in data["tasks"]:
        assert task["ends"] == pytest.approx(raw_interval(task["hf"]["identity"], 500))
    groups = {group["name"]: group for group in data["groups"]}
    assert next(iter(groups)) == "all"
    assert {"machine=flips:0.1", "family=bv"} <= set(groups)
    assert groups["all"]["caveats"].startswith("Means of fewer")
    assert {one["circuits"] for one in groups["all"]["summaries"]} == {3}
    assert "<title>Flips &lt;/script&gt; &amp; more</title>" in page
    assert 'stack.setAttribute("aria-label", titles.join(", "))' in page  # bars have no text that could be read aloud


@pytest.mark.parametrize(
    ("cases", "shown"),
    [
        (["file:/home/ada/ghz.qasm#0", "bv:4"], ["ghz.qasm#0", "bv:4"]),
        (["file:/home/ada/a/ghz.qasm#0", "file:/home/ada/b/ghz.qasm#0"],) * 2,
    ],
)
def test_a_file_is_named_without_its_folder_unless_two_have_one_name(tmp_path, cases, shown):
    """The page, to be shown to others, named the folders of its author."""
    with Store(tmp_path) as store:
        for case in cases:
            store.add(Outcome("", scores=(row(case, "identity", 0.5, case=case), row(case, "ours", 0.6, case=case))))
    write_report(tmp_path, figures=False)
    assert [task["case"] for task in data_of((tmp_path / "report.html").read_text())["tasks"]] == shown


HOSTILE = {
    "case": "<!--<script>",
    "family": "</script><img src=x onerror=alert(1)>|a",
    "machine": "=cmd|' /C calc'!A0",
    "note": "[click](javascript:alert(1))\n\n# Heading\n<b>",
}


def hostile_scores(folder) -> None:
    """Scores of samples whose names are markup, in every column that a report shows."""
    with Store(folder) as store:
        for task in ("@@DATA@@", "@@TITLE@@"):
            names = HOSTILE | ({"machine": task} if task == "@@TITLE@@" else {})
            store.add(
                Outcome(
                    "",
                    scores=tuple(
                        row(task, method, value, status="ok" if value else "failed", **names)
                        for method, value in (("identity", 0.5), ("ours", 0.6), ("m3", None))
                    ),
                )
            )


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', page, re.DOTALL).group(1))


def test_names_are_text_on_every_page(tmp_path):
    hostile_scores(tmp_path)
    write_report(tmp_path, title="@@DATA@@ <i> & =1", figures=False)
    page = (tmp_path / "report.html").read_text()
    data = data_of(page)
    assert {(task["task"], task["case"], task["machine"]) for task in data["tasks"]} == {
        ("@@DATA@@", HOSTILE["case"], HOSTILE["machine"]),
        ("@@TITLE@@", HOSTILE["case"], "@@TITLE@@"),
    }
    assert data["tasks"][0]["note"]["m3"] == HOSTILE["note"]
    assert page.count("@@DATA@@ &lt;i&gt; &amp; =1") == 2
    assert [page.count(mark) for mark in ("<script", "</script", "<!--", "<img")] == [2, 2, 0, 0]
    markdown = (tmp_path / "report.md").read_text()
    assert not re.search(r"<[a-zA-Z/!?]", markdown)
    assert r"- m3: \[click\](javascript:alert(1)) # Heading &lt;b>" in markdown.splitlines()
    lines = [line for line in markdown.splitlines() if line.startswith("| ours |")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {17}
    with (tmp_path / "summary.csv").open() as stream:
        groups = {line["group"] for line in csv.DictReader(stream)}
    assert f"machine={HOSTILE['machine']}" in groups


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("em_uniform", "em_uniform"),
        ("low (H/n <= 0.6)", "low (H/n <= 0.6)"),
        ("R&D, 5 & 6", "R&D, 5 & 6"),
        ("_em_ *b* ~~s~~ `c`", r"\_em\_ \*b\* \~\~s\~\~ \`c\`"),
        ("&lt; <a&b;c", "&amp;lt; &lt;a&amp;b;c"),
        ("# one\n\n* two\u2028three", r"\# one \* two three"),
        ("\\<b", r"\\&lt;b"),
    ],
)
def test_markdown_marks_are_text(name, written):
    assert plain(name) == written


def test_the_page_says_what_was_run_with_what_and_explains_every_method(folder):
    import qiskit

    write_report(folder, description="Flips & nothing <else>.", figures=False)
    page = (folder / "report.html").read_text()
    assert "<title>campaign</title>" in page  # the name that a campaign has by default
    assert "<p>Flips &amp; nothing &lt;else&gt;.</p>" in page
    for fact in ("6 samples of 3 circuits", "500 shots each", "flips:0.05, flips:0.1", f"qiskit {qiskit.__version__}"):
        assert fact in page
    told = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert set(told) == {"identity", "hammer", "plurality", "m3"}
    assert all(sentence.endswith(".") and "your own" not in sentence for sentence in told.values())


def test_only_methods_of_users_are_called_their_own():
    told = {name: _description(name) for name in (*METHODS, "circuit@high", "mine:method", "mine:method@low")}
    assert [name for name, sentence in told.items() if "your own" in sentence] == ["mine:method"]
    assert told["mine:method@low"] == "mine:method with a wrong calibration (low)."


def test_the_heading_is_the_campaigns_own(tmp_path):
    content = {"name": "Two coins", "description": "Nothing to win.", "cases": ["ghz:3"], "machines": ["flips:0.05"]}
    list(run(parse_campaign({**content, "shots": 50, "twirls": 1, "methods": ["identity"]}), tmp_path))
    write_report(tmp_path, figures=False)
    assert (tmp_path / "report.md").read_text().startswith("# Two coins\n\nNothing to win.\n")
    write_report(tmp_path, title="Mine", figures=False)
    assert (tmp_path / "report.md").read_text().startswith("# Mine\n\nNothing to win.\n")
    assert read_about(tmp_path).methods == ("identity",)
    for damaged in ("{", "[]", '"text"', '{"methods": "identity"}'):
        (tmp_path / "about.json").write_text(damaged)
        write_report(tmp_path, figures=False)
        assert (tmp_path / "report.md").read_text().startswith(f"# {plain(tmp_path.name)}\n")
        assert read_about(tmp_path).methods == ()


def test_failures_that_are_not_told_are_counted(tmp_path):
    """The fifty first were told, and of the others nothing."""
    known = {"shots": "100", "ideal_entropy": "0.2"}
    rows = [row(str(k), "identity", 0.5, **known) for k in range(60)]
    rows += [row(str(k), "ours", None, status="failed", note=f"ValueError: {k}", **known) for k in range(60)]
    Table(tmp_path / "scores.csv", SCORE_COLUMNS).append([dict.fromkeys(SCORE_COLUMNS, "") | one for one in rows])
    write_report(tmp_path, figures=False)
    told = (tmp_path / "report.md").read_text(encoding="utf-8").partition("## Failures\n\n")[2].splitlines()
    assert len(told) == 51
    assert told[-1] == "- 10 other failures, with what went wrong, in scores.csv"


def test_a_folder_in_an_old_encoding_has_a_report(tmp_path):
    """Python reads such a name with half characters, and the report is named after its folder."""
    scores = Table(tmp_path / "scores.csv", SCORE_COLUMNS)
    scores.append([row("a", "identity", 0.5), row("a", "hammer", 0.7)])
    report, *_ = write_report(tmp_path, title="caf\udce9", figures=False)
    assert report.read_text(encoding="utf-8").startswith("# caf\\udce9\n")


def test_a_report_without_scores_is_a_clear_error(tmp_path):
    with pytest.raises(StorageError, match="no scores"):
        write_report(tmp_path)


def test_a_report_needs_the_fidelity_of_raw_counts_and_leaves_out_groups_without(tmp_path):
    """Records without an ideal output have scores but no fidelities; a table may have lost its rows of identity."""
    blind = {"id": "blind", "family": "unknown", "counts": {"00": 48, "11": 47}}
    known = {"id": "bell", "family": "bell", "counts": {"00": 48, "11": 47}, "ideal": {"00": 0.5, "11": 0.5}}

    def scored(name, *records):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        list(score_samples(read_records(path), tmp_path / name, ("identity", "hammer")))
        return tmp_path / name

    with pytest.raises(StorageError, match=r"no sample in .* has a fidelity of its raw counts"):
        write_report(scored("none", blind), figures=False)
    folder = scored("one", blind, known)
    write_report(folder, figures=False)
    groups = {line.split(",")[0] for line in (folder / "summary.csv").read_text().splitlines()}
    assert "family=bell" in groups
    assert "family=unknown" not in groups
    table = (folder / "scores.csv").read_text()
    (folder / "scores.csv").write_text(table.replace(",identity,", ",dentity,"))
    with pytest.raises(StorageError, match="and the method identity scored"):
        write_report(folder, figures=False)


def test_a_method_that_never_applies_leaves_the_report_whole(tmp_path):
    content = {"cases": ["ghz:3"], "machines": ["flips:0.05"], "shots": 50, "twirls": 1, "methods": ["identity"]}
    list(run(parse_campaign(content), tmp_path))
    assert [path.name for path in write_report(tmp_path)] == ["report.md", "summary.csv", "report.html"]


CHROME = next(
    (name for name in ("chromium", "chromium-browser", "google-chrome", "chrome") if shutil.which(name)), None
)


@pytest.mark.slow
@pytest.mark.skipif(CHROME is None, reason="needs Chromium on the path")
def test_the_page_works_in_a_browser(folder, tmp_path):
    write_report(folder, title="Browser", figures=False)
    driver = """<script>
    window.addEventListener("load", () => {
      const table = document.getElementById("tasks"), text = () => table.tBodies[0].rows[0].cells[0].textContent;
      const before = [...table.tBodies[0].rows].map(row => +row.cells[2].textContent);
      table.tHead.rows[0].cells[2].querySelector("button").click();
      const after = [...table.tBodies[0].rows].map(row => +row.cells[2].textContent);
      document.getElementById("find").value = "qaoa"; document.getElementById("find").dispatchEvent(new Event("input"));
      const found = table.tBodies[0].rows.length;
      table.tBodies[0].rows[0].click();
      table.tHead.rows[0].cells[0].querySelector("button").click();
      const chosen = [...document.querySelectorAll("#tasks tr.chosen")].map(row => row.cells[0].textContent);
      const method = document.getElementById("method");
      method.value = "plurality"; method.dispatchEvent(new Event("change"));
      const note = document.getElementById("note").textContent, groups = document.getElementById("group");
      const n = document.querySelectorAll("#methods th").length - 1;
      const all = document.querySelector(`#methods td:nth-child(${n})`).textContent;
      groups.value = [...groups.options].find(option => option.text === "machine=flips:0.1").value;
      groups.dispatchEvent(new Event("change"));
      const part = document.querySelector(`#methods td:nth-child(${n})`).textContent;
      document.title = JSON.stringify({ chosen, note, all, part, few: document.getElementById("few").textContent,
        before, after, found, name: document.getElementById("name").textContent,
        bars: document.querySelectorAll("#bars code").length,
        label: document.querySelector("#bars .stack[role=img]").getAttribute("aria-label"),
        methods: document.querySelectorAll("#methods tbody tr").length });
    });
    </script></body>"""
    page = tmp_path / "page.html"
    page.write_text((folder / "report.html").read_text().replace("</body>", driver))
    seen = json.loads(dump(page))
    assert seen["after"] == sorted(seen["before"], reverse=True)
    assert seen["found"] == 2
    assert "qaoa:4" in seen["name"]
    assert seen["chosen"] == ["qaoa:4"]  # also after another sort
    assert seen["bars"] == 16
    assert re.fullmatch(r"ideal \S+, raw \S+, mitigated \S+", seen["label"])  # bars have no text of their own
    assert seen["methods"] == 4
    assert re.search(r"\(raw 0\.\d{3} \[0\.\d{3}, [01]\.\d{3}\] by its shots\)", seen["note"])
    assert (seen["all"], seen["part"]) == ("6", "3")
    assert seen["few"].startswith("Means of fewer")


def dump(page, *options) -> str:
    done = subprocess.run(
        [CHROME, "--headless", "--no-sandbox", "--disable-gpu", *options, "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return re.search(r"<title>(.*?)</title>", done.stdout).group(1).replace("&quot;", '"')


@pytest.mark.slow
@pytest.mark.skipif(CHROME is None, reason="needs Chromium on the path")
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_page_fits_wide_and_narrow_screens_in_light_and_dark(folder, tmp_path, scheme):
    """Nothing but the tables scrolls sideways, and text stands out from what is behind it."""
    write_report(folder, figures=False)
    driver = """<title>none</title><body><script>
    const widths = [390, 1280], seen = {};
    widths.forEach(width => {
      const frame = document.createElement("iframe");
      frame.width = width; frame.height = 800; frame.srcdoc = PAGE;
      frame.addEventListener("load", () => {
        const inner = frame.contentDocument, root = inner.documentElement, style = frame.contentWindow.getComputedStyle;
        const button = inner.querySelector("#tasks thead th:nth-child(2) button");
        button.focus();
        button.click();
        seen[width] = { over: root.scrollWidth - root.clientWidth, back: style(inner.body).backgroundColor,
          text: style(inner.body).color, first: style(inner.querySelector("#tasks tbody td:first-child")).position,
          forest: inner.querySelectorAll("#forest svg").length,
          columns: inner.querySelectorAll("#methods th").length,
          best: inner.querySelectorAll("#tasks td.best").length, harm: inner.querySelectorAll("#tasks td.harm").length,
          focused: inner.activeElement.textContent,
          sorted: inner.querySelector("#tasks thead th:nth-child(2)").getAttribute("aria-sort") };
        if (Object.keys(seen).length === 2) document.title = JSON.stringify(seen);
      });
      document.body.append(frame);
    });
    </script></body>"""
    text = json.dumps((folder / "report.html").read_text()).replace("<", "\\u003c")
    page = tmp_path / "frames.html"
    page.write_text(driver.replace("PAGE", text))
    setting = f"--blink-settings=preferredColorScheme={int(scheme == 'light')}"
    seen = json.loads(dump(page, setting, "--virtual-time-budget=5000"))
    harmed = sum(
        hf < task["hf"]["identity"] - 0.02
        for task in data_of((folder / "report.html").read_text())["tasks"]
        for hf in task["hf"].values()
        if hf is not None
    )
    for one in seen.values():
        assert one["over"] == 0
        assert one["first"] == "sticky"
        assert one["forest"] == 1 + 3  # the axis, and all methods but the raw counts
        assert one["best"] >= 1
        assert one["harm"] == harmed
        assert (one["focused"], one["sorted"]) == ("machine", "descending")
        dark, light = (sum(map(int, re.findall(r"\d+", one[key])[:3])) for key in ("back", "text"))
        assert abs(dark - light) > 500
        assert (dark < light) is (scheme == "dark")
    assert seen["390"]["columns"] < seen["1280"]["columns"]


@pytest.mark.slow
@pytest.mark.skipif(CHROME is None, reason="needs Chromium on the path")
def test_strings_of_many_bits_leave_room_for_their_bars(tmp_path):
    """Strings of 600 bits took the whole width of the page, and more."""
    counts = {"0" * 600: 48, "1" * 600: 47}
    record = {"id": "wide", "family": "ghz", "counts": counts, "ideal": dict.fromkeys(counts, 0.5)}
    (tmp_path / "wide.jsonl").write_text(json.dumps(record) + "\n")
    list(score_samples(read_records(tmp_path / "wide.jsonl"), tmp_path / "scored", ("identity", "hammer")))
    write_report(tmp_path / "scored", figures=False)
    driver = """<script>
    window.addEventListener("load", () => {
      const root = document.documentElement, bar = document.querySelector("#bars .fixed");
      document.title = JSON.stringify([root.scrollWidth - root.clientWidth, bar.clientWidth / root.clientWidth]);
    });
    </script></body>"""
    page = tmp_path / "page.html"
    page.write_text((tmp_path / "scored" / "report.html").read_text().replace("</body>", driver))
    over, share = json.loads(dump(page))
    assert over == 0
    assert share > 0.3


@pytest.mark.slow
@pytest.mark.skipif(CHROME is None, reason="needs Chromium on the path")
def test_the_page_prints(folder, tmp_path):
    write_report(folder, figures=False)
    out = tmp_path / "report.pdf"
    command = [CHROME, "--headless", "--no-sandbox", f"--print-to-pdf={out}", (folder / "report.html").as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    assert out.read_bytes().startswith(b"%PDF")


def test_a_full_disk_leaves_no_half_of_a_figure(tmp_path, monkeypatch):
    rows = [row("a", "identity", 0.5), row("a", "hammer", 0.7)]
    draw_figures(tmp_path, rows, summarise(rows, "all"))
    before = (tmp_path / "gain.png").read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"cannot write .*gain.png: No space left on device"):
        draw_figures(tmp_path, rows, summarise(rows, "all"))
    assert (tmp_path / "gain.png").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fidelity.png", "gain.png"]
