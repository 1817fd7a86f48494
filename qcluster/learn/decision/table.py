"""The table that the decision is trained on: a Gram matrix, features and a label for every case."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Singles
from qcluster.core.counts.bits import unique_words
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision import candidates, circuit_candidates, circuit_features
from qcluster.core.decision.decide import Decision, decide_steps
from qcluster.core.decision.features import features
from qcluster.core.decision.gate import shipped
from qcluster.core.lockstep import run_all, run_one
from qcluster.core.sparse.model import WIDEST_WHOLE_REGISTER
from qcluster.errors import StorageError
from qcluster.files import (
    check_place,
    ideals_beside,
    open_arrays,
    pack_arrays,
    read_ideals,
    read_lines,
    read_pair,
    replace_whole,
)
from qcluster.learn.decision import cases, circuits, clouds, references
from qcluster.learn.decision.cases import Case
from qcluster.learn.decision.ideals import FAMILIES
from qcluster.workers import spread

SOURCES: dict[str, Callable[[int], Case]] = {
    "full": cases.full,
    "wide": cases.wide,
    "sharp": cases.sharp,
    "loose": cases.loose,
    "deep": cases.deep,
    "smooth": cases.smooth,
    "plain": cases.plain,
    "turned": cases.turned,
    "near": cases.near,
    "near-on-few": cases.near_on_few,
    "clouds": clouds.wide,
    "clouds-on-few": clouds.on_few,
    "chains": circuits.chains,
    "faint": cases.faint,
    "tails": cases.tails,
    "circuit": circuits.drawn,
    "circuit-wide": circuits.wide,
    "circuit-clean": circuits.clean,
    "circuit-right": circuits.right,
    "circuit-sharp": circuits.sharp,
    "circuit-tails": circuits.tails,
    "circuit-own": circuits.own,
    "circuit-smooth": circuits.smooth,
    "circuit-foreign": circuits.foreign,
    "circuit-foreign-wide": circuits.foreign_wide,
    "circuit-clouds": clouds.of_circuit,
    "circuit-measured": references.measured,
}
"""Sources of drawn cases: each is a function from a seed to a case."""
_DRAWN = ("wide-", "foreign-", "redrawn-")
"""Prefixes of groups of drawn cases; other such groups have the name of a family of ideals or of a source."""
_OF_CIRCUITS = ("circuit-", "runs-")
"""Prefixes of the files of a table of circuits."""
_OTHER_CANDIDATES = "other candidates than there are now: build the table again"
_PART = 250
"""Cases in each file of a table."""


@dataclass(frozen=True, eq=False)
class Table:
    """Cases, one in each of r rows, with c candidates and f features."""

    names: tuple[str, ...]
    """Names of the candidates."""
    gram: Singles
    """``(r, c + 1, c + 1)`` overlaps of the square roots of the candidates and, in the last place, of the ideal."""
    features: Singles
    """``(r, f)`` features, without the user's expectation."""
    present: NDArray[np.bool_]
    """``(r, c)`` whether the case has each candidate."""
    sparse: NDArray[np.bool_]
    """``(r,)`` whether a user would expect few strings."""
    group: NDArray[np.str_]
    """``(r,)`` family of the ideal, or name of the recorded set."""
    kind: NDArray[np.str_]
    """``(r,)`` kind of noise, or machine."""
    n_bits: NDArray[np.int64]
    """``(r,)`` number of bits."""
    shots: Floats
    """``(r,)`` number of shots."""

    def __len__(self) -> int:
        return len(self.group)

    def take(self, rows: Any) -> "Table":
        """Return a table of some of the rows."""
        return Table(self.names, *(getattr(self, name)[rows] for name in COLUMNS))

    @property
    def drawn(self) -> NDArray[np.bool_]:
        """``(r,)`` which rows were drawn, as opposed to recorded."""
        return _are_drawn(self.group)

    @property
    def digest(self) -> str:
        """Hash of the content, 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for name in COLUMNS:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()[:16]


def _are_drawn(groups: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Return which groups consist of drawn cases, by their names."""
    names = np.isin(groups, [*FAMILIES, "sharp", "faint", "tails", "near", "clouds", "own", "smooth", "chains"])
    return np.asarray(names | np.any([np.char.startswith(groups, start) for start in _DRAWN], axis=0))


COLUMNS = tuple(field.name for field in fields(Table))[1:]
"""Arrays of a table, with one row for each case."""


def joined(tables: Sequence[Table]) -> Table:
    """Concatenate tables of the same candidates.

    Raises:
        ValueError: there are no tables, or they differ in their candidates or their number of features.
    """
    kinds, described = {table.names for table in tables}, sorted({table.features.shape[1] for table in tables})
    if len(kinds) != 1:
        raise ValueError(f"tables must be of one kind, of counts or of circuits; got {len(kinds)} kinds")
    if len(described) != 1:
        raise ValueError(f"tables must have equally many features; got {described}: build all parts by one version")
    (names,) = kinds
    return Table(names, *(np.concatenate([getattr(t, name) for t in tables]) for name in COLUMNS))


