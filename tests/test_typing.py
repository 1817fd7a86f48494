"""Typed for users: a small script of theirs passes mypy --strict, and the types it sees are the promised ones."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import qcluster

SCRIPT = """
from typing import assert_type

import numpy as np
import qcluster as qc

counts = {"00": 480, "01": 20, "10": 15, "11": 485}
fixed = qc.mitigate(counts)
assert_type(fixed, qc.Mitigation)
assert_type(fixed.distribution, qc.Distribution)
assert_type(fixed.distribution.to_probs(), dict[str, float])
assert_type(fixed.distribution.to_counts(), dict[str, int])
assert_type(fixed.applied, bool)
assert_type(fixed.reason, str)
found = fixed.interval("ZZ", level=0.9)
assert_type(found, qc.Interval)
assert_type(found.low, float)
assert_type(fixed.raw.expectation({"ZZ": 0.5}), qc.Estimate)
assert_type(qc.metrics.hellinger_fidelity(fixed.distribution, counts), float)
assert_type(qc.mitigate(counts, 0.05, method="paper", settings=qc.PaperSettings(tol=0.9)).share, float)
patterns, shots = np.unique(np.eye(2, dtype=bool), axis=0, return_counts=True)
assert_type(qc.Distribution(patterns, shots).marginal(np.flatnonzero(patterns.any(axis=0))), qc.Distribution)
noise = qc.MeasuredNoise({"00": 90, "01": 10}, "00")
assert_type(noise.reference_counts, qc.Distribution)
assert_type(qc.MeasuredNoise(counts, np.array([False, False])).expected, str)
pooled = qc.Distribution.of(counts) + qc.Distribution(np.array([[True, False]]), np.array([3.0]))
assert_type(pooled.shots, float)


def everything() -> list[qc.Run]:
    runs = qc.execute([], "fake_torino", shots=100, seed=1)
    assert_type(runs, list[qc.Run])
    sampler = qc.MitigatedSampler("fake_torino", seed=7)
    assert_type(sampler, qc.MitigatedSampler)
    assert_type(qc.device.read_calibration("fake_torino").noiseless, bool)
    assert_type(qc.qnn.Readouts, type[qc.qnn.Readouts])
    try:
        return runs
    except qc.QClusterError:
        return []
"""
WRONG = """
import qcluster as qc

fixed = qc.mitigate({"0": 1}, method=3)
fixed.interval("Z", level="high")
fixed.nothing
qc.Distribution(fixed.centroids)
"""


def check(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(script)
    options = "--strict", "--follow-imports=silent", "--config-file", os.devnull, "--cache-dir", str(folder / "cache")
    return subprocess.run(
        [sys.executable, "-m", "mypy", *options, "script.py"],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(Path(qcluster.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("estimator", [qcluster.QNNClassifier, qcluster.HammingKMajority])
def test_what_a_fit_leaves_has_a_type(estimator):
    """Type checkers know of an attribute that the class declares, or sets in one of its methods."""
    documented = set(re.findall(r"^\s+(\w+_): ", estimator.__doc__, re.MULTILINE))
    assigned = "".join(line.partition(" = ")[0] for line in inspect.getsource(estimator).splitlines() if " = " in line)
    declared = {*inspect.get_annotations(estimator), *re.findall(r"\bself\.(\w+_)\b", assigned)}
    assert len(documented) > 3
    assert documented - declared == set()


@pytest.mark.slow
def test_a_users_script_is_typed(tmp_path):
    pytest.importorskip("mypy")
    done = check(tmp_path, SCRIPT)
    assert done.returncode == 0, done.stdout
    wrong = check(tmp_path, WRONG)
    assert wrong.stdout.count("error:") == 4, wrong.stdout
    assert (Path(qcluster.__file__).parent / "py.typed").exists()
