"""Run one task: on a fake machine, or on a toy whose bits flip independently."""

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
"""Before the rate of a machine whose bits flip independently."""


def run_task(task: Task) -> Sample:
    """Run a task and return its shots.

    Machines: ``flips:RATE`` samples the ideal output and flips every bit with that probability, in microseconds;
    names such as ``FakeTorino`` or ``fake_torino`` go through `qcluster.device.execute`, and with ``+reference`` behind
    them, a reference circuit beside each circuit.

    Raises:
        ValueError: the machine's name is not known, or ``flips`` has no rate below one half.
        QClusterError: the run failed.
    """
    case = find_case(task.case)
    start = time.perf_counter()
    sample = _toy(task, case) if task.machine.startswith(TOY) else _device(task, case)
    return replace(sample, seconds=time.perf_counter() - start)


def check_distinct(campaign: Campaign) -> None:
    """Refuse a campaign of which some samples would be the same shots, counted as several, or not run as they say.

    Raises:
        ValueError: a machine that only flips bits has several twirls, or a decoupling, of which it knows nothing; or a
            machine stands there in two spellings.
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
            f"machine {toys[0]!r} knows no dd, so that {sequences[0]!r} would have no effect: leave it away, or give "
            "the machine a campaign of its own"
        )
    spelled: dict[tuple[str, bool], str] = {}
    for name in campaign.machines:
        first = spelled.setdefault(_known_machine(name), name)
        if first != name:
            raise ValueError(f"machines must differ; {first!r} and {name!r} are one, whose samples would count twice")


def check_repeats(tasks: Iterable[Task], done: Collection[Task] = ()) -> None:
    """Refuse tasks whose shots would be those of another task under another name, and count twice.

    The published table has one circuit twice; tasks of that stay.

    Args:
        tasks: to be run.
        done: whose shots are in the folder already.

    Raises:
        ValueError: a case or a machine is spelled in two ways, or two cases are one circuit.
    """
    there = {_shots_of(task): task for task in done}
    finished = set(done)
    for task in tasks:
        first = there.setdefault(_shots_of(task), task)
        published = all(one.case.startswith("paper/") for one in (first, task))
        if first != task and task not in finished and not published:
            place, cure = (" in this folder", "take another folder") if first in finished else ("", "leave one out")
            raise ValueError(
                f"samples must be of shots of their own; those of {task} ({task.identity}) are the shots of {first} "
                f"({first.identity}){place}, and would count twice: spell it as there, or {cure}"
            )


def _shots_of(task: Task) -> tuple[object, ...]:
    """Give what the shots of a task follow from, whatever its circuit and machine are called."""
    toy = task.machine.startswith(TOY)
    way = ("", 1) if toy else (task.dd, task.twirls)
    return task.circuit, *_known_machine(task.machine), task.shots, task.seed, *way


def _known_machine(name: str) -> tuple[str, bool]:
    """Give one name to all spellings of a machine, and whether a reference runs on it."""
    from qcluster.device.machines.names import canonical

    rate = name.removeprefix(TOY)
    known = f"{TOY}{float(rate)}" if name.startswith(TOY) and is_number(rate) else canonical(machine_name(name))
    return known, name.endswith(REFERENCE)


def machine_name(name: str) -> str:
    """Give the name that the device room knows: ``FakeTorino`` is ``fake_torino``, with a reference or without.

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
    drawn = rng.multinomial(task.shots, case.ideal.probabilities)
    rows = np.repeat(case.ideal.bits, drawn, axis=0)
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
    """Load a machine once per process; real ones cost money and are never run by the way."""
    from qcluster.device.machines.machine import find_machine

    machine = find_machine(name)
    if machine.kind == "hardware":
        raise ValueError(f"{name} is a real machine: submit the campaign to it, and collect the results later")
    return machine.backend


def sample_of_run(task: Task, case: Case, run: "Run", *, dt: float | None = None) -> Sample:
    """Keep what a `Run` of the device room knows; `dt` is its backend's, if the circuit was scheduled."""
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
