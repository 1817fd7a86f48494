"""What `noise=` may be, brought to one form: the one place that knows all kinds of noise.

A noise model joins here: its class in `KINDS`, its words in `WORDS`, and in `BRINGS` the attribute of a `Run` that
holds it. Which method is the default for it stands in `qcluster.core.mitigate.DEFAULTS`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from qcluster.core.noise.bitflips import as_rates
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.core.words import many

KINDS: dict[str, type] = {"measured": MeasuredNoise, "faults": FaultMasks}
"""Noise models beside flip rates, by the word that methods need them by; what a Run brings is tried in this order."""
WORDS = {
    "rates": "flip rates",
    "measured": "the noise of a reference circuit (MeasuredNoise)",
    "faults": "fault patterns (FaultMasks)",
}
"""What to say of each kind."""
BRINGS = {"measured": "reference.noise", "faults": "faults"}
"""Attribute of a `Run`, dotted where it is one of a part, that holds noise of a kind, or None."""


def kind_of(noise: Any) -> str | None:
    """Name the kind of what was given as noise; whatever is no noise model counts as rates.

    Example:
        >>> kind_of(0.1), kind_of(None)
        ('rates', None)
    """
    if noise is None:
        return None
    return next((kind for kind, model in KINDS.items() if isinstance(noise, model)), "rates")


def read_noise(noise: Any, n_bits: int) -> Any:
    """Check what was given as noise: noise models stay as they are, rates become ``(n_bits, 2)``.

    Args:
        noise: rates in any form of `as_rates`; an object that NumPy reads as such, as it does `Rates` of
            `qcluster.estimate_rates`; a noise model of `KINDS`; or None.
        n_bits: number of classical bits.

    Raises:
        TypeError: none of these.
        ValueError: rates of another shape or out of range, or a noise model of another width.

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
                f"counts and {WORDS[kind]} must have one width; got {n_bits} and {many(noise.n_bits, 'bit')}"
            )
        return noise
    try:
        if isinstance(noise, (bool, np.bool_)):
            raise TypeError("True and False are no rates")
        return as_rates(noise, n_bits)
    except TypeError:
        models = "".join(f", or {WORDS[kind]}" for kind in KINDS)
        forms = f"flip rates (one number, ({n_bits},) or ({n_bits}, 2))"
        raise TypeError(f"noise must be {forms}{models}; got a {type(noise).__name__}{_cure(noise)}") from None


def _cure(noise: Any) -> str:
    """Say what to give in place of what is no noise but holds some, or is text."""
    if _is_text(noise):
        return ": rates are no text"
    if isinstance(getattr(noise, "noise", None), tuple(KINDS.values())):
        return ": give its noise, such as noise=run.reference.noise"
    if hasattr(noise, "readout_of"):
        return ": of a calibration, give qcluster.device.fault_masks(compiled_circuit, calibration)"
    parts = [BRINGS[kind] for kind in KINDS if brought(noise, kind) is not None]
    return f": give its {parts[0]}, such as noise=run.{parts[0]}" if parts else ""


def _is_text(noise: Any) -> bool:
    """Tell whether something is text, or a list or an array with text in it."""
    try:
        given = np.asarray(None if isinstance(noise, Mapping) else noise)
    except (TypeError, ValueError):
        return False  # no array at all
    return given.dtype.kind in "UST" or any(isinstance(one, (str, bytes)) for one in given.flat)


def brought(counts: Any, kind: str) -> Any:
    """Give the noise of a kind that counts bring along, as a `Run` does; None where there is none."""
    part = counts
    for name in BRINGS[kind].split("."):
        part = getattr(part, name, None)
    return part if isinstance(part, KINDS[kind]) else None
