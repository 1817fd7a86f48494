"""The settings of a campaign, and its division into tasks."""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from qcluster.bench.circuits import Case, make_case, names_of_suite, read_cases
from qcluster.bench.methods import check_methods
from qcluster.bench.table import check_text
from qcluster.core.checks import check_choice
from qcluster.core.words import plural, short_repr, suggestion
from qcluster.device.circuits.schedule import DECOUPLING
from qcluster.device.request import MOST, check_twirls
from qcluster.errors import StorageError
from qcluster.files import read_whole

REFERENCE = "+reference"
"""Suffix of a machine's name: each circuit runs together with its reference circuit."""
_LISTS = {"machines": str, "shots": int, "twirls": int, "dd": str, "seeds": int, "methods": str}


@dataclass(frozen=True)
class Task:
    """One circuit run on one machine in one way; methods that score it are not part of a task."""

    case: str
    """Name of the case, see `make_case`, or ``file:PATH#k`` for the k-th circuit of a user's file."""
    circuit: str
    """Fingerprint of the circuit."""
    machine: str
    """``FakeTorino`` and other fakes, ``flips:RATE`` (independent flips, no compiler), or the name of a real machine;
    followed by `REFERENCE` if a reference circuit runs with the circuit."""
    shots: int
    """Total number of shots of all twirls."""
    twirls: int
    """Number of twirled circuits that share the shots; 1 runs the circuit without twirling."""
    dd: str
    """Sequence of dynamical decoupling, such as ``XX``; empty for none."""
    seed: int
    """Seed of the compiler, the twirls and the simulator."""

    def __str__(self) -> str:
        twirls = plural(self.twirls, "twirl") + (f", {self.dd}" if self.dd else "")
        return f"{self.case} on {self.machine}, {plural(self.shots, 'shot')}, {twirls}, seed {self.seed}"

    @property
    def reference(self) -> bool:
        """Whether a reference circuit runs with the circuit."""
        return self.machine.endswith(REFERENCE)

    @property
    def identity(self) -> str:
        """Hash of the content (16 hexadecimal digits): equal tasks have the same identity in every campaign."""
        return hashlib.sha256(json.dumps(vars(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Campaign:
    """A list of cases, combined with machines, shots, twirls, decoupling and seeds; and the methods to score.

    Raises:
        ValueError: a list is empty or holds values of another type; or a number or name cannot be run or scored.
    """

    name: str
    """Title of the report."""
    cases: tuple[str, ...]
    """Names of cases."""
    machines: tuple[str, ...]
    """Names of machines."""
    shots: tuple[int, ...] = (8192,)
    """Numbers of shots."""
    twirls: tuple[int, ...] = (16,)
    """Numbers of twirls."""
    dd: tuple[str, ...] = ("",)
    """Decoupling sequences."""
    seeds: tuple[int, ...] = (0,)
    """Seeds; each is a repetition with another compilation, other twirls and other shots."""
    methods: tuple[str, ...] = ("identity", "hammer")
    """Methods to score."""
    description: str = ""
    """One or two sentences below the title."""

    def __post_init__(self) -> None:
        for name in ("name", "description"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be text; got {short_repr(getattr(self, name))}")
        for name, kind in (("cases", str), *_LISTS.items()):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not all(type(value) is kind for value in values):
                raise ValueError(f"{name} must be a tuple of {kind.__name__}; got {values!r}")
            if not values:
                raise ValueError(f"a campaign needs {name}; got none")
            for value in values:
                check_text(name, str(value))
        for name, least in (("shots", 1), ("twirls", 1), ("seeds", 0)):
            low = [value for value in getattr(self, name) if value < least]
            if low:
                raise ValueError(f"{name} must be {least} or more; got {low[0]}")
        if max(self.shots) > MOST:
            raise ValueError(f"shots must be at most {MOST:,}; got {max(self.shots):,}")
        check_twirls(max(self.twirls), min(self.shots))
        for sequence in filter(None, self.dd):
            check_choice("dd", sequence, DECOUPLING)
        check_methods(self.methods)

    def tasks(self) -> Iterator[Task]:
        """Yield the tasks machine by machine, so that the noise model of each machine is built once.

        Raises:
            ValueError: a case cannot be built.
        """
        grid = product(self.machines, self.shots, self.twirls, self.dd, self.seeds, self.cases)
        for machine, shots, twirls, dd, seed, name in grid:
            yield Task(name, find_case(name).fingerprint, machine, shots, twirls, dd, seed)


@lru_cache(maxsize=4096)
def find_case(name: str) -> Case:
    """Build a case from its name, once per process.

    Raises:
        ValueError, StorageError: there is no such case, or its file cannot be read.
    """
    if not name.startswith("file:"):
        return make_case(name)
    path, _, number = name.removeprefix("file:").rpartition("#")
    if not path:
        raise ValueError(f"case {name!r} must be file:PATH#k, for the k-th circuit of a file, from 0: {name}#0")
    cases = cases_of_file(path)
    if not (number.isascii() and number.isdigit() and int(number[:9]) < len(cases)):
        raise ValueError(f"case {name!r} must end in #k, k in 0..{len(cases) - 1} for the circuits of {path}")
    return cases[int(number)]


@lru_cache(maxsize=16)
def cases_of_file(path: str) -> list[Case]:
    """Read a file once for all its circuits, since each is simulated."""
    return read_cases(path)


def locate(name: str, folder: Path) -> str:
    """Return the name of a case with the present place of its file.

    A file that has gone from its place may have moved along with the folder of its campaign: then it is the nearest one
    of that name in the folder or above it, there also in folders below as before. Whether it holds the circuit that ran
    is for `find_as_run` to check.
    """
    path, _, number = name.removeprefix("file:").rpartition("#")
    if not name.startswith("file:") or Path(path).exists():
        return name
    folder, parts = folder.resolve(), Path(path).parts[1:]
    places = (Path(place, *parts[k:]) for place in (folder, *folder.parents) for k in range(len(parts)))
    return next((f"file:{place.resolve()}#{number}" for place in places if place.is_file()), name)


def as_stored(tasks: Iterable[Task], stored: Iterable[Task]) -> dict[Task, str]:
    """Give each circuit of a file the name that it has in a campaign's folder, also if its file had another place then.

    Otherwise its tasks would be taken for new ones once the file was moved, or copied along with the folder.

    Returns:
        The tasks, each with the name of its case that has the present place of the file.
    """

    def key(task: Task) -> tuple[str, str]:
        return task.circuit, Path(task.case).name

    names = {key(task): task.case for task in stored if task.case.startswith("file:")}
    return {replace(task, case=names.get(key(task), task.case)): task.case for task in tasks}


_KEYS = {"name", "description", "suites", "cases", "families", "widths", "files", "exclude", *_LISTS}


def read_campaign(path: str | Path) -> Campaign:
    """Read a campaign from a TOML file.

    Keys: ``name`` and ``description``, for the report; the circuits: ``suites``, ``cases``, ``families`` with
    ``widths``, ``files`` (or ``file:PATH#k`` among the cases, for the k-th circuit of a file), without those in
    ``exclude``; how to run them: ``machines``, ``shots``, ``twirls``, ``dd`` (false, true for XX, or a sequence),
    ``seeds``; and ``methods``. Paths are relative to the TOML file. A single value counts as a list of one.

    Raises:
        StorageError: the file cannot be read.
        ValueError: an unknown key or name, or a value of the wrong kind.
    """
    path = Path(path)
    try:
        content = tomllib.loads(read_whole(path).decode("utf-8-sig"))  # some editors begin files with a byte order mark
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read the campaign {path}: {getattr(error, 'strerror', None) or error}") from error
    return parse_campaign(content, path.parent, path.stem)


def parse_campaign(content: Mapping[str, Any], folder: Path = Path(), title: str = "campaign") -> Campaign:
    """Check the keys and values of a campaign; see `read_campaign`."""
    unknown = sorted(content.keys() - _KEYS)
    if unknown:
        known = sorted(_KEYS)
        raise ValueError(
            f"unknown key {unknown[0]!r} in the campaign; there are {', '.join(known)}{suggestion(unknown[0], known)}"
        )
    lists = {key: _list(content, key, kind) for key, kind in _LISTS.items() if key in content}
    if not lists.get("machines"):
        raise ValueError('a campaign needs machines, such as machines = ["FakeTorino"]')
    cases = _cases(content, folder)
    if not cases:
        raise ValueError("a campaign needs suites, cases, families with widths, or files; got none that is left")
    name, description = content.get("name", title), content.get("description", "")
    return Campaign(name=name, cases=tuple(cases), description=description, **lists)


def _cases(content: Mapping[str, Any], folder: Path) -> list[str]:
    suites = [names_of_suite(suite) for suite in _list(content, "suites", str)]
    names = [name for suite in suites for name in suite]
    names += [_placed(name, folder) for name in _list(content, "cases", str)]
    families, widths = _list(content, "families", str), _list(content, "widths", int)
    if bool(families) != bool(widths):
        raise ValueError(f"families and widths go together; got families {list(families)} and widths {list(widths)}")
    names += [f"{f}:{n}" for f, n in product(families, widths)]
    find_case.cache_clear()  # a file may have been edited since an earlier campaign
    cases_of_file.cache_clear()
    for file in _list(content, "files", str):
        place = (folder / file).resolve()
        names += [f"file:{place}#{k}" for k in range(len(cases_of_file(str(place))))]
    excluded = {_placed(name, folder) for name in _list(content, "exclude", str)}
    absent = sorted(excluded - set(names))
    if absent:
        raise ValueError(f"exclude must name cases of the campaign; {absent[0]!r} is none")
    repeated = _repeated_circuits([[name for name in suite if name not in excluded] for suite in suites])
    return [name for name in dict.fromkeys(names) if name not in excluded | repeated]


def _placed(name: str, folder: Path) -> str:
    """Return the name of a case; if it is that of a circuit in a file, with the absolute path."""
    path, _, number = name.removeprefix("file:").rpartition("#")
    return f"file:{(folder / path).resolve()}#{number}" if path and name.startswith("file:") else name


def _repeated_circuits(suites: Sequence[Sequence[str]]) -> set[str]:
    """Return the circuits of a suite that an earlier suite has under another name, so that each is run once."""
    repeated: set[str] = set()
    if len(suites) < 2:
        return repeated
    before: dict[str, str] = {}
    for suite in suites:
        prints = {name: find_case(name).fingerprint for name in suite}
        repeated |= {name for name, circuit in prints.items() if before.get(circuit, name) != name}
        before = {circuit: name for name, circuit in prints.items()} | before
    return repeated


def _list(content: Mapping[str, Any], key: str, kind: type) -> tuple[Any, ...]:
    value = content.get(key, ())
    values = list(value) if isinstance(value, list | tuple) else [value]
    if key == "dd":
        values = [{True: "XX", False: ""}.get(item, item) if isinstance(item, bool) else item for item in values]
    wrong = [item for item in values if not isinstance(item, kind) or isinstance(item, bool)]
    if wrong:
        raise ValueError(f"{key} must hold {kind.__name__} values; got {wrong[0]!r}")
    return tuple(values)
