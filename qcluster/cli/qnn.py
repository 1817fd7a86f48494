"""The commands `qcluster qnn train` and `qcluster qnn evaluate`."""

from __future__ import annotations

import json
import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import MofNCompleteColumn, TimeElapsedColumn
from rich.table import Table

from qcluster.cli.console import open_bar, open_console
from qcluster.cli.options import keep_apart, refuse, to_draw, to_write
from qcluster.core.words import many
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
        help="Folder of PNG or JPEG files by class, .npz, idx images (labels beside them) or .csv; default: two digits."
    ),
]
Classes = Annotated[str | None, typer.Option(help="Labels to keep of --data, such as 3,6; default: all.")]
First = Annotated[int, typer.Option("--a", min=0, max=9, help="First digit.")]
Second = Annotated[int, typer.Option("--b", min=0, max=9, help="Second digit.")]
Size = Annotated[int, typer.Option(min=1, max=11, help="Pixels per side of your images: size squared data qubits.")]
Share = Annotated[float, typer.Option(min=0.01, max=0.99, help="Share of the samples kept for testing.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the split, of training and of shots.")]
Shots = Annotated[int, typer.Option(min=1, help="Shots per circuit.")]
Twirls = Annotated[int, typer.Option(min=1, help="Pauli-twirled copies per circuit; they share its shots.")]
Decoupling = Annotated[str | None, typer.Option("--dd", help="Dynamical decoupling sequence.")]
Mitigation = Annotated[
    str, typer.Option(help="rescale (calibrated on six training images), readout, reference or none.")
]


@qnn_app.command()
def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Where the trained model goes.", callback=to_write)] = Path("qnn.json"),
    data: Data = None,
    classes: Classes = None,
    a: First = 3,
    b: Second = 6,
    size: Size = 4,
    ansatz: Annotated[str, typer.Option(help="zx, zx-xx, tfq or reed-muller.")] = "zx",
    reps: Annotated[int, typer.Option(min=1, help="Repetitions of the layers, or the degree.")] = 1,
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
    from qcluster.qnn import QNNClassifier, plot_loss, save_model

    keep_apart({"--out": out, "--plot": plot}, {"--data": data})
    _check_used(context, data, backend)
    taken = _data(data, classes, a, b, size, encoding)
    rows, held = _split(taken, test_share, seed)
    model = QNNClassifier(
        ansatz, reps=reps, encoding=encoding, loss=loss, solver=solver, max_iter=max_iter, shots=shots,
        backend=backend, train_on="exact" if backend is None else "backend",
        execution=_execution(twirls, dd, mitigation), random_state=seed,
    )  # fmt: skip
    console = open_console()
    try:
        caught = _train(model, taken.X[rows], taken.y[rows], console)
    except BaseException:
        # A job that failed, or Ctrl-C: what was paid for is kept.
        if getattr(model, "n_circuits_", 0):
            save_model(model, out)
            console.print(f"note: training broke off after {many(model.n_iter_, 'round')}; so far: {out}", markup=False)
        raise
    for warning in caught:
        console.print(f"note: {warning.message}", markup=False)
    save_model(model, out)
    if plot is not None:
        from qcluster.plot import save_figure

        save_figure(plot, plot_loss(model))
    model.set_params(backend=None)
    console.print(
        f"{many(model.theta_.size, 'parameter')} on {many(model.ansatz_.n_data, 'data qubit')}; "
        f"{many(len(rows), 'sample')} to train, "
        f"{len(held)} to test"
    )
    if model.n_circuits_:
        spent = f"{many(model.n_circuits_, 'circuit')}, {many(model.n_shots_, 'shot')}"
        console.print(f"{spent}, contraction {model.contraction_:.3f}")
    console.print(
        f"accuracy: train {model.score(taken.X[rows], taken.y[rows]):.4f}, "
        f"test {model.score(taken.X[held], taken.y[held]):.4f} (ideal circuit)"
    )
    console.print(f"model: {out}")


