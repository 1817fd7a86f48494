"""`mitigate`: read the counts, choose a method from the registry, check the arguments, and return a `Mitigation`."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from qcluster.core import methods  # noqa: F401  (registers the methods of the core)
from qcluster.core.arithmetic import default_errstate
from qcluster.core.counts.distribution import Distribution, are_whole
from qcluster.core.counts.read import notes_on
from qcluster.core.decision.gate import Gate, check_gates
from qcluster.core.lockstep import Stepwise, run_all, run_one
from qcluster.core.methods.registry import Method, find
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.noise.noise_argument import KINDS, kind_of, noise_of_run, read_noise

DEFAULTS = {None: "mixture", "rates": "mixture", "measured": "measured", "faults": "circuit"}
"""The method for each kind of known noise if the user names none."""


@default_errstate
def mitigate(
    counts: Any,
    noise: Any = None,
    *,
    method: str | None = None,
    guard: bool = True,
    expect: str | None = None,
    settings: Any = None,
    gates: Sequence[Gate] = (),
) -> Mitigation:
    """Estimate the ideal distribution from measured counts.

    Args:
        counts: anything that `Distribution.of` accepts, or a `Run`. A Run also brings the fault patterns of its circuit
            and, if it has a reference circuit, the noise measured with it.
        noise: what is known about the noise. It can be flip rates, as one number, ``(n_bits,)``, ``(n_bits, 2)`` =
            P(read 1|0), P(read 0|1), or the result of `qcluster.estimate_rates`: ``"paper"`` uses its field
            `clustering`, other methods its rates per bit. ``"mixture"`` takes rates as a prior, and needs none. It can
            also be `MeasuredNoise`, measured with a reference circuit, or `FaultMasks`, the fault patterns of the
            compiled circuit, from `qcluster.device.fault_masks`.
        method: name of a method. ``"mixture"``: a few strings or deconvolution, weighed by a trained gate.
            ``"measured"``: under the noise of a reference. ``"circuit"``: under fault patterns. ``"paper"``: Q-Cluster
            as published (arXiv:2504.10801). Or a baseline such as ``"hammer"``, or a method of your own. By default
            ``"measured"`` for MeasuredNoise, and for a Run with a reference if a few strings explain its counts; else
            ``"circuit"`` for fault patterns, which have measured rates if the Run has a reference; else ``"mixture"``.
        guard: False switches the guard off: ``"mixture"`` returns its few strings, ``"circuit"`` its deconvolution, and
            ``"measured"`` deconvolves if no few strings explain the counts, whatever the evidence. Other methods accept
            only True.
        expect: what you know about the ideal, for ``"mixture"``, ``"circuit"`` and ``"measured"``: ``"sparse"`` for a
            few strings and almost nothing else, ``"dense"`` for any other output. Counts alone cannot always tell: a
            marked string on a flat background looks like one string under noise.
        settings: constants of the method, such as `MixtureSettings` or `PaperSettings`.
        gates: gates that you trained, in place of those that ship, for ``"mixture"`` and ``"circuit"``: from
            `qcluster.read_gate`. Exactly one of them must be for the candidates of the method and the number of bits.
            `reason` says which one has weighed. The answer from the counts alone that ``"circuit"`` weighs is always
            that of the gates that ship.

    Returns:
        A Mitigation with as many shots as `counts`, which are not changed. If ``applied`` is False, it holds the counts
        unchanged, and `reason` says why. That happens to a Run of a noiseless simulator if no other argument is
        given, and with ``"mixture"``, ``"circuit"`` and ``"measured"`` to counts of more than 896 bits.

    Raises:
        ValueError, TypeError: counts, noise or method are invalid, or the method cannot use an argument. The message
            says what must hold and what was given.

    Example:
        >>> fixed = mitigate({"000": 430, "001": 20, "010": 18, "100": 22, "011": 21, "101": 17, "110": 22, "111": 450})
        >>> sorted(fixed.distribution.top(2)), fixed.distribution.shots, fixed.applied
        (['000', '111'], 1000.0, True)
    """
    return run_one(mitigate_steps(counts, noise, method, guard, expect, settings, gates))


@default_errstate
def mitigate_together(sets: Sequence[Any], noise: Sequence[Any], **options: Any) -> list[Mitigation]:
    """Mitigate several sets of counts in lockstep, each with its own noise; see `qcluster.mitigate_many`."""
    return run_all([mitigate_steps(counts, known, **options) for counts, known in zip(sets, noise, strict=True)])


def mitigate_steps(
    counts: Any,
    noise: Any,
    method: str | None = None,
    guard: bool = True,
    expect: str | None = None,
    settings: Any = None,
    gates: Sequence[Gate] = (),
) -> Stepwise[Mitigation]:
    """Run `mitigate` as a computation in steps, whose array work is shared with other sets of counts (`lockstep`)."""
    raw = Distribution.of(counts)
    guard = bool(guard) if isinstance(guard, np.bool_) else guard
    gates = check_gates(gates)
    plain = method is noise is settings is expect is None and guard is True and not gates
    if plain and getattr(counts, "noiseless", False) is True:
        return left(raw, "none", "the simulator that made these counts has no noise")
    chosen = _default_method(counts, noise, guard, expect, settings, gates) if method is None else find(method)
    settings = chosen.check_options(guard, settings, expect, gates)
    known = read_noise(chosen.figure(noise), raw.n_bits)
    for kind in chosen.takes:
        if known is None and kind in KINDS:
            known = read_noise(noise_of_run(counts, kind), raw.n_bits)
    chosen.check_noise(kind_of(known))
    if not raw.n_outcomes or not raw.n_bits:
        return left(raw, chosen.name, "there are no shots to mitigate", known if kind_of(known) == "rates" else None)
    if chosen.widest is not None and raw.n_bits > chosen.widest:
        return left(raw, chosen.name, f"{raw.n_bits} bits are more than the {chosen.widest} that this method takes")
    options: dict[str, Any] = {"expect": expect} if chosen.guarded else {}
    if gates:
        options["gate"] = chosen.gate(gates, raw.n_bits)
    if method is None and chosen.unasked is not None:
        other_noise = partial(noise_of_run, None if noise is not None else counts)
        answer = chosen.unasked(raw, known, guard, settings, other_noise, **options)
    else:
        answer = chosen.function(raw, known, guard, settings, **options)
    fixed = (yield from answer) if isinstance(answer, Generator) else answer
    if not isinstance(fixed, Mitigation):
        raise TypeError(f"method={chosen.name!r} must return a Mitigation; got {type(fixed).__name__}")
    return _with_remarks(fixed, counts, noise, method, known)


def _with_remarks(fixed: Mitigation, counts: Any, noise: Any, method: str | None, known: Any) -> Mitigation:
    """Add to the reason what the user must know of the counts and of their noise: `known`, as given or from a Run."""
    missing = getattr(counts, "faults_missing", "") if method is noise is known is None else ""
    if missing and isinstance(missing, str):  # a register of a DataBin may have this name
        prefix = f"no fault patterns of the circuit ({missing}); by the counts alone: "
        fixed = replace(fixed, reason=prefix + fixed.reason)
    reference = noise if kind_of(noise) == "measured" else None
    if noise is None and (method is None or kind_of(known) in KINDS):
        reference = noise_of_run(counts, "measured")  # its rates are in the fault patterns
    remarks = notes_on(counts)
    if fixed.applied and not are_whole(fixed.raw.weights):
        remarks.append("the counts are not whole numbers: are they raw, not mitigated?")
    if reference is not None and fixed.method != "measured":  # that method reports doubts itself
        remarks = [*((reference.refusal,) if reference.refusal else reference.doubts), *remarks]
    return replace(fixed, reason="; ".join([fixed.reason, *remarks])) if remarks else fixed


def _default_method(counts: Any, noise: Any, guard: Any, expect: Any, settings: Any, gates: Sequence[Gate]) -> Method:
    """Choose a method by the known noise; noise that a Run brings is used only if its method accepts the options."""
    if noise is not None:
        return find(DEFAULTS[kind_of(noise)])
    for kind in KINDS:
        default, known = find(DEFAULTS[kind]), noise_of_run(counts, kind)
        if known is None or bool(getattr(known, "refusal", "")):  # a refusal says why the noise is unusable
            continue
        fits = settings is None or (default.settings is not None and isinstance(settings, default.settings))
        fits = fits and (not gates or default.weighs in [gate.names for gate in gates])
        if fits and (default.guarded or (guard is True and expect is None)):
            return default
    return find(DEFAULTS[None])
