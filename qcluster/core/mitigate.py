"""`mitigate`: reads counts, picks a method from the registry, checks what it is given, returns its `Mitigation`."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from qcluster.core import methods  # noqa: F401  (registers the methods of the core)
from qcluster.core.arithmetic import own_errstate
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.read import notes_on
from qcluster.core.lockstep import Stepwise, alone, together
from qcluster.core.methods.registry import Method, find
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.noise.given import KINDS, brought, kind_of, read_noise

DEFAULTS = {None: "mixture", "rates": "mixture", "measured": "measured", "faults": "circuit"}
"""The method for each kind of noise that is known, where none is named."""


@own_errstate
def mitigate(
    counts: Any,
    noise: Any = None,
    *,
    method: str | None = None,
    guard: bool = True,
    expect: str | None = None,
    settings: Any = None,
) -> Mitigation:
    """Estimate the ideal distribution from measured counts.

    Args:
        counts: anything that `Distribution.of` takes, or a `Run`, which brings the fault patterns of its circuit and,
            if it ran with a reference, what this measured.
        noise: what is known of the noise. Flip rates: one number, ``(n_bits,)``, or ``(n_bits, 2)`` = P(read 1|0),
            P(read 0|1), or the answer of `qcluster.estimate_rates`, of which ``"paper"`` takes the figure `clustering`
            and others the rates by bit; a prior for ``"mixture"``, which never needs them.
            Or `MeasuredNoise`, what a reference circuit measured. Or `FaultMasks`, the fault patterns of the compiled
            circuit, from `qcluster.device.fault_masks`.
        method: name of a method: ``"mixture"``, a few strings or deconvolution, weighed by a trained decision;
            ``"measured"``, under the noise of a reference; ``"circuit"``, under fault patterns; ``"paper"``, Q-Cluster
            as published (arXiv:2504.10801); a method of others, such as ``"hammer"``; or one of your own. By default
            ``"measured"`` where such noise is given, or few strings explain a Run under it; ``"circuit"`` where there
            are fault patterns, those of a Run with a reference at the rates that this measured; else ``"mixture"``.
        guard: with False, ``"mixture"`` answers with its strings alone, and ``"circuit"`` with its deconvolution,
            whatever the evidence for them. Other methods have none.
        expect: what you know of the ideal, for ``"mixture"`` and ``"circuit"``: ``"sparse"``, few strings and next to
            nothing beside them; ``"dense"``, anything else. Counts alone cannot always tell: a marked string on a flat
            floor looks like one string under noise.
        settings: constants of the method, such as `MixtureSettings` or `PaperSettings`.

    Returns:
        A Mitigation; `counts` are not changed, and the result has as many shots. With ``applied=False`` they are
        returned as they came, and `reason` says why: so is a Run of a simulator without noise, unless something
        beside it is given, and what has more than 896 bits, by ``"mixture"``, ``"circuit"`` and ``"measured"``.

    Raises:
        ValueError, TypeError: bad counts, noise or method, saying what must hold and what came; so does what is given
            and the method cannot use.

    Example:
        >>> fixed = mitigate({"000": 430, "001": 20, "010": 18, "100": 22, "011": 21, "101": 17, "110": 22, "111": 450})
        >>> sorted(fixed.distribution.top(2)), fixed.distribution.shots, fixed.applied
        (['000', '111'], 1000.0, True)
    """
    return alone(mitigating(counts, noise, method, guard, expect, settings))


@own_errstate
def mitigate_together(many: Sequence[Any], noise: Sequence[Any], **options: Any) -> list[Mitigation]:
    """Mitigate several sets of counts, what takes arrays for all of them at once; see `qcluster.mitigate_many`."""
    return together([mitigating(counts, known, **options) for counts, known in zip(many, noise, strict=True)])


def mitigating(
    counts: Any,
    noise: Any,
    method: str | None = None,
    guard: bool = True,
    expect: str | None = None,
    settings: Any = None,
) -> Stepwise[Mitigation]:
    """Do as `mitigate` does, step by step, so that many sets of counts share the work."""
    raw = Distribution.of(counts)
    guard = bool(guard) if isinstance(guard, np.bool_) else guard
    if method is noise is settings is expect is None and guard is True and getattr(counts, "noiseless", False) is True:
        return left(raw, "none", "the simulator that made these counts has no noise")
    chosen = _default(counts, noise, guard, expect, settings) if method is None else find(method)
    used = chosen.check_options(guard, settings, expect)
    known = read_noise(chosen.figure(noise), raw.n_bits)
    for kind in chosen.takes:
        if known is None and kind in KINDS:
            known = read_noise(brought(counts, kind), raw.n_bits)
    chosen.check_noise(kind_of(known))
    if not raw.n_outcomes or not raw.n_bits:
        return left(raw, chosen.name, "there are no shots to mitigate", known if kind_of(known) == "rates" else None)
    if chosen.widest is not None and raw.n_bits > chosen.widest:
        return left(raw, chosen.name, f"{raw.n_bits} bits are more than the {chosen.widest} that this method takes")
    word = {"expect": expect} if chosen.guarded else {}
    if method is None and chosen.unasked is not None:
        beside = partial(brought, None if noise is not None else counts)
        steps = chosen.unasked(raw, known, guard, used, beside, **word)
    else:
        steps = chosen.function(raw, known, guard, used, **word)
    fixed = yield from _steps(chosen.name, steps)
    missing = getattr(counts, "faults_missing", "") if method is noise is known is None else ""
    if missing and isinstance(missing, str):  # registers of a DataBin may be called so
        fixed = replace(
            fixed, reason=f"no fault patterns of the circuit ({missing}); by the counts alone: {fixed.reason}"
        )
    reference = noise if kind_of(noise) == "measured" else None
    if noise is None and (method is None or kind_of(known) in KINDS):
        reference = brought(counts, "measured")  # fault patterns have its rates
    if fixed.method != "measured":  # that method says itself
        fixed = _doubted(fixed, reference)
    notes = notes_on(counts)
    return replace(fixed, reason="; ".join([fixed.reason, *notes])) if notes else fixed


def _doubted(fixed: Mitigation, reference: Any) -> Mitigation:
    """Say what speaks against the reference on which an answer rests."""
    doubts = () if reference is None else (reference.refusal,) if reference.refusal else reference.doubts
    return replace(fixed, reason="; ".join([fixed.reason, *doubts])) if doubts else fixed


def _steps(name: str, answer: Mitigation | Stepwise[Mitigation]) -> Stepwise[Mitigation]:
    """Take the steps of a method to its answer, if it is not there yet; TypeError where that is no Mitigation."""
    fixed = (yield from answer) if isinstance(answer, Generator) else answer
    if not isinstance(fixed, Mitigation):
        raise TypeError(f"method={name!r} must return a Mitigation; got {type(fixed).__name__}")
    return fixed


def _default(counts: Any, noise: Any, guard: Any, expect: Any, settings: Any) -> Method:
    """Choose by what is known of the noise; what counts bring along gives way to what its method does not take."""
    if noise is not None:
        return find(DEFAULTS[kind_of(noise)])
    for kind in KINDS:
        default, known = find(DEFAULTS[kind]), brought(counts, kind)
        if known is None or bool(getattr(known, "refusal", "")):  # or it says itself that it is of no use
            continue
        fits = settings is None or (default.settings is not None and isinstance(settings, default.settings))
        if fits and (default.guarded or (guard is True and expect is None)):
            return default
    return find(DEFAULTS[None])
