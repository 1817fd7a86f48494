"""The commands, as a user types them."""

import gzip
import json

import pytest
import typer
from typer.testing import CliRunner

from qcluster.cli.bench import _clock, bench_app

runner = CliRunner()
PLAN = (
    'cases = ["ghz:3", "bv:3"]\nmachines = ["flips:0.05"]\nshots = 200\ntwirls = 1\nmethods = ["identity", "hammer"]\n'
)


def call(*arguments, code=0):
    done = runner.invoke(bench_app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit | typer.Exit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def test_run_score_report(tmp_path):
    (tmp_path / "c.toml").write_text(PLAN)
    out = tmp_path / "out"
    assert "qcluster bench report" in call("run", tmp_path / "c.toml", "--out", out)
    call("run", tmp_path / "c.toml", "--out", out)
    call("score", out, "--methods", "plurality, em_uniform")
    shown = call("report", out, "--title", "Mine", "--no-figures")
    assert "plurality" in shown
    assert "Means of fewer than 10 circuits have no interval." in shown
    assert (out / "report.md").read_text().startswith("# Mine")
    call("score", out, "--methods", "identity", "--again")
    rows = (out / "scores.csv").read_text().splitlines()[1:]
    assert len(rows) == 8
    assert [",identity," in row for row in rows[-2:]] == [True, True]


def test_notes_that_are_no_text_are_named_and_a_mark_of_an_editor_is_left_out(tmp_path):
    (tmp_path / "c.toml").write_text(PLAN)
    out, notes = tmp_path / "out", tmp_path / "notes.md"
    call("run", tmp_path / "c.toml", "--out", out)
    notes.write_bytes(b"\xef\xbb\xbfMeasured in March.")
    call("report", out, "--notes", notes, "--no-figures")
    assert "\n\nMeasured in March.\n" in (out / "report.md").read_text()
    notes.write_bytes("Für März".encode("latin-1"))
    with pytest.raises(ValueError, match=r"notes\.md: 'utf-8' codec can't decode"):
        call("report", out, "--notes", notes)


def test_what_a_run_says_is_next_can_be_done(tmp_path):
    """A report compares with the raw counts, whether the file of the campaign names them or not."""
    (tmp_path / "c.toml").write_text(PLAN.replace('"identity", ', ""))
    assert f"qcluster bench report {tmp_path / 'out'}" in call("run", tmp_path / "c.toml", "--out", tmp_path / "out")
    assert "hammer" in call("report", tmp_path / "out", "--no-figures")


def test_a_failed_task_gives_exit_code_one(tmp_path):
    (tmp_path / "c.toml").write_text(PLAN.replace("flips:0.05", "flips:nonsense"))
    output = call("run", tmp_path / "c.toml", "--out", tmp_path / "out", code=1)
    assert "2 left" in output


def test_records_from_the_command_line(tmp_path):
    record = {"id": "a", "counts": {"00": 5, "01": 1}, "ideal": {"00": 1}}
    (tmp_path / "mine.jsonl").write_text(json.dumps(record) + "\n")
    call("score", "--records", tmp_path / "mine.jsonl", "--out", tmp_path / "out")
    assert "hammer" in call("report", tmp_path / "out", "--no-figures")


def test_records_of_two_files_go_to_two_folders(tmp_path, monkeypatch):
    """Of mine.v1 and mine.v2 both went to mine."""
    monkeypatch.chdir(tmp_path)
    for name in ("mine.v1.jsonl", "mine.v2.jsonl.gz", "mine.json"):
        content = json.dumps({"id": name, "counts": {"00": 5, "01": 1}, "ideal": {"00": 1}}).encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        call("score", "--records", name, "--methods", "identity")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["mine", "mine.v1", "mine.v2"]


def test_samples_that_a_campaign_no_longer_asks_for_are_told(tmp_path):
    """A report has them, with those that the changed file asks for."""
    (tmp_path / "c.toml").write_text(PLAN)
    assert "does not ask for" not in call("run", tmp_path / "c.toml", "--out", tmp_path / "out")
    (tmp_path / "c.toml").write_text(PLAN.replace("200", "300"))
    for _ in range(2):
        output = call("run", tmp_path / "c.toml", "--out", tmp_path / "out")
        assert "also holds 2 samples that this campaign does not ask for; a report includes them" in output


def test_score_wants_one_source(tmp_path):
    with pytest.raises(ValueError, match=r"folder, or --records.*; got neither"):
        call("score")


def test_times_are_read_like_a_clock():
    assert [_clock(s) for s in (0.0, 59.9, 3661.0, float("nan"))] == ["0:00:00", "0:00:59", "1:01:01", "?"]
