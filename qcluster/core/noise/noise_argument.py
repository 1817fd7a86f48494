"""Read the argument `noise=`. Only this file knows all kinds of noise.

To add a noise model, enter its class in `KINDS`, its description in `DESCRIPTIONS`, the attribute of a `Run` that holds
it in `RUN_ATTRIBUTES`, and the default method for it in `qcluster.core.mitigate.DEFAULTS`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from qcluster.core.noise.bitflips import as_rates
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.core.words import plural

KINDS: dict[str, type] = {"measured": MeasuredNoise, "faults": FaultMasks}
"""Noise models other than flip rates, by the name of their kind. Those of a `Run` are tried in this order."""
DESCRIPTIONS = {
    "rates": "flip rates",
    "measured": "the noise of a reference circuit (MeasuredNoise)",
    "faults": "fault patterns (FaultMasks)",
}
"""Description of each kind in messages."""
RUN_ATTRIBUTES = {"measured": "reference.noise", "faults": "faults"}
"""Attribute of a `Run` (with dots for nested ones) that holds noise of each kind, or None."""


def kind_of(noise: Any) -> str | None:
    """Return the kind of a `noise` argument: that of a noise model, None for None, "rates" for anything else.

    Example:
        >>> kind_of(0.1), kind_of(None)
        ('rates', None)
    """
    if noise is None:
        return None
    return next((kind for kind, model in KINDS.items() if isinstance(noise, model)), "rates")


def read_noise(noise: Any, n_bits: int) -> Any:
    """Check a `noise` argument: noise models are returned unchanged, rates as ``(n_bits, 2)``.

    It may be rates in any form that `as_rates` takes; an object that NumPy converts to rates, such as the `Rates` that
    `qcluster.estimate_rates` returns; a noise model of `KINDS`; or None.

    Raises:
        TypeError: `noise` is none of these.
        ValueError: rates have another shape or are out of range, or a noise model has another width.

    Example:
        >>> read_noise([0.1, 0.2], 2).tolist()
        [[0.1, 0.1], [0.2, 0.2]]
    """
    kind = kind_of(noise)
    if kind is None:
        return None
    if kind in KINDS:
        if noise.n_bits != n_bits:
            raise ValueError(
                f"counts and {DESCRIPTIONS[kind]} must have one width; got {n_bits} and {plural(noise.n_bits, 'bit')}"
            )
        return noise
    try:
        if isinstance(noise, (bool, np.bool_)):
            raise TypeError("True and False are no rates")
        return as_rates(noise, n_bits)
    except TypeError:
        models = "".join(f", or {DESCRIPTIONS[kind]}" for kind in KINDS)
        forms = f"flip rates (one number, ({n_bits},) or ({n_bits}, 2))"
        raise TypeError(f"noise must be {forms}{models}; got a {type(noise).__name__}{_cure(noise)}") from None


def _cure(noise: Any) -> str:
    """Say what to pass instead of an object that is not noise, but contains some or is text."""
    if _is_text(noise):
        return ": rates are no text"
    if isinstance(getattr(noise, "noise", None), tuple(KINDS.values())):
        return ": give its noise, such as noise=run.reference.noise"
    if hasattr(noise, "readout_of"):
        return ": of a calibration, give qcluster.device.fault_masks(compiled_circuit, calibration)"
    parts = [RUN_ATTRIBUTES[kind] for kind in KINDS if noise_of_run(noise, kind) is not None]
    return f": give its {parts[0]}, such as noise=run.{parts[0]}" if parts else ""


def _is_text(noise: Any) -> bool:
    """Return whether `noise` is text, or a list or an array that contains text."""
    try:
        array = np.asarray(None if isinstance(noise, Mapping) else noise)
    except (TypeError, ValueError):
        return False  # not an array at all
    return array.dtype.kind in "UST" or any(isinstance(item, (str, bytes)) for item in array.flat)


def noise_of_run(counts: Any, kind: str) -> Any:
    """Return the noise of a kind that `counts`, such as a `Run`, carries with it; None if there is none."""
    part = counts
    for name in RUN_ATTRIBUTES[kind].split("."):
        part = getattr(part, name, None)
    return part if isinstance(part, KINDS[kind]) else None
