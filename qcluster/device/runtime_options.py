"""Options of the runtime's Sampler, named and nested as there: checked, and merged with the keywords of `execute`."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qcluster.device.storage import replacing_errors

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

_KEYWORDS = {
    "default_shots": "shots",
    "twirling.enable_gates": "twirling='server' with twirls",
    "twirling.enable_measure": "measure_twirl",
    "dynamical_decoupling.enable": "dd",
    "dynamical_decoupling.sequence_type": "dd",
    "simulator.seed_simulator": "seed",
    "environment.max_execution_time": "runtime={'max_execution_time': ...}",
}
"""Runtime options that are set by a keyword of `execute`, and may not be set here as well."""

_UNSET = object()

SERVED_GROUPS = ("local_c1", "local_pauli")
"""Twirling groups that only the runtime can draw from."""


def check_runtime(given: Any) -> dict[str, Any]:
    """Check options of the runtime's Sampler, and return those that were set as a plain nested dict.

    Args:
        given: a mapping, whose values may be groups of options of the runtime such as its ``ExecutionOptions``; or its
            ``SamplerOptions``, those of either of its Samplers.

    Raises:
        TypeError: it is neither of these.
        ValueError: an option or value that the runtime does not know, or an option that a keyword of `execute` sets.

    Example:
        >>> check_runtime({"max_execution_time": 60})
        {'max_execution_time': 60}
    """
    given = _plain(given)
    if not isinstance(given, Mapping):
        raise TypeError(f"runtime must be a mapping of the runtime's Sampler options; got {type(given).__name__}")
    if not given:
        return {}
    for name, keyword in _KEYWORDS.items():
        if _look_up(given, name) is not _UNSET:
            raise ValueError(f"runtime option {name!r} is set by {keyword}: give it there")
    if given.get("simulator"):
        raise ValueError("runtime options of simulator are not taken: a simulation has the noise of its backend")
    meas_type = _look_up(given, "execution.meas_type")
    if meas_type not in (_UNSET, None, "classified"):
        raise ValueError(
            f"runtime option 'execution.meas_type' must be 'classified', since counts are mitigated; got {meas_type!r}"
        )
    from pydantic import ValidationError
    from qiskit_ibm_runtime.options_models import SamplerOptions

    try:
        checked: dict[str, Any] = SamplerOptions(**given).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise ValueError(f"runtime option {name!r}: {first['msg']}; got {first['input']!r:.60}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"runtime options must be what the runtime's Sampler takes: {error}") from error
    return checked


def _plain(given: Any) -> Any:
    """Return options as nested dicts of those that were set, whatever classes of the runtime hold them."""
    if isinstance(given, Mapping):
        return {name: _plain(value) for name, value in given.items()}
    if hasattr(given, "model_dump"):
        return given.model_dump(exclude_defaults=True)
    kind: Any = type(given)
    if kind.__module__.startswith("qiskit_ibm_runtime.") and hasattr(kind, "__dataclass_fields__"):  # older SamplerV2
        return _changed(asdict(given), asdict(kind()))
    return given


def _changed(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of nested options that differ from the defaults."""
    return {
        name: _changed(value, defaults[name]) if isinstance(defaults[name], Mapping) else value
        for name, value in values.items()
        if value != defaults[name]
    }


def check_together(options: Mapping[str, Any]) -> None:
    """Check that the runtime's options agree with the other fields of `Options`; ValueError if they do not."""
    runtime = options["runtime"]
    twirling = sorted(runtime.get("twirling", {}))
    if twirling and options["twirling"] != "server":
        raise ValueError(f"runtime options of twirling, here {twirling[0]!r}, go with twirling='server'")
    if options["group"] in SERVED_GROUPS and options["twirling"] != "server":
        raise ValueError(
            f"group={options['group']!r} is drawn by the runtime only, with twirling='server'; ours are pauli and "
            "balanced_pauli"
        )
    for name, default in (("strategy", None), ("group", "pauli")):
        if name in twirling and options[name] != default:
            raise ValueError(f"runtime option 'twirling.{name}' is set by {name}: omit one of them")
    if "num_randomizations" in twirling and options["twirls"] > 1:
        raise ValueError("runtime option 'twirling.num_randomizations' is set by twirls: omit one of them")
    if runtime.get("dynamical_decoupling") and options["dd"] is None:
        raise ValueError("runtime options of dynamical_decoupling go with dd, which names the sequence")


def served_shots(options: Mapping[str, Any]) -> int | None:
    """Number of shots of each circuit when the runtime twirls; None if it does not.

    The runtime gives equal shots to all its randomisations, and rounds up.
    """
    requested = _randomizations(options)
    if requested is None:
        return None
    from qiskit_ibm_runtime.executor.calculate_twirling_shots import calculate_twirling_shots

    randomizations, shots_each = calculate_twirling_shots(int(options["shots"]), *requested)
    return int(randomizations) * int(shots_each)


def flips_served(options: Mapping[str, Any]) -> bool:
    """True if the runtime twirls, and flips measured bits as well."""
    return _randomizations(options) is not None and bool(options.get("measure_twirl", False))


def sampler_options(options: Mapping[str, Any], tags: list[str]) -> dict[str, Any]:
    """Return the options for the runtime's Sampler: ``options["runtime"]`` merged with the keywords of `execute`."""
    merged: dict[str, Any] = deepcopy(options["runtime"])
    requested = _randomizations(options)
    twirling = merged.setdefault("twirling", {})
    twirling["enable_gates"] = requested is not None
    twirling["enable_measure"] = requested is not None and options["measure_twirl"]
    if requested is not None:
        twirling["num_randomizations"], twirling["shots_per_randomization"] = requested
        if options["strategy"] is not None:
            twirling["strategy"] = options["strategy"]
        if options["group"] != "pauli":
            twirling["group"] = options["group"]
    if options["dd"] is not None:
        merged.setdefault("dynamical_decoupling", {}).update(enable=True, sequence_type=options["dd"])
    environment = merged.setdefault("environment", {})
    environment["job_tags"] = [*tags, *environment.get("job_tags", [])]
    return merged


def check_sampler(circuit: QuantumCircuit, backend: Any, options: Mapping[str, Any]) -> None:
    """Refuse a circuit that the runtime's Sampler cannot twirl or decouple, before any job is sent.

    Raises:
        ValueError: the Sampler refuses it, in its own words.
    """
    if options["dd"] is None and options["twirling"] == "client":
        return
    from qiskit_ibm_runtime.executor_sampler.prepare import prepare
    from qiskit_ibm_runtime.options_models import SamplerOptions

    with replacing_errors(lambda said: ValueError(f"the runtime's Sampler cannot run {circuit.name!r}: {said}")):
        prepare([circuit], SamplerOptions(**sampler_options(options, [])), options["shots"], backend=backend)


def _randomizations(options: Mapping[str, Any]) -> tuple[int | str, int | str] | None:
    """Number of randomisations and shots of each, as requested from the runtime; None if it is not to twirl."""
    runtime = options.get("runtime", {}).get("twirling", {})  # older requests lack these options
    twirls = options.get("twirls", 1)
    if options.get("twirling") != "server" or (twirls == 1 and not runtime):
        return None
    number = runtime.get("num_randomizations", twirls if twirls > 1 else "auto")
    return number, runtime.get("shots_per_randomization", "auto")


def _look_up(given: Mapping[str, Any], name: str) -> Any:
    """Look up "group.option" in nested options; `_UNSET` if it is missing."""
    value: Any = given
    for part in name.split("."):
        value = value.get(part, _UNSET) if isinstance(value, Mapping) else _UNSET
    return value
