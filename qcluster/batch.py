"""`mitigate_many`: mitigation of many sets of counts, in batches of small ones, and in parallel on several cores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.read import sets_pooled
from qcluster.core.methods.registry import Method, find, register
from qcluster.core.mitigate import mitigate, mitigate_together
from qcluster.core.mitigation import Mitigation
from qcluster.core.sparse.model import WIDEST_WHOLE_REGISTER
from qcluster.workers import check_workers, parallel

_BATCH_SIZE = 512
"""Most sets of counts in a batch: larger batches save little time and delay the first answers."""


def mitigate_many(many: Iterable[Any], noise: Any = None, *, workers: int = -1, **options: Any) -> Iterator[Mitigation]:
    """Mitigate many sets of counts: small sets in batches, which is faster, and in parallel with joblib.

    Results are yielded in order, as soon as all earlier ones are ready, so a caller can show progress. Sets of up to
    8 bits are mitigated in batches of up to 512. Within ``joblib.parallel_config(backend="dask")`` the work is done by
    the connected Dask cluster.

    Args:
        many: sets of counts, each of any kind that `mitigate` takes. The faults of a `Run` are used as there.
        noise: what is known about the noise, as for `mitigate`. Either one value for all sets, such as 0.05,
            `MeasuredNoise` or an array of rates by bit; or a list or tuple with one entry per set. Pass rates by bit
            that all sets share as an array, since a list is taken as one entry per set.
        workers: number of processes (threads within ``joblib.parallel_config(backend="threading")``); -1 uses one per
            core, and 1 works in this process.
        **options: options of `mitigate` for all sets: `method`, `guard`, `expect`, `settings`, `gates`.

    Yields:
        A Mitigation for each set of counts, in their order, the same as that of `mitigate` up to rounding.

    Raises:
        ValueError, TypeError: invalid counts or options, as in `mitigate`, with a note that says for which set; one set
            of counts in place of several; a list of noise whose length is not the number of sets; or an invalid number
            of workers.

    Example:
        >>> [fixed.distribution.shots for fixed in mitigate_many([{"00": 60, "11": 40}, {"01": 9, "10": 8}], workers=1)]
        [100.0, 17.0]
    """
    workers, sets = check_workers(workers), _sets_of(many)
    if not isinstance(noise, (list, tuple)):
        noise = [noise] * len(sets)
    elif len(noise) != len(sets):
        raise ValueError(
            f"noise must have one entry for each of the {len(sets)} sets of counts; got {len(noise)}: "
            "pass rates by bit that all sets share as an array"
        )
    return _mitigate_batches(sets, noise, workers, options)


def _sets_of(many: Any) -> list[Any]:
    """List the sets of counts; TypeError, with advice, for a single set or for anything that is not a list of sets."""
    if isinstance(many, Iterable) and not isinstance(many, (Mapping, str)):
        sets = list(many)
        if not sets or not all(isinstance(item, (str, Real)) for item in sets):  # else register names, shots or weights
            return sets
    raise TypeError(f"many must be a list of sets of counts, such as [counts]; got a {_describe(many)}")


def _describe(many: Any) -> str:
    """Name the type of an object that is not a list of sets of counts, and say what to pass instead."""
    kind = type(many).__name__
    if hasattr(many, "num_clbits"):
        return f"{kind}: run it first, by execute([circuit], backend), which gives a list of runs"
    if callable(getattr(many, "result", None)):
        return f"{kind}: give its result, job.result()"
    if isinstance(many, Mapping) and many and all(isinstance(counts, Mapping) for counts in many.values()):
        return f"{kind} of them: give list(many.values())"
    try:
        Distribution.of(many)
    except (ValueError, TypeError):
        return f"{kind}: give its get_counts()" if callable(getattr(many, "get_counts", None)) else kind
    sets = sets_pooled(many)
    if sets > 1:
        bits = "the BitArray bits" if hasattr(many, "num_bits") else "bits = pub.join_data()"
        return f"{kind} of {sets} parameter sets: give [bits[i] for i in np.ndindex(bits.shape)] for {bits}"
    return f"{kind}, which is one set: give it to mitigate, or a list of such sets to mitigate_many"


def _mitigate_batches(
    many: Sequence[Any], noise: Sequence[Any], workers: int, options: dict[str, Any]
) -> Iterator[Mitigation]:
    from joblib import delayed, effective_n_jobs

    # A method that the caller registered is unknown in another process, so it is sent along.
    method = None if options.get("method") is None else find(options["method"])
    pool = parallel(workers, len(many), return_as="generator")
    size = min(_BATCH_SIZE, -(-len(many) // effective_n_jobs(pool.n_jobs)))
    batches = _batches(many, noise, size)
    try:
        for answers in pool(delayed(_mitigate_batch)(batch, method, options) for batch in batches):
            yield from answers
    except _BatchError as failed:
        answers, error = failed.args
    else:
        return
    yield from answers
    raise error


class _BatchError(Exception):
    """An error in a batch, with the arguments (answers before it, the error itself)."""


def _batches(many: Iterable[Any], noise: Iterable[Any], size: int) -> Iterator[list[tuple[int, Any, Any]]]:
    """Number the sets, and group consecutive small ones in batches of (number, counts, noise).

    Workers receive packed shots in place of dicts of text. Richer objects, such as a Run, are sent unchanged, since
    only `mitigate` decides which of their contents it uses.
    """
    batch: list[tuple[int, Any, Any]] = []
    for number, (counts, set_noise) in enumerate(zip(many, noise, strict=True)):
        try:
            with _note_set(number):
                text = isinstance(counts, (Mapping, list, tuple))
                packed = Distribution.of(counts) if text or _is_small_array(counts) else counts
        except (ValueError, TypeError):
            if batch:
                yield batch  # so that the sets before the invalid one are answered
            raise
        small = isinstance(packed, Distribution) and packed.n_bits <= WIDEST_WHOLE_REGISTER
        if batch and not (small and len(batch) < size):
            yield batch
            batch = []
        batch.append((number, packed, set_noise))
        if not small:
            yield batch
            batch = []
    if batch:
        yield batch


def _is_small_array(counts: Any) -> bool:
    """True if counts are a BitArray of few bits and of a single parameter set.

    Several parameter sets are left to `mitigate`, which reports that their shots are pooled. The attribute ``num_bits``
    of a ``DataBin`` may be a register of that name.
    """
    width = getattr(counts, "num_bits", None)
    return isinstance(width, Integral) and width <= WIDEST_WHOLE_REGISTER and sets_pooled(counts) == 1


def _mitigate_batch(
    batch: list[tuple[int, Any, Any]], method: Method | None, options: dict[str, Any]
) -> list[Mitigation]:
    """Mitigate the sets of a batch; raises `_BatchError`."""
    if method is not None:
        register(method)
    if len(batch) > 1:
        try:
            return [*mitigate_together(*zip(*((counts, noise) for _, counts, noise in batch), strict=True), **options)]
        except Exception:
            pass  # mitigate one by one below, so that the sets before the invalid one are answered
    answers: list[Mitigation] = []
    for number, counts, noise in batch:
        try:
            with _note_set(number):
                answers.append(mitigate(counts, noise, **options))
        except Exception as error:
            raise _BatchError(answers, error) from None
    return answers


@contextmanager
def _note_set(number: int) -> Iterator[None]:
    """Add a note to an error that says which set of counts it is about."""
    try:
        yield
    except (ValueError, TypeError) as error:
        error.add_note(f"This is about set {number} of the counts, the first being 0.")
        raise
