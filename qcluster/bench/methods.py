"""The methods that are compared, by name: each maps a sample to a distribution or a mitigation."""

import os
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

from qcluster import baselines
from qcluster.bench.faults import MISREPORTS, misreport
from qcluster.bench.sample import Sample, run_figures
from qcluster.bench.table import check_text
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.gate import Gate
from qcluster.core.methods.registry import Method as Registered
from qcluster.core.methods.registry import every
from qcluster.core.methods.registry import find as find_registered
from qcluster.core.mitigate import mitigate
from qcluster.core.mitigation import Mitigation
from qcluster.core.words import suggestion
from qcluster.errors import QClusterError, StorageError
from qcluster.learn.decision.gates import read_gate

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
    """Estimate rates from everything known, as a user would; the method picks the figure made for it."""
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
"""Functions that provide the noise that a method needs, by its kind."""


def _registered(name: str, sample: Sample, gates: Sequence[Gate] = ()) -> Mitigation:
    """Apply a method of the registry, with the noise that it requires, or to counts alone if it requires none."""
    method = find_registered(name)
    if method.needs is not None and method.needs not in _SOURCES:
        raise NotApplicable(f"needs {method.needs}, which campaigns do not have")
    if gates:
        try:
            method.gate(gates, sample.n_bits)
        except ValueError as error:
            raise NotApplicable(str(error)) from error
    noise = None if method.needs is None else _SOURCES[method.needs](sample)
    return mitigate(sample.counts, noise, method=name, gates=gates)


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
"""All methods by name: those of the registry, and variants. A method gets the counts and what an experimenter would
have, but never the ideal output.

A method that needs flip rates gets the result of `qcluster.estimate_rates` for the run, or for the counts if there is
no run. ``paper_given`` and ``hammr_l`` get the rate of the sample, which follows from the calibration in closed form
(a record may state another). ``m3`` and ``qbeep`` get what their authors use. ``circuit`` needs the compiled circuit,
and uses the faults that the calibration predicts; where these do not explain the counts, it uses the counts alone.
``measured``, ``dem`` and ``reference`` need the counts of a reference circuit; ``reference`` gets the whole run.
"""


def find(name: str) -> Method:
    """Return the function of a method.

    Args:
        name: a name from `METHODS` or of a method registered later; or ``MODULE:ATTRIBUTE``, an attribute of a module
            in the working directory or an installed one, which must be a function of a `Sample` or a method made for
            the registry. ``mixture+FILE`` and ``circuit+FILE`` weigh by the gate in a file, see `qcluster.read_gate`;
            ``mixture+FILE+FILE`` by two, one for up to 12 bits and one for more. With ``@high``, ``@low`` or
            ``@scattered`` appended, the method gets a wrong calibration, see `misreport`.

    Raises:
        ValueError: there is no such method, or it has no gate.
        StorageError: the file of a gate cannot be read, or is not a gate.
    """
    base_name, separator, how = name.rpartition("@")
    if separator:
        if how not in MISREPORTS:
            raise ValueError(f"a method may be followed by @ and one of {', '.join(MISREPORTS)}; got {name!r}")
        return partial(_with_wrong_calibration, find(base_name), how)
    base_name, *paths = name.split("+")
    if paths:
        method, gates = find_registered(base_name), tuple(map(read_gate, paths))
        method.check_options(gates=gates)
        return partial(_registered, base_name, gates=gates)
    if ":" in name:
        return _import_method(name)
    known = METHODS | {
        method.name: partial(_registered, method.name) for method in every() if method.name not in METHODS
    }
    if name not in known:
        available = f"{', '.join(known)}, and MODULE:FUNCTION for one of yours"
        raise ValueError(f"no method {name!r}; there are {available}{suggestion(name, known)}")
    return known[name]


def _with_wrong_calibration(method: Method, how: str, sample: Sample) -> Distribution | Mitigation:
    """Give a method a wrong calibration of the machine; all methods get the same wrong one."""
    if sample.run is None:
        raise NotApplicable("needs the compiled circuit and a calibration")
    wrong = misreport(sample.run.calibration, how, zlib.crc32(sample.identity.encode()))
    run = replace(sample.run, calibration=wrong)
    return method(replace(sample, run=run, **run_figures(run)))


def import_named(name: str) -> Any:
    """Import ``MODULE:ATTRIBUTE``, from a module in the working directory or an installed one.

    Raises:
        ValueError: the module cannot be imported, or has no such attribute.
    """
    module, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # an installed command does not look there by itself
    try:
        imported = import_module(module)
    except (Exception, SystemExit) as error:  # importing a module may fail in any way, and a script may exit
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"method {name!r} must be in the working directory or installed, and import: {why}") from error
    try:
        return getattr(imported, attribute)
    except AttributeError as error:
        raise ValueError(f"method {name!r} must name a function of module {module}: {error}") from error


def _import_method(name: str) -> Method:
    """Import a user's method; every worker process does so."""
    user_method = import_named(name)
    if isinstance(user_method, Registered):
        return partial(_registered, user_method.name)
    if not callable(user_method):
        raise ValueError(
            f"method {name!r} must be a function of a Sample, or a registered Method; got {user_method!r:.60}"
        )
    return partial(_call_checked, name, user_method)


def _call_checked(name: str, function: Callable[[Sample], Any], sample: Sample) -> Distribution | Mitigation:
    """Call a user's function without the ideal output, and check what it returns."""
    returned = function(replace(sample, ideal=None))
    answer: Distribution | Mitigation
    if isinstance(returned, Distribution | Mitigation):
        answer = returned
    else:
        try:
            answer = Distribution.of(returned)
        except (TypeError, ValueError) as error:
            expected = "a Distribution, a Mitigation, or counts such as {'01': 12}"
            raise TypeError(f"{name} must return {expected}; got {type(returned).__name__}: {error}") from error
    n_bits = answer.distribution.n_bits if isinstance(answer, Mitigation) else answer.n_bits
    if n_bits != sample.n_bits:
        raise ValueError(f"{name} must return strings of {sample.n_bits} bits, as the counts have; got {n_bits}")
    return answer


def gate_digests(names: Iterable[str]) -> dict[str, str]:
    """Return the digests of the gates that methods have in their names, by name; unreadable ones are left out."""
    digests = dict[str, str]()
    for name in names:
        _, *paths = name.partition("@")[0].split("+")
        if paths:
            with suppress(StorageError):  # makes the method fail, but not the others
                digests[name] = " ".join(read_gate(path).digest for path in paths)
    return digests


def check_methods(names: tuple[str, ...]) -> None:
    """Raise ValueError or StorageError if a name is not that of a method, see `find`, or cannot be in a table."""
    for name in names:
        check_text("methods", name)
        find(name)
