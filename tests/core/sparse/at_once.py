"""The steps of the search as plain functions: each computation runs alone, not in lockstep with others."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from qcluster.core.lockstep import run_one
from qcluster.core.sparse import em, forward_selection, local_search


def _at_once(search: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(search)
    def found(*args: Any, **options: Any) -> Any:
        return run_one(search(*args, **options))

    return found


fit, fit_all, refit = map(_at_once, (em.fit, em.fit_all, em.refit))
select = _at_once(forward_selection.forward_selection)
local_search, relocate, ring = map(_at_once, (local_search.local_search, local_search.relocate, local_search.ring))
