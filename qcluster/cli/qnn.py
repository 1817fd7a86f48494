"""``qcluster qnn``: train and evaluate the classifier."""

from __future__ import annotations

import json
import signal
import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import MofNCompleteColumn, TimeElapsedColumn
from rich.table import Table

from qcluster.cli.console import open_bar, open_console, show_table
from qcluster.cli.options import keep_apart, refuse, to_draw, to_write
from qcluster.core.words import plural
from qcluster.device.interrupt import end_at_interrupt
from qcluster.files import write_whole

if TYPE_CHECKING:
    from rich.console import Console

    from qcluster.qnn import LabelledBits, QNNClassifier, Readouts

qnn_app = typer.Typer(
    name="qnn",
    help="Train and evaluate the Farhi-Neven classifier on two digits or on your own images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder of PNG or JPEG files by class, .npz, idx images with their labels, or .csv; default: two digits."
    ),
]
Classes = Annotated[str | None, typer.Option(help="Labels of --data to use, such as 3,6; default: all.")]
First = Annotated[int, typer.Option("--a", min=0, max=9, help="First digit.")]
Second = Annotated[int, typer.Option("--b", min=0, max=9, help="Second digit.")]
Size = Annotated[int, typer.Option(min=1, max=11, help="Pixels per side of your images: size squared data qubits.")]
Share = Annotated[float, typer.Option(min=0.01, max=0.99, help="Share of the samples kept for testing.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the split, of training and of shots.")]
Shots = Annotated[int, typer.Option(min=1, help="Shots per circuit.")]
Twirls = Annotated[int, typer.Option(min=1, help="Pauli-twirled copies per circuit; they share its shots.")]
Decoupling = Annotated[str | None, typer.Option("--dd", help="Dynamical decoupling: XX, XpXm or XY4.")]
Mitigation = Annotated[str, typer.Option(help="rescale (calibrated on six training rows), readout, reference or none.")]


@qnn_app.command()
def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="File of the trained model.", callback=to_write)] = Path("qnn.json"),
    data: Data = None,
    classes: Classes = None,
    a: First = 3,
    b: Second = 6,
    size: Size = 4,
    ansatz: Annotated[str, typer.Option(help="zx, zx-xx, tfq or reed-muller.")] = "zx",
    reps: Annotated[int, typer.Option(min=1, help="Repetitions of the layers; for reed-muller, the degree.")] = 1,
    encoding: Annotated[str, typer.Option(help="basis (bits) or angle (grey values).")] = "basis",
    loss: Annotated[str, typer.Option(help="auto, squared, linear, hinge, log or softmax.")] = "auto",
    solver: Annotated[str, typer.Option(help="auto, lbfgs, sgd, adam, paper, spsa or cobyla.")] = "auto",
    max_iter: Annotated[int | None, typer.Option(min=1, help="Rounds of the solver.")] = None,
    backend: Annotated[str | None, typer.Option(help="Train on this backend instead of exactly.")] = None,
    shots: Shots = 2048,
    twirls: Twirls = 1,
    dd: Decoupling = None,
    mitigation: Mitigation = "rescale",
    test_share: Share = 0.3,
    seed: Seed = 0,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the loss of every round into this file.", callback=to_draw)
    ] = None,
) -> None:
    """Train on a share of the samples, save the model as JSON, and score it on the rest."""
    from qcluster.qnn import QNNClassifier, plot_loss

    keep_apart({"--out": out, "--plot": plot}, {"--data": data})
    _check_used(context, data, backend)
    samples = _load_samples(data, classes, a, b, size, encoding)
    train_rows, test_rows = _split(samples, test_share, seed)
    model = QNNClassifier(
        ansatz, reps=reps, encoding=encoding, loss=loss, solver=solver, max_iter=max_iter, shots=shots,
        backend=backend, train_on="exact" if backend is None else "backend",
        execution=_execution(twirls, dd, mitigation), random_state=seed,
    )  # fmt: skip
    console, messages = open_console(), open_console(stderr=True)
    if signal.getsignal(signal.SIGINT) is end_at_interrupt:  # the model would be lost
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        caught = _train(model, samples.X[train_rows], samples.y[train_rows], messages)
    except BaseException:
        # After a failed job or Ctrl-C, the model trained so far is saved: its shots were paid for.
        if getattr(model, "n_circuits_", 0):
            _save(model, out, samples, test_share, seed)
            done = plural(model.n_iter_, "round")
            messages.print(f"note: training broke off after {done}; so far: {out}", markup=False)
        raise
    _save(model, out, samples, test_share, seed)
    for warning in caught:
        messages.print(f"note: {warning.message}", markup=False)
    if plot is not None:
        from qcluster.plot import save_figure

        save_figure(plot, plot_loss(model))
    model.set_params(backend=None)
    console.print(
        f"{plural(model.theta_.size, 'parameter')} on {plural(model.ansatz_.n_data, 'data qubit')}; "
        f"{plural(len(train_rows), 'sample')} to train, "
        f"{len(test_rows)} to test"
    )
    if model.n_circuits_:
        cost = f"{plural(model.n_circuits_, 'circuit')}, {plural(model.n_shots_, 'shot')}"
        console.print(f"{cost}, contraction {model.contraction_:.3f}")
    console.print(
        f"accuracy: train {model.score(samples.X[train_rows], samples.y[train_rows]):.4f}, "
        f"test {model.score(samples.X[test_rows], samples.y[test_rows]):.4f} (ideal circuit)"
    )
    console.print(f"model: {out}")


