"""The registry of methods, which `qcluster.mitigate`, the command line, the Sampler, campaigns and the docs read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from qcluster.core.checks import EXPECT, check_whole
from qcluster.core.decision.candidates import WIDEST
from qcluster.core.decision.gate import Gate, check_gates, gate_kind
from qcluster.core.lockstep import Stepwise
from qcluster.core.mitigation import Mitigation
from qcluster.core.noise.noise_argument import DESCRIPTIONS, kind_of

Function = Callable[..., Mitigation | Stepwise[Mitigation]]
"""Type of `Method.function`: from counts, noise, guard and settings to a `Mitigation`, at once or in steps."""


@dataclass(frozen=True)
class Method:
    """One way to mitigate counts.

    Raises:
        ValueError, TypeError: a field is invalid; the message says what must hold.

    Example:
        >>> from qcluster.core.mitigation import left
        >>> Method("nothing", "Leaves every shot where it is.", lambda raw, *_: left(raw, "nothing", "as asked")).takes
        ()
    """

    name: str
    """What users pass as `method`: letters, digits and underscores."""
    summary: str
    """What it does, in one sentence."""
    function: Function
    """``function(counts, noise, guard, settings)`` returns the Mitigation, or a generator that returns it and shares
    its array work with other sets of counts (`qcluster.core.lockstep`). The noise is ``(n_bits, 2)`` rates, a noise
    model or None; the guard is True or False; the settings are an instance of the class below, or None. If the method
    is guarded, ``expect=`` is passed too, to `unasked` as well."""
    needs: str | None = None
    """Kind of noise that the method requires: ``"rates"``, ``"measured"`` or ``"faults"``."""
    uses: tuple[str, ...] = ()
    """Kinds of noise that it can use but does not require."""
    settings: type | None = None
    """Class of its settings, which called without arguments gives the defaults. None if the method has no settings."""
    guarded: bool = False
    """Whether the method supports ``guard=False`` and ``expect=``."""
    widest: int | None = None
    """Most bits that it handles; wider counts are left unchanged. None: no limit."""
    unasked: Function | None = None
    """Replaces `function` if the method was chosen by default and not by name: ``unasked(counts, noise, guard,
    settings, noise_of_kind)``. ``noise_of_kind(kind)`` returns noise of another kind that a Run brings, or None; it
    returns None always if the user gave noise."""
    estimate: str | None = None
    """Name of the field of estimated rates (`Rates` of `qcluster.estimate_rates`) that this method takes in place of
    their rates per bit. Rates given as plain numbers are used as they are. None: there is no such field."""
    weighs: tuple[str, ...] = ()
    """The candidates that a trained gate weighs in this method; empty if it has no gate. If the user gives gates, that
    for these candidates and for the number of bits is passed as ``gate=``."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ValueError(f"name must be letters, digits and underscores; got {self.name!r}")
        if not isinstance(self.summary, str) or not self.summary.strip():
            raise ValueError(f"summary must be a sentence; got {self.summary!r}")
        if not callable(self.function):
            raise TypeError(f"function must be callable; got {self.function!r}")
        if self.unasked is not None and not callable(self.unasked):
            raise TypeError(f"unasked must be callable, or None; got {self.unasked!r}")
        if self.settings is not None and not isinstance(self.settings, type):
            raise TypeError(f"settings must be a class, or None; got {self.settings!r}")
        if self.widest is not None:
            check_whole("widest", self.widest, 1)
        unknown = [kind for kind in self.takes if kind not in list(DESCRIPTIONS)]
        if unknown:
            raise ValueError(f"needs and uses must be among {', '.join(DESCRIPTIONS)}; got {unknown[0]!r}")

    @property
    def takes(self) -> tuple[str, ...]:
        """All kinds of noise that the method can use."""
        return (*([self.needs] if self.needs else []), *self.uses)

    def figure(self, noise: Any) -> Any:
        """Return the field of estimated rates that is meant for this method; return other noise as it is."""
        return noise if self.estimate is None else getattr(noise, self.estimate, noise)

    def check_noise(self, kind: str | None) -> None:
        """Raise ValueError if the method cannot use this kind of noise, or if the kind it needs is missing."""
        if kind is not None and kind not in self.takes:
            usable = " or ".join(DESCRIPTIONS[taken] for taken in self.takes) or "nothing"
            raise ValueError(f"method={self.name!r} takes {usable} as its noise; got {DESCRIPTIONS[kind]}")
        if kind is None and self.needs is not None:
            cures = {
                "rates": ", such as noise=0.05",
                "measured": ", such as noise=qc.MeasuredNoise(reference_counts, '0110'), or a Run with a reference",
                "faults": ", or a Run that has them",
            }
            cure = cures.get(self.needs, "")
            raise ValueError(f"method={self.name!r} needs {DESCRIPTIONS[self.needs]} as its noise{cure}; got none")

    def gate(self, gates: Sequence[Gate], n_bits: int) -> Gate:
        """Return the gate for this method and number of bits.

        Raises:
            ValueError: none of the gates is for these, or several are.
        """
        wide = n_bits > WIDEST
        fitting = [gate for gate in gates if (gate.names, gate.wide) == (self.weighs, wide)]
        if len(fitting) != 1:
            self._refuse_gates(gates, wide)
        return fitting[0]

    def _refuse_gates(self, gates: Sequence[Gate], *widths: bool) -> NoReturn:
        """Raise ValueError for gates that lack one for this method and for counts that are wide or not."""
        wanted = " or ".join(gate_kind(self.weighs, wide) for wide in widths)
        got = ", ".join(gate_kind(gate.names, gate.wide) for gate in gates)
        raise ValueError(f"gates must hold one gate for {wanted}; got those for {got}")

    def check_options(
        self, guard: Any = True, settings: Any = None, expect: Any = None, gates: Sequence[Gate] = ()
    ) -> Any:
        """Check guard, settings, expectation and gates, and return the settings, or the defaults if None are given.

        Raises:
            ValueError: a guard, an expectation or gates for a method that supports none, gates of which none weighs its
                candidates, or an unknown expectation.
            TypeError: a guard that is not a bool, or settings of another class.
        """
        if not isinstance(guard, (bool, np.bool_)):
            raise TypeError(f"guard must be True or False; got {guard!r}")
        if expect is not None and not (isinstance(expect, str) and expect in EXPECT):
            raise ValueError(f"expect must be {' or '.join(map(repr, EXPECT))}, or None; got {expect!r}")
        if expect is not None and not (self.guarded and guard):
            raise ValueError(
                f"method={self.name!r} makes no use of expect{'' if guard else ' without its guard'}: leave expect at "
                f"None, or take method='mixture', 'circuit' or 'measured' with its guard; got {expect!r}"
            )
        if gates and not (self.weighs and guard):
            raise ValueError(
                f"method={self.name!r} makes no use of gates: leave them out, or take "
                f"method='mixture' or 'circuit' with its guard; got {gates!r:.60}"
            )
        if gates and self.weighs not in [gate.names for gate in gates]:
            self._refuse_gates(gates, False, True)
        if not guard and not self.guarded:
            raise ValueError(f"method={self.name!r} has no guard: leave guard at True; got {guard!r}")
        if settings is None:
            return None if self.settings is None else self.settings()
        if self.settings is None or not isinstance(settings, self.settings):
            wanted = "None" if self.settings is None else self.settings.__name__
            raise TypeError(f"settings of method={self.name!r} must be {wanted}; got {type(settings).__name__}")
        return settings


