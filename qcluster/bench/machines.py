"""Run one task on a fake machine, or on a toy machine with independent bit flips."""

import re
import time
from collections.abc import Collection, Iterable
from dataclasses import asdict, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.bench.circuits import Case
from qcluster.bench.sample import Sample, run_figures
from qcluster.bench.tasks import REFERENCE, Campaign, Task, find_case
from qcluster.core.counts.distribution import Distribution
from qcluster.files import is_number

if TYPE_CHECKING:
    from qcluster.device.run import Run


TOY = "flips:"
"""Prefix of the name of a toy machine, followed by its flip rate."""


def run_task(task: Task, case: Case | None = None) -> Sample:
    """Run a task and return its shots.

    The machine ``flips:RATE`` samples the ideal output and flips every bit with that probability, in microseconds.
    Names such as ``FakeTorino`` or ``fake_torino`` are run by `qcluster.device.execute`; with ``+reference`` appended,
    together with a reference circuit for each circuit.

    Args:
        task: what to run.
        case: its case; by default the one that its name names.

    Raises:
        ValueError: the machine is unknown, or the rate of ``flips`` is not below one half.
        QClusterError: the run failed.
    """
    case = find_case(task.case) if case is None else case
    start = time.perf_counter()
    sample = _toy(task, case) if task.machine.startswith(TOY) else _device(task, case)
    return replace(sample, seconds=time.perf_counter() - start)


def check_distinct(campaign: Campaign) -> None:
    """Refuse a campaign in which some samples would be the same shots, or options would have no effect.

    Raises:
        ValueError: a toy machine is combined with several numbers of twirls, or with decoupling, which it ignores; or
            a machine is listed in two spellings.
    """
    toys = [name for name in campaign.machines if name.startswith(TOY)]
    ways = len(set(campaign.twirls)) * len(set(campaign.dd))
    if toys and ways > 1:
        raise ValueError(
            f"machine {toys[0]!r} knows no twirls and no dd, so that each of its samples would count {ways} times: "
            "give one value of each, or give the machine a campaign of its own"
        )
    sequences = [dd for dd in campaign.dd if dd]
    if toys and sequences:
        raise ValueError(
            f"machine {toys[0]!r} knows no dd, so that {sequences[0]!r} would have no effect: leave it out, or give "
            "the machine a campaign of its own"
        )
    spelled: dict[tuple[str, bool], str] = {}
    for name in campaign.machines:
        first = spelled.setdefault(_canonical_machine(name), name)
        if first != name:
            raise ValueError(f"machines must differ; {first!r} and {name!r} are one, whose samples would count twice")


def check_repeats(tasks: Iterable[Task], done: Collection[Task] = ()) -> None:
    """Refuse tasks whose shots would equal those of another task with another name, and so count twice.

    A circuit or machine that the folder has under another name is refused at other seeds, too: a report would take it
    for another one. The published table has one circuit twice; its tasks are allowed.

    Args:
        tasks: tasks to run.
        done: tasks whose shots are already in the folder.

    Raises:
        ValueError: a case or a machine is spelled in two ways, or two cases are the same circuit.
    """
    seen = {_shots_key(task): task for task in done}
    names = {pair for task in done for pair in _names(task)}
    finished, spelled = set(done), dict(names)
    for task in tasks:
        if task in finished:
            continue
        first = seen.setdefault(_shots_key(task), task)
        if first != task and not _published_twice(task.case, first.case):
            place, cure = (" in this folder", "take another folder") if first in finished else ("", "leave one out")
            raise ValueError(
                f"each task must have its own shots; {task} ({task.identity}) has the shots of {first} "
                f"({first.identity}){place}, which would count twice: spell it as there, or {cure}"
            )
        for what, name in _names(task):
            known = spelled.get(what, name)
            if (what, name) not in names and name != known and not _published_twice(name, known):
                raise ValueError(
                    f"each circuit and machine must have one name; {name!r} is {known!r} in this folder, and a report "
                    "would count them as two: spell it as there, or take another folder"
                )


