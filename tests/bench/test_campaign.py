"""Campaigns: what a TOML file asks for, resuming after any kind of death, the same rows from any number of workers."""

import contextlib
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, qpy
from qiskit.circuit import Clbit, Qubit
from qiskit.circuit.classical import expr
from qiskit.circuit.library import PauliEvolutionGate, UnitaryGate
from qiskit.quantum_info import SparsePauliOp

from qcluster.bench import campaign as engine
from qcluster.bench import store, tasks
from qcluster.bench.campaign import rescore, run, score_samples
from qcluster.bench.circuits import make_case, read_cases
from qcluster.bench.machines import check_distinct, check_repeats
from qcluster.bench.methods import METHODS, check_methods
from qcluster.bench.sample import Sample
from qcluster.bench.store import Store, load_sample, load_samples, read_scores, read_tasks, shots_path
from qcluster.bench.tasks import Campaign, Task, cases_of_file, find_case, parse_campaign, read_campaign
from qcluster.core.counts.distribution import Distribution
from qcluster.errors import QClusterError, StorageError

CAMPAIGNS = Path(__file__).parents[2] / "benchmarks" / "campaigns"

SMALL = {
    "cases": ["ghz:3", "bv:4", "w_state:3"],
    "machines": ["flips:0.05"],
    "shots": 300,
    "twirls": 1,
    "seeds": [0, 1],
}


def plan(**changes):
    return parse_campaign({**SMALL, "methods": ["identity", "hammer"], **changes})


def go(*arguments, **options):
    steps = list(run(*arguments, **options))
    assert not [step for step in steps if step.error]
    return steps


