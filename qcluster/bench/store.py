"""The folder of a campaign: shots that are stored once and never edited, and append-only tables."""

import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path

from qcluster.bench.circuits import Case
from qcluster.bench.sample import Sample, calibration_path, is_intact, unpack_sample
from qcluster.bench.scores import BAR_COLUMNS, FIGURES, SCORE_COLUMNS
from qcluster.bench.table import Table, read_rows
from qcluster.bench.tasks import Task, find_case, locate
from qcluster.errors import StorageError
from qcluster.files import is_number
from qcluster.folders import folder_path, lock_folder, read_managed, write_managed

RUN_COLUMNS = (
    *("task", "case", "circuit", "machine", "shots", "twirls", "dd", "seed", "n_bits", "n_outcomes", "seconds"),
)
JOB_COLUMNS = ("task", "case", "circuit", "machine", "shots", "twirls", "dd", "seed", "submitted")
RECORD_COLUMNS = ("task", "fingerprint")


@dataclass(frozen=True)
class Outcome:
    """What a worker process returns: everything that has to be written."""

    label: str
    """Text for a progress bar."""
    task: Task | None = None
    """The task that was run; None if there are only scores."""
    shots: bytes = b""
    """The packed sample."""
    calibration: tuple[str, bytes] | None = None
    """Identity and text of the calibration."""
    scores: tuple[dict[str, object], ...] = ()
    """Rows of scores."""
    bars: tuple[dict[str, object], ...] = ()
    """Rows of the most likely strings, for drawings."""
    n_bits: int = 0
    """Number of classical bits."""
    n_outcomes: int = 0
    """Number of distinct strings."""
    seconds: float = 0.0
    """Duration of the run, in seconds."""
    error: str = ""
    """Why the task failed; empty if it did not."""


class Store:
    """Write to a campaign's folder, one process at a time.

    ``shots/ID.json.gz`` holds the shots of a task, ``calibrations/ID.json`` the calibration of a machine on one day,
    ``runs.csv`` a row for each task, ``scores.csv`` a row for each task and method, ``bars.csv`` the most likely
    strings for each of these, ``jobs.csv`` the tasks sent to real machines, and ``records.csv`` the fingerprints of
    samples, ideals and gates from elsewhere. Shots are written completely before their row, so that every row has its
    shots, and are never edited.

    Raises:
        StorageError: the folder cannot be written to, or another process is writing to it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = folder_path(folder)
        inner = "shots", "calibrations", "jobs"
        self._lock = lock_folder(self.folder, f"another process is writing to {self.folder}", *inner)
        try:
            self.runs = Table(self.folder / "runs.csv", RUN_COLUMNS)
            self.scores = Table(self.folder / "scores.csv", SCORE_COLUMNS)
            self.bars = Table(self.folder / "bars.csv", BAR_COLUMNS)
            self.jobs = Table(self.folder / "jobs.csv", JOB_COLUMNS)
            self.records = Table(self.folder / "records.csv", RECORD_COLUMNS)
            if self.bars.path.exists():
                self._drop_unscored_bars()
        except StorageError:
            self._lock.close()
            raise

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def _drop_unscored_bars(self) -> None:
        """Drop drawings without scores, which a killed process left; scoring again draws them again."""
        scored = self.scored()
        self.bars.keep(lambda row: (row["task"], row["method"]) in scored)

    def done(self) -> list[Task]:
        """Return the tasks whose shots are in the folder, oldest first."""
        return [_task(row, self.runs.path) for row in self.runs.rows()]

    def submitted(self) -> list[Task]:
        """Return the tasks that were sent to real machines, oldest first."""
        return [_task(row, self.jobs.path) for row in self.jobs.rows()]

    def note_submission(self, task: Task) -> None:
        """Record that a task is about to be sent, and when."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.jobs.append([{"task": task.identity, **asdict(task), "submitted": now}])

    def scored(self) -> set[tuple[str, str]]:
        """Return the pairs of task and method that have a score."""
        return set(self.statuses())

    def statuses(self) -> dict[tuple[str, str], str]:
        """Return the status (ok, skipped or failed) of each pair of task and method that has a score."""
        return {(row["task"], row["method"]): row["status"] for row in self.scores.rows()}

    def check_prints(self, prints: Mapping[str, str], scored: Container[str], refusal: Callable[[str], str]) -> None:
        """Refuse samples from elsewhere, and ideals and gates from a user's files, that have changed since scoring.

        The identity of a task and the name of a method do not cover these.

        Args:
            prints: fingerprints by identity.
            scored: identities that have scores.
            refusal: returns the error message for an identity.

        Raises:
            StorageError: a fingerprint has changed.
        """
        stored = self._read_prints()
        for identity, new in prints.items():
            if identity in scored and stored.get(identity, new) != new:
                raise StorageError(refusal(identity))

    def note_prints(self, prints: Mapping[str, str]) -> None:
        """Record the fingerprints of what is scored, by identity."""
        stored = self._read_prints()
        changed = [(identity, new) for identity, new in prints.items() if stored.get(identity) != new]
        rows = [{"task": identity, "fingerprint": new} for identity, new in changed]
        if rows:
            self.records.append(rows)

    def _read_prints(self) -> dict[str, str]:
        return {row["task"]: row["fingerprint"] for row in self.records.rows()}

    def forget_scores(self, methods: Container[str], tasks: Container[str] | None = None) -> None:
        """Delete scores and drawings of some methods, so that they are computed again; ``scores.csv.old`` keeps them.

        Args:
            methods: names of methods.
            tasks: identities of the tasks to score again; None for all.
        """

        def is_kept(row: Mapping[str, str]) -> bool:
            return row["method"] not in methods or (tasks is not None and row["task"] not in tasks)

        old = self.scores.path.with_suffix(".csv.old")
        self.scores.keep(is_kept, old=old, key=("task", "method"))
        self.bars.keep(is_kept)

    def rename(self, names: Mapping[str, Mapping[str, str]]) -> None:
        """Write the present case, family and machine of samples, by identity, into their scores.

        Otherwise a report would count a sample twice if some methods scored it before a change of names, others after.
        """
        self.scores.update(lambda row: names.get(row["task"], {}))

    def add(self, outcome: Outcome) -> None:
        """Write what a worker returned: shots, row and scores, in this order."""
        if outcome.calibration is not None:
            self._keep_calibration(*outcome.calibration)
        if outcome.task is not None and outcome.shots:
            # shots without a row were left by a killed process, and have no scores
            write_managed(shots_path(self.folder, outcome.task.identity), outcome.shots)
            row = {"task": outcome.task.identity, **asdict(outcome.task), "n_bits": outcome.n_bits}
            self.runs.append([row | {"n_outcomes": outcome.n_outcomes, "seconds": outcome.seconds}])
        if outcome.bars:
            self.bars.append(outcome.bars)
        if outcome.scores:
            self.scores.append(outcome.scores)

    def _keep_calibration(self, identity: str, text: bytes) -> None:
        """Write a calibration, unless it is there and intact."""
        path = calibration_path(self.folder / "calibrations", identity)
        with suppress(OSError, ValueError):
            if is_intact(read_managed(path), identity):
                return
        write_managed(path, text)


