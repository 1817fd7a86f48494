"""The registry of methods: `qcluster.mitigate`, the command line, the Sampler, campaigns and pages all read it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qcluster.core.checks import EXPECT
from qcluster.core.lockstep import Stepwise
from qcluster.core.mitigation import Mitigation
from qcluster.core.noise.given import WORDS, kind_of

Function = Callable[..., Mitigation | Stepwise[Mitigation]]
"""What a method does: counts, noise, guard and settings to a `Mitigation`, at once or step by step."""


@dataclass(frozen=True)
class Method:
    """One way to mitigate counts.

    Raises:
        ValueError, TypeError: a field that makes no sense, saying what must hold.

    Example:
        >>> from qcluster.core.mitigation import left
        >>> Method("nothing", "Leaves every shot where it is.", lambda raw, *_: left(raw, "nothing", "as asked")).takes
        ()
    """

    name: str
    """What users pass as `method`: letters, digits and underscores."""
    summary: str
    """What it does, one sentence."""
    function: Function
    """``function(counts, noise, guard, settings)`` gives the Mitigation, or the steps to it, which many sets of counts
    take together (`qcluster.core.lockstep`). The noise is ``(n_bits, 2)`` rates, a noise
    model, or None; the guard True or False; the settings are of the class below, or None. A guarded method, and what it
    does unasked, is also given ``expect=``, what the user expects of the ideal."""
    needs: str | None = None
    """The kind of noise that it cannot do without, ``"rates"``, ``"measured"`` or ``"faults"``."""
    uses: tuple[str, ...] = ()
    """Kinds of noise that it uses where they are given."""
    settings: type | None = None
    """Class of its settings; None where it has none. Made without arguments, it gives the default ones."""
    guarded: bool = False
    """Whether it knows what to do with ``guard=False`` and with ``expect=``."""
    widest: int | None = None
    """Most bits that it takes: wider counts are left as they came. None: any number."""
    unasked: Function | None = None
    """What is done instead of `function` where the method was chosen by what is known of the noise, and not by name:
    ``unasked(counts, noise, guard, settings, brought)``, of which ``brought(kind)`` gives noise of another kind that a
    Run brings along, or None. Noise that users give stands alone: nothing is brought beside it."""
    estimate: str | None = None
    """Name of a figure that estimated rates (`Rates` of `qcluster.estimate_rates`) have for this method, and that it
    takes in place of their rates by bit; rates that are plain numbers mean what they say. None: there is none."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ValueError(f"name must be letters, digits and underscores; got {self.name!r}")
        if not isinstance(self.summary, str) or not self.summary.strip():
            raise ValueError(f"summary must be a sentence; got {self.summary!r}")
        if not callable(self.function):
            raise TypeError(f"function must be callable; got {self.function!r}")
        unknown = [kind for kind in self.takes if kind not in WORDS]
        if unknown:
            raise ValueError(f"needs and uses must be among {', '.join(WORDS)}; got {unknown[0]!r}")

    @property
    def takes(self) -> tuple[str, ...]:
        """All kinds of noise that it can use."""
        return (*([self.needs] if self.needs else []), *self.uses)

    def figure(self, noise: Any) -> Any:
        """Give the figure that estimated rates have for this method; any other noise as it is."""
        return noise if self.estimate is None else getattr(noise, self.estimate, noise)

    def check_noise(self, kind: str | None) -> None:
        """Raise ValueError where the method cannot use noise of a kind, or lacks what it needs."""
        if kind is not None and kind not in self.takes:
            usable = " or ".join(WORDS[one] for one in self.takes) or "nothing"
            raise ValueError(f"method={self.name!r} takes {usable} as its noise; got {WORDS[kind]}")
        if kind is None and self.needs is not None:
            cures = {
                "rates": ", such as noise=0.05",
                "measured": ", such as noise=qc.MeasuredNoise(reference_counts, '0110'), or a Run with a reference",
                "faults": ", or a Run that has them",
            }
            cure = cures.get(self.needs, "")
            raise ValueError(f"method={self.name!r} needs {WORDS[self.needs]} as its noise{cure}; got none")

    def check_options(self, guard: Any = True, settings: Any = None, expect: Any = None) -> Any:
        """Check guard, settings and expectation, and give the settings, by default those of the method.

        Raises:
            ValueError: a guard or an expectation for a method that has none, or another word than there is.
            TypeError: a guard of another type, or settings of another method.
        """
        if not isinstance(guard, (bool, np.bool_)):
            raise TypeError(f"guard must be True or False; got {guard!r}")
        if expect not in (None, *EXPECT):
            raise ValueError(f"expect must be {' or '.join(map(repr, EXPECT))}, or None; got {expect!r}")
        if expect is not None and not (self.guarded and guard):
            raise ValueError(
                f"method={self.name!r} decides nothing by what is expected: leave expect at None, or take "
                f"method='mixture' or 'circuit' with its guard; got {expect!r}"
            )
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
    """Make a method known by its name, and give it back.

    A method may be registered again by the module that did, as a notebook does when a cell is run twice.

    Raises:
        TypeError: not a Method.
        ValueError: another module has a method of this name.
    """
    if not isinstance(method, Method):
        raise TypeError(f"what is registered must be a Method; got {type(method).__name__}")
    there = _known.get(method.name)
    if there is not None and there.function.__module__ != method.function.__module__:
        raise ValueError(
            f"name must be one that no other method has; {method.name!r} is one of {there.function.__module__}"
        )
    _known[method.name] = method
    return method


def register_later(load: Callable[[], object]) -> None:
    """Have `load` called before methods are looked up that are not known yet: it imports what registers more of them.

    It is called again and again, as `import_module` may be.
    """
    _loaders.append(load)


def find(name: Any) -> Method:
    """Give the method of a name.

    Raises:
        ValueError: there is none; the message lists all.

    Example:
        >>> import qcluster
        >>> find("mixture").needs, find("paper").needs
        (None, 'rates')
    """
    if not isinstance(name, str) or name not in _known:
        every()  # has them loaded
    if not isinstance(name, str) or name not in _known:
        raise ValueError(f"method must be one of {', '.join(_known)}; got {name!r}")
    return _known[name]


def every() -> tuple[Method, ...]:
    """Give all methods that are known, the package's own first."""
    for load in _loaders:
        load()
    return tuple(_known.values())


def check_given(name: str, noise: Any, guard: Any = True, settings: Any = None, expect: Any = None) -> None:
    """Check what would be given to a method beside counts, as far as it can be known without them.

    Fault patterns may still come with a Run, so that only rates can be told to be missing; and of a function that makes
    the noise later, nothing is known.
    """
    method, kind = find(name), kind_of(noise)
    method.check_options(guard, settings, expect)
    if not callable(noise) and (kind is not None or method.needs == "rates"):
        method.check_noise(kind)
