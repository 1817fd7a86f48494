"""The methods that are compared, by name, each from a sample to a better distribution."""

import os
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

from qcluster import baselines
from qcluster.bench.faults import MISREPORTS, misreport
from qcluster.bench.sample import Sample, run_figures
from qcluster.core.counts.distribution import Distribution
from qcluster.core.methods.registry import Method as Registered
from qcluster.core.methods.registry import every
from qcluster.core.methods.registry import find as find_registered
from qcluster.core.mitigate import mitigate
from qcluster.core.mitigation import Mitigation
from qcluster.core.words import near
from qcluster.errors import QClusterError

Method = Callable[[Sample], Distribution | Mitigation]


class NotApplicable(QClusterError):
    """A sample lacks what a method needs, such as a calibration."""


def _m3(sample: Sample) -> Distribution:
    if sample.readout is None:
        raise NotApplicable("needs a calibration of the readout")
    return baselines.m3(sample.counts, sample.readout)


def _qbeep(sample: Sample) -> Distribution:
    if sample.expected_errors is None:
        raise NotApplicable("needs the expected number of errors of the circuit")
    return baselines.qbeep(sample.counts, sample.expected_errors)


def _given_rate(sample: Sample) -> float:
    if sample.rate is None:
        raise NotApplicable("needs a flip rate")
    return sample.rate


def _estimated_rates(sample: Sample) -> Any:
    """Estimate rates as a user does, of whatever is known; the method takes the figure that it is made for."""
    from qcluster.device.noise.rates import estimate_rates

    return estimate_rates(sample.counts if sample.run is None else sample.run)


def _faults(sample: Sample) -> Any:
    if sample.run is None:
        raise NotApplicable("needs the compiled circuit and a calibration")
    from qcluster.device.noise.faults import run_faults

    return run_faults(replace(sample.run, reference=None), dt=sample.dt)


def _measured(sample: Sample) -> Any:
    if sample.run is None or sample.run.reference is None:
        raise NotApplicable("needs the counts of a reference circuit")
    return sample.run.reference.noise


def _reference(sample: Sample) -> Mitigation:
    _measured(sample)
    return mitigate(sample.run)


_SOURCES: dict[str, Callable[[Sample], Any]] = {"rates": _estimated_rates, "measured": _measured, "faults": _faults}
"""Where the noise that a method needs comes from, by its kind."""


def _registered(name: str, sample: Sample) -> Mitigation:
    """Mitigate by a method of the registry, with the noise that it cannot do without, and otherwise by counts alone."""
    needs = find_registered(name).needs
    if needs is not None and needs not in _SOURCES:
        raise NotApplicable(f"needs {needs}, which campaigns do not have")
    return mitigate(sample.counts, None if needs is None else _SOURCES[needs](sample), method=name)


METHODS: dict[str, Method] = {
    "identity": lambda sample: baselines.identity(sample.counts),
    **{method.name: partial(_registered, method.name) for method in every()},
    "circuit": lambda sample: mitigate(sample.counts, _faults(sample)),
    "reference": _reference,
    "m3": _m3,
    "qbeep": _qbeep,
    "hammr_l": lambda sample: baselines.hammr_l(sample.counts, _given_rate(sample)),
    "paper_given": lambda sample: mitigate(sample.counts, _given_rate(sample), method="paper"),
    "mixture_unguarded": lambda sample: mitigate(sample.counts, method="mixture", guard=False),
}
"""Name and function: every method of the registry, and variants. A method gets counts and what an experimenter would
have: never the ideal output.

A method that needs flip rates gets the answer of `qcluster.estimate_rates` to the run, or to the counts where there is
none; ``paper_given`` and ``hammr_l`` get the sample's own rate, which follows from the calibration in closed form (a
recorded sample may bring another); ``m3`` and ``qbeep`` get what their authors have them get. ``circuit`` needs the
compiled circuit, and takes the faults that its calibration predicts; where they do not explain the counts, it answers
by these. ``measured``, ``dem`` and ``reference`` need the counts of a reference circuit; ``reference`` gets the run as
it is.
"""


def find(name: str) -> Method:
    """Give the function of a method.

    Args:
        name: a method of `METHODS`, or one that was registered since; ``MODULE:ATTRIBUTE`` of a module in the working
            directory or installed, with a function of a `Sample` or a method that is made for the registry. Behind
            either, ``@high``, ``@low`` or ``@scattered`` has it told a wrong calibration, see `misreport`.

    Raises:
        ValueError: no method has this name.
    """
    told, at, how = name.rpartition("@")
    if at:
        if how not in MISREPORTS:
            raise ValueError(f"behind the @ of a method must stand one of {', '.join(MISREPORTS)}; got {name!r}")
        return partial(_misled, find(told), how)
    if ":" in name:
        return _imported(name)
    known = METHODS | {
        method.name: partial(_registered, method.name) for method in every() if method.name not in METHODS
    }
    if name not in known:
        there = f"{', '.join(known)}, and MODULE:FUNCTION for one of yours"
        raise ValueError(f"no method {name!r}; there are {there}{near(name, known)}")
    return known[name]


def _misled(method: Method, how: str, sample: Sample) -> Distribution | Mitigation:
    """Tell a method that the machine is another than it is; wrong in the same way whichever the method."""
    if sample.run is None:
        raise NotApplicable("needs the compiled circuit and a calibration")
    wrong = misreport(sample.run.calibration, how, zlib.crc32(sample.identity.encode()))
    run = replace(sample.run, calibration=wrong)
    return method(replace(sample, run=run, **run_figures(run)))


def _imported(name: str) -> Method:
    """Import a method of the user's; where several processes work, each does."""
    module, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # an installed command does not look there by itself
    try:
        imported = import_module(module)
    except (Exception, SystemExit) as error:  # a module may fail in any way while it is imported, and a script may exit
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"method {name!r} must be in the working directory or installed, and import: {why}") from error
    try:
        found = getattr(imported, attribute)
    except AttributeError as error:
        raise ValueError(f"method {name!r} must name a function of module {module}: {error}") from error
    if isinstance(found, Registered):
        return partial(_registered, found.name)
    if not callable(found):
        raise ValueError(f"method {name!r} must be a function of a Sample, or a registered Method; got {found!r:.60}")
    return partial(_checked, name, found)


def _checked(name: str, function: Callable[[Sample], Any], sample: Sample) -> Distribution | Mitigation:
    """Call a function of the user's, which is not shown the ideal output, and check what it returns."""
    returned = function(replace(sample, ideal=None))
    answer: Distribution | Mitigation
    if isinstance(returned, Distribution | Mitigation):
        answer = returned
    else:
        try:
            answer = Distribution.of(returned)
        except (TypeError, ValueError) as error:
            what = "a Distribution, a Mitigation, or counts such as {'01': 12}"
            raise TypeError(f"{name} must return {what}; got {type(returned).__name__}: {error}") from error
    n_bits = answer.distribution.n_bits if isinstance(answer, Mitigation) else answer.n_bits
    if n_bits != sample.n_bits:
        raise ValueError(f"{name} must return strings of {sample.n_bits} bits, as the counts have; got {n_bits}")
    return answer


def check_methods(names: tuple[str, ...]) -> None:
    """Raise ValueError for a name that no method has."""
    for name in names:
        find(name)