@qnn_app.command()
def evaluate(
    context: typer.Context,
    model_file: Annotated[Path, typer.Argument(help="A model that `qnn train` wrote.")],
    backend: Annotated[str | None, typer.Option(help="Backend to measure on; without it the exact values.")] = None,
    data: Data = None,
    classes: Classes = None,
    a: First = 3,
    b: Second = 6,
    size: Size = 4,
    shots: Shots = 2048,
    twirls: Twirls = 1,
    dd: Decoupling = None,
    mitigation: Mitigation = "rescale",
    literal: Annotated[bool, typer.Option("--literal", help="Run the circuit as trained, not the short one.")] = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Measure once more beside a reference circuit, and mitigate by it.")
    ] = False,
    test_share: Share = 0.3,
    seed: Seed = 0,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the decision values as JSON.", callback=to_write)
    ] = None,
) -> None:
    """Score a saved model on the samples that training with the same seed left out."""
    import numpy as np

    from qcluster.qnn import load_model

    keep_apart({"--json": json_out}, {"the model": model_file, "--data": data})
    _check_used(context, data, backend)
    if mitigation == "reference":
        refuse(context, ["reference"], "--mitigation reference measures beside a reference already")
    model = load_model(model_file)
    taken = _data(data, classes, a, b, size, model.encoding)
    _, held = _split(taken, test_share, seed)
    X, y = taken.X[held], taken.y[held]
    if not set(np.unique(taken.y)) <= set(model.classes_):
        known, given = (" and ".join(map(str, labels)) for labels in (model.classes_, np.unique(taken.y)))
        raise ValueError(f"the data must be of the model's classes, {known}; they are of {given}: see --a, --b, --data")
    if backend is not None and len(model.classes_) > 2:
        raise ValueError(
            f"a backend evaluates one readout, and this model has {len(model.classes_)}: use readout(label) in Python"
        )
    ideal = model.decision_function(X)
    content: dict[str, Any] = {"labels": y.tolist(), "ideal": ideal.tolist()}
    table = Table("values", "accuracy", "contraction", "rms error", "circuits", "shots")
    table.add_row("ideal", f"{_accuracy(model, ideal, y):.4f}", "1", "0", "", "")
    console = open_console()
    if backend is not None:
        exact = ideal if literal or model.amplitude_ is None else ideal / model.amplitude_
        ways = [(backend, mitigation)] + [(f"{backend}, by reference", "reference")] * reference
        content |= {"backend": backend}
        for name, way in ways:
            model.set_params(backend=backend, shots=shots, compress=not literal, random_state=seed,
                             execution=_execution(twirls, dd, way))  # fmt: skip
            found = _measured(model, X, name, console)
            values = found.values if found.raw is None else found.raw
            slope = float(exact @ values / (exact @ exact))
            error = float(np.sqrt(np.mean((found.values - exact) ** 2)))
            table.add_row(name, f"{_accuracy(model, found.values, y):.4f}", f"{slope:.3f}", f"{error:.3f}",
                          str(found.n_circuits), str(found.n_shots))  # fmt: skip
            row: dict[str, Any] = {"measured": found.values.tolist(), "contraction": slope,
                                   "standard_errors": found.standard_errors.tolist()}  # fmt: skip
            if found.raw is not None:
                row["raw"] = found.raw.tolist()
            if found.slope is not None:
                low, high = found.slope.interval
                row["slope"] = {"value": found.slope.value, "interval": [low, high], "p_value": found.slope.p_value}
                note = f"calibrated on {many(found.slope.n_circuits, 'training image')}: slope {found.slope.value:.3f}"
                console.print(f"{note}, 95 % interval [{low:.3f}, {high:.3f}]", markup=False)
            content |= {"reference": row} if way == "reference" and reference else row
    console.print(table)
    console.print(f"{many(len(held), 'sample')}, {many(len(np.unique(X, axis=0)), 'distinct input')}")
    if json_out is not None:
        write_whole(json_out, json.dumps(content, indent=1) + "\n")


def _train(model: QNNClassifier, X: Any, y: Any, console: Console) -> list[warnings.WarningMessage]:
    """Train with a bar, and give the warnings; where it breaks off, the model is what was trained until then."""
    from sklearn.exceptions import ConvergenceWarning

    with (
        open_bar(console, MofNCompleteColumn(), TimeElapsedColumn()) as bar,
        warnings.catch_warnings(record=True) as caught,
        closing(model.iter_fit(X, y)) as rounds,
    ):
        task = bar.add_task("training", total=None)
        warnings.simplefilter("always", ConvergenceWarning)
        for told in rounds:
            total, done = told.n_starts * told.step.total, told.start * told.step.total + told.step.done
            bar.update(task, completed=done, total=total, description=f"loss {told.step.loss:.4f}")
    return caught


def _measured(model: QNNClassifier, X: Any, name: str, console: Console) -> Readouts:
    with open_bar(console, TimeElapsedColumn()) as bar:
        task = bar.add_task(f"running on {name}", total=None)
        found = model.measure(X)
        bar.update(task, total=1, completed=1)
    return found


def _check_used(context: typer.Context, data: Path | None, backend: str | None) -> None:
    """Refuse options that go with the other kind of samples, or with a backend where there is none."""
    if data is None:
        refuse(context, ["size"], "the digits have 4 x 4 pixels; it goes with --data")
        refuse(context, ["classes"], "it goes with --data; the digits are chosen by --a and --b")
    else:
        refuse(context, ["a", "b"], "digits are chosen only without --data")
        if data.suffix.lower() == ".csv":
            refuse(context, ["size"], "the columns of a CSV are taken as they are; it goes with images")
    if backend is None:
        refuse(context, ["shots", "twirls", "dd", "mitigation", "literal", "reference"], "it goes with --backend")


def _data(source: Path | None, classes: str | None, a: int, b: int, size: int, encoding: str) -> LabelledBits:
    from qcluster.qnn import load_csv, load_digits_4x4, load_idx, load_images

    grey = encoding == "angle"
    if source is None:
        return load_digits_4x4(a, b, threshold=None if grey else 8)
    names: list[Any] | None = None if classes is None else [name.strip() for name in classes.split(",")]
    if names is not None and not source.is_dir() and all(name.isdecimal() for name in names):
        names = [int(name) for name in names]
    if source.suffix.lower() == ".csv":
        return load_csv(source, classes=names)
    if "idx" in source.name and not source.is_dir():
        return load_idx(source, classes=names, size=size, threshold=None if grey else 0.5)
    return load_images(source, classes=names, size=size, threshold=None if grey else 0.5)


def _split(data: LabelledBits, test_share: float, seed: int) -> tuple[Any, Any]:
    import numpy as np
    from sklearn.model_selection import train_test_split

    train_rows, held = train_test_split(
        np.arange(len(data.y)), test_size=test_share, stratify=data.y, random_state=seed
    )
    return train_rows, held


def _execution(twirls: int, dd: str | None, mitigation: str) -> dict[str, Any]:
    return {"twirls": twirls, "measure_twirl": twirls > 1, "dd": dd, "mitigation": mitigation}


def _accuracy(model: QNNClassifier, values: Any, y: Any) -> float:
    places = (values > 0).astype(int) if values.ndim == 1 else values.argmax(axis=1)
    return float((model.classes_[places] == y).mean())
