"""`mitigate_many`: mitigation of many sets of counts, side by side on several cores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import repeat
from numbers import Integral
from typing import Any

from qcluster.core.distribution import Distribution
from qcluster.core.mitigate import Mitigation, mitigate
from qcluster.workers import parallel


def mitigate_many(
    many: Iterable[Any], rates: Sequence[Any] | None = None, *, workers: int = -1, **options: Any
) -> Iterator[Mitigation]:
    """Mitigate sets of counts in parallel, by joblib.

    Results come one by one, as soon as those before them are there, so that a caller may show how far it is. Within
    ``joblib.parallel_config(backend="dask")`` the work goes to the Dask cluster that is connected.

    Args:
        many: sets of counts, each anything that `mitigate` takes: a `Run` brings the faults of its circuit here too.
        rates: flip rates, one entry for each set of counts; as for `mitigate`.
        workers: processes (threads within ``joblib.parallel_config(backend="threading")``); -1 for one a core, 1 for
            none but this one.
        **options: of `mitigate`, the same for all: `method`, `guard`, `settings`.

    Yields:
        A Mitigation for each set of counts, in their order; the same as `mitigate` gives.

    Raises:
        ValueError, TypeError: bad counts or options, as in `mitigate`; one set of counts in place of several; not as
            many rates as sets of counts; or no number of workers.

    Example:
        >>> [fixed.distribution.shots for fixed in mitigate_many([{"00": 60, "11": 40}, {"01": 9, "10": 8}], workers=1)]
        [100.0, 17.0]
    """
    if isinstance(many, (Mapping, str)) or not isinstance(many, Iterable):
        raise TypeError(f"many must be a list of sets of counts, such as [counts]; got a {type(many).__name__}")
    if not isinstance(workers, Integral) or isinstance(workers, bool) or not (workers > 0 or workers == -1):
        raise ValueError(f"workers must be 1 or more, or -1 for one a core; got {workers!r}")
    sets = list(many)
    if rates is not None and (not isinstance(rates, Sized) or len(rates) != len(sets)):
        came = len(rates) if isinstance(rates, Sized) else repr(rates)
        raise ValueError(f"rates must have one entry for each of the {len(sets)} sets of counts; got {came}")
    return _mitigated(sets, rates, int(workers), options)


def _mitigated(
    many: Sequence[Any], rates: Sequence[Any] | None, workers: int, options: dict[str, Any]
) -> Iterator[Mitigation]:
    from joblib import delayed

    # Packed shots travel to the workers, not dicts of text. What is more than text, such as a Run, goes as it is:
    # only `mitigate` decides what of it counts.
    held = (Distribution.of(item) if isinstance(item, (Mapping, list, tuple)) else item for item in many)
    jobs = zip(held, repeat(None) if rates is None else rates, strict=False)
    yield from parallel(workers, return_as="generator")(
        delayed(mitigate)(counts, rate, **options) for counts, rate in jobs
    )
