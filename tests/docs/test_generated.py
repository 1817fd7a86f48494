"""Pages that are written at every build."""

import csv
import importlib.util
from pathlib import Path

import pytest

from qcluster.core.methods import registry
from qcluster.core.methods.registry import Method, every, register
from qcluster.core.mitigation import left

ROOT = Path(__file__).parents[2]


@pytest.fixture
def generated():
    spec = importlib.util.spec_from_file_location("generated", ROOT / "docs" / "generated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_methods_holds_every_method(generated, monkeypatch):
    every()
    monkeypatch.setattr(registry, "_known", dict(registry._known))
    register(Method("mine", "Does nothing.", lambda raw, *_: left(raw, "mine", "as asked"), uses=("rates",)))
    lines = generated.methods_table().splitlines()
    assert len(lines) == 2 + len(every())
    assert lines[-1] == '| `"mine"` | Does nothing. | – | flip rates | – |'
    assert '| `"paper"` |' in "\n".join(lines)
    assert "_generated/methods.md" in (ROOT / "docs" / "guides" / "choose.md").read_text(encoding="utf-8")


def test_the_help_of_the_command_line_names_every_method(generated):
    said = "".join(generated.commands())
    for method in every():
        assert method.name in said


def test_the_results_page_holds_every_recorded_set_and_what_the_decision_does_without_it(generated):
    from benchmarks.real import SETS

    page = generated.results_page()
    assert [line[4:] for line in page.splitlines() if line.startswith("### ")] == [one.title for one in SETS.values()]
    unseen = generated.unseen_table(generated.RESULTS / "decision.csv").splitlines()[2:]
    sets = {line.split("|")[1].strip() for line in unseen}
    assert {name for name in SETS if name != "lrqaoa_ibm_dev"} <= sets
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for name in (
        "results",
        "unseen",
        "paper_low",
        "paper_high",
        "paper_machines",
        "paper_wide",
        "low_entropy_low",
        "guard_high",
        "broad_low",
        "broad_high",
    ):
        assert f"_generated/{name}.md" in text


def test_the_table_by_machine_holds_every_output_once_and_agrees_with_the_summary(generated):
    lines = generated.machine_table(generated.RESULTS / "broad").splitlines()
    head, *cells = ([cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:]))
    held = [dict(zip(head, row, strict=True)) for row in cells]
    assert sum(int(row["n"]) for row in held if row["machine"] != "*all*") == 384
    with (generated.RESULTS / "broad" / "summary.csv").open(encoding="utf-8", newline="") as rows:
        known = {(row["group"], row["method"]): row for row in csv.DictReader(rows)}
    for row in held:
        if row["machine"] == "*all*":
            one = known[f"entropy={'low (H/n <= 0.6)' if row['output'] == 'low' else 'high (H/n > 0.6)'}", "reference"]
            assert row["reference"] == f"{float(one['mean']):.3f}, {float(one['harm']):.0%}"


def test_the_page_on_uncertainty_shows_every_case_of_its_benchmark(generated, tmp_path):
    header = "case,method,n_bits,shots,observable,trials,applied,coverage,coverage_of_raw,median_width,bias\n"
    rows = [
        f"ghz,{method},3,1000,{what},40,{applied},{held},0.1,0.0{k}7,-0.0{k}"
        for method, applied, held in (("paper", "1.00", 0.25), ("mixture", "0.30", 0.925), ("bare", "1.00", 1.0))
        for k, what in enumerate(("P(000)", "parity", "Z of bit 0"))
    ]
    path = tmp_path / "coverage.csv"
    path.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    assert generated.coverage_table(path).splitlines()[2:] == [
        "| ghz | `guard=False` | 1000 | 1.00 (0.10) | 1.00 (0.10) | 1.00 (0.10) | 0.017 | -0.010 |",
        "| ghz | `mixture`, applied in 30% | 1000 | 0.93 (0.10) | 0.93 (0.10) | 0.93 (0.10) | 0.017 | -0.010 |",
        "| ghz | `paper` | 1000 | 0.25 (0.10) | 0.25 (0.10) | 0.25 (0.10) | 0.017 | -0.010 |",
    ]
    lines = (generated.RESULTS / "coverage.csv").read_text(encoding="utf-8").splitlines()[1:]
    shown = generated.coverage_table(generated.RESULTS / "coverage.csv")
    assert len(shown.splitlines()) == 2 + len(lines) / 3
    assert "_generated/coverage.md" in (ROOT / "docs" / "uncertainty.md").read_text(encoding="utf-8")


def test_tables_that_are_shown_as_they_stand_have_their_columns_and_their_page(generated):
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")]
    for name, columns in generated.PLAIN.items():
        lines = generated.plain_table(generated.RESULTS / f"{name}.csv", columns).splitlines()
        assert {line.count(" | ") for line in lines} == {len(columns) - 1}
        assert len(lines) > 2
        assert sum(f"_generated/{name}.md" in page for page in pages) == 1, name


def test_a_summary_becomes_a_table(generated, tmp_path):
    path = tmp_path / "summary.csv"
    ends = [f"{name}{end}" for name in ("mean", "gain", "harm") for end in ("", "_low", "_high")]
    head = ["group", "method", "n", "circuits", "median", "worst", *ends]
    rows = [
        ["all", "ours", 4, 2, 0.5, -0.1, 0.6, "nan", "nan", 0.1, 0.05, 0.2, 0.25, 0, 0.5],
        ["all", "identity", 4, 2, 0.4, 0, 0.5, 0.4, 0.6, 0, "nan", "nan", 0, "nan", "nan"],
        ["all", "m3", 0, 0] + ["nan"] * 11,
        ["family=x", "ours", 1, 1] + [0] * 11,
    ]
    path.write_text("\n".join(",".join(map(str, row)) for row in [head, *rows]))
    lines = generated.summary_table(path).splitlines()
    assert lines[0] == "4 samples of 2 circuits."
    assert lines[4:] == [
        "| `ours` | 0.600 | 0.500 | +0.100 [+0.050, +0.200] | 25% [0%, 50%] | -0.100 |",
        "| raw | 0.500 [0.400, 0.600] | 0.400 |  |  |  |",
    ]


