"""The runtime's own Sampler options, given as the runtime has them: checked here, and merged with what we set."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

_OURS = {
    "default_shots": "shots",
    "twirling.enable_gates": "twirling='server' with twirls",
    "twirling.enable_measure": "measure_twirl",
    "dynamical_decoupling.enable": "dd",
    "dynamical_decoupling.sequence_type": "dd",
    "simulator.seed_simulator": "seed",
    "environment.max_execution_time": "runtime={'max_execution_time': ...}",
}
"""What has a keyword of ours, which alone is asked: one thing is never said in two places."""

_UNSET = object()

SERVED_GROUPS = ("local_c1", "local_pauli")
"""Groups of which only the runtime draws."""


def check_runtime(given: Any) -> dict[str, Any]:
    """Check options as the runtime's Sampler takes them, or its own, and give what was set as a plain nested dict.

    Raises:
        TypeError: neither of these.
        ValueError: an option or a value that the runtime does not know, or one that a keyword of ours sets.

    Example:
        >>> check_runtime({"max_execution_time": 60})
        {'max_execution_time': 60}
    """
    if hasattr(given, "model_dump"):
        given = given.model_dump(exclude_defaults=True)
    if not isinstance(given, Mapping):
        raise TypeError(f"runtime must be a mapping of the runtime's Sampler options; got {type(given).__name__}")
    if not given:
        return {}
    for name, ours in _OURS.items():
        if _at(given, name) is not _UNSET:
            raise ValueError(f"runtime option {name!r} is set by {ours}: give it there")
    if given.get("simulator"):
        raise ValueError("runtime options of simulator are not taken: a simulation has the noise of its backend")
    meas_type = _at(given, "execution.meas_type")
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


def check_together(options: Mapping[str, Any]) -> None:
    """Check the runtime's options against ours, by name; ValueError where they do not go together."""
    runtime = options["runtime"]
    twirling = sorted(runtime.get("twirling", {}))
    if twirling and options["twirling"] != "server":
        raise ValueError(f"runtime options of twirling, here {twirling[0]!r}, go with twirling='server'")
    if options["group"] in SERVED_GROUPS and options["twirling"] != "server":
        raise ValueError(
            f"group={options['group']!r} is drawn by the runtime only, with twirling='server'; ours are pauli and "
            "balanced_pauli"
        )
    for name, usual in (("strategy", None), ("group", "pauli")):
        if name in twirling and options[name] != usual:
            raise ValueError(f"runtime option 'twirling.{name}' is set by {name}: leave one of them away")
    if "num_randomizations" in twirling and options["twirls"] > 1:
        raise ValueError("runtime option 'twirling.num_randomizations' is set by twirls: leave one of them away")
    if runtime.get("dynamical_decoupling") and options["dd"] is None:
        raise ValueError("runtime options of dynamical_decoupling go with dd, which names the sequence")


def served_shots(options: Mapping[str, Any]) -> int | None:
    """Shots of each circuit that the runtime's own twirling takes; None where it does not twirl.

    It gives each of its randomisations equal shots, and rounds up.
    """
    found = _randomizations(options)
    if found is None:
        return None
    from qiskit_ibm_runtime.executor.calculate_twirling_shots import calculate_twirling_shots

    many, each = calculate_twirling_shots(int(options["shots"]), *found)
    return int(many) * int(each)


def flips_served(options: Mapping[str, Any]) -> bool:
    """Tell whether the runtime's own twirling flips measurements."""
    return _randomizations(options) is not None and bool(options.get("measure_twirl", False))


def sampler_options(options: Mapping[str, Any], tags: list[str]) -> dict[str, Any]:
    """Merge ours and theirs into what the runtime's Sampler is given."""
    merged: dict[str, Any] = deepcopy(options["runtime"])
    found = _randomizations(options)
    twirling = merged.setdefault("twirling", {})
    twirling["enable_gates"] = found is not None
    twirling["enable_measure"] = found is not None and options["measure_twirl"]
    if found is not None:
        twirling["num_randomizations"], twirling["shots_per_randomization"] = found
        if options["strategy"] is not None:
            twirling["strategy"] = options["strategy"]
        if options["group"] != "pauli":
            twirling["group"] = options["group"]
    if options["dd"] is not None:
        merged.setdefault("dynamical_decoupling", {}).update(enable=True, sequence_type=options["dd"])
    environment = merged.setdefault("environment", {})
    environment["job_tags"] = [*tags, *environment.get("job_tags", [])]
    return merged


def _randomizations(options: Mapping[str, Any]) -> tuple[int | str, int | str] | None:
    """The runtime's number of randomisations and shots of each, or None where it is not to twirl."""
    own = options.get("runtime", {}).get("twirling", {})  # runs of before do not say
    twirls = options.get("twirls", 1)
    if options.get("twirling") != "server" or (twirls == 1 and not own):
        return None
    many = own.get("num_randomizations", twirls if twirls > 1 else "auto")
    return many, own.get("shots_per_randomization", "auto")


def _at(given: Mapping[str, Any], name: str) -> Any:
    """Look up "group.option"; `_UNSET` where it is not there."""
    value: Any = given
    for part in name.split("."):
        value = value.get(part, _UNSET) if isinstance(value, Mapping) else _UNSET
    return value