_known: dict[str, Method] = {}
_loaders: list[Callable[[], object]] = []


def register(method: Method) -> Method:
    """Add a method to the registry, and return it.

    The same module may register a method again, as a notebook does if a cell is run twice.

    Raises:
        TypeError: `method` is not a Method.
        ValueError: another module has registered a method of this name.
    """
    if not isinstance(method, Method):
        raise TypeError(f"what is registered must be a Method; got {type(method).__name__}")
    other = _known.get(method.name)
    if other is not None and other.function.__module__ != method.function.__module__:
        raise ValueError(
            f"name must be one that no other method has; {method.name!r} is one of {other.function.__module__}"
        )
    _known[method.name] = method
    return method


def register_later(load: Callable[[], object]) -> None:
    """Add a function that imports modules which register more methods.

    It is called before an unknown method is looked up or all are listed, possibly many times, like `import_module`.
    """
    _loaders.append(load)


def find(name: Any) -> Method:
    """Return the method with a name.

    Raises:
        ValueError: there is none; the message lists all names.

    Example:
        >>> import qcluster
        >>> find("mixture").needs, find("paper").needs
        (None, 'rates')
    """
    if not isinstance(name, str) or name not in _known:
        every()  # loads them
    if not isinstance(name, str) or name not in _known:
        raise ValueError(f"method must be one of {', '.join(_known)}; got {name!r}")
    return _known[name]


def every() -> tuple[Method, ...]:
    """Return all registered methods, those of the core first."""
    for load in _loaders:
        load()
    return tuple(_known.values())


def check_given(
    name: str, noise: Any, guard: Any = True, settings: Any = None, expect: Any = None, gates: Any = ()
) -> None:
    """Check the arguments of a method other than counts, as far as possible without the counts.

    Only missing rates can be detected, since a Run may still bring other noise. A callable `noise`, which makes the
    noise later, is not checked.
    """
    method, kind = find(name), kind_of(noise)
    method.check_options(guard, settings, expect, check_gates(gates))
    if not callable(noise) and (kind is not None or method.needs == "rates"):
        method.check_noise(kind)
