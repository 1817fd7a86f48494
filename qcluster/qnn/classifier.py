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
from qcluster.qnn.encoding import Kind
from qcluster.qnn.measured import MeasuredForm, Readouts
from qcluster.qnn.simulation.compress import compress
from qcluster.qnn.simulation.exact import Form
from qcluster.qnn.training import fitted
from qcluster.qnn.training.setup import choose_solver, count_angles, draw_starts, make_problem, set_aside
from qcluster.qnn.training.train import Progress, Training

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


class QNNClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify bit strings (or grey values, or quantum states) by the mean of one readout qubit.

    The circuit of Farhi and Neven (arXiv:1802.06002): gates exp(i theta P R) between n data qubits and a readout; the
    decision value f = <Y> of the readout is positive for ``classes_[1]``. Exact training never simulates the circuit:
    the default ansatz has a closed form (`qcluster.qnn.simulation.exact`), milliseconds at any width. By the same token
    there is no quantum advantage in it: on bit strings it is a sine perceptron, f = -R sin(sum_i phi_i s_i + 2 b). Run
    it on a machine as a test load whose ideal answer is known.

    More than two classes get a readout each, trained together; the largest f wins, and `readout` gives each as a
    classifier of its own. `predict_proba` is Born's rule, (1 + f) / 2, and for a softmax loss the softmax that was
    trained: not calibrated; see `sklearn.calibration.CalibratedClassifierCV`.

    Args:
        ansatz: "zx", "zx-xx", "tfq", "reed-muller", a list of (data Pauli, readout Pauli) layers, an `Ansatz`,
            or a function n_data -> `Ansatz`; see `qcluster.qnn.ansatz.build`.
        reps: Repetitions of the layers; the degree for "reed-muller". An `Ansatz` and a function have their own.
        bias: Whether to append a bias gate. Without it f(NOT z) = -f(z) for ZX gates. "reed-muller" always has one, an
            `Ansatz` and a function have what they have.
        encoding: "basis" (bits), "angle" (RX(pi x) of each feature) or "state" (rows are state vectors of 2**n
            complex amplitudes, superposed or entangled). It may be changed after fit: angles trained on superpositions
            classify strings.
        threshold: For "basis": bit j is x_j > threshold. None takes zeros and ones as they are and cuts anything else
            at each feature's mean.
        loss: "squared", "linear", "hinge" or "log", of the margin y f; summed over the readouts (one-vs-rest) if there
            are more than two classes. "softmax" is the cross-entropy of the classes, whose logits are the decision
            values (of two classes -f and f) times `sharpness`. "auto" is squared for two classes and softmax for more.
        sharpness: Factor of the decision values in the softmax. They end at 1, and where the states keep f small it
            takes a large one to tell a wrong sign from a small value. 3 did best by cross-validation on training rows
            of ten digits (`python -m benchmarks.qnn_multiclass`); search it like any other parameter.
        solver: "lbfgs", "sgd", "adam", "paper" (rate * loss / g**2), "spsa", "cobyla", or "auto": lbfgs for exact
            training, adam on a backend.
        learning_rate: Step size; None takes what suits the solver (sgd .003, paper .05, adam .03, spsa .5). Above .02
            sgd is unstable.
        batch_size: Samples per step; None takes what suits the solver (1 for sgd and paper, all for adam).
        max_iter: Rounds or passes; None takes what suits the solver.
        n_init: Random starts of exact training; the lowest loss wins. One start is unsafe: there are local minima.
        init_scale: Standard deviation of the starting angles. Uniform angles make f vanish exponentially in n; parity
            wants 1.5.
        gradient: "auto", "adjoint" (dense simulation; exact training only) or "shift" (every parameter by itself;
            backend only).
        backend: None for exact values; else what `qcluster.execute` takes, or a `ReadoutSource`. `decision_function`,
            `predict` and `score` then measure.
        train_on: "exact" or "backend".
        shots: Shots per circuit on a backend.
        execution: Options of `qcluster.qnn.device.DeviceReadout`: twirls, measure_twirl, dd, mitigation ("rescale",
            "readout", "reference" or "none"), ...; a `ReadoutSource` has options of its own.
        compress: Whether a backend gets the equivalent single ZX layer (same predictions, shortest circuit) where
            there is one; False runs the literal circuit.
        random_state: Seed of starts, sampling and shots.
        warm_start: Whether fit starts from the parameters of the last one.
        class_weight: None, "balanced", or {label: factor} of the weights of its rows.
        early_stopping: Whether a share of the rows is set aside, and a start ends when its mean loss on them has not
            fallen by `tol` for `n_iter_no_change` rounds; the parameters of its lowest are kept.
        validation_fraction: The share set aside, of each class.
        n_iter_no_change: Rounds.
        tol: Mean loss.
        callback: Called with `Progress` after every round; a true return value ends training there, with the best
            start finished. lbfgs and cobyla run a start to its end before they report its rounds.

    Attributes:
        classes_: (k,) labels.
        ansatz_: The `Ansatz` of the literal circuit.
        theta_: (n_parameters,) angles; (k, n_parameters) for more than two classes.
        threshold_: (n,) cuts used for "basis".
        phases_: (n,) the phi_i; None where the model is no sine perceptron, or more than one.
        amplitude_: R; None likewise.
        loss_curve_: (rounds,) losses of the best start: one per iteration or pass (cobyla: per evaluation).
        validation_curve_: (rounds,) losses on the rows that early stopping set aside; empty without it.
        n_iter_: Rounds of the best start.
        n_circuits_: Circuits run on a backend during fit, or during all calls of partial_fit.
        n_shots_: Shots of them.
        contraction_: Slope of the measured over the exact decision values at the end of training on a backend, NaN
            where those are all zero; 1.0 after exact training.
        calibration_: Up to six training inputs whose measured values give the slope of `measure`.
        n_features_in_: Features seen in fit.

    Example:
        >>> from qcluster.qnn import QNNClassifier, load_digits_4x4
        >>> digits = load_digits_4x4(3, 6)
        >>> model = QNNClassifier(random_state=1).fit(digits.X, digits.y)
        >>> model.score(digits.X, digits.y) > 0.98
        True
    """

    loss_curve_: Floats
    n_iter_: int
    n_circuits_: int
    n_shots_: int

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
        """Make the classifier of the paper: 3 x (ZX + XX), no bias, linear loss, one sample per step, one start.

        The layer count is what secondary sources give for 4 x 4 digits (96 parameters).
        """
        preset = {"ansatz": "zx-xx", "reps": 3, "bias": False, "loss": "linear", "solver": "sgd", "n_init": 1}
        return cls(**{**preset, **changes})

    @classmethod
    def from_angles(
        cls, ansatz: Ansatz, theta: npt.ArrayLike, *, classes: npt.ArrayLike = (0, 1), **parameters: Any
    ) -> QNNClassifier:
        """Make a fitted classifier of given angles, without training; see `qcluster.qnn.explicit` for some.

        Args:
            ansatz: The gates.
            theta: (n_parameters,) their angles.
            classes: (2,) labels of negative and positive f, in ascending order.
            **parameters: Those of the constructor, such as encoding or backend.

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
            y: (samples,) labels, two distinct ones or more.
            sample_weight: (samples,) not negative; rows of weight 0 are left out.
        """
        for _ in self.iter_fit(X, y, sample_weight):
            pass
        return self

    def iter_fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> Generator[Progress, None, None]:
        """Train as `fit` does, and report after every round; the model is fitted when the iterator ends or is left."""
        before = dict(self.__dict__)
        rng = samples.draw_rng(self)
        inputs, rows, targets, weights = samples.prepare(self, X, y, sample_weight)
        if not self.warm_start:
            self.__dict__.pop("theta_", None)  # of an earlier fit: should this one fail, they belong to other labels
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
            self.__dict__.pop("theta_", None)  # a warm start's, likewise
            raise
        try:
            yield from training
        finally:
            # Also where the caller breaks off or a job fails: what was trained until then is a model.
            if training.outcome is not None:
                fitted.take(self, training.outcome, inputs, measured, rng)
            elif self.warm_start:  # the angles that it was to go on from are worth no less than before
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
        """Return the form that is trained, and the same where it measures.

        What was measured is calibrated by exact values in the end: without a route to them no circuit is run.
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
        """Go on by one pass over these rows, from where the last call (or fit) ended; "auto" means sgd here.

        The first call fixes ``threshold_`` by its rows: give `threshold` where they are few and not bits.

        Args:
            X: (samples, n_features).
            y: (samples,) labels among `classes`.
            classes: (k,) all labels, needed in the first call if y lacks some of them.
            sample_weight: (samples,) not negative; a row of weight 2 counts twice, whatever the others weigh.

        Raises:
            ValueError: The solver is lbfgs or cobyla, early_stopping is True or class_weight "balanced", which need
                all rows at once; or y holds labels that are not in ``classes_``.

        Example:
            >>> model = QNNClassifier(random_state=0)
            >>> for bits, label in (([0, 0, 1], "no"), ([1, 1, 0], "yes")):
            ...     model = model.partial_fit([bits], [label], classes=["no", "yes"])
            >>> model.n_iter_
            2
        """
        begun = hasattr(self, "theta_")
        done, curve, spent = (
            (self.n_iter_, self.loss_curve_, (self.n_circuits_, self.n_shots_)) if begun else (0, np.zeros(0), (0, 0))
        )
        if self.backend is not None and not begun:
            on_backend.check(self)
        rng = samples.draw_rng(self, done)
        inputs, rows, targets, weights = samples.prepare(self, X, y, sample_weight, classes=classes, partial=True)
        if not begun:
            self.ansatz_ = build(self.ansatz, inputs.n_data, reps=self.reps, bias=self.bias)
        form, measured = self._forms(inputs.kind, rng)
        # Weights are not taken over their mean, which differs from call to call and is all there is to a single row.
        problem = make_problem(self, form, inputs, rows, targets, weights, unit=1.0)
        start = self.theta_.ravel() if begun else rng.normal(0, self.init_scale, count_angles(self))
        solver, settings = choose_solver(self, partial=True)
        training = Training(problem, [start], solver, settings, rng, callback=self.callback)
        for _ in training:
            pass
        if training.outcome is not None:
            same_kind = begun and self.calibration_.kind == inputs.kind  # the encoding may be another since
            seen = inputs.union(self.calibration_) if same_kind else inputs
            fitted.take(self, training.outcome, seen, measured, rng)
        self.n_iter_, self.loss_curve_ = self.n_iter_ + done, np.append(curve, self.loss_curve_)
        self.n_circuits_, self.n_shots_ = self.n_circuits_ + spent[0], self.n_shots_ + spent[1]
        return self

    def decision_function(self, X: npt.ArrayLike) -> Floats:
        """Return f: exact, or measured if there is a backend.

        Returns:
            (samples,), positive for ``classes_[1]``; (samples, k) for more than two classes, the largest one wins.
        """
        check_is_fitted(self)
        if self.backend is None:
            inputs = samples.encode(self, X)
            found = list(fitted.exact_values(self, inputs))
        elif len(self.classes_) == 2:
            found = [self.measure(X).values]
        else:
            draws = check_random_state(self.random_state)
            # One source for all: the circuits differ in angles alone, and are compiled once, with one reference.
            shared: dict[str, Any] = {"backend": on_backend.source(self), "execution": None}
            seeded = [
                self.readout(label).set_params(random_state=draws.randint(2**31), **shared) for label in self.classes_
            ]
            found = [on_backend.measure_uncompressed(one, X) for one in seeded]
        return found[0] if len(self.classes_) == 2 else np.stack(found, axis=1)

    def readout(self, label: Any) -> QNNClassifier:
        """Return the readout of one class as a fitted classifier of False and True, to measure, compress or draw.

        Args:
            label: One of ``classes_``.

        Example:
            >>> many = QNNClassifier(random_state=0).fit([[0, 0], [0, 1], [1, 0]], ["a", "b", "c"])
            >>> many.readout("c").predict([[1, 0], [0, 1]])
            array([ True, False])
        """
        theta = fitted.angles_of(self, label)
        one: QNNClassifier = clone(self).set_params(class_weight=None)
        fitted.pass_on(self, one, self.ansatz_, theta)
        one.classes_ = np.array([False, True])
        return one

    def measure(self, X: npt.ArrayLike) -> Readouts:
        """Measure f on the backend: distinct rows once, all circuits in one batch; f / R if `compress` shortened them.

        With `execution={"mitigation": "rescale"}`, the default on machines, the batch holds the training rows in
        `calibration_` too (at most six circuits, whatever the number of rows); the values are divided by their slope,
        which comes back with its interval and a check of its fit.

        Raises:
            ValueError: There are more than two classes: `readout` gives the classifier of one.
        """
        return on_backend.measure(self, X)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the label of each row, (samples,)."""
        f = self.decision_function(X)
        return np.asarray(self.classes_[(f > 0).astype(int) if f.ndim == 1 else f.argmax(axis=1)])

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Return [(1 - f) / 2, (1 + f) / 2], (samples, 2): the chances of the readout's two outcomes.

        For more than two classes, (samples, k): the softmax of the decision values times `sharpness`; of two classes,
        too, where the loss is "softmax". It is the softmax that was trained, also of what compressed circuits measured.
        """
        check_is_fitted(self)
        trained = self.loss == "softmax" and self.backend is not None and len(self.classes_) == 2
        f = on_backend.measure_uncompressed(self, X) if trained else self.decision_function(X)
        if f.ndim == 2 or self.loss == "softmax":
            logits = f if f.ndim == 2 else np.stack([-f, f], axis=1)
            return np.asarray(special.softmax(self.sharpness * logits, axis=1))
        f = np.clip(f, -1, 1)
        return np.stack([(1 - f) / 2, (1 + f) / 2], axis=1)

    def circuit(self, x: npt.ArrayLike, *, literal: bool = False) -> QuantumCircuit:
        """Build the circuit of one row, as a backend gets it; `literal` gives the uncompressed one."""
        from qcluster.qnn import circuits

        fitted.check_one_readout(self)
        if np.ndim(x) != 1:
            raise ValueError(f"x must be one row, of shape (n_features,); got shape {np.shape(x)}")
        row: Any = x.to_frame().T if hasattr(x, "to_frame") else np.asarray(x)[None]  # one of a DataFrame has names
        inputs = samples.encode(self, row)
        ansatz, theta = (self.ansatz_, self.theta_) if literal else on_backend.circuit_run(self, inputs.kind)
        return circuits.circuit(ansatz, theta, circuits.prepare(inputs, 0))

    def compressed(self) -> QNNClassifier:
        """Return a fitted copy with one ZX layer that predicts the same on every bit string; see `compress`.

        Raises:
            ValueError: The model is no sine perceptron.
        """
        fitted.check_one_readout(self)
        if self.encoding != "basis":
            raise ValueError(f"only models of bit strings can be compressed; the encoding is {self.encoding!r}")
        short: QNNClassifier = clone(self).set_params(ansatz="zx", reps=1, bias=True)
        fitted.pass_on(self, short, *compress(self.ansatz_, self.theta_))
        return short

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether there are angles: a fit that failed may have left labels or a circuit."""
        return hasattr(self, "theta_")

    def __sklearn_clone__(self) -> QNNClassifier:
        """Copy the parameters; the backend is shared, because a machine cannot be copied."""
        parameters = {
            name: clone(value, safe=False) for name, value in self.get_params(deep=False).items() if name != "backend"
        }
        return type(self)(**parameters, backend=self.backend)
