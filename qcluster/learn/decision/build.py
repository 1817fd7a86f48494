"""Building the table on one machine or on many; what is done already is not done again."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from qcluster.learn.decision.table import build_part, plan
from qcluster.workers import parallel


def build(
    folder: Path,
    many: Mapping[str, int],
    records: Sequence[Path],
    *,
    workers: int = 1,
    dask: str | None = None,
) -> Iterator[Path]:
    """Build the missing parts of a table, and give each file as it is there.

    Args:
        folder: where the parts are.
        many: drawn cases by source, see `qcluster.learn.decision.table.SOURCES`; ``"circuit"`` makes a table of
            circuits, all others one of counts.
        records: files of recorded counts, for a table of circuits with fault patterns.
        workers: processes on this machine.
        dask: address of a scheduler instead; its workers must see the same folder.
    """
    parts = plan(folder, many, records)
    if dask is None:
        from joblib import delayed

        yield from parallel(workers, return_as="generator_unordered")(delayed(build_part)(part) for part in parts)
        return
    from dask.distributed import Client, as_completed

    with Client(dask) as client:
        for done in as_completed(client.map(build_part, parts, pure=False)):
            yield done.result()