@qnn_app.command()
def evaluate(
    context: typer.Context,
    model_file: Annotated[Path, typer.Argument(help="A model that `qnn train` wrote.")],
    backend: Annotated[
        str | None, typer.Option(help="Backend to measure on; by default the exact values are computed.")
    ] = None,
    data: Data = None,
    classes: Classes = None,
    a: First = 3,
    b: Second = 6,
    size: Size = 4,
    shots: Shots = 2048,
    twirls: Twirls = 1,
    dd: Decoupling = None,
    mitigation: Mitigation = "rescale",
    literal: Annotated[
        bool, typer.Option("--literal", help="Run the circuit as trained, not the shorter equivalent one.")
    ] = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Measure once more with a reference circuit, and mitigate with it.")
    ] = False,
    test_share: Annotated[
        float | None,
        typer.Option(min=0.01, max=0.99, help="Share of the samples kept for testing; default: that of training."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of shots, and of the split if the model does not hold that of training.")
    ] = 0,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the decision values as JSON.", callback=to_write)
    ] = None,
) -> None:
    """Score a saved model on the samples that its training left out."""
    import numpy as np

    from qcluster.qnn import load_model
    from qcluster.qnn.samples import distinct, encode
    from qcluster.qnn.storage import load_split

    keep_apart({"--json": json_out}, {"the model": model_file, "--data": data})
    _check_used(context, data, backend)
    if mitigation == "reference":
        refuse(context, ["reference"], "--mitigation reference measures beside a reference already")
    model = load_model(model_file)
    split_seed, share = load_split(model_file) or (seed, test_share or 0.3)
    if test_share not in (None, share):
        raise ValueError(f"--test-share must be that of the model's training, {share:g}; got {test_share:g}")
    samples = _load_samples(data, classes, a, b, size, model.encoding)
    _, test_rows = _split(samples, share, split_seed)
    X, y = samples.X[test_rows], samples.y[test_rows]
    if not set(np.unique(samples.y)) <= set(model.classes_):
        expected, got = (" and ".join(map(str, labels)) for labels in (model.classes_, np.unique(samples.y)))
        raise ValueError(
            f"the data must be of the model's classes, {expected}; they are of {got}: see --a, --b, --data"
        )
    if X.shape[1] != model.n_features_in_:
        raise ValueError(
            f"the data must have the {model.n_features_in_} features of the model; they have {X.shape[1]}: see --size"
        )
    X = X[:, _columns(model, samples)]
    if backend is not None and len(model.classes_) > 2:
        raise ValueError(
            f"a backend evaluates one readout, and this model has {len(model.classes_)}: use readout(label) in Python"
        )
    ideal = model.decision_function(X)
    content: dict[str, Any] = {"labels": y.tolist(), "ideal": ideal.tolist()}
    table = Table("values", "accuracy", "contraction", "rms error", "circuits", "shots")
    table.add_row("ideal", f"{_accuracy(model, ideal, y):.4f}", "1", "0", "", "")
    console, messages = open_console(), open_console(stderr=True)
    notes = []
    if backend is not None:
        exact = ideal if literal or model.amplitude_ is None else ideal / model.amplitude_
        ways = [(backend, mitigation)] + [(f"{backend}, by reference", "reference")] * reference
        content |= {"backend": backend}
        for name, way in ways:
            model.set_params(backend=backend, shots=shots, compress=not literal, random_state=seed,
                             execution=_execution(twirls, dd, way))  # fmt: skip
            readouts = _measure(model, X, name, messages)
            values = readouts.values if readouts.raw is None else readouts.raw
            contraction = float(exact @ values / (exact @ exact))
            error = float(np.sqrt(np.mean((readouts.values - exact) ** 2)))
            table.add_row(name, f"{_accuracy(model, readouts.values, y):.4f}", f"{contraction:.3f}", f"{error:.3f}",
                          str(readouts.n_circuits), str(readouts.n_shots))  # fmt: skip
            row: dict[str, Any] = {"measured": readouts.values.tolist(), "contraction": contraction,
                                   "standard_errors": readouts.standard_errors.tolist()}  # fmt: skip
            if readouts.raw is not None:
                row["raw"] = readouts.raw.tolist()
            slope = readouts.slope
            if slope is not None:
                low, high = slope.interval
                row["slope"] = {"value": slope.value, "interval": [low, high], "p_value": slope.p_value}
                note = f"calibrated on {plural(slope.n_circuits, 'training row')}: slope {slope.value:.3f}"
                notes.append(f"{note}, 95 % interval [{low:.3f}, {high:.3f}]")
            content |= {"reference": row} if way == "reference" and reference else row
    if json_out is not None:  # before anything is printed: measured values are kept even if standard output is closed
        write_whole(json_out, json.dumps(content, indent=1) + "\n")
    for note in notes:
        console.print(note, markup=False)
    show_table(table)
    console.print(f"{plural(len(test_rows), 'sample')}, {plural(len(distinct(encode(model, X))[0]), 'distinct input')}")


