"""Backends by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qcluster.core.words import suggestion
from qcluster.device.machines.account import open_backend

_NOISELESS = ("aer", "aer_simulator")
"""Names of the noiseless simulator."""


def may_be_real(name: str) -> bool:
    """True if a name may be that of a real machine, for which an account is needed."""
    return name == "least_busy" or (name.startswith("ibm") and "simulator" not in name and not is_path(name))


def is_path(name: str) -> bool:
    """True if a name has a slash or a suffix, as files have and machines have not.

    Example:
        >>> is_path("ibm_torino.json"), is_path("ibm_torino")
        (True, False)
    """
    path = Path(name)
    return path.name != name or path.suffix[1:2].isalpha()


def canonical(name: str) -> str:
    """Return one name for all spellings of a simulator or recorded machine; the name of a real machine is unchanged.

    Example:
        >>> canonical("FakeManilaV2"), canonical("fake_manila"), canonical("aer_simulator"), canonical("ibm_torino")
        ('fakemanila', 'fakemanila', 'aer', 'ibm_torino')
    """
    plain = name.replace("_", "").lower()
    if plain.startswith("fake"):
        return plain.removesuffix("v2")
    return _NOISELESS[0] if name in _NOISELESS else name


def open_named(name: str, instance: str | None = None) -> Any:
    """Open a backend by name; only names that may be those of real machines need an account.

    Raises:
        ValueError: the name cannot be that of a real machine, and no simulator or recorded machine has it.
        AccountError: as in `find_machine`.
    """
    if name in _NOISELESS:
        from qiskit_aer import AerSimulator

        return AerSimulator()
    if name == "basic_simulator":
        from qiskit.providers.basic_provider import BasicSimulator

        return BasicSimulator()
    from qiskit_ibm_runtime import fake_provider

    recorded = {cls.removesuffix("V2").lower(): cls for cls in dir(fake_provider) if cls.startswith("Fake")}
    plain = name.replace("_", "").lower()
    if plain.startswith("fake"):
        cls = recorded.get(canonical(name))
        if cls is not None:
            return getattr(fake_provider, cls)()
    elif may_be_real(name):
        return open_backend(name, instance=instance)
    if is_path(name):
        missing = "" if Path(name).exists() else ", and there is no file of that name"
        raise ValueError(
            f"backend must be a backend or the name of one; got {name!r}: Calibration.load reads calibrations from "
            f"files{missing}"
        )
    names = [f"fake_{other.removeprefix('fake')}" for other in recorded]
    if "simulator" in plain or plain.startswith(("aer", "statevector")):
        hint = "; did you mean aer?"
    elif f"fake_{plain}" in names:
        hint = f"; did you mean fake_{plain} or ibm_{plain}?"
    else:
        hint = suggestion(name if plain.startswith("fake") else f"fake_{plain}", names)
    raise ValueError(
        "backend must name a simulator ('aer'), a recorded machine such as 'fake_torino', or a real one such as "
        f"'ibm_torino' or 'least_busy'; got {name!r}{hint}"
    )


def check_backend(backend: Any) -> None:
    """Raise TypeError for anything but a backend, such as the class of one."""
    if isinstance(backend, type):
        raise TypeError(f"backend must be a Qiskit backend or its name; got a class: write {backend.__name__}()")
    if not hasattr(backend, "target"):
        from qiskit.primitives import BaseSamplerV2

        came, cure = type(backend).__name__, ""
        if isinstance(backend, BaseSamplerV2):
            cure = ": of a Sampler, give the backend that it runs on, or 'aer'"
        elif hasattr(backend, "qubit_property"):
            cure = ": save its to_dict() as JSON by RuntimeEncoder, which Calibration.load reads"
        raise TypeError(f"backend must be a Qiskit backend or its name; got {came}{cure}")
