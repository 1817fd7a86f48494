"""Examine an installation: what is there, what is too old, and whether a circuit comes through to the end."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement

from qcluster.errors import QClusterError

SHOWN = ("numpy", "scipy", "scikit-learn", "qiskit", "qiskit-aer", "qiskit-ibm-runtime", "mthree", "dask")
"""Packages whose versions are told even where nothing is wrong with them."""


@dataclass(frozen=True)
class Finding:
    """What one look at the installation has shown."""

    name: str
    """What was looked at."""
    ok: bool
    """False where qcluster does not work as it should."""
    text: str
    """What was found and, where it is wrong, the cure."""


def examine(*, online: bool = False, shots: int = 2048) -> Iterator[Finding]:
    """Look at an installation, one thing after the other; nothing that is found raises.

    The account is looked for and never shown: not its name, its instance, its address or a part of its key.

    Args:
        online: whether to open the IBM Quantum service too and count the machines that the account reaches.
        shots: of the self-test, a 4-qubit GHZ circuit with the simulated noise of FakeTorino.

    Yields:
        A Finding for Python, each package, the account, the recorded machines and the self-test. Some 5 seconds.

    Example:
        >>> next(examine()).ok
        True
    """
    yield Finding("python", True, platform.python_version())
    yield from packages()
    yield _look("account", _account)
    if online:
        yield _look("service", _service)
    yield _look("recorded machines", _recorded)
    yield _look("self-test", lambda: _self_test(shots))


def packages(distribution: str = "qcluster") -> Iterator[Finding]:
    """Compare installed versions with what a distribution asks for; optional ones may be absent, but not too old.

    Args:
        distribution: whose requirements.
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
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            if not optional:
                yield Finding(name, False, f"not installed: pip install '{name}{needs[0].specifier}'")
            elif name in SHOWN:
                yield Finding(name, True, "not installed; optional")
            continue
        short = [need for need in needs if not need.specifier.contains(found, prereleases=True)]
        if short:
            yield Finding(name, False, f"{found}, but {short[0].specifier} is needed: pip install '{short[0]}'")
        elif name in SHOWN:
            yield Finding(name, True, found)


def _look(name: str, look: Callable[[], str]) -> Finding:
    """Run one check; whatever goes wrong in it is what it has found."""
    try:
        return Finding(name, True, look())
    except QClusterError as error:
        return Finding(name, False, str(error))
    except Exception as error:
        # The text of a foreign error may hold anything, a key too.
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