def _names(task: Task) -> tuple[tuple[object, str], ...]:
    """Return what circuit and machine of a task are, in any spelling, each with its name."""
    return (task.circuit, task.case), (_canonical_machine(task.machine), task.machine)


def _published_twice(*cases: str) -> bool:
    return all(case.startswith("paper/") for case in cases)


def _shots_key(task: Task) -> tuple[object, ...]:
    """Return everything that determines the shots of a task, with names of circuit and machine in one spelling."""
    toy = task.machine.startswith(TOY)
    options = ("", 1) if toy else (task.dd, task.twirls)
    return task.circuit, *_canonical_machine(task.machine), task.shots, task.seed, *options


def _canonical_machine(name: str) -> tuple[str, bool]:
    """Return one name for all spellings of a machine, and whether a reference runs on it."""
    from qcluster.device.machines.names import canonical

    rate = name.removeprefix(TOY)
    canonical_name = (
        f"{TOY}{float(rate)}" if name.startswith(TOY) and is_number(rate) else canonical(machine_name(name))
    )
    return canonical_name, name.endswith(REFERENCE)


def machine_name(name: str) -> str:
    """Return the name used by `qcluster.device`: ``fake_torino`` for ``FakeTorino``, with a reference or without.

    Example:
        >>> machine_name("FakeTorino+reference")
        'fake_torino'
    """
    name = name.removesuffix(REFERENCE)
    return re.sub(r"^Fake(?=[A-Z0-9])", "fake_", name).lower() if name.startswith("Fake") else name


def _toy(task: Task, case: Case) -> Sample:
    from qcluster.device.prepare import MOST_SHOTS

    try:
        rate = float(task.machine.removeprefix(TOY))
    except ValueError:
        rate = 1.0
    if not 0 <= rate < 0.5:
        raise ValueError(f"machine flips:RATE needs a rate in [0, 0.5); got {task.machine!r}")
    if task.shots > MOST_SHOTS:
        raise ValueError(
            f"shots must be at most {MOST_SHOTS:,} on machine {task.machine!r}, which keeps each of them; got "
            f"{task.shots:,}"
        )
    if case.ideal is None:
        raise ValueError(f"machine {task.machine!r} needs an ideal output, which {case.name} has not")
    rng = np.random.default_rng(task.seed)
    n_drawn = rng.multinomial(task.shots, case.ideal.probabilities)
    rows = np.repeat(case.ideal.bits, n_drawn, axis=0)
    counts = Distribution(rows ^ (rng.random(rows.shape) < rate), np.ones(len(rows)))
    readout = np.full((case.n_bits, 2), rate)
    return _sample(task, case, counts, readout=readout, expected_errors=rate * case.n_bits, rate=rate)


def _device(task: Task, case: Case) -> Sample:
    from qcluster.device.execute import execute

    backend = _backend(machine_name(task.machine))
    (run,) = execute(
        [case.circuit],
        backend,
        shots=task.shots,
        twirls=task.twirls,
        dd=task.dd or None,
        seed=task.seed,
        reference=task.reference,
    )
    return sample_of_run(task, case, run, dt=backend.dt)


@lru_cache(maxsize=8)
def _backend(name: str) -> Any:
    """Load a machine once per process; real machines are refused, since they cost money."""
    from qcluster.device.machines.machine import find_machine

    machine = find_machine(name)
    if machine.kind == "hardware":
        raise ValueError(
            f"{name} is a real machine: send the campaign there by `qcluster bench submit`, and fetch the results "
            "later by `qcluster bench collect`"
        )
    return machine.backend


def sample_of_run(task: Task, case: Case, run: "Run", *, dt: float | None = None) -> Sample:
    """Convert a run to a sample; `dt` is that of its backend, if the circuit was scheduled."""
    return _sample(task, case, run.counts, run=run, dt=dt, **run_figures(run))


def _sample(task: Task, case: Case, counts: Distribution, **known: Any) -> Sample:
    return Sample(
        identity=task.identity,
        case=task.case,
        family=case.family,
        machine=task.machine,
        counts=counts,
        ideal=case.ideal,
        edges=case.edges,
        facts={"task": asdict(task)},
        **known,
    )