def test_the_samples_of_a_table_are_those_of_the_raw_counts_not_of_the_method_that_gains_most(generated, tmp_path):
    ends = [f"{name}{end}" for name in ("mean", "gain", "harm") for end in ("", "_low", "_high")]
    head = ["group", "method", "n", "circuits", "median", "worst", *ends]
    rows = [["all", "m3", 3, 2] + [0.5] * 11, ["all", "identity", 4, 3] + [0.4] * 11]
    path = tmp_path / "summary.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in [head, *rows]))
    lines = generated.summary_table(path).splitlines()
    assert lines[0] == "4 samples of 3 circuits."
    assert [line.split(" | ")[0] for line in lines[4:]] == ["| `m3` (n=3)", "| raw"]


def test_families_of_circuits_stand_side_by_side(generated, tmp_path):
    path = tmp_path / "summary.csv"
    lines = ["group,method,n,mean,worst", "all,ours,4,0.6,-0.1", "all,identity,4,0.5,0", "all,m3,0,nan,nan"]
    lines += ["entropy=low,ours,4,0.6,-0.1", "family=a,ours,2,0.75,0", "family=a,identity,2,0.5,0"]
    lines += ["family=b,identity,2,0.25,0", "family=b,ours,2,0.45,-0.1"]
    path.write_text("\n".join(lines))
    assert generated.family_table(path).splitlines() == [
        "| method | `a` | `b` | worst |",
        "|---|---|---|---|",
        "| `ours` | 0.750 | 0.450 | -0.100 |",
        "| raw | 0.500 | 0.250 | 0.000 |",
    ]


def test_the_page_for_users_of_m3_shows_every_case_of_its_benchmark(generated, tmp_path):
    header = "ideal,noise,observable,method,bias,rms\n"
    rows = [
        f"ghz,readout,{what},{method},{bias},0.3" for method, bias in (("raw", "-0.2"), ("m3", "0.0")) for what in "ab"
    ]
    path = tmp_path / "bias.csv"
    path.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    tables = generated.tables()
    with path.open(encoding="utf-8", newline="") as lines:
        head, _, line = tables.bias(list(csv.DictReader(lines))).splitlines()
    assert head == "| errors | ideal | raw | m3 |"
    assert line == "| readout | ghz | 0.200 / 0.300 | 0.000 / 0.300 |"
    assert len(tables.pages(generated.RESULTS)["bias.md"].splitlines()) == 2 + 10
    assert "_generated/bias.md" in (ROOT / "docs" / "m3.md").read_text(encoding="utf-8")


def test_tables_of_rates_runs_and_references_stand_on_a_page(generated):
    tables = generated.tables()
    names = ("rates.md", "circuit.md", "guides/reference.md", "m3.md", "decision.md")
    text = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in names)
    pages = tables.pages(generated.RESULTS)
    assert {name for name in pages if f"_generated/{name}" in text} == set(pages)
    fresh = pages["rates_fresh.md"].splitlines()
    assert len(fresh) == 2 + len(tables.FRESH) + 2
    with (generated.RESULTS / "rates_fresh.csv").open(encoding="utf-8", newline="") as lines:
        (row,) = (
            r for r in csv.DictReader(lines) if (r["set"], r["part"], r["rates"]) == ("first", "spread", "estimate")
        )
    assert fresh[2].split(" | ")[3] == tables.short(row["r2"])
    assert pages["rates_use.md"].count("| raw |") == len(tables.SETS)
    outside = [line.split(" | ")[0] for line in pages["outside.md"].splitlines()]
    assert outside.count("| mitigate(run)") == 5, "one line a calibration"
    with (generated.RESULTS / "circuit_noisy.csv").open(encoding="utf-8", newline="") as lines:
        assert len(pages["circuit_noisy.md"].splitlines()) == 2 + sum(1 for _ in csv.DictReader(lines))


def test_figures_of_rates_are_written_short(generated):
    tables = generated.tables()
    assert [tables.short(text) for text in ("0.9312", "-0.2004", "-1.5", "1.0")] == [
        ".931",
        "-.200",
        "below -1",
        "1.000",
    ]
    assert (tables.percent("0.125"), tables.percent("")) == ("12 %", "")


def test_broad_outputs_are_told_by_the_share_of_the_loss_won_back(generated):
    tables = generated.tables()
    run = {"machine": "torino", "qubits": "6", "circuit": "qaoa1", "shots": "1000", "noiseless": "1.0", "raw": "0.8"}
    rest = {"counts_alone": "0.85", "m3": "0.8", "hammer": "0.7"}
    rows = [
        {**run, **rest, "calibration": "fresh", "mitigate": "0.9"},
        {**run, **rest, "calibration": "stale", "mitigate": "0.86"},
        {**run, **rest, "calibration": "fresh", "circuit": "ghz", "mitigate": "0.1"},
    ]
    (line,) = tables.circuit_machines(rows).splitlines()[2:]
    cells = line.strip("| ").split(" | ")
    assert cells[:4] == ["6", "1000", "1.000", ".800"]
    assert cells[4:6] == [".900, 50 %, +.100", ".860, 30 %, +.060"]
    assert cells[8] == ".700, -50 %, -.100"
