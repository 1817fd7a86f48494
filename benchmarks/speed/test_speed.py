"""The same works under pytest-benchmark, for comparing two versions of the code on one machine.

Run from the repository:
    python -m pytest benchmarks/speed -p no:xdist --benchmark-autosave  # keep the times
    python -m pytest benchmarks/speed -p no:xdist --benchmark-compare  # compare the next version
"""

from functools import cache
from time import process_time

import pytest

from benchmarks.speed.works import Load, Work, loads, works

METHODS = ("intake", "paper", "mixture", "circuit", "hammer", "mthree", "naive")
LOADS = {load.name: load for load in loads(wide=False)}


@cache
def ready(name: str) -> dict[str, Work]:
    load: Load = LOADS[name]
    return works(load)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", LOADS)
@pytest.mark.benchmark(timer=process_time, warmup=False)
@pytest.mark.filterwarnings("default")
def test_speed(benchmark, name, method):
    work = ready(name).get(method)
    if work is None:
        pytest.skip(f"{method} would take minutes on {name}, or needs a recorded circuit")
    benchmark.group = name
    assert benchmark.pedantic(work, rounds=3) is not None
