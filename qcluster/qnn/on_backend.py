"""A classifier on a backend: the circuit that runs there, what measures it, and calibrated decision values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_whole
from qcluster.core.words import shown
from qcluster.qnn import samples
from qcluster.qnn.ansatz import Ansatz, build
from qcluster.qnn.encoding import Inputs, Kind
from qcluster.qnn.measured import MeasuredForm, Readouts, ReadoutSource
from qcluster.qnn.rescale import drawn_rows, rescale, strength
from qcluster.qnn.samples import Classifier
from qcluster.qnn.simulation.compress import compress, phases
from qcluster.qnn.simulation.exact import exact_form
from qcluster.qnn.training.fitted import check_one_readout


def measure(model: Classifier, X: npt.ArrayLike) -> Readouts:
    """Measure f of rows; see `qcluster.qnn.QNNClassifier.measure`."""
    check_one_readout(model)
    check_whole("shots", model.shots, 1)
    inputs = samples.encode(model, X)
    distinct, rows = samples.distinct(inputs)
    ansatz, theta = circuit_run(model, inputs.kind)
    rng = samples.draw_rng(model)
    machine = source(model)

    def run(batch: Inputs) -> Readouts:
        return machine.measure(ansatz, np.tile(theta, (len(batch), 1)), batch, shots=model.shots, rng=rng)

    if getattr(machine, "mitigation", None) == "rescale":
        known = model.calibration_
        if known.kind != inputs.kind:  # the encoding was changed after fit
            known = drawn_rows(ansatz, theta, inputs.kind, rng)
        exact = exact_form(ansatz, inputs.kind).forward(theta, known, gradient=False)[0]
        strength(exact)  # before shots are paid for
        found = rescale(run(known.concat(distinct)), exact, model.shots)
    else:
        found = run(distinct)
    raw = None if found.raw is None else found.raw[rows]
    return replace(found, values=found.values[rows], standard_errors=found.standard_errors[rows], raw=raw)


def measure_uncompressed(model: Classifier, X: npt.ArrayLike) -> Floats:
    """Measure f, (samples,), to compare with other readouts': f / R of a compressed circuit has only its sign."""
    values = measure(model, X).values
    return values * phases(model.ansatz_, model.theta_).amplitude if _compresses(model) else values


def circuit_run(model: Classifier, kind: Kind) -> tuple[Ansatz, Floats]:
    """Return the circuit that a backend runs: the compressed one where it is equivalent and wanted."""
    if kind == "basis" and _compresses(model):
        return compress(model.ansatz_, model.theta_)
    return model.ansatz_, model.theta_


def _compresses(model: Classifier) -> bool:
    """Tell whether a shorter circuit is equivalent, and wanted."""
    return model.compress and model.encoding == "basis" and model.ansatz_.is_sine


def source(model: Classifier) -> ReadoutSource:
    """Return what measures: the backend itself, or a `DeviceReadout` of it with the options of `execution`."""
    given = model.execution or {}
    if not isinstance(given, Mapping):
        raise ValueError(f"execution must be a mapping of options to values; got {shown(given)}")
    if isinstance(model.backend, ReadoutSource):
        if given:
            raise ValueError(
                f"execution must be None where the backend has options of its own, as {type(model.backend).__name__} "
                f"has; got {shown(given)}"
            )
        return model.backend
    if model.backend is None:
        raise ValueError("measuring needs a backend; set_params(backend=...)")
    from qcluster.qnn.device import DeviceReadout

    known = [one.name for one in fields(DeviceReadout) if one.init and one.name != "backend"]
    if unknown := sorted(set(given) - set(known)):
        cure = "; for a reference circuit, mitigation='reference'" if "reference" in unknown else ""
        raise ValueError(f"execution must have options among {', '.join(known)}; got {', '.join(unknown)}{cure}")
    return DeviceReadout(model.backend, **given)


def check(model: Classifier) -> None:
    """Refuse a backend or options that do not exist before training, not after it."""
    from qcluster.qnn.device import DeviceReadout

    machine = source(model)
    if isinstance(machine, DeviceReadout):
        machine.check()


def training_form(model: Classifier, rng: np.random.Generator) -> MeasuredForm:
    """Prepare training on the backend; an ansatz of all sine perceptrons is trained as the one ZX layer that it is.

    One that reaches fewer, as without a bias gate, is trained as it stands: the ZX layer could learn what it cannot.
    """
    if _compresses(model) and model.ansatz_.spans_sine:
        begun = np.asarray(getattr(model, "theta_", ()))
        if begun.shape[-1] == model.ansatz_.n_parameters:  # partial_fit and warm starts go on from these angles
            model.theta_ = np.apply_along_axis(lambda own: compress(model.ansatz_, own)[1], -1, begun)
        model.ansatz_ = build("zx", model.ansatz_.n_data)
    shared = model.gradient == "auto" and model.encoding == "basis" and model.ansatz_.is_zx_with_bias
    return MeasuredForm(model.ansatz_, source(model), model.shots, rng, shared)
