"""The table that the decision is trained on: a Gram matrix, features and a label for every case."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.counts.bits import numbered
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.candidates import NAMES, gather
from qcluster.core.decision.features import features
from qcluster.learn.decision import cases
from qcluster.learn.decision.cases import Case

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

_PART = 250
"""Cases in one file of a table."""
_UPPER = np.triu_indices(len(NAMES) + 1)


@dataclass(frozen=True, eq=False)
class Table:
    """Cases, one a row."""

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
        return Table(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def digest(self) -> str:
        """Hash of the content, 16 hexadecimal digits."""
        made = hashlib.sha256()
        for name in self.__dataclass_fields__:
            made.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return made.hexdigest()[:16]


def joined(tables: Sequence[Table]) -> Table:
    """Put tables under one another."""
    return Table(*(np.concatenate([getattr(t, name) for t in tables]) for name in Table.__dataclass_fields__))


def tabulate(many: Iterable[Case]) -> Table:
    """Work out the rows of cases. Cost: that of the candidates, some 10 ms a case."""
    rows = [_row(case) for case in many]
    return Table(*(np.array(column) for column in zip(*rows, strict=True)))


def _row(case: Case) -> tuple[Any, ...]:
    found = gather(case.counts, case.known)
    x = features(case.counts, found, case.known)
    gram = np.zeros((len(NAMES) + 1, len(NAMES) + 1))
    gram[:-1, :-1] = found.gram
    _, place = numbered(np.vstack([found.words, case.ideal.words]))
    support, sent = place[: len(found.words)], place[len(found.words) :]
    root = np.zeros(place.max() + 1)
    root[sent] = np.sqrt(case.ideal.probabilities)
    gram[-1, :-1] = gram[:-1, -1] = found.roots @ root[support]
    gram[-1, -1] = 1.0
    few = case.counts.n_bits, case.counts.shots
    return gram.astype(np.float32), x.astype(np.float32), found.present, case.sparse, case.family, case.kind, *few


def write(table: Table, path: Path) -> None:
    """Save a table as arrays, whole or not at all."""
    held = {name: getattr(table, name) for name in table.__dataclass_fields__} | {"names": np.array(NAMES)}
    held["gram"] = table.gram[:, *_UPPER]
    aside = path.with_suffix(".new")
    with aside.open("wb") as stream:
        np.savez_compressed(stream, **held)
    aside.replace(path)


def read(path: Path) -> Table:
    """Read a table; ValueError where it holds other candidates."""
    with np.load(path, allow_pickle=False) as held:
        if tuple(held["names"].tolist()) != NAMES:
            raise ValueError(f"{path} holds other candidates than there are now: build the table again")
        packed = held["gram"]
        gram = np.zeros((len(packed), len(NAMES) + 1, len(NAMES) + 1), np.float32)
        gram[:, *_UPPER] = packed
        gram[:, _UPPER[1], _UPPER[0]] = packed
        rest = {name: held[name] for name in Table.__dataclass_fields__ if name != "gram"}
    return Table(gram=gram, **rest)


def read_all(folder: Path) -> Table:
    """Read all parts of a table."""
    return joined([read(path) for path in sorted(folder.glob("*.npz"))])


def plan(
    folder: Path, full: int, wide: int, sharp: int, records: Sequence[Path] = ()
) -> list[tuple[str, Any, int, Path]]:
    """List the parts of a table that are still missing: source, seeds or file, first case, and where it goes.

    Recorded sets come first, and drawn cases of all kinds in step, so that a table stopped early is of one kind.
    """
    parts: list[tuple[float, tuple[str, Any, int, Path]]] = []
    for path in records:
        parts.append((-1.0, ("records", path, 0, folder / f"records-{path.name.split('.')[0]}.npz")))
    for source, many in (("full", full), ("wide", wide), ("sharp", sharp), ("loose", wide // 3)):
        for first in range(0, many, _PART):
            size = min(_PART, many - first)
            parts.append((first / many, (source, size, first, folder / f"{source}-{first:07d}.npz")))
    return [part for _, part in sorted(parts, key=lambda one: one[0]) if not part[-1].exists()]


def build_part(part: tuple[str, Any, int, Path]) -> Path:
    """Build and save one part of `plan`."""
    source, what, first, path = part
    if source == "records":
        made = tabulate(recorded(what))
    else:
        draw = {"full": cases.full, "wide": cases.wide, "sharp": cases.sharp, "loose": cases.loose}[source]
        made = tabulate(draw(seed) for seed in range(first, first + what))
    write(made, path)
    return path


def recorded(path: Path) -> Iterator[Case]:
    """Read records with their ideals as cases: JSON lines with ``counts`` and ``ideal``, gzipped or not."""
    import gzip

    name = path.name.split(".")[0]
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            record = json.loads(line)
            if not record.get("ideal"):
                continue
            counts, ideal = Distribution.of(record["counts"]), Distribution.of(record["ideal"])
            few = float(np.exp(-(ideal.probabilities @ np.log(np.maximum(ideal.probabilities, 1e-300)))))
            sparse = few <= max(2.0, min(40.0, 2.0**counts.n_bits / 8))
            yield Case(counts, ideal, name, str(record.get("machine")), None, sparse)
