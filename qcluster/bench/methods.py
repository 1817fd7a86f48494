"""The methods that are compared, by name, each from a sample to a better distribution."""

from collections.abc import Callable

from qcluster import baselines
from qcluster.bench.sample import Sample
from qcluster.core.distribution import Distribution
from qcluster.core.mitigate import Mitigation, mitigate
from qcluster.errors import QClusterError

Method = Callable[[Sample], Distribution | Mitigation]


class NotApplicable(QClusterError):
    """A sample lacks what a method needs, such as a calibration."""


def _m3(sample: Sample) -> Distribution:
    if sample.readout is None:
        raise NotApplicable("needs a calibration of the readout")
    return baselines.m3(sample.counts, sample.readout)


def _qbeep(sample: Sample) -> Distribution:
    if sample.expected_errors is None:
        raise NotApplicable("needs the expected number of errors of the circuit")
    return baselines.qbeep(sample.counts, sample.expected_errors)


def _rate(sample: Sample) -> float:
    if sample.rate is None:
        raise NotApplicable("needs a flip rate")
    return sample.rate


METHODS: dict[str, Method] = {
    "identity": lambda sample: baselines.identity(sample.counts),
    "plurality": lambda sample: baselines.plurality(sample.counts),
    "m3": _m3,
    "hammer": lambda sample: baselines.hammer(sample.counts),
    "qbeep": _qbeep,
    "hammr_l": lambda sample: baselines.hammr_l(sample.counts, _rate(sample)),
    "em_uniform": lambda sample: baselines.em_uniform(sample.counts),
    "paper": lambda sample: mitigate(sample.counts, _rate(sample), method="paper"),
    "mixture": lambda sample: mitigate(sample.counts, method="mixture"),
    "mixture_unguarded": lambda sample: mitigate(sample.counts, method="mixture", guard=False),
}
"""Name and function. A method gets counts and what an experimenter would have: never the ideal output."""


def check_methods(names: tuple[str, ...]) -> None:
    """Raise ValueError for a name that no method has."""
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise ValueError(f"no method {unknown[0]!r}; there are {', '.join(METHODS)}")