def without_time(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


REGISTERS = {"2.0": 'include "qelib1.inc"; qreg q[1]; ', "3.0": 'include "stdgates.inc"; qubit[1] q; '}
"""A qubit, as either version of OpenQASM declares it."""


def in_order(rows):
    return sorted(without_time(rows), key=lambda row: (row["task"], row["method"]))


def test_a_toml_file_becomes_tasks(tmp_path):
    (tmp_path / "mine.qasm").write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nh q[0];\ncx q[0],q[1];\n')
    (tmp_path / "c.toml").write_text(
        'families = ["ghz", "bv"]\nwidths = [3, 5]\nexclude = ["bv:5"]\nfiles = "mine.qasm"\n'
        'machines = ["flips:0.01", "FakeTorino"]\nshots = [100, 200]\ndd = [false, true, "XY4"]\nmethods = "identity"\n'
    )
    campaign = read_campaign(tmp_path / "c.toml")
    assert campaign.name == "c"
    assert campaign.cases[:3] == ("ghz:3", "ghz:5", "bv:3")
    assert campaign.dd == ("", "XX", "XY4")
    tasks = list(campaign.tasks())
    assert len(tasks) == 4 * 2 * 2 * 3
    assert len({task.identity for task in tasks}) == len(tasks)
    assert [task.machine for task in tasks] == ["flips:0.01"] * 24 + ["FakeTorino"] * 24


def test_a_campaign_and_its_circuits_may_begin_with_a_byte_order_mark(tmp_path):
    """Some editors put one there, and counts, rates and calibrations are read with it."""
    for version in ("2.0", "3.0"):
        (tmp_path / "mine.qasm").write_text(f"\ufeffOPENQASM {version};\n{REGISTERS[version]}x q[0];", encoding="utf-8")
        (tmp_path / "c.toml").write_text('\ufefffiles = "mine.qasm"\nmachines = "flips:0"\n', encoding="utf-8")
        (task,) = read_campaign(tmp_path / "c.toml").tasks()
        assert find_case(task.case).ideal.to_probs() == {"1": 1.0}


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_a_comment_does_not_tell_the_version_of_a_circuit(tmp_path, version):
    other = {"2.0": "3.0", "3.0": "2.0"}[version]
    text = f"// was OPENQASM {other};\nOPENQASM  {version};\n{REGISTERS[version]}x q[0];"
    (tmp_path / "mine.qasm").write_text(text)
    assert find_case(f"file:{tmp_path / 'mine.qasm'}#0").ideal.to_probs() == {"1": 1.0}


@pytest.mark.parametrize("path", sorted(CAMPAIGNS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_campaigns_that_ship_can_be_run(path):
    plan = read_campaign(path)
    check_methods(plan.methods)
    assert plan.methods[0] == "identity"
    assert next(plan.tasks()).machine == plan.machines[0]


def test_a_suite_is_a_list_of_cases():
    campaign = parse_campaign({"suites": "paper", "machines": "FakeTorino", "exclude": ["paper/qaoa_15"]})
    assert len(campaign.cases) == 28


def test_identity_is_the_content():
    task = next(plan().tasks())
    assert task.identity == Task(**task.__dict__).identity
    for field, value in (("seed", 9), ("shots", 1), ("circuit", "x"), ("dd", "XX"), ("twirls", 3), ("machine", "m")):
        assert replace(task, **{field: value}).identity != task.identity


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"machines": []}, "needs machines"),
        ({"cases": []}, "needs suites"),
        ({"suites": ["nonsense"]}, "no suite"),
        ({"shots": 0}, "shots must be 1 or more"),
        ({"shots": "many"}, "shots must hold int"),
        ({"seeds": True}, "seeds must hold int"),
        ({"twirls": 0}, "twirls must be 1 or more"),
        ({"twirls": [1, 16], "shots": [8, 4000]}, "twirls must not exceed shots, which they share; got 16 and 8"),
        ({"dd": 3}, "dd must hold str"),
        ({"families": "ghz"}, r"families and widths go together; got families \['ghz'\] and widths \[\]"),
        ({"widths": 3}, "families and widths go together"),
        ({"exclude": "bv:99"}, "exclude must name cases of the campaign; 'bv:99' is none"),
        ({"shot": 5}, r"unknown key 'shot' in the campaign; there are .*widths; did you mean shots\?"),
        ({"suites": "Paper"}, r"no suite 'Paper'; there are .*broad; did you mean paper\?"),
        ({"methods": ["hamer"]}, r"no method 'hamer'; there are .* one of yours; did you mean hammer or hammr_l"),
        ({"name": 5}, "name must be text; got 5"),
        ({"description": ["a"]}, r"description must be text; got \['a'\]"),
        ({"dd": "xx"}, "dd must be one of XX, XpXm, XY4; got 'xx'"),
        ({"shots": [100, 3 * 10**9]}, "shots must be at most 2,147,483,647; got 3,000,000,000"),
    ],
)
def test_mistakes_in_a_campaign_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        plan(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dd": [False, True]}, "knows no twirls and no dd, so that each of its samples would count 2 times"),
        ({"dd": [False, True], "twirls": [1, 2, 4]}, "would count 6 times"),
        ({"machines": ["FakeManilaV2", "flips:0.1"], "twirls": [1, 2]}, "machine 'flips:0.1' knows no twirls"),
        ({"machines": ["flips:0.1", "flips:.10"]}, r"'flips:0.1' and 'flips:.10' are one"),
        ({"machines": ["FakeTorino", "fake_torino"]}, "'FakeTorino' and 'fake_torino' are one, whose samples"),
        ({"machines": ["FakeManilaV2", "fake_manila"]}, "'FakeManilaV2' and 'fake_manila' are one"),
        ({"machines": ["aer", "aer_simulator"]}, "'aer' and 'aer_simulator' are one"),
    ],
)
def test_the_same_shots_do_not_count_as_several_samples(tmp_path, changes, said):
    with pytest.raises(ValueError, match=said):
        list(run(plan(**changes), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cases", [["ghz:3", "ghz:03"], ["bv:4", "bv:4:secret=1111"], ["ghz:4", "ghz:4:"]])
def test_one_circuit_under_two_names_does_not_count_twice(tmp_path, cases):
    assert len({find_case(name).fingerprint for name in cases}) == 1
    with pytest.raises(ValueError, match=f"{cases[1]} on .* has the shots of {cases[0]} on .* leave one out"):
        list(run(plan(cases=cases), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suites", [["guard", "paper"], ["paper", "guard"]])
def test_suites_that_overlap_have_what_both_have_once(tmp_path, suites):
    both = {"guard": "coin:4", "paper": "paper/qrng_n4"}
    assert len({find_case(name).fingerprint for name in both.values()}) == 1
    first, second = (both[suite] for suite in suites)
    cases = plan(suites=suites, cases=[]).cases
    assert first in cases
    assert second not in cases
    alone = [plan(suites=suite, cases=[]).cases for suite in suites]
    assert set(cases) == {*alone[0], *alone[1]} - {second}
    assert second in plan(suites=suites, cases=[], exclude=first).cases, "which leaves the other its place"
    check_repeats(plan(suites=suites, cases=[]).tasks())


@pytest.mark.parametrize("changes", [{"machines": "flips:5e-2"}, {"cases": ["w_state:03"]}, {"twirls": 3}])
def test_what_is_spelled_otherwise_when_a_campaign_goes_on_does_not_count_twice(tmp_path, changes):
    """The folder kept both, and the report took them for two samples."""
    go(plan(name="first"), tmp_path)
    with pytest.raises(
        ValueError, match="in this folder, which would count twice: spell it as there, or take another f"
    ):
        list(run(plan(name="second", **changes), tmp_path))
    assert json.loads((tmp_path / "about.json").read_text())["title"] == "first"
    assert len(go(plan(), tmp_path)) == 1
    check_repeats([replace(task, twirls=3) for task in read_tasks(tmp_path)])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cases": ["w_state:03"]}, "'w_state:03' is 'w_state:3' in this folder"),
        ({"machines": "flips:5e-2"}, "'flips:5e-2' is 'flips:0.05' in this folder"),
    ],
)
def test_another_name_at_other_seeds_does_not_count_as_another_circuit_or_machine(tmp_path, changes, said):
    """The shots differed, so both were run, and intervals took one circuit for two independent ones."""
    go(plan(), tmp_path)
    with pytest.raises(ValueError, match=f"must have one name; {said}.* count them as two: spell it as there"):
        list(run(plan(seeds=[2], **changes), tmp_path))
    assert len(go(plan(seeds=[2]), tmp_path)) == 4


def test_the_circuit_that_the_published_table_has_twice_counts_twice():
    twice = parse_campaign(
        {**SMALL, "cases": ["paper/wstate_n14", "paper/wstate_n8"], "machines": ["FakeTorino"], "seeds": 0}
    )
    tasks = list(twice.tasks())
    assert len({task.circuit for task in tasks}) == 1
    check_repeats(tasks)
    check_repeats(tasks[1:], tasks[:1])
    check_repeats([replace(task, seed=1) for task in tasks], tasks[:1])


@pytest.mark.parametrize("machines", ["flips:0.1", ["FakeManilaV2", "flips:0.1"]])
def test_a_decoupling_that_a_machine_does_not_know_is_refused(tmp_path, machines):
    """The samples said that they had run with it."""
    with pytest.raises(ValueError, match=r"machine 'flips:0\.1' knows no dd, so that 'XX' would have no effect"):
        list(run(plan(machines=machines, dd=True), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_family_that_is_nearly_one_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no family 'gzh'; there are adder.*; did you mean ghz\?"):
        list(run(plan(cases=["gzh:3"]), tmp_path / "out"))
    with pytest.raises(ValueError, match=r"no paper circuit 'qft_n5'; there are .*; did you mean qft_n4.*\?"):
        list(run(plan(cases=["paper/qft_n5"]), tmp_path / "out"))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("file:mine.qasm", r"case 'file:mine\.qasm' must be file:PATH#k, .*, from 0: file:mine\.qasm#0$"),
        ("mine.qasm", r"no family 'mine\.qasm'; .* paper/NAME, or file:PATH#k .*; got 'mine\.qasm'$"),
        ("FILE:mine.qasm#0", r"no family 'FILE'; .* or file:PATH#k .*; got 'FILE:mine\.qasm#0'$"),
        ("GHZ:4", r"no family 'GHZ'; .*; a case is FAMILY:WIDTH, .*; did you mean ghz\?$"),
        ("bv_n14", r"no family 'bv_n14'; .*; did you mean paper/bv_n14\?$"),
        ("low_entropy", r"no family 'low_entropy'; .*; it is a suite: suites = \[.low_entropy.\]$"),
    ],
)
def test_a_misspelt_case_is_refused_with_the_form_of_a_case(tmp_path, case, message):
    """A file without the number of its circuit was "cannot read circuits from .", and a path an unknown family."""
    with pytest.raises(ValueError, match=message):
        list(run(plan(cases=[case]), tmp_path / "out"))


def test_the_path_of_a_case_is_relative_to_its_campaign(tmp_path, monkeypatch):
    """It was relative to the folder in which the command runs, unlike those in files."""
    for name in ("mine.qasm", "other.qasm"):
        (tmp_path / name).write_text(f"OPENQASM 2.0;\n{REGISTERS['2.0']}x q[0];")
    (tmp_path / "c.toml").write_text(
        'cases = "file:mine.qasm#0"\nfiles = ["mine.qasm", "other.qasm"]\nexclude = "file:other.qasm#0"\n'
        'machines = "flips:0"\n'
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert read_campaign(tmp_path / "c.toml").cases == (f"file:{tmp_path / 'mine.qasm'}#0",)


def test_more_shots_than_memory_holds_are_refused(tmp_path):
    """They ended in a MemoryError, or in a process that the system killed."""
    (_, step) = run(plan(cases=["ghz:3"], seeds=0, shots=10**9), tmp_path)
    assert "shots must be at most 100,000,000 on machine 'flips:0.05', which keeps each of them; got" in step.error


def test_what_differs_is_taken(tmp_path):
    go(plan(machines=["flips:0.1", "flips:0.2"], dd=False, twirls=[4, 4]), tmp_path / "out")
    check_distinct(plan(machines=["FakeTorino", "FakeTorino+reference", "FakeLima"], dd=[True, False]))


def test_unknown_methods_and_cases_stop_before_anything_runs(tmp_path):
    with pytest.raises(ValueError, match="no method"):
        list(run(plan(methods=["nonsense"]), tmp_path / "out"))
    with pytest.raises(ValueError, match="no family"):
        list(run(plan(cases=["nonsense:3"]), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_an_unreadable_campaign_is_a_clear_error(tmp_path):
    with pytest.raises(StorageError, match="cannot read the campaign"):
        read_campaign(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("= 3")
    with pytest.raises(StorageError, match="cannot read the campaign"):
        read_campaign(tmp_path / "bad.toml")


def test_running_again_does_nothing(tmp_path):
    steps = go(plan(), tmp_path)
    assert (steps[0].done, steps[-1].done, steps[-1].total) == (0, 6, 6)
    before = (tmp_path / "scores.csv").read_bytes()
    again = go(plan(), tmp_path)
    assert len(again) == 1
    assert again[0].done == 6
    assert (tmp_path / "scores.csv").read_bytes() == before


def test_shots_are_the_same_every_time_and_kept(tmp_path):
    go(plan(), tmp_path / "a")
    go(plan(), tmp_path / "b")
    first, second = list(load_samples(tmp_path / "a")), list(load_samples(tmp_path / "b"))
    assert len(first) == 6
    for left, right in zip(first, second, strict=True):
        assert left.counts == right.counts
        assert left.identity == right.identity
        assert left.counts.shots == 300
        assert left.ideal is not None


def test_a_new_method_costs_no_new_shots(tmp_path, monkeypatch):
    go(plan(), tmp_path)
    monkeypatch.setattr(engine, "run_task", lambda task, case: pytest.fail("ran again"))
    steps = list(rescore(tmp_path, ("hammer", "plurality")))
    assert steps[-1].done == 6
    assert {row["method"] for row in read_scores(tmp_path)} == {"identity", "hammer", "plurality"}
    assert len(read_scores(tmp_path)) == 18
    go(plan(methods=["identity", "em_uniform"]), tmp_path)
    assert len(read_scores(tmp_path)) == 24


def test_a_folder_without_shots_cannot_be_scored(tmp_path):
    with pytest.raises(StorageError, match="must hold shots to score; found none"):
        list(rescore(tmp_path, ("hammer",)))
    assert not list(tmp_path.iterdir())  # and nothing is left in it


def test_a_method_that_is_named_twice_scores_once(tmp_path):
    go(plan(methods=["identity", "hammer", "identity"]), tmp_path)
    assert len(read_scores(tmp_path)) == 2 * len(read_tasks(tmp_path))


def test_scoring_again_gives_the_same_scores(tmp_path):
    go(plan(), tmp_path)
    before = read_scores(tmp_path)
    list(rescore(tmp_path, ("identity", "hammer"), again=True))
    assert in_order(read_scores(tmp_path)) == in_order(before)
    assert (tmp_path / "scores.csv.old").exists()


def test_scoring_again_touches_the_named_methods_only(tmp_path, monkeypatch):
    go(plan(), tmp_path)
    calls = []
    monkeypatch.setitem(METHODS, "hammer", lambda sample: calls.append(sample) or sample.counts)
    monkeypatch.setitem(METHODS, "identity", lambda sample: pytest.fail("scored again"))
    assert not list(rescore(tmp_path, ("hammer",), again=True))[-1].error
    rows = read_scores(tmp_path)
    assert len(calls) == sum(row["method"] == "hammer" for row in rows) == 6
    assert sum(row["method"] == "identity" for row in rows) == 6


def test_scoring_again_touches_the_given_records_only(tmp_path):
    go(plan(), tmp_path)
    samples = [Sample(name, name, "mine", "mine", Distribution.of({"0": 9, "1": 1})) for name in ("a", "b")]
    list(score_samples(samples, tmp_path, ("identity",)))
    before = read_scores(tmp_path)
    list(score_samples(samples[:1], tmp_path, ("identity",), again=True))
    assert in_order(read_scores(tmp_path)) == in_order(before)
    list(rescore(tmp_path, ("identity",), again=True))
    assert in_order(read_scores(tmp_path)) == in_order(before)


def test_a_failing_task_is_reported_and_tried_again(tmp_path, monkeypatch):
    real = engine.run_task

    def flaky(task, case):
        if task.case == "bv:4":
            raise QClusterError("the machine is on fire")
        return real(task, case)

    monkeypatch.setattr(engine, "run_task", flaky)
    steps = list(run(plan(), tmp_path))
    assert [step.error for step in steps if step.error] == ["QClusterError: the machine is on fire"] * 2
    assert steps[-1].done == 4
    monkeypatch.undo()
    assert go(plan(), tmp_path)[-1].done == 6


def test_unknown_machines_fail_in_words(tmp_path):
    steps = list(run(plan(machines=["flips:0.7"], cases=["ghz:2"], seeds=0), tmp_path))
    assert "rate in [0, 0.5)" in steps[-1].error


@pytest.mark.parametrize("cut", [1, 5, 40])
@pytest.mark.parametrize("name", ["scores.csv", "runs.csv"])
def test_a_torn_table_is_mended_by_running_again(tmp_path, name, cut):
    go(plan(), tmp_path / "whole")
    go(plan(), tmp_path / "torn")
    path = tmp_path / "torn" / name
    path.write_bytes(path.read_bytes()[:-cut])
    go(plan(), tmp_path / "torn")
    whole, torn = (without_time(read_scores(tmp_path / part)) for part in ("whole", "torn"))
    assert torn == whole if name == "scores.csv" else {str(row) for row in torn} == {str(row) for row in whole}
    assert set(read_tasks(tmp_path / "torn")) == set(read_tasks(tmp_path / "whole"))


def test_damaged_shots_are_a_clear_error(tmp_path):
    go(plan(), tmp_path)
    path = shots_path(tmp_path, read_tasks(tmp_path)[0].identity)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(StorageError, match="no saved sample"):
        list(load_samples(tmp_path))
    path.unlink()
    with pytest.raises(StorageError, match="cannot read"):
        list(load_samples(tmp_path))


@pytest.mark.parametrize("facts", [{}, {"task": None}])
def test_shots_that_do_not_tell_their_circuit_are_not_judged(tmp_path, facts):
    go(plan(), tmp_path)
    path = shots_path(tmp_path, read_tasks(tmp_path)[0].identity)
    content = json.loads(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(json.dumps(content | {"facts": facts}).encode()))
    with pytest.raises(StorageError, match="a different circuit now"):
        list(load_samples(tmp_path))


def test_a_case_that_has_changed_is_not_judged_by_the_wrong_ideal(tmp_path, monkeypatch):
    go(plan(cases=["bv:4"], seeds=0), tmp_path)
    changed = replace(make_case("bv:4:secret=0001"), name="bv:4")
    monkeypatch.setattr(store, "find_case", lambda name: changed)
    steps = list(rescore(tmp_path, ("plurality",)))
    assert "a different circuit now" in steps[-1].error
    assert len(read_scores(tmp_path)) == 2


def test_a_project_may_move_with_its_circuits(tmp_path):
    """A task is named by the place of its file: without a search, a moved folder could not be scored or continued."""
    project, moved = tmp_path / "project", tmp_path / "moved"
    project.mkdir()
    (project / "mine.qasm").write_text(f"OPENQASM 2.0;\n{REGISTERS['2.0']}x q[0];")
    (project / "c.toml").write_text('files = "mine.qasm"\nmachines = "flips:0.1"\nshots = 100\ntwirls = 1\n')
    go(read_campaign(project / "c.toml"), project / "out")
    shutil.copytree(project, tmp_path / "copy")
    assert go(read_campaign(tmp_path / "copy" / "c.toml"), tmp_path / "copy" / "out")[0].done == 1
    project.rename(moved)
    assert [step.error for step in rescore(moved / "out", ("plurality",))] == ["", ""]
    campaign = replace(read_campaign(moved / "c.toml"), seeds=(0, 1))
    go(campaign, moved / "out")
    assert len(list(load_samples(moved / "out"))) == 2
    assert {row["case"] for row in read_scores(moved / "out")} == {f"file:{project / 'mine.qasm'}#0"}
    (moved / "out" / "mine.qasm").write_text(f"OPENQASM 2.0;\n{REGISTERS['2.0']}h q[0];")  # nearer, and another
    find_case.cache_clear()
    cases_of_file.cache_clear()
    go(replace(campaign, seeds=(0, 1, 2)), moved / "out")  # which names its file itself
    with pytest.raises(StorageError, match="a different circuit now"):
        list(load_samples(moved / "out"))


@pytest.mark.parametrize("out", ["project/out", "results"])
def test_a_project_may_move_with_a_folder_of_circuits(tmp_path, out):
    """Only files beside the campaign's folder or above it were found, also where the campaign names the new place."""
    project, moved = tmp_path / "project", tmp_path / "moved"
    (project / "circuits").mkdir(parents=True)
    (project / "circuits" / "mine.qasm").write_text(f"OPENQASM 2.0;\n{REGISTERS['2.0']}x q[0];")
    plan = 'files = "circuits/mine.qasm"\nmachines = ["fake_manila", "flips:0.1"]\nshots = 100\ntwirls = 1\n'
    (project / "c.toml").write_text(plan)
    go(read_campaign(project / "c.toml"), tmp_path / out)
    project.rename(moved)
    out = out.replace("project", "moved")
    go(replace(read_campaign(moved / "c.toml"), seeds=(0, 1)), tmp_path / out)
    assert len(read_tasks(tmp_path / out)) == 4
    if out == "moved/out":
        assert not any(step.error for step in rescore(tmp_path / out, ("plurality",)))
    (moved / "circuits" / "mine.ideal.json").write_text('{"0": 1}')
    with pytest.raises(StorageError, match="is not the one that"):
        go(replace(read_campaign(moved / "c.toml"), seeds=(0, 1, 2)), tmp_path / out)


def test_workers_that_began_elsewhere_find_the_shots(tmp_path, monkeypatch):
    def elsewhere(work, jobs, **_):
        for job in jobs:
            with contextlib.chdir("/"):
                outcome = work(job)
            yield outcome

    monkeypatch.chdir(tmp_path)
    go(plan(seeds=0), "out")
    monkeypatch.setattr(engine, "spread", elsewhere)
    assert not any(step.error for step in rescore("out", ("plurality",)))


def test_two_processes_do_not_write_at_once(tmp_path):
    with Store(tmp_path), pytest.raises(StorageError, match="another process"):
        Store(tmp_path)
    with Store(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, said in (("file", "it is no folder"), ("link", "it is a link that leads nowhere")):
        with pytest.raises(StorageError, match=f"cannot write .*{name}: {said}"):
            list(run(plan(), tmp_path / name))


def test_a_full_disk_loses_nothing(small_disk):
    many = plan(seeds=list(range(40)))
    with pytest.raises(StorageError, match="No space left"):
        list(run(many, small_disk))
    saved = read_tasks(small_disk)
    assert 3 < len(saved) < 120
    assert len(list(load_samples(small_disk))) == len(saved)
    assert not list((small_disk / "shots").glob(".*"))
    subprocess.run(["mount", "-o", "remount,size=10m", small_disk], check=True)
    go(many, small_disk)
    assert len(read_tasks(small_disk)) == 120
    assert len({(row["task"], row["method"]) for row in read_scores(small_disk)}) == 240


def test_a_read_only_disk_is_a_clear_error(small_disk):
    go(plan(), small_disk)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StorageError, match="cannot"):
        list(run(plan(seeds=[7]), small_disk))
    assert len(read_tasks(small_disk)) == 6
    assert len(read_scores(small_disk)) == 12


CHILD = """
import sys, time
from qcluster.bench import campaign as engine
from qcluster.bench import store, tasks
from qcluster.bench.tasks import parse_campaign
real = engine.run_task
def slow(task, case):
    time.sleep(0.05)
    return real(task, case)
engine.run_task = slow
plan = parse_campaign({plan!r})
for step in engine.run(plan, sys.argv[1]):
    print(step.done, flush=True)
"""


def test_kill_nine_and_resume_give_the_same_table(tmp_path):
    content = {**SMALL, "seeds": list(range(8)), "methods": ["identity", "hammer"]}
    go(parse_campaign(content), tmp_path / "whole")
    child = CHILD.replace("{plan!r}", repr(content))
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", child, str(tmp_path / "killed")], stdout=subprocess.PIPE, text=True
        )
        first = int(process.stdout.readline())
        while int(process.stdout.readline() or 99) < first + 4:
            pass
        time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert 0 < len(read_tasks(tmp_path / "killed")) < 24
    go(parse_campaign(content), tmp_path / "killed")
    assert without_time(read_scores(tmp_path / "killed")) == without_time(read_scores(tmp_path / "whole"))


def test_two_workers_give_the_rows_of_one(tmp_path):
    go(plan(), tmp_path / "one")
    go(plan(), tmp_path / "two", workers=2)
    assert in_order(read_scores(tmp_path / "two")) == in_order(read_scores(tmp_path / "one"))


def test_a_dead_worker_process_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_work", _die)
    with pytest.raises(QClusterError, match="worker process died"):
        list(run(plan(), tmp_path, workers=2))


def _die(task, folder, methods):
    os.kill(os.getpid(), signal.SIGKILL)


def test_small_tasks_cost_little(tmp_path):
    """1,000 tasks in less than 5 ms of processor time each, running, saving and scoring them included."""
    many = plan(cases=["ghz:3"], seeds=list(range(1000)), methods=["identity"])
    go(plan(cases=["ghz:2"], seeds=0), tmp_path / "warm")
    start = time.process_time()
    go(many, tmp_path / "many")
    assert time.process_time() - start < 5.0


def test_no_dask_scheduler_is_a_clear_error(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("qcluster.workers.DASK_SECONDS", 0.5)
    with pytest.raises(QClusterError, match="no Dask scheduler"):
        list(run(plan(), tmp_path, dask="tcp://127.0.0.1:9"))


GATES = {
    2: 'OPENQASM 2.0;\ninclude "qelib1.inc";\ngate mine a { %s a; }\n'
    "qreg q[1];\ncreg c[1];\nmine q[0];\nmeasure q -> c;\n",
    3: 'OPENQASM 3.0;\ninclude "stdgates.inc";\ngate mine a { %s a; }\n'
    "qubit[1] q;\nbit[1] c;\nmine q[0];\nc = measure q;\n",
}


@pytest.mark.parametrize("version", GATES)
def test_an_edited_gate_of_a_file_is_another_circuit(tmp_path, version):
    """Its name and place are as before; shots of the old one would be judged by the ideal of the new one."""
    asked = {"files": "mine.qasm", "machines": "flips:0.0", "shots": 50, "twirls": 1, "seeds": 0, "methods": "identity"}
    for body, read in (("x", "1"), ("id", "0")):
        (tmp_path / "mine.qasm").write_text(GATES[version] % body)
        campaign = parse_campaign(asked, tmp_path)
        go(campaign, tmp_path / "out")
        (task,) = campaign.tasks()
        assert load_sample(tmp_path / "out", task.identity).counts.to_counts() == {read: 50}
    with pytest.raises(StorageError, match="is a different circuit now"):
        list(load_samples(tmp_path / "out"))


def test_conditions_of_a_file_tell_circuits_apart(tmp_path):
    head = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\nh q[0];\nc[0] = measure q[0];\n'
    found = set()
    for condition in ("c[0]", "!c[0]"):
        (tmp_path / "mine.qasm").write_text(head + f"if ({condition}) {{ x q[1]; }}\nc[1] = measure q[1];\n")
        (case,) = read_cases(tmp_path / "mine.qasm")
        found.add(case.fingerprint)
    assert len(found) == 2


def test_the_units_of_delays_tell_circuits_apart(tmp_path):
    """A qubit that waits a thousand times as long is read otherwise, though it should not be."""
    head, found = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[1] q;\nbit[1] c;\nx q[0];\n', set()
    for unit in ("ns", "us", "dt"):
        (tmp_path / "mine.qasm").write_text(f"{head}delay[100{unit}] q[0];\nc = measure q;\n")
        (case,) = read_cases(tmp_path / "mine.qasm")
        found.add(case.fingerprint)
    assert len(found) == 3


def _switched(first: int, second: int) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.switch(circuit.clbits[0]) as case:
        with case(first):
            circuit.x(1)
        with case(second):
            circuit.h(1)
    circuit.measure(1, 1)
    return circuit


def _evolved(operator: str) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.append(PauliEvolutionGate(SparsePauliOp(operator), 0.3), [0, 1])
    circuit.measure([0, 1], [0, 1])
    return circuit


def _phased(entry: int) -> QuantumCircuit:
    circuit, phases = QuantumCircuit(6, 6), np.ones(64)
    phases[entry] = -1.0
    circuit.append(UnitaryGate(np.diag(phases)), range(6))
    circuit.measure(range(6), range(6))
    return circuit


def _where(operation: Callable, kind: str, bits: list) -> QuantumCircuit:
    """Control flow by an expression of two classical bits, of a register or of none."""
    circuit = QuantumCircuit([Qubit(), Qubit(), *bits])
    circuit.h(0)
    circuit.measure([0, 0], [0, 1])
    if len(bits) > 2:
        circuit.add_register(ClassicalRegister(name="c", bits=bits))
    told = operation(*circuit.clbits[:2])
    if kind == "switch":
        with circuit.switch(told) as case, case(True):
            circuit.x(1)
    else:
        with circuit.while_loop(told) if kind == "while" else circuit.if_test(told):
            circuit.x(1)
    circuit.measure(1, 1)
    return circuit


@pytest.mark.parametrize(
    "made",
    [
        [_switched(0, 1), _switched(1, 0)],
        [_evolved("XX"), _evolved("XZ")],
        [_phased(20), _phased(30)],
        *(
            [_where(operation, kind, [Clbit() for _ in range(n_bits)]) for operation in (expr.bit_and, expr.bit_or)]
            for kind in ("if", "while", "switch")
            for n_bits in (2, 3)
        ),
    ],
)
def test_what_no_parameter_tells_tells_circuits_apart(tmp_path, made):
    """The labels of a switch, the operator of an evolution, an entry in the middle of a large matrix, an expression."""
    with (tmp_path / "mine.qpy").open("wb") as stream:
        qpy.dump(made, stream)
    prints = [[case.fingerprint for case in read_cases(tmp_path / "mine.qpy")] for _ in range(2)]
    assert prints[0] == prints[1]
    assert len(set(prints[0])) == 2


def test_a_file_is_read_once_for_all_its_circuits(tmp_path, monkeypatch):
    with (tmp_path / "mine.qpy").open("wb") as stream:
        qpy.dump([make_case(f"ghz:{n}").circuit for n in (2, 3, 4)], stream)
    reads = []
    monkeypatch.setattr(tasks, "read_cases", lambda path: reads.append(path) or read_cases(path))
    campaign = parse_campaign({"files": "mine.qpy", "machines": "flips:0.1"}, tmp_path)
    assert [find_case(name).n_bits for name in campaign.cases] == [2, 3, 4]
    assert len(reads) == 1


def test_scores_of_another_ideal_are_not_kept_for_this_one(tmp_path, monkeypatch):
    """The file beside a circuit may change; methods added later were scored by it, those before by what it was."""
    program = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q->c;\n'
    (tmp_path / "mine.qasm").write_text(program)
    beside = tmp_path / "mine.ideal.json"

    def run(machine, **changed):
        content = {"files": ["mine.qasm"], "machines": [machine], "shots": 200, "twirls": 1, "methods": ["hammer"]}
        go(parse_campaign(content | changed, tmp_path), tmp_path / machine)

    def success(machine):
        return {row["method"]: row["success_probability"] for row in read_scores(tmp_path / machine)}

    for machine in ("fake_manila", "flips:0.02"):
        beside.unlink(missing_ok=True)
        run(machine)
        before = success(machine)
        beside.write_text('{"00": 1}')
        for methods in (["hammer"], ["hammer", "plurality"]):
            with pytest.raises(
                StorageError, match=r"the ideal of task .* \(mine\.qasm\) is not the one that .* has scores"
            ):
                run(machine, methods=methods)
        with pytest.raises(StorageError, match="has scores of"):
            list(rescore(tmp_path / machine, ("plurality",), again=True))
        assert success(machine) == before
    with pytest.raises(StorageError, match="has scores of"):  # its shots were drawn from the other ideal
        list(rescore(tmp_path / "flips:0.02", ("hammer",), again=True))
    with monkeypatch.context() as killed:
        killed.setattr(Store, "forget_scores", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            list(rescore(tmp_path / "fake_manila", ("hammer",), again=True))
    with pytest.raises(StorageError, match="has scores of"):
        run("fake_manila")
    list(rescore(tmp_path / "fake_manila", ("hammer",), again=True))
    assert float(success("fake_manila")["hammer"]) < float(before["hammer"])
    run("fake_manila", methods=["hammer", "plurality"])
    beside.unlink()
    with pytest.raises(StorageError, match="has scores of"):
        run("fake_manila")


@pytest.mark.parametrize(("odd", "shown"), [("\udce9", r"\\udce9"), ("\u240a", "\u240a"), ("\u240d", "\u240d")])
@pytest.mark.parametrize(
    ("field", "names"), [("cases", ("file:/caf{}/bell.qasm#0",)), ("methods", ("identity", "mixture+caf{}.npz"))]
)
def test_names_that_a_table_cannot_return_are_refused(field, names, odd, shown):
    """A run was stored under another name, and never found again. Python reads names in old encodings as the first."""
    given = {"name": "one", "cases": ("ghz:3",), "machines": ("flips:0.1",), "twirls": (1,)}
    said = f"must be text that UTF-8 can encode, without \u240a and \u240d, also in names of files; got .*caf{shown}"
    with pytest.raises(ValueError, match=said):
        Campaign(**given | {field: tuple(name.format(odd) for name in names)})
