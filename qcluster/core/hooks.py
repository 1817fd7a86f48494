"""Methods of core types that need plotting or Qiskit. The core imports neither: the package registers the functions."""

from collections.abc import Callable
from typing import Any

_functions: dict[str, Callable[..., Any]] = {}


def register_hook(name: str, function: Callable[..., Any]) -> None:
    """Register the function behind a method of a core type, such as `Mitigation.plot`."""
    _functions[name] = function


def call_hook(name: str, *args: Any, **options: Any) -> Any:
    """Call the function registered under a name.

    Raises:
        RuntimeError: only the core was imported.
    """
    if name not in _functions:
        raise RuntimeError(f"{name} needs the whole package: import qcluster")
    return _functions[name](*args, **options)
