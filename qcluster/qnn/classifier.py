"""`QNNClassifier`: the Farhi-Neven classifier as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import special
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, check_random_state

from qcluster.core.arrays import Floats
from qcluster.qnn import on_backend, samples
from qcluster.qnn.ansatz import Ansatz, Layer, build
from qcluster.qnn.encoding import Inputs, Kind
from qcluster.qnn.measured import MeasuredForm, Readouts
from qcluster.qnn.simulation.compress import compress
from qcluster.qnn.simulation.exact import Form
from qcluster.qnn.training import fitted
from qcluster.qnn.training.setup import choose_solver, count_angles, draw_starts, make_problem, set_aside
from qcluster.qnn.training.train import Progress, Training

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


class QNNClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify bit strings, grey values or quantum states by the expectation value of one readout qubit.

    The circuit is that of Farhi and Neven (arXiv:1802.06002): gates exp(i theta P R) between n data qubits and a
    readout qubit. The decision value is f = <Y> of the readout, positive for ``classes_[1]``. Exact training does not
    simulate the circuit: the default ansatz has a closed form (`qcluster.qnn.simulation.exact`) that takes milliseconds
    at any width. For the same reason it offers no quantum advantage: on bit strings it is a sine perceptron,
    f = -R sin(sum_i phi_i s_i + 2 b). On a machine it is useful as a test circuit whose ideal answer is known.

    With more than two classes, each class has its own readout. All readouts are trained together, the class with the
    largest f is predicted, and `readout` returns each as a separate classifier. `predict_proba` uses Born's rule,
    (1 + f) / 2, or the trained softmax if the loss is softmax. These probabilities are not calibrated; see
    `sklearn.calibration.CalibratedClassifierCV`.

    Args:
        ansatz: "zx", "zx-xx", "tfq", "reed-muller", a list of (data Pauli, readout Pauli) layers, an `Ansatz`,
            or a function n_data -> `Ansatz`; see `qcluster.qnn.ansatz.build`.
        reps: Number of repetitions of the layers, or the degree for "reed-muller". Not used if `ansatz` is an `Ansatz`
            or a function.
        bias: Whether to append a bias gate. Without one, f(NOT z) = -f(z) for ZX gates. "reed-muller" always has one;
            not used if `ansatz` is an `Ansatz` or a function.
        encoding: "basis" (bits), "angle" (RX(pi x) of each feature) or "state" (rows are state vectors of 2**n
            complex amplitudes, superposed or entangled). It may be changed after fit, for example to classify bit
            strings with angles that were trained on superpositions.
        threshold: For "basis": bit j is x_j > threshold. With None, zeros and ones are used unchanged, and any other
            data are cut at the mean of each feature.
        loss: "squared", "linear", "hinge" or "log" of the margin y f, summed over the readouts (one-vs-rest) if there
            are more than two classes. "softmax" is the cross-entropy of the classes, with the decision values (-f and
            f for two classes) times `sharpness` as logits. "auto" is squared for two classes and softmax for more.
        sharpness: Factor of the decision values in the softmax. As ``|f| <= 1``, and some states keep f much smaller,
            a large factor may be needed to penalise a wrong sign more than a small value. The default of 3 did best in
            cross-validation on training rows of ten digits (`python -m benchmarks.qnn_multiclass`); tune it like any
            other parameter.
        solver: "lbfgs", "sgd", "adam", "paper" (rate * loss / g**2), "spsa", "cobyla", or "auto": lbfgs for exact
            training, adam on a backend.
        learning_rate: Step size; None is the solver's default (sgd .003, paper .05, adam .03, spsa .5). sgd is
            unstable above .02.
        batch_size: Samples per step; None is the solver's default (1 for sgd and paper, all for adam).
        max_iter: Maximum number of rounds (iterations, or passes over the rows); None is the solver's default.
        n_init: Random starts of exact training; the one with the lowest loss is kept. A single start may end in a
            local minimum.
        init_scale: Standard deviation of the initial angles. With uniform angles f vanishes exponentially in n, unless
            the gates are diagonal and the inputs bit strings. Parity needs a larger value, such as 1.5.
        gradient: "auto", "adjoint" (dense simulation; exact training only) or "shift" (a parameter shift for every
            parameter; backend only).
        backend: None for exact values; otherwise a backend or name that `qcluster.execute` accepts, or a
            `ReadoutSource`, and `decision_function`, `predict` and `score` use measured values.
        train_on: "exact" or "backend".
        shots: Shots per circuit on a backend.
        execution: Options of `qcluster.qnn.device.DeviceReadout`: twirls, measure_twirl, dd, mitigation ("rescale",
            "readout", "reference" or "none"), ...; None if the backend is a `ReadoutSource`.
        compress: Whether a backend runs the equivalent single ZX layer, if there is one: the same predictions from the
            shortest circuit. False runs the literal circuit.
        random_state: Seed of the starts, the sampling and the shots.
        warm_start: Whether `fit` starts from the angles of the previous fit.
        class_weight: None, "balanced", or {label: factor} for the weights of the rows of a class.
        early_stopping: Whether to set validation rows aside. A start then ends when its mean validation loss has not
            fallen by `tol` for `n_iter_no_change` rounds, and keeps the angles with the lowest validation loss.
        validation_fraction: Share of the rows of each class to set aside.
        n_iter_no_change: Rounds without improvement that end a start.
        tol: Smallest decrease of the mean validation loss that counts as an improvement.
        callback: Called with a `Progress` after every round. If it returns a true value, training ends and the best
            finished start is kept, or the first start as it is then. lbfgs and cobyla report the rounds of a start
            only after it has ended.

    Attributes:
        classes_: (k,) labels.
        ansatz_: The `Ansatz` of the literal circuit.
        theta_: (n_parameters,) angles; (k, n_parameters) for more than two classes.
        threshold_: (n,) thresholds used for "basis".
        phases_: (n,) the phi_i; None unless the model is a single sine perceptron.
        amplitude_: R; None unless the model is a single sine perceptron.
        loss_curve_: (rounds,) losses of the best start: one per iteration or pass (cobyla: per evaluation).
        validation_curve_: (rounds,) losses on the validation rows; empty without early stopping.
        n_iter_: Rounds of the best start.
        n_circuits_: Circuits run on a backend during fit, or during all calls of partial_fit.
        n_shots_: Shots of these circuits.
        contraction_: Slope of measured against exact decision values at the end of training on a backend, NaN if the
            exact values are all zero; 1.0 after exact training.
        calibration_: Up to six training inputs, on which `measure` determines the slope.
        n_features_in_: Number of features seen in fit.

    Example:
        >>> from qcluster.qnn import QNNClassifier, load_digits_4x4
        >>> digits = load_digits_4x4(3, 6)
        >>> model = QNNClassifier(random_state=1).fit(digits.X, digits.y)
        >>> model.score(digits.X, digits.y) > 0.98
        True
    """

    classes_: npt.NDArray[Any]
    ansatz_: Ansatz
    theta_: Floats
    threshold_: Floats
    phases_: Floats | None
    amplitude_: float | None
    loss_curve_: Floats
    validation_curve_: Floats
    n_iter_: int
    n_circuits_: int
    n_shots_: int
    contraction_: float
    calibration_: Inputs
    n_features_in_: int

    def __init__(
        self,
        ansatz: str | Ansatz | Sequence[Layer] | Callable[[int], Ansatz] = "zx",
        *,
        reps: int = 1,
        bias: bool = True,
        encoding: str = "basis",
        threshold: float | None = None,
        loss: str = "auto",
        sharpness: float = 3.0,
        solver: str = "auto",
        learning_rate: float | None = None,
        batch_size: int | None = None,
        max_iter: int | None = None,
        n_init: int = 5,
        init_scale: float = 0.05,
        gradient: str = "auto",
        backend: Any = None,
        train_on: str = "exact",
        shots: int = 2048,
        execution: Mapping[str, Any] | None = None,
        compress: bool = True,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        class_weight: Mapping[Any, float] | str | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        callback: Callable[[Progress], object] | None = None,
    ) -> None:
        self.ansatz = ansatz
        self.reps = reps
        self.bias = bias
        self.encoding = encoding
        self.threshold = threshold
        self.loss = loss
        self.sharpness = sharpness
        self.solver = solver
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_scale = init_scale
        self.gradient = gradient
        self.backend = backend
        self.train_on = train_on
        self.shots = shots
        self.execution = execution
        self.compress = compress
        self.random_state = random_state
        self.warm_start = warm_start
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.callback = callback

    @classmethod
    def paper(cls, **changes: Any) -> QNNClassifier:
        """Return the classifier of the paper: 3 x (ZX + XX), no bias, linear loss, one sample per step, one start.

        The number of layers is the one that secondary sources give for 4 x 4 digits (96 parameters).
        """
        preset = {"ansatz": "zx-xx", "reps": 3, "bias": False, "loss": "linear", "solver": "sgd", "n_init": 1}
        return cls(**{**preset, **changes})

    @classmethod
    def from_angles(
        cls, ansatz: Ansatz, theta: npt.ArrayLike, *, classes: npt.ArrayLike = (0, 1), **parameters: Any
    ) -> QNNClassifier:
        """Return a fitted classifier with the given angles, without training.

        `qcluster.qnn.explicit` computes such angles for some functions.

        Args:
            ansatz: The gates.
            theta: (n_parameters,) angles of the gates.
            classes: (2,) labels of negative and positive f, in ascending order.
            **parameters: Parameters of the constructor, such as encoding or backend.

        Example:
            >>> from qcluster.qnn import reed_muller_angles
            >>> xor = QNNClassifier.from_angles(*reed_muller_angles([False, True, True, False]), classes=["no", "yes"])
            >>> xor.predict([[0, 1], [1, 1]]).tolist()
            ['yes', 'no']
        """
        model = cls(ansatz, **parameters)
        samples.check_parameters(model)
        fitted.set_angles(model, ansatz, theta, classes, samples.draw_rng(model))
        return model

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> QNNClassifier:
        """Train on labelled rows.

        Args:
            X: (samples, n_features).
            y: (samples,) labels of at least two classes.
            sample_weight: (samples,) not negative; rows of weight 0 are left out.
        """
        for _ in self.iter_fit(X, y, sample_weight):
            pass
        return self

    def iter_fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> Generator[Progress, None, None]:
        """Train as `fit` does, and yield after every round.

        The model is fitted once the iterator ends or is closed.
        """
        before = dict(self.__dict__)
        rng = samples.draw_rng(self)
        inputs, rows, targets, weights = samples.prepare(self, X, y, sample_weight)
        if not self.warm_start:
            self.__dict__.pop("theta_", None)  # else, if this fit fails, old angles would go with new labels
        try:
            if self.backend is not None:
                on_backend.check(self)
            self.ansatz_ = build(self.ansatz, inputs.n_data, reps=self.reps, bias=self.bias)
            form, measured = self._forms(inputs.kind, rng)
            problem, patience = set_aside(self, make_problem(self, form, inputs, rows, targets, weights), rng)
            training = Training(
                problem, draw_starts(self, rng), *choose_solver(self), rng, patience=patience, callback=self.callback
            )
        except Exception:
            self.__dict__.pop("theta_", None)  # those of a warm start, for the same reason
            raise
        try:
            yield from training
        finally:
            # This also runs if the caller breaks off or a job fails: the training so far gives a valid model.
            if training.outcome is not None:
                fitted.take(self, training.outcome, inputs, measured, rng)
            elif self.warm_start:  # no round was completed, so the earlier model is still valid
                self.__dict__.clear()
                self.__dict__.update(before)
        if training.outcome is not None and not training.outcome.converged and not training.stopped:
            warnings.warn(
                f"the solver {samples.chosen_solver(self)} stopped at max_iter before it converged, after "
                f"{self.n_iter_} rounds: raise max_iter",
                ConvergenceWarning,
                stacklevel=2,
            )

    def _forms(self, kind: Kind, rng: np.random.Generator) -> tuple[Form, MeasuredForm | None]:
        """Return the form to train, and again as the second value if it measures on a backend.

        The exact form is built in either case, because calibration after training needs exact values. An ansatz that
        has none is refused before any circuit runs.
        """
        measured = on_backend.training_form(self, rng) if self.train_on == "backend" else None
        exact = fitted.exact(self, kind)
        return measured or exact, measured

    def partial_fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        classes: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> QNNClassifier:
        """Continue training from the last call (or fit) with one pass over these rows; solver "auto" means sgd here.

        The first call computes ``threshold_`` from its rows. Set `threshold` if they are few and not bits.

        Args:
            X: (samples, n_features).
            y: (samples,) labels among `classes`.
            classes: (k,) all labels; needed in the first call if y lacks some of them.
            sample_weight: (samples,) not negative; not normalised, so that a row of weight 2 always counts twice.

        Raises:
            ValueError: The solver is lbfgs or cobyla, early_stopping is True, or class_weight is "balanced", all of
                which need all rows at once; or y contains labels that are not in ``classes_``.

        Example:
            >>> model = QNNClassifier(random_state=0)
            >>> for bits, label in (([0, 0, 1], "no"), ([1, 1, 0], "yes")):
            ...     model = model.partial_fit([bits], [label], classes=["no", "yes"])
            >>> model.n_iter_
            2
        """
        resumed = hasattr(self, "theta_")
        done, curve, circuits_run, shots_run = (
            (self.n_iter_, self.loss_curve_, self.n_circuits_, self.n_shots_) if resumed else (0, np.zeros(0), 0, 0)
        )
        if self.backend is not None and not resumed:
            on_backend.check(self)
        rng = samples.draw_rng(self, done)
        inputs, rows, targets, weights = samples.prepare(self, X, y, sample_weight, classes=classes, partial=True)
        if not resumed:
            self.ansatz_ = build(self.ansatz, inputs.n_data, reps=self.reps, bias=self.bias)
        form, measured = self._forms(inputs.kind, rng)
        # Weights are not divided by their mean: it differs between calls, and for a single row the weight would cancel.
        problem = make_problem(self, form, inputs, rows, targets, weights, unit=1.0)
        start = self.theta_.ravel() if resumed else rng.normal(0, self.init_scale, count_angles(self))
        solver, settings = choose_solver(self, partial=True)
        training = Training(problem, [start], solver, settings, rng, callback=self.callback)
        for _ in training:
            pass
        if training.outcome is not None:
            same_kind = resumed and self.calibration_.kind == inputs.kind  # else the encoding was changed
            seen = inputs.union(self.calibration_) if same_kind else inputs
            fitted.take(self, training.outcome, seen, measured, rng)
        self.n_iter_, self.loss_curve_ = self.n_iter_ + done, np.append(curve, self.loss_curve_)
        self.n_circuits_, self.n_shots_ = self.n_circuits_ + circuits_run, self.n_shots_ + shots_run
        return self

    def decision_function(self, X: npt.ArrayLike) -> Floats:
        """Return the decision values f: exact, or measured if there is a backend (f / R for two classes if compressed).

        Returns:
            (samples,), positive for ``classes_[1]``; or (samples, k) for more than two classes, of which the one with
            the largest value is predicted.
        """
        check_is_fitted(self)
        if self.backend is None:
            inputs = samples.encode(self, X)
            values = list(fitted.exact_values(self, inputs))
        elif len(self.classes_) == 2:
            values = [self.measure(X).values]
        else:
            draws = check_random_state(self.random_state)
            # All readouts share one source: their circuits differ only in angles, so one compilation and one
            # reference circuit serve all of them.
            shared: dict[str, Any] = {"backend": on_backend.source(self), "execution": None}
            seeded = [
                self.readout(label).set_params(random_state=draws.randint(2**31), **shared) for label in self.classes_
            ]
            values = [on_backend.measure_uncompressed(readout, X) for readout in seeded]
        return values[0] if len(self.classes_) == 2 else np.stack(values, axis=1)

    def readout(self, label: Any) -> QNNClassifier:
        """Return the readout of one class as a fitted binary classifier, whose circuits can be measured or compressed.

        Args:
            label: One of ``classes_``; the returned classifier predicts True for it and False for the others.

        Example:
            >>> many = QNNClassifier(random_state=0).fit([[0, 0], [0, 1], [1, 0]], ["a", "b", "c"])
            >>> many.readout("c").predict([[1, 0], [0, 1]])
            array([ True, False])
        """
        theta = fitted.angles_of(self, label)
        binary: QNNClassifier = clone(self).set_params(class_weight=None)
        fitted.pass_on(self, binary, self.ansatz_, theta)
        binary.classes_ = np.array([False, True])
        return binary

    def measure(self, X: npt.ArrayLike) -> Readouts:
        """Measure f on the backend, or f / R if the circuit was compressed.

        Distinct rows are measured once, all in one batch. With `execution={"mitigation": "rescale"}`, the default on
        machines, the batch also contains the training rows in `calibration_` (at most six circuits, for any number of
        rows). All values are divided by the slope of measured against exact values on these rows, and the slope is
        returned with its interval and a test of the fit.

        Raises:
            ValueError: There are more than two classes; measure the classifier that `readout` returns for one of them.
        """
        return on_backend.measure(self, X)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the label of each row, (samples,)."""
        f = self.decision_function(X)
        return np.asarray(self.classes_[(f > 0).astype(int) if f.ndim == 1 else f.argmax(axis=1)])

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Return [(1 - f) / 2, (1 + f) / 2], (samples, 2): the probabilities of the two outcomes of the readout.

        With more than two classes, or with loss "softmax", return the softmax of the decision values times
        `sharpness`, (samples, k). Values measured with compressed circuits are first multiplied by R, which makes them
        values of the trained circuit.
        """
        check_is_fitted(self)
        rescaled = self.loss == "softmax" and self.backend is not None and len(self.classes_) == 2
        f = on_backend.measure_uncompressed(self, X) if rescaled else self.decision_function(X)
        if f.ndim == 2 or self.loss == "softmax":
            logits = f if f.ndim == 2 else np.stack([-f, f], axis=1)
            return np.asarray(special.softmax(self.sharpness * logits, axis=1))
        f = np.clip(f, -1, 1)
        return np.stack([(1 - f) / 2, (1 + f) / 2], axis=1)

    def circuit(self, x: npt.ArrayLike, *, literal: bool = False) -> QuantumCircuit:
        """Build the circuit of one row as it runs on a backend; `literal=True` returns the uncompressed circuit."""
        from qcluster.qnn import circuits

        fitted.check_one_readout(self)
        if np.ndim(x) != 1:
            raise ValueError(f"x must be one row, of shape (n_features,); got shape {np.shape(x)}")
        row: Any = x.to_frame().T if hasattr(x, "to_frame") else np.asarray(x)[None]  # a row of a DataFrame has names
        inputs = samples.encode(self, row)
        ansatz, theta = (self.ansatz_, self.theta_) if literal else on_backend.circuit_run(self, inputs.kind)
        return circuits.circuit(ansatz, theta, circuits.prepare(inputs, 0))

    def compressed(self) -> QNNClassifier:
        """Return a fitted copy with one ZX layer and a bias that makes the same prediction for every bit string.

        Its decision value is f / R; see `qcluster.qnn.simulation.compress`.

        Raises:
            ValueError: The model is not a sine perceptron.
        """
        fitted.check_one_readout(self)
        if self.encoding != "basis":
            raise ValueError(f"only models of bit strings can be compressed; the encoding is {self.encoding!r}")
        short: QNNClassifier = clone(self).set_params(ansatz="zx", reps=1, bias=True)
        fitted.pass_on(self, short, *compress(self.ansatz_, self.theta_))
        return short

    def __sklearn_is_fitted__(self) -> bool:
        """Whether the model has angles; a failed fit may have set labels or an ansatz only."""
        return hasattr(self, "theta_")

    def __sklearn_clone__(self) -> QNNClassifier:
        """Return an unfitted copy that shares the backend, because a connection to a machine cannot be copied."""
        parameters = {
            name: clone(value, safe=False) for name, value in self.get_params(deep=False).items() if name != "backend"
        }
        return type(self)(**parameters, backend=self.backend)
