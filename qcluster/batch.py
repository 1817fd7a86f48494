"""`mitigate_many`: mitigation of many sets of counts, side by side on several cores."""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

from qcluster.core.distribution import Distribution
from qcluster.core.mitigate import Mitigation, mitigate
from qcluster.workers import parallel


def mitigate_many(
    many: Sequence[Any], rates: Sequence[Any] | None = None, *, workers: int = -1, **options: Any
) -> Iterator[Mitigation]:
    """Mitigate sets of counts in parallel, by joblib.

    Results come one by one, as soon as those before them are there, so that a caller may show how far it is. Within
    ``joblib.parallel_config(backend="dask")`` the work goes to the Dask cluster that is connected.

    Args:
        many: sets of counts, each anything that `mitigate` takes.
        rates: flip rates, one entry for each set of counts; as for `mitigate`.
        workers: processes; -1 for one a core, 1 for none but this one.
        **options: of `mitigate`, the same for all: `method`, `guard`, `settings`.

    Yields:
        A Mitigation for each set of counts, in their order; the same as `mitigate` gives.

    Raises:
        ValueError, TypeError: bad counts or options, as in `mitigate`; or not as many rates as sets of counts.

    Example:
        >>> [fixed.distribution.shots for fixed in mitigate_many([{"00": 60, "11": 40}, {"01": 9, "10": 8}], workers=1)]
        [100.0, 17.0]
    """
    if rates is not None and len(rates) != len(many):
        raise ValueError(f"rates must have one entry for each of the {len(many)} sets of counts; got {len(rates)}")
    return _mitigated(many, rates, workers, options)


def _mitigated(
    many: Sequence[Any], rates: Sequence[Any] | None, workers: int, options: dict[str, Any]
) -> Iterator[Mitigation]:
    from joblib import delayed

    # Packed shots travel to the workers, not dicts of text.
    held = (Distribution.of(counts) for counts in many)
    jobs = zip(held, repeat(None) if rates is None else rates, strict=False)
    yield from parallel(workers, return_as="generator")(
        delayed(mitigate)(counts, rate, **options) for counts, rate in jobs
    )