def tabulate(many: Iterable[Case]) -> Table:
    """Compute the table of some cases, all with their circuit or all without.

    The candidate "counts alone" of known circuits is the answer of the gates that ship. A gate is too good on counts
    that it was trained on, so records of circuits should not be those of its training.

    Cost: that of the candidates, some 10 ms for each case.

    Raises:
        ValueError: there are no cases.
    """
    all_cases = list(many)
    if not all_cases:
        raise ValueError("a table needs at least one case, counts with their ideal; got none")
    rows = [_row(*pair) for pair in zip(all_cases, _decide_counts(all_cases), strict=True)]
    first = rows[0][0]
    return Table(first, *(np.array(column) for column in list(zip(*rows, strict=True))[1:]))


def _decide_counts(many: Sequence[Case]) -> Iterator[Decision | None]:
    """Mitigate the counts of known circuits as if the circuit were unknown.

    Small counts are mitigated together. Consecutive cases with the same counts, which differ in their calibration,
    share the work.
    """
    small = {
        id(case.counts): case.counts
        for case in many
        if case.faults is not None and case.counts.n_bits <= WIDEST_WHOLE_REGISTER
    }
    decided = dict(zip(small, run_all([decide_steps(d, None, None, None) for d in small.values()]), strict=True))
    last: tuple[Distribution, Decision] | None = None
    for case in many:
        if case.faults is None or id(case.counts) in decided:
            yield decided.get(id(case.counts))
            continue
        if last is None or last[0] is not case.counts:
            last = case.counts, run_one(decide_steps(case.counts, None, None, None))
        yield last[1]


def _row(case: Case, by_counts: Decision | None) -> tuple[Any, ...]:
    gathered: candidates.Candidates | circuit_candidates.Candidates
    if case.faults is None:
        names, gathered = candidates.NAMES, candidates.gather(case.counts, case.known)
        x = features(case.counts, gathered, case.known)
    else:
        faults = case.faults.allowed_by(case.counts)
        names, gathered = circuit_candidates.NAMES, circuit_candidates.gather(case.counts, faults, by_counts)
        x = circuit_features.features(case.counts, faults, gathered)
    words = gathered.support.words
    gram = np.zeros((len(names) + 1, len(names) + 1))
    gram[:-1, :-1] = gathered.gram
    _, place = unique_words(np.vstack([words, case.ideal.words]))
    support, sent = place[: len(words)], place[len(words) :]
    root = np.zeros(place.max() + 1)
    root[sent] = np.sqrt(case.ideal.probabilities)
    gram[-1, :-1] = gram[:-1, -1] = gathered.roots @ root[support]
    gram[-1, -1] = 1.0
    size = case.counts.n_bits, case.counts.shots
    about = case.sparse, case.family, case.kind, *size
    return names, gram.astype(np.float32), x.astype(np.float32), gathered.present, *about


def write(table: Table, path: Path, source: str = "", gate: str = "") -> None:
    """Save a table as arrays, completely or not at all.

    Args:
        table: the cases.
        path: the file.
        source: hash of the records that the cases were read from, see `_hash`.
        gate: digests of the gates that the rows depend on, see `_gate_digests`.

    Raises:
        StorageError: it cannot be written; an earlier file of that name is unchanged.
    """
    arrays: dict[str, Any] = {name: getattr(table, name) for name in COLUMNS} | {"names": np.array(table.names)}
    arrays["gram"] = table.gram[:, *np.triu_indices(len(table.names) + 1)]
    try:
        replace_whole(path, pack_arrays(arrays | {"source": np.array(source), "gate": np.array(gate)}))
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; what was saved before is intact") from error


def read(path: Path) -> Table:
    """Read one file of a table.

    Raises:
        StorageError: the file cannot be read, is damaged, is not part of a table, or has outdated candidates.
    """
    if not path.is_file():
        raise StorageError(f"there is no file {path}")
    with _opened(path) as arrays:
        names = tuple(arrays["names"].tolist())
        packed, rest = arrays["gram"], {name: arrays[name] for name in COLUMNS if name != "gram"}
    if names not in (candidates.NAMES, circuit_candidates.NAMES):
        raise StorageError(f"{path} holds {_OTHER_CANDIDATES}")
    upper = np.triu_indices(len(names) + 1)
    lengths = {name: len(column) if column.ndim else None for name, column in (("gram", packed), *rest.items())}
    if len(set(lengths.values())) != 1 or packed.shape[1:] != upper[0].shape or rest["features"].ndim != 2:
        raise StorageError(f"{path} must hold one row a case in every column; got {lengths}: build this part again")
    if _is_outdated(names, rest["n_bits"], rest["present"]):
        raise StorageError(f"{path} holds {_OTHER_CANDIDATES}")
    gram = np.zeros((len(packed), len(names) + 1, len(names) + 1), np.float32)
    gram[:, *upper] = packed
    gram[:, upper[1], upper[0]] = packed
    return Table(names=names, gram=gram, **rest)


