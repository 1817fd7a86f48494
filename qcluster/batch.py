"""`mitigate_many`: mitigation of many sets of counts, small ones together, and side by side on several cores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.read import sets_pooled
from qcluster.core.methods.registry import Method, find, register
from qcluster.core.mitigate import mitigate, mitigate_together
from qcluster.core.mitigation import Mitigation
from qcluster.core.sparse.model import WHOLE
from qcluster.workers import check_workers, parallel

_TOGETHER = 512
"""Sets of counts that are mitigated at once, at most: more save little, and the first answers would come later."""


def mitigate_many(many: Iterable[Any], noise: Any = None, *, workers: int = -1, **options: Any) -> Iterator[Mitigation]:
    """Mitigate sets of counts: small ones many at once, which is faster than one by one, and in parallel, by joblib.

    Results come in order, as soon as those before them are there, so that a caller may show how far it is; those of up
    to 8 bits come up to 512 at a time. Within ``joblib.parallel_config(backend="dask")`` the work goes to the Dask
    cluster that is connected.

    Args:
        many: sets of counts, each anything that `mitigate` takes: a `Run` brings the faults of its circuit here too.
        noise: what is known of the noise, as for `mitigate`: one for all sets, such as 0.05, `MeasuredNoise` or an
            array of rates by bit; or a list or tuple with an entry for each set. Rates by bit that all sets share go
            as an array, since a list of them has an entry for each set.
        workers: processes (threads within ``joblib.parallel_config(backend="threading")``); -1 for one a core, 1 for
            none but this one.
        **options: of `mitigate`, the same for all: `method`, `guard`, `expect`, `settings`.

    Yields:
        A Mitigation for each set of counts, in their order; what `mitigate` gives, to rounding.

    Raises:
        ValueError, TypeError: bad counts or options, as in `mitigate`; one set of counts in place of several; a list of
            noise with not as many entries as sets of counts; or no number of workers. A note on the error says which
            set.

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
            "rates by bit that all sets share go as an array"
        )
    return _mitigated(sets, noise, workers, options)


def _sets_of(many: Any) -> list[Any]:
    """List the sets of counts; TypeError, with what to pass, for one set in their place, or what has none."""
    if isinstance(many, Iterable) and not isinstance(many, (Mapping, str)):
        sets = list(many)
        if not sets or not all(isinstance(one, (str, Real)) for one in sets):  # else names of registers, shots, weights
            return sets
    raise TypeError(f"many must be a list of sets of counts, such as [counts]; got a {_described(many)}")


def _described(many: Any) -> str:
    """Name what holds no sets of counts, and what to pass in its place."""
    kind = type(many).__name__
    if hasattr(many, "num_clbits"):
        return f"{kind}: run it first, by execute([circuit], backend), which gives a list of runs"
    if callable(getattr(many, "result", None)):
        return f"{kind}: give what it results in, job.result()"
    if isinstance(many, Mapping) and many and all(isinstance(counts, Mapping) for counts in many.values()):
        return f"{kind} of them: give list(many.values())"
    try:
        Distribution.of(many)
    except (ValueError, TypeError):
        return f"{kind}: give its get_counts()" if callable(getattr(many, "get_counts", None)) else kind
    sets = sets_pooled(many)
    if sets > 1:
        return f"{kind} of {sets} parameter sets: give [bits[i] for i in np.ndindex(bits.shape)], of its BitArray"
    return f"{kind}, which is one set: mitigate takes it as it is, and mitigate_many a list of such"


def _mitigated(
    many: Sequence[Any], noise: Sequence[Any], workers: int, options: dict[str, Any]
) -> Iterator[Mitigation]:
    from joblib import delayed, effective_n_jobs

    # A method that the caller registered is not known to another process.
    method = None if options.get("method") is None else find(options["method"])
    most = min(_TOGETHER, -(-len(many) // effective_n_jobs(workers)))
    jobs = _jobs(many, noise, most)
    try:
        for answers in parallel(workers, return_as="generator")(
            delayed(_mitigate)(job, method, options) for job in jobs
        ):
            yield from answers
    except _Stopped as stopped:
        answers, error = stopped.args
    else:
        return
    yield from answers
    raise error


class _Stopped(Exception):
    """An error in a job, ``(answers, error)``: what came before it, and what it was."""


def _jobs(many: Iterable[Any], noise: Iterable[Any], most: int) -> Iterator[list[tuple[int, Any, Any]]]:
    """Number the sets, and put small ones that follow one another in one job: counts and what is known of the noise.

    Packed shots travel to the workers, not dicts of text. What is more than text, such as a Run, goes as it is: only
    `mitigate` decides what of it counts.
    """
    job: list[tuple[int, Any, Any]] = []
    for number, (counts, known) in enumerate(zip(many, noise, strict=True)):
        try:
            with _naming(number):
                text = isinstance(counts, (Mapping, list, tuple))
                packed = Distribution.of(counts) if text or _is_small_array(counts) else counts
        except (ValueError, TypeError):
            if job:
                yield job  # what came before it is answered before the error is raised
            raise
        small = isinstance(packed, Distribution) and packed.n_bits <= WHOLE
        if job and not (small and len(job) < most):
            yield job
            job = []
        job.append((number, packed, known))
        if not small:
            yield job
            job = []
    if job:
        yield job


def _is_small_array(counts: Any) -> bool:
    """Tell whether counts are a BitArray of few bits, and of one parameter set, since `mitigate` says where shots of
    several are pooled; a register of a ``DataBin`` may have the name of its width."""
    width = getattr(counts, "num_bits", None)
    return isinstance(width, Integral) and width <= WHOLE and sets_pooled(counts) == 1


def _mitigate(job: list[tuple[int, Any, Any]], method: Method | None, options: dict[str, Any]) -> list[Mitigation]:
    """Answer a job; raises `_Stopped`."""
    if method is not None:
        register(method)
    if len(job) > 1:
        try:
            return [*mitigate_together(*zip(*((counts, known) for _, counts, known in job), strict=True), **options)]
        except Exception:
            pass  # one by one, so that what comes before the set that is wrong is answered
    answers: list[Mitigation] = []
    for number, counts, known in job:
        try:
            with _naming(number):
                answers.append(mitigate(counts, known, **options))
        except Exception as error:
            raise _Stopped(answers, error) from None
    return answers


@contextmanager
def _naming(number: int) -> Iterator[None]:
    """Note on an error which set of counts it is about."""
    try:
        yield
    except (ValueError, TypeError) as error:
        error.add_note(f"This is about set {number} of the counts, the first being 0.")
        raise