def shots_path(folder: Path, identity: str) -> Path:
    """Return the path of the shots of a task."""
    return folder / "shots" / f"{identity}.json.gz"


def load_sample(folder: Path, identity: str) -> Sample:
    """Read the shots of a task, with the ideal output of its case.

    Raises:
        StorageError: the file is missing or damaged, or the circuit of the case has changed since the run.
    """
    path = shots_path(folder, identity)
    try:
        sample = unpack_sample(read_managed(path), folder / "calibrations", None)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except StorageError as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    task = sample.facts.get("task")
    circuit = task.get("circuit") if isinstance(task, dict) else None
    case = find_as_run(locate(sample.case, folder), circuit, identity)
    return replace(sample, ideal=case.ideal)


def find_as_run(name: str, circuit: str | None, identity: str) -> Case:
    """Build the case of a task, and check that its circuit is still the one that was to run.

    Raises:
        StorageError: the circuit has changed, or its file cannot be read.
        ValueError: the case no longer exists.
    """
    case = find_case(name)
    if circuit != case.fingerprint:
        raise StorageError(
            f"{name} is a different circuit now than when {identity} was planned: its ideal does not fit"
        )
    return case


def read_tasks(folder: str | Path) -> list[Task]:
    """List the tasks whose shots are in a folder, without locking it."""
    path = Path(folder) / "runs.csv"
    return [_task(row, path) for row in read_rows(path, RUN_COLUMNS)]


def read_scores(folder: str | Path) -> list[dict[str, str]]:
    """List the scores in a folder, without locking it.

    Raises:
        StorageError: a table is damaged, or has something else where a number must be.
    """
    path = Path(folder) / "scores.csv"
    rows = read_rows(path, SCORE_COLUMNS)
    for number, row in enumerate(rows, 1):
        for name in FIGURES:
            needed = name == "n_bits" or (name == "seconds" and row["status"] == "ok")
            if (row[name] or needed) and not (row[name].isdecimal() if name == "n_bits" else _is_finite(row[name])):
                kind = "a whole number" if name == "n_bits" else "a number"
                raise StorageError(f"row {number} of {path} must have {kind} as {name}; got {row[name]!r:.60}")
        fidelity = row["hellinger_fidelity"]
        if fidelity and not 0 <= float(fidelity) <= 1:
            raise StorageError(
                f"row {number} of {path} must have a number from 0 to 1 as hellinger_fidelity; got {fidelity!r:.60}"
            )
    return rows


def _is_finite(text: str) -> bool:
    return is_number(text) and isfinite(float(text))


def load_samples(folder: str | Path) -> Iterator[Sample]:
    """Yield every sample of a folder, oldest first."""
    for task in read_tasks(folder):
        yield load_sample(Path(folder), task.identity)


def missing(tasks: Iterable[Task], methods: Iterable[str], scored: set[tuple[str, str]]) -> dict[Task, tuple[str, ...]]:
    """Return the methods that have not scored each task; tasks scored by all are left out."""
    wanted = tuple(methods)
    with_identity = ((task, task.identity) for task in tasks)
    lacking = {task: tuple(m for m in wanted if (identity, m) not in scored) for task, identity in with_identity}
    return {task: names for task, names in lacking.items() if names}


def _task(row: dict[str, str], path: Path) -> Task:
    try:
        return Task(
            case=row["case"],
            circuit=row["circuit"],
            machine=row["machine"],
            shots=int(row["shots"]),
            twirls=int(row["twirls"]),
            dd=row["dd"],
            seed=int(row["seed"]),
        )
    except ValueError as error:
        raise StorageError(f"the row of {row['task']:.60} in {path} is damaged: {error}") from error
