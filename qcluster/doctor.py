"""Examine an installation: installed and outdated packages, the account, and a small circuit run from end to end."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement

from qcluster.errors import QClusterError

SHOWN = ("numpy", "scipy", "scikit-learn", "qiskit", "qiskit-aer", "qiskit-ibm-runtime", "mthree", "dask")
"""Packages whose versions are always reported."""


@dataclass(frozen=True)
class Finding:
    """The result of one check of the installation."""

    name: str
    """What was checked."""
    ok: bool
    """False if something is wrong."""
    text: str
    """The result and, if something is wrong, how to fix it."""


def examine(*, online: bool = False, shots: int = 2048) -> Iterator[Finding]:
    """Check an installation step by step; problems are reported as findings and raise no errors.

    Nothing about the account is shown: not its name, instance or address, nor any part of its key.

    Args:
        online: whether to open the IBM Quantum service too, and count the machines that the account can use.
        shots: shots of the self-test, a 4-qubit GHZ circuit with the simulated noise of FakeTorino.

    Yields:
        A Finding each for Python, the packages, the account, the recorded machines and the self-test. It takes some
        5 seconds.

    Example:
        >>> next(examine()).ok
        True
    """
    yield Finding("python", True, platform.python_version())
    yield from packages()
    yield _run_check("account", _account)
    if online:
        yield _run_check("service", _service)
    yield _run_check("recorded machines", _recorded)
    yield _run_check("self-test", lambda: _self_test(shots))


def packages(distribution: str = "qcluster") -> Iterator[Finding]:
    """Compare installed versions with the requirements of a distribution.

    Optional packages may be missing, but not too old.

    Args:
        distribution: name of the distribution.
    """
    try:
        yield Finding(distribution, True, metadata.version(distribution))
    except metadata.PackageNotFoundError:
        yield Finding(distribution, False, f"not installed: pip install {distribution}")
        return
    wanted = [Requirement(line) for line in metadata.requires(distribution) or []]
    for name in dict.fromkeys(need.name for need in wanted):
        needs = [need for need in wanted if need.name == name]
        optional = all(need.marker is not None and "extra" in str(need.marker) for need in needs)
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            if not optional:
                yield Finding(name, False, f"not installed: pip install '{name}{needs[0].specifier}'")
            elif name in SHOWN:
                yield Finding(name, True, "not installed; optional")
            continue
        unmet = [need for need in needs if not need.specifier.contains(installed, prereleases=True)]
        if unmet:
            yield Finding(name, False, f"{installed}, but {unmet[0].specifier} is needed: pip install '{unmet[0]}'")
        elif name in SHOWN:
            yield Finding(name, True, installed)


def _run_check(name: str, check: Callable[[], str]) -> Finding:
    """Run one check; an error in it becomes its finding."""
    try:
        return Finding(name, True, check())
    except QClusterError as error:
        return Finding(name, False, str(error))
    except Exception as error:
        # The message of any other error is not shown, since it may contain a key.
        return Finding(name, False, f"failed with {type(error).__name__}")


def _account() -> str:
    from qiskit_ibm_runtime import QiskitRuntimeService

    if os.environ.get("QISKIT_IBM_TOKEN"):
        return "present, in the environment"
    return "present, saved" if QiskitRuntimeService.saved_accounts() else "none; only real machines need one"


def _service() -> str:
    from qcluster.device.machines.account import open_service

    return f"reaches {len(open_service().backends(simulator=False, operational=True))} machines in operation"


def _recorded() -> str:
    from qcluster.device.machines.machine import find_machine

    calibration = find_machine("fake_torino").calibration
    return f"fake_torino, {calibration.n_qubits} qubits, calibration of {calibration.date[:10]}"


def _self_test(shots: int) -> str:
    from qcluster.demo import run_demo

    raw, mitigated = run_demo(4, shots).fidelities
    text = f"GHZ-4 on fake_torino: fidelity raw {raw:.3f}, mitigated {mitigated:.3f}"
    if not mitigated > raw > 0.5:
        raise QClusterError(f"{text}; mitigated should be above raw, and raw above 0.5")
    return text
