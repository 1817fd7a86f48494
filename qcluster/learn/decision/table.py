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
from qcluster.core.counts.bits import numbered
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision import candidates, circuit_candidates, circuit_features
from qcluster.core.decision.decide import Decided, deciding
from qcluster.core.decision.features import features
from qcluster.core.decision.gate import Gate, shipped
from qcluster.core.lockstep import Stepwise, alone, together
from qcluster.core.sparse.model import WHOLE
from qcluster.errors import StorageError
from qcluster.files import ideals_beside, open_arrays, pack_arrays, read_ideals, read_lines, read_pair, replace_whole
from qcluster.learn.decision import cases, circuits
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
}
"""Where drawn cases come from: seeds to cases."""
_DRAWN = ("wide-", "foreign-", "redrawn-")
"""How groups of drawn cases begin, beside those that are named for a family of ideals or a source."""
_OF_CIRCUITS = ("circuit-", "runs-")
"""How parts of a table of circuits are called."""
_OTHERS = "other candidates than there are now: build the table again"
_PART = 250
"""Cases in one file of a table."""


@dataclass(frozen=True, eq=False)
class Table:
    """Cases, one a row."""

    names: tuple[str, ...]
    """The candidates."""
    gram: Singles
    """``(r, c + 1, c + 1)`` overlaps of the candidates, and last of the square root of the ideal."""
    features: Singles
    """``(r, f)``, without what a user expects."""
    present: NDArray[np.bool_]
    """``(r, c)``."""
    sparse: NDArray[np.bool_]
    """``(r,)`` whether a user would expect few strings."""
    group: NDArray[np.str_]
    """``(r,)`` family of the ideal, or name of the recorded set."""
    kind: NDArray[np.str_]
    """``(r,)`` kind of noise, or machine."""
    n_bits: NDArray[np.int64]
    """``(r,)``."""
    shots: Floats
    """``(r,)``."""

    def __len__(self) -> int:
        return len(self.group)

    def take(self, rows: Any) -> "Table":
        """Give some of the rows."""
        return Table(self.names, *(getattr(self, name)[rows] for name in COLUMNS))

    @property
    def drawn(self) -> NDArray[np.bool_]:
        """``(r,)`` which rows were drawn, not recorded."""
        return _are_drawn(self.group)

    @property
    def digest(self) -> str:
        """Hash of the content, 16 hexadecimal digits."""
        made = hashlib.sha256()
        for name in COLUMNS:
            made.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return made.hexdigest()[:16]


