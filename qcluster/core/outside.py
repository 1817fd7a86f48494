"""What the core cannot do by itself: it knows no plotting library and no Qiskit. The package names what does."""

from collections.abc import Callable
from typing import Any

_known: dict[str, Callable[..., Any]] = {}


def tell(name: str, function: Callable[..., Any]) -> None:
    """Name the function behind a method of the core's types, such as `Mitigation.plot`."""
    _known[name] = function


def ask(name: str, *given: Any, **options: Any) -> Any:
    """Call the function of a name.

    Raises:
        RuntimeError: only the core was imported.
    """
    if name not in _known:
        raise RuntimeError(f"{name} needs the whole package: import qcluster")
    return _known[name](*given, **options)