def _is_outdated(names: tuple[str, ...], n_bits: NDArray[np.int64], present: NDArray[np.bool_]) -> bool:
    """Return whether rows are of an earlier version: of other candidates, or wide counts without a new candidate."""
    if names != candidates.NAMES:
        return names != circuit_candidates.NAMES
    return not present[n_bits > candidates.WIDEST, candidates.FIXED].all()


def read_all(folder: Path) -> Table:
    """Read all files of a table.

    Raises:
        StorageError: a file cannot be read, or there are none.
        ValueError: the files are of several kinds.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise StorageError(f"{folder} must hold parts of a table, from `qcluster decision build`; found no .npz")
    return joined([read(path) for path in paths])


def plan(folder: Path, many: Mapping[str, int], records: Sequence[Path] = ()) -> list[tuple[str, Any, int, Path]]:
    """List the missing parts of a table: source, number of cases or file of records, first seed, and file to write.

    Recorded sets come first. Drawn cases of all sources follow in equal proportion, so that a table stopped early has
    the same mix. A part is built again in these cases:

    - it has fewer cases than it should, because it was the last part of a smaller table;
    - its records, or the ideals beside them, have changed;
    - it has known circuits, and the candidate "counts alone" is from other gates than the shipped ones, or from unknown
      ones;
    - it is of an earlier version with other candidates or features.

    Raises:
        ValueError: the folder holds a table of the other kind, of counts or of circuits; two files of records have the
            same name, so that one would replace the other; or a file has the name of a group of drawn cases, so that
            its rows would be mistaken for these.
        StorageError: an existing part, or the records of a part, cannot be read.
    """
    parts = _parts(folder, many, records)
    n_features = _n_features("circuit" if any(source.startswith("circuit") for source in many) else "sharp")
    return [part for part in parts if _is_missing(*part, n_features)]


def others(folder: Path, many: Mapping[str, int], records: Sequence[Path]) -> list[Path]:
    """List the files in the folder of a table that are not parts of these cases and records, but of earlier ones.

    They belong to the table: `read_all` reads them. See `plan` for what is raised.
    """
    return sorted({*folder.glob("*.npz")} - {path for *_, path in _parts(folder, many, records)})


def _parts(folder: Path, many: Mapping[str, int], records: Sequence[Path]) -> list[tuple[str, Any, int, Path]]:
    """List all parts of a table, in the order of `plan`, after its checks of folder and names."""
    parts: list[tuple[float, tuple[str, Any, int, Path]]] = []
    of_circuits = any(source.startswith("circuit") for source in many)
    read = "runs" if of_circuits else "records"
    _check_kind(folder, of_circuits)
    _check_names(records, read)
    for path in records:
        parts.append((-1.0, (read, path, 0, folder / f"{read}-{_name(path)}.npz")))
    for source, wanted in many.items():
        for first in range(0, wanted, _PART):
            size = min(_PART, wanted - first)
            parts.append((first / wanted, (source, size, first, folder / f"{source}-{first:07d}.npz")))
    return [part for _, part in sorted(parts, key=lambda one: one[0])]


def _check_kind(folder: Path, circuits: bool) -> None:
    """Refuse a folder that holds parts of a table of the other kind."""
    others = [path for path in folder.glob("*.npz") if path.name.startswith(_OF_CIRCUITS) != circuits]
    if others:
        kind, other = ("circuits", "counts") if circuits else ("counts", "circuits")
        raise ValueError(f"a table of {kind} needs a folder without one of {other}; {min(others)} is there")


def _check_names(records: Sequence[Path], read: str) -> None:
    """Refuse records with equal names and, for a table of counts, records named like a group of drawn cases."""
    names = [_name(path) for path in records]
    twice = [path for path, name in zip(records, names, strict=True) if names.count(name) > 1]
    if twice:
        raise ValueError(f"files of records must have names of their own, as sets do; got {twice[0]} and {twice[1]}")
    if read == "records" and (mistaken := _are_drawn(np.array(names, dtype=np.str_))).any():
        path = records[int(mistaken.argmax())]
        raise ValueError(f"records must not be named as drawn cases are, with whose weight they count; got {path}")


def _name(records: Path) -> str:
    """Return the name of a recorded set: that of its file without the endings of JSON lines."""
    return re.sub(r"\.jsonl?(\.gz)?$", "", records.name)


def _gate_digests(path: Path) -> str:
    """Return the digests of the gates that the rows of a part depend on; empty where they depend on none."""
    if not path.name.startswith(_OF_CIRCUITS):
        return ""
    return shipped().digest + shipped(wide=True).digest


def _n_features(source: str) -> int:
    """Return the number of features that cases of a source have. The shipped gate does not tell: it knows those of the
    table that it was trained on."""
    return int(tabulate([SOURCES[source](0)]).features.shape[1])


def _is_missing(source: str, what: Any, first: int, path: Path, n_features: int) -> bool:
    """Return whether a part of `plan` must be built: it does not exist, is outdated, or has too few cases."""
    source_hash = _hash(what) if source in ("records", "runs") else ""
    if not path.exists():
        return True
    with _opened(path) as arrays:
        if (str(arrays["gate"]) if "gate" in arrays else "") != _gate_digests(path):
            return True
        if _is_outdated(tuple(arrays["names"].tolist()), arrays["n_bits"], arrays["present"]):
            return True
        if arrays["features"].shape[1] != n_features:
            return True
        if source_hash:
            return "source" not in arrays or str(arrays["source"]) != source_hash
        return len(arrays["sparse"]) < int(what)


def _hash(records: Path) -> str:
    """Hash the file of a recorded set and that of the ideals beside it, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in filter(None, (records, ideals_beside(records))):
        try:
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise StorageError(f"cannot read records from {path}: {error.strerror}") from error
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Open a file of a table; every error while its arrays are read becomes a StorageError that names the file."""
    try:
        with open_arrays(path) as arrays:
            yield arrays
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RuntimeError) as error:  # RuntimeError: an archive that is encrypted, or packed oddly
        raise StorageError(f"{path}: damaged, or of another kind: {error}") from error


def build(
    folder: Path, many: Mapping[str, int], records: Sequence[Path], *, workers: int = 1, dask: str | None = None
) -> Iterator[Path]:
    """Build the missing parts of a table, and yield each file when it is complete.

    Args:
        folder: folder of the table.
        many: number of drawn cases by source, see `SOURCES`; the sources of a table are all of circuits
            (``"circuit..."``) or all of counts.
        records: files of recorded counts; with fault patterns for a table of circuits.
        workers: number of processes on this machine.
        dask: address of a scheduler to use instead; its workers must see the same folder and records under the same
            paths.

    Raises:
        ValueError, StorageError: as `plan` and `build_part` do; or a worker has written its part elsewhere.
        QClusterError: the worker processes died, or no scheduler answers.
    """
    # workers of a cluster have other current folders
    missing = plan(folder.absolute(), many, [path.absolute() for path in records])
    for *_, path in missing:
        check_place(path)
    for path in spread(build_part, missing, workers=workers, dask=dask):
        if not path.exists():
            raise StorageError(f"workers must see the same folder as this process; {path} is not there")
        yield path


def build_part(part: tuple[str, Any, int, Path]) -> Path:
    """Build and save one part of `plan`.

    Raises:
        StorageError: it cannot be written, or its records cannot be read or include none with an ideal.
    """
    source, what, first, path = part
    source_hash = ""
    if source in ("records", "runs"):
        source_hash = _hash(what)
        records_read = list((recorded if source == "records" else circuits.recorded)(what))
        if not records_read:
            needed = "counts with their ideal" + ("" if source == "records" else " and fault patterns")
            raise StorageError(f"{what} must hold {needed}; found no such record")
        table = tabulate(records_read)
    else:
        table = tabulate(SOURCES[source](seed) for seed in range(first, first + what))
    write(table, path, source_hash, _gate_digests(path))
    return path


def recorded(path: Path) -> Iterator[Case]:
    """Read records with their ideals as cases: JSON lines, gzipped or not, with ``counts``, and ``ideal`` or
    ``ideal_id`` (see `read_pair`).

    The counts of records with ``faults`` (from ``benchmarks/compiled_records.py``) are also drawn again, see
    `circuits.redrawn`.

    Raises:
        StorageError: the file cannot be read, or a line is no record; the message names the line.
    """
    name, known = _name(path), read_ideals(path)

    def cases_of_record(number: int, record: Any) -> list[Case]:
        counts, ideal = read_pair(record, known)
        if ideal is None:
            return []
        cases.check_width(counts.n_bits)
        sparse = cases.few_strings(ideal.probabilities, counts.n_bits)
        case = Case(counts, ideal, name, str(record.get("machine")), None, sparse)
        return [case, *circuits.redrawn(name, number, ideal, record.get("faults"))]

    for cases_of_line in read_lines(path, cases_of_record):
        yield from cases_of_line
