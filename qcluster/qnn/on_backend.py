"""A classifier on a backend: which circuit runs, how it is measured, and how its decision values are calibrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_whole
from qcluster.core.words import short_repr
from qcluster.qnn import samples
from qcluster.qnn.ansatz import Ansatz, build
from qcluster.qnn.encoding import Inputs, Kind
from qcluster.qnn.measured import MeasuredForm, Readouts, ReadoutSource, measure_checked
from qcluster.qnn.rescale import draw_calibration_rows, rescale, sum_of_squares
from qcluster.qnn.samples import Classifier
from qcluster.qnn.simulation.compress import compress, phases
from qcluster.qnn.simulation.exact import exact_form
from qcluster.qnn.training.fitted import check_one_readout


def measure(model: Classifier, X: npt.ArrayLike) -> Readouts:
    """Measure the decision values of rows; see `qcluster.qnn.QNNClassifier.measure`."""
    check_one_readout(model)
    check_whole("shots", model.shots, 1)
    inputs = samples.encode(model, X)
    distinct, rows = samples.distinct(inputs)
    ansatz, theta = circuit_run(model, inputs.kind)
    rng = samples.draw_rng(model)
    machine = source(model)

    def run(batch: Inputs) -> Readouts:
        thetas = np.tile(theta, (len(batch), 1))
        return measure_checked(machine, ansatz, thetas, batch, shots=model.shots, rng=rng)

    if getattr(machine, "mitigation", None) == "rescale":
        known = model.calibration_
        if known.kind != inputs.kind:  # the encoding was changed after fit
            known = draw_calibration_rows(ansatz, theta, inputs.kind, rng)
        exact = exact_form(ansatz, inputs.kind).forward(theta, known, gradient=False)[0]
        sum_of_squares(exact)  # fails here, before any shots are spent, if no slope can be fitted
        readouts = rescale(run(known.concat(distinct)), exact, model.shots)
    else:
        readouts = run(distinct)
    raw = None if readouts.raw is None else readouts.raw[rows]
    return replace(readouts, values=readouts.values[rows], standard_errors=readouts.standard_errors[rows], raw=raw)


def measure_uncompressed(model: Classifier, X: npt.ArrayLike) -> Floats:
    """Measure f, (samples,); values f / R of a compressed circuit are multiplied by R, so that readouts compare."""
    values = measure(model, X).values
    return values * phases(model.ansatz_, model.theta_).amplitude if _compresses(model) else values


def circuit_run(model: Classifier, kind: Kind) -> tuple[Ansatz, Floats]:
    """Return the ansatz and angles that a backend runs: compressed if the model asks for it and allows it."""
    if kind == "basis" and _compresses(model):
        return compress(model.ansatz_, model.theta_)
    return model.ansatz_, model.theta_


def _compresses(model: Classifier) -> bool:
    """Return whether the model asks for compression and its circuit has an equivalent ZX layer."""
    return model.compress and model.encoding == "basis" and model.ansatz_.is_sine


def source(model: Classifier) -> ReadoutSource:
    """Return the source of measurements: the backend itself, or a `DeviceReadout` with the options in `execution`."""
    options = model.execution or {}
    if not isinstance(options, Mapping):
        raise ValueError(f"execution must be a mapping of options to values; got {short_repr(options)}")
    if isinstance(model.backend, ReadoutSource):
        if options:
            raise ValueError(
                f"execution must be None where the backend has options of its own, as {type(model.backend).__name__} "
                f"has; got {short_repr(options)}"
            )
        return model.backend
    if model.backend is None:
        raise ValueError("measuring needs a backend; set_params(backend=...)")
    from qcluster.qnn.device import DeviceReadout

    known = [field.name for field in fields(DeviceReadout) if field.init and field.name != "backend"]
    if unknown := sorted(set(options) - set(known)):
        cure = "; for a reference circuit, mitigation='reference'" if "reference" in unknown else ""
        raise ValueError(f"execution must have options among {', '.join(known)}; got {', '.join(unknown)}{cure}")
    return DeviceReadout(model.backend, **options)


def check(model: Classifier) -> None:
    """Raise an error for an unknown backend or option, so that it comes before training and not after."""
    from qcluster.qnn.device import DeviceReadout

    machine = source(model)
    if isinstance(machine, DeviceReadout):
        machine.check()


def training_form(model: Classifier, rng: np.random.Generator) -> MeasuredForm:
    """Return the measured form to train, after replacing the ansatz by one ZX layer if the two are equivalent.

    They are if the ansatz spans all sine perceptrons. One that does not, such as one without a bias gate, is trained
    unchanged, because the ZX layer could learn functions that it cannot represent.
    """
    if _compresses(model) and model.ansatz_.spans_sine:
        theta = np.asarray(getattr(model, "theta_", ()))
        if theta.shape[-1] == model.ansatz_.n_parameters:  # partial_fit and warm starts continue from these angles
            model.theta_ = np.apply_along_axis(lambda angles: compress(model.ansatz_, angles)[1], -1, theta)
        model.ansatz_ = build("zx", model.ansatz_.n_data)
    shared = model.gradient == "auto" and model.encoding == "basis" and model.ansatz_.is_zx_with_bias
    return MeasuredForm(model.ansatz_, source(model), model.shots, rng, shared)