def _train(model: QNNClassifier, X: Any, y: Any, console: Console) -> list[warnings.WarningMessage]:
    """Train a model under a progress bar, and return the warnings.

    If training is interrupted, the model keeps what was trained until then.
    """
    from sklearn.exceptions import ConvergenceWarning

    with (
        open_bar(console, MofNCompleteColumn(), TimeElapsedColumn()) as bar,
        warnings.catch_warnings(record=True) as caught,
        closing(model.iter_fit(X, y)) as rounds,
    ):
        task = bar.add_task("training", total=None)
        warnings.simplefilter("always", ConvergenceWarning)
        done = 0
        for done, progress in enumerate(rounds, 1):
            step = progress.step
            left = step.total - step.done + (progress.n_starts - progress.start - 1) * step.total
            bar.update(task, completed=done, total=done + left, description=f"loss {step.loss:.4f}")
        bar.update(task, total=done)  # most starts end before max_iter
    return caught


def _measure(model: QNNClassifier, X: Any, name: str, console: Console) -> Readouts:
    """Measure the decision values of samples on the model's backend, under a progress bar."""
    with open_bar(console, TimeElapsedColumn()) as bar:
        task = bar.add_task(f"running on {name}", total=None)
        readouts = model.measure(X)
        bar.update(task, total=1, completed=1)
    return readouts


def _check_used(context: typer.Context, data: Path | None, backend: str | None) -> None:
    """Refuse options for another kind of samples than the one given, and options of a backend if there is none."""
    if data is None:
        refuse(context, ["size"], "the digits have 4 x 4 pixels; it goes with --data")
        refuse(context, ["classes"], "it goes with --data; the digits are chosen by --a and --b")
    else:
        refuse(context, ["a", "b"], "digits are chosen only without --data")
        if data.suffix.lower() == ".csv":
            refuse(context, ["size"], "the columns of a CSV are taken as they are; it goes with images")
    if backend is None:
        refuse(context, ["shots", "twirls", "dd", "mitigation", "literal", "reference"], "it goes with --backend")


def _load_samples(source: Path | None, classes: str | None, a: int, b: int, size: int, encoding: str) -> LabelledBits:
    """Load samples: from a file or folder, or two digits of the built-in set if there is no source."""
    from qcluster.qnn import load_csv, load_digits_4x4, load_idx, load_images

    grey = encoding == "angle"
    if source is None:
        return load_digits_4x4(a, b, threshold=None if grey else 8)
    names: list[Any] | None = None if classes is None else [name.strip() for name in classes.split(",")]
    if names is not None and not source.is_dir() and all(name.isdecimal() for name in names):
        names = [int(name) for name in names]
    ending = source.suffix.lower()
    if ending == ".csv":
        return load_csv(source, classes=names)
    if "idx" in source.name and ending != ".npz" and not source.is_dir():
        return load_idx(source, classes=names, size=size, threshold=None if grey else 0.5)
    return load_images(source, classes=names, size=size, threshold=None if grey else 0.5)


def _split(samples: LabelledBits, test_share: float, seed: int) -> tuple[Any, Any]:
    """Indices of the samples to train on and of those to test on, with the classes in equal proportions."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    train_rows, test_rows = train_test_split(
        np.arange(len(samples.y)), test_size=test_share, stratify=samples.y, random_state=seed
    )
    return train_rows, test_rows


def _save(model: QNNClassifier, out: Path, samples: LabelledBits, test_share: float, seed: int) -> None:
    """Save a trained model with the names of its features and with the split, which `evaluate` needs."""
    import numpy as np

    from qcluster.qnn import save_model

    if samples.names:
        model.feature_names_in_ = np.array(samples.names, dtype=object)
    save_model(model, out, split={"seed": seed, "test_share": test_share})
    model.__dict__.pop("feature_names_in_", None)  # with them scikit-learn expects a table, not an array


def _columns(model: QNNClassifier, samples: LabelledBits) -> list[int]:
    """Return the column of the samples of each feature of a model, by name if both have names; takes the model's, as
    scikit-learn expects a table where there are any."""
    known, names = list(model.__dict__.pop("feature_names_in_", ())), list(samples.names)
    if not known or not names or known == names:
        return list(range(model.n_features_in_))
    if sorted(known) != sorted(names) or len(set(names)) < len(names):
        raise ValueError(f"the data must have the model's columns, {', '.join(known)}; they have {', '.join(names)}")
    return [names.index(name) for name in known]


def _execution(twirls: int, dd: str | None, mitigation: str) -> dict[str, Any]:
    return {"twirls": twirls, "measure_twirl": twirls > 1, "dd": dd, "mitigation": mitigation}


def _accuracy(model: QNNClassifier, values: Any, y: Any) -> float:
    predicted = (values > 0).astype(int) if values.ndim == 1 else values.argmax(axis=1)
    return float((model.classes_[predicted] == y).mean())
