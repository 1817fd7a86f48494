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


def _given_rate(sample: Sample) -> float:
    if sample.rate is None:
        raise NotApplicable("needs a flip rate")
    return sample.rate


def _estimated_rate(sample: Sample) -> float:
    from qcluster.learn.rates import estimate_rates

    run = sample.run
    if run is None:
        return estimate_rates(counts=sample.counts).value
    return estimate_rates(run.profile, run.calibration, sample.counts).value


def _circuit(sample: Sample) -> Mitigation:
    if sample.run is None:
        raise NotApplicable("needs the compiled circuit and a calibration")
    from qcluster.device.faults import run_faults

    return mitigate(sample.counts, faults=run_faults(sample.run, dt=sample.dt))


METHODS: dict[str, Method] = {
    "identity": lambda sample: baselines.identity(sample.counts),
    "plurality": lambda sample: baselines.plurality(sample.counts),
    "m3": _m3,
    "hammer": lambda sample: baselines.hammer(sample.counts),
    "qbeep": _qbeep,
    "hammr_l": lambda sample: baselines.hammr_l(sample.counts, _given_rate(sample)),
    "em_uniform": lambda sample: baselines.em_uniform(sample.counts),
    "paper": lambda sample: mitigate(sample.counts, _estimated_rate(sample), method="paper"),
    "paper_given": lambda sample: mitigate(sample.counts, _given_rate(sample), method="paper"),
    "mixture": lambda sample: mitigate(sample.counts, method="mixture"),
    "mixture_unguarded": lambda sample: mitigate(sample.counts, method="mixture", guard=False),
    "circuit": _circuit,
}
"""Name and function. A method gets counts and what an experimenter would have: never the ideal output.

The published method needs a flip rate: ``paper`` gets the one that `qcluster.estimate_rates` makes of circuit,
calibration and counts, ``paper_given`` the sample's own, which follows from the calibration in closed form (a recorded
sample may bring another). ``circuit`` needs the compiled circuit, and takes the faults that its calibration predicts.
"""


def check_methods(names: tuple[str, ...]) -> None:
    """Raise ValueError for a name that no method has."""
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise ValueError(f"no method {unknown[0]!r}; there are {', '.join(METHODS)}")