def _are_drawn(groups: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Tell which groups are of drawn cases, by their names."""
    alone = np.isin(groups, [*FAMILIES, "sharp", "faint", "tails", "own", "smooth", "chains"])
    return np.asarray(alone | np.any([np.char.startswith(groups, start) for start in _DRAWN], axis=0))


COLUMNS = tuple(field.name for field in fields(Table))[1:]
"""What a table has of every row."""


def joined(tables: Sequence[Table]) -> Table:
    """Put tables of the same candidates under one another.

    Raises:
        ValueError: there are none, or of several kinds, or described by different numbers of features.
    """
    kinds, described = {table.names for table in tables}, sorted({table.features.shape[1] for table in tables})
    if len(kinds) != 1:
        raise ValueError(f"tables must be of one kind, of counts or of circuits; got {len(kinds)} kinds")
    if len(described) != 1:
        raise ValueError(f"tables must have equally many features; got {described}: build all parts by one version")
    (names,) = kinds
    return Table(names, *(np.concatenate([getattr(t, name) for t in tables]) for name in COLUMNS))


def tabulate(many: Iterable[Case], gate: Gate | None = None) -> Table:
    """Work out the rows of cases.

    Args:
        many: counts, all with their circuit or all without.
        gate: that decides what counts of a known circuit say alone, up to 12 bits; the one that ships by default, as
            it is for more. Of counts that it was trained on it says more than it ever will of others, see
            `benchmarks/cross_fit.py`.

    Returns:
        The table. Cost: that of the candidates, some 10 ms a case.

    Raises:
        ValueError: there are no cases.
    """
    every = list(many)
    if not every:
        raise ValueError("a table needs at least one case, counts with their ideal; got none")
    rows = [_row(*pair) for pair in zip(every, _decided(every, gate), strict=True)]
    first = rows[0][0]
    return Table(first, *(np.array(column) for column in list(zip(*rows, strict=True))[1:]))


def _decided(many: Sequence[Case], gate: Gate | None) -> Iterator[Decided | None]:
    """Answer the counts of known circuits without these: small ones all in lockstep, and what several calibrations in
    a row are told of once."""

    def of_counts(d: Distribution) -> Stepwise[Decided]:
        return deciding(d, None, None, None, gate if d.n_bits <= candidates.WIDEST else None)

    small = {id(case.counts): case.counts for case in many if case.faults is not None and case.counts.n_bits <= WHOLE}
    found = dict(zip(small, together([of_counts(d) for d in small.values()]), strict=True))
    last: tuple[Distribution, Decided] | None = None
    for case in many:
        if case.faults is None or id(case.counts) in found:
            yield found.get(id(case.counts))
            continue
        if last is None or last[0] is not case.counts:
            last = case.counts, alone(of_counts(case.counts))
        yield last[1]


def _row(case: Case, by_counts: Decided | None) -> tuple[Any, ...]:
    found: candidates.Candidates | circuit_candidates.Candidates
    if case.faults is None:
        names, found = candidates.NAMES, candidates.gather(case.counts, case.known)
        x = features(case.counts, found, case.known)
    else:
        names, found = circuit_candidates.NAMES, circuit_candidates.gather(case.counts, case.faults, by_counts)
        x = circuit_features.features(case.counts, case.faults, found)
    words = found.support.words
    gram = np.zeros((len(names) + 1, len(names) + 1))
    gram[:-1, :-1] = found.gram
    _, place = numbered(np.vstack([words, case.ideal.words]))
    support, sent = place[: len(words)], place[len(words) :]
    root = np.zeros(place.max() + 1)
    root[sent] = np.sqrt(case.ideal.probabilities)
    gram[-1, :-1] = gram[:-1, -1] = found.roots @ root[support]
    gram[-1, -1] = 1.0
    few = case.counts.n_bits, case.counts.shots
    about = case.sparse, case.family, case.kind, *few
    return names, gram.astype(np.float32), x.astype(np.float32), found.present, *about


def write(table: Table, path: Path, source: str = "", gate: str = "") -> None:
    """Save a table as arrays, whole or not at all.

    Args:
        table: the cases.
        path: of the file.
        source: hash of the records that they are read from, see `_hash`.
        gate: digests of the gates that their rows rest on, see `_rests_on`.

    Raises:
        StorageError: it cannot be written; what stood there before is as it was.
    """
    held: dict[str, Any] = {name: getattr(table, name) for name in COLUMNS} | {"names": np.array(table.names)}
    held["gram"] = table.gram[:, *np.triu_indices(len(table.names) + 1)]
    try:
        replace_whole(path, pack_arrays(held | {"source": np.array(source), "gate": np.array(gate)}))
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; what was saved before is intact") from error


def read(path: Path) -> Table:
    """Read a part of a table.

    Raises:
        StorageError: the file cannot be read, is damaged, or holds something else or other candidates than there are.
    """
    if not path.is_file():
        raise StorageError(f"there is no file {path}")
    with _opened(path) as held:
        names = tuple(held["names"].tolist())
        packed, rest = held["gram"], {name: held[name] for name in COLUMNS if name != "gram"}
    if names not in (candidates.NAMES, circuit_candidates.NAMES):
        raise StorageError(f"{path} holds {_OTHERS}")
    upper = np.triu_indices(len(names) + 1)
    lengths = {name: len(column) if column.ndim else None for name, column in (("gram", packed), *rest.items())}
    if len(set(lengths.values())) != 1 or packed.shape[1:] != upper[0].shape or rest["features"].ndim != 2:
        raise StorageError(f"{path} must hold one row a case in every column; got {lengths}: build this part again")
    if _of_before(names, rest["n_bits"], rest["present"]):
        raise StorageError(f"{path} holds {_OTHERS}")
    gram = np.zeros((len(packed), len(names) + 1, len(names) + 1), np.float32)
    gram[:, *upper] = packed
    gram[:, upper[1], upper[0]] = packed
    return Table(names=names, gram=gram, **rest)


def _of_before(names: tuple[str, ...], n_bits: NDArray[np.int64], present: NDArray[np.bool_]) -> bool:
    """Tell rows of an earlier version: by their candidates, and by wide counts without one that they have now."""
    if names != candidates.NAMES:
        return names != circuit_candidates.NAMES
    return not present[n_bits > candidates.WIDEST, candidates.FIXED].all()


def read_all(folder: Path) -> Table:
    """Read all parts of a table.

    Raises:
        StorageError: a part cannot be read, or there are none.
        ValueError: the parts are of several kinds.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise StorageError(f"{folder} must hold parts of a table, from `qcluster decision build`; found no .npz")
    return joined([read(path) for path in paths])


def plan(
    folder: Path, many: Mapping[str, int], records: Sequence[Path] = (), *, any_gate: bool = False
) -> list[tuple[str, Any, int, Path]]:
    """List the parts of a table that are still missing: source, seeds or file, first case, and where it goes.

    Recorded sets come first, and drawn cases of all kinds in step, so that a table stopped early is of one kind. A part
    that an earlier table ended with is made again where this one has more cases, that of a recorded set where its
    file, or the ideals beside it, are others than it was made of, and one of known circuits where what their counts say
    alone was decided by other gates than those that ship (`any_gate` keeps these), or it tells of none. So are parts
    of an earlier version, which had other candidates.

    Raises:
        ValueError: the folder holds a table of the other kind, of counts or of circuits, with which these parts would
            not be read; two files of records have one name, so that one would take the other's place; or one is named
            as drawn cases are, so that its rows would be taken for them.
        StorageError: a part that is there cannot be read, or the records of one.
    """
    parts: list[tuple[float, tuple[str, Any, int, Path]]] = []
    read = "runs" if "circuit" in many else "records"
    _check_kind(folder, "circuit" in many)
    _check_names(records, read)
    for path in records:
        parts.append((-1.0, (read, path, 0, folder / f"{read}-{_name(path)}.npz")))
    for source, wanted in many.items():
        for first in range(0, wanted, _PART):
            size = min(_PART, wanted - first)
            parts.append((first / wanted, (source, size, first, folder / f"{source}-{first:07d}.npz")))
    return [part for _, part in sorted(parts, key=lambda one: one[0]) if _lacking(*part, any_gate)]


def _check_kind(folder: Path, circuits: bool) -> None:
    """Refuse a folder with parts of a table of the other kind."""
    others = [path for path in folder.glob("*.npz") if path.name.startswith(_OF_CIRCUITS) != circuits]
    if others:
        mine, theirs = ("circuits", "counts") if circuits else ("counts", "circuits")
        raise ValueError(f"a table of {mine} needs a folder without one of {theirs}; {min(others)} is there")


def _check_names(records: Sequence[Path], read: str) -> None:
    """Refuse files of records that are called alike, or, where nothing is put before their name, as drawn cases are."""
    names = [_name(path) for path in records]
    twice = [path for path, name in zip(records, names, strict=True) if names.count(name) > 1]
    if twice:
        raise ValueError(f"files of records must have names of their own, as sets do; got {twice[0]} and {twice[1]}")
    if read == "records" and (mistaken := _are_drawn(np.array(names, dtype=np.str_))).any():
        path = records[int(mistaken.argmax())]
        raise ValueError(f"records must not be named as drawn cases are, with whose weight they count; got {path}")


def _name(records: Path) -> str:
    """Name a recorded set as its file, without what says that it is JSON lines."""
    return re.sub(r"\.jsonl?(\.gz)?$", "", records.name)


def _rests_on(path: Path, gate: Gate | None) -> str:
    """Give the digests of the gates that the rows of a part rest on; empty where they rest on none."""
    if not path.name.startswith(_OF_CIRCUITS):
        return ""
    return (gate or shipped()).digest + shipped(wide=True).digest


def _lacking(source: str, what: Any, first: int, path: Path, any_gate: bool) -> bool:
    """Tell whether a part of `plan` is not there, rests on another gate, or has fewer cases than it should."""
    if not path.exists():
        return True
    with _opened(path) as held:
        if not any_gate and (str(held["gate"]) if "gate" in held else "") != _rests_on(path, None):
            return True
        if _of_before(tuple(held["names"].tolist()), held["n_bits"], held["present"]):
            return True
        if source in ("records", "runs"):
            return "source" not in held or str(held["source"]) != _hash(what)
        return len(held["sparse"]) < int(what)


def _hash(records: Path) -> str:
    """Hash what a recorded set is made of, 64 hexadecimal digits: its file, and that of the ideals beside it."""
    made = hashlib.sha256()
    for path in filter(None, (records, ideals_beside(records))):
        try:
            with path.open("rb") as stream:
                made.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise StorageError(f"cannot read records from {path}: {error.strerror}") from error
    return made.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Open a part of a table; whatever goes wrong as its arrays are read is a StorageError that names it."""
    try:
        with open_arrays(path) as held:
            yield held
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: an archive that is encrypted, or packed oddly
        raise StorageError(f"{path}: damaged, or of another kind: {error}") from error


def build(
    folder: Path, many: Mapping[str, int], records: Sequence[Path], *, workers: int = 1, dask: str | None = None
) -> Iterator[Path]:
    """Build the missing parts of a table, and give each file as it is there.

    Args:
        folder: where the parts are.
        many: drawn cases by source, see `SOURCES`; ``"circuit"`` makes a table of circuits, all others one of counts.
        records: files of recorded counts, for a table of circuits with fault patterns.
        workers: processes on this machine.
        dask: address of a scheduler instead; its workers must see the same folder.

    Raises:
        StorageError: as `build_part` does.
        QClusterError: the worker processes died, or no scheduler answers.
    """
    return spread(build_part, plan(folder, many, records), workers=workers, dask=dask)


def build_part(part: tuple[str, Any, int, Path], gate: Gate | None = None) -> Path:
    """Build and save one part of `plan`; the gate is as for `tabulate`.

    Raises:
        StorageError: it cannot be written, or is made of a file of records that cannot be read, or has no record with
            an ideal.
    """
    source, what, first, path = part
    made_of = ""
    if source in ("records", "runs"):
        made_of = _hash(what)
        found = list((recorded if source == "records" else circuits.recorded)(what))
        if not found:
            needed = "counts with their ideal" + ("" if source == "records" else " and fault patterns")
            raise StorageError(f"{what} must hold {needed}; found no such record")
        made = tabulate(found, gate)
    else:
        made = tabulate((SOURCES[source](seed) for seed in range(first, first + what)), gate)
    write(made, path, made_of, _rests_on(path, gate))
    return path


def recorded(path: Path) -> Iterator[Case]:
    """Read records with their ideals as cases: JSON lines with ``counts`` and ``ideal``, gzipped or not, or with
    ``ideal_id``, see `read_pair`.

    Those with ``faults`` (of ``benchmarks/compiled_records.py``) are also drawn anew, see `circuits.redrawn`.

    Raises:
        StorageError: the file cannot be read, or a line is no record; the message names the line.
    """
    name, known = _name(path), read_ideals(path)

    def found(number: int, record: Any) -> list[Case]:
        counts, ideal = read_pair(record, known)
        if ideal is None:
            return []
        sparse = cases.few_strings(ideal.probabilities, counts.n_bits)
        mine = Case(counts, ideal, name, str(record.get("machine")), None, sparse)
        return [mine, *circuits.redrawn(name, number, ideal, record.get("faults"))]

    for cases_of_line in read_lines(path, found):
        yield from cases_of_line
