"""Train the Farhi-Neven classifier to tell 3 from 6, and run it with the noise of an IBM machine.

Run: python examples/04_qnn.py [figure.png]

Training is exact and takes milliseconds. The machine is FakeTorino, which needs no account. Only six of the sixteen
pixels are used, to keep the simulation short. On a real machine, use all sixteen, and its name instead of
"fake_torino".
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.model_selection import train_test_split

from qcluster.qnn import QNNClassifier, load_digits_4x4

MACHINE = "fake_torino"
OPTIONS = {
    "raw": {"mitigation": "none"},
    "twirled": {"mitigation": "none", "twirls": 4},
    "mitigated": {"mitigation": "readout", "twirls": 4},
}
COLOURS = {"raw": "#9a9a9a", "twirled": "#8a3ffc", "mitigated": "#0f62fe"}


def main(figure_path: str = "qnn.png") -> None:
    """Train on six pixels, measure the test images with each set of options, and draw the errors of the values."""
    digits = load_digits_4x4(3, 6)
    X = digits.X[:, [1, 5, 9, 11, 13, 14]]
    X, X_test, y, y_test = train_test_split(X, digits.y, test_size=40, stratify=digits.y, random_state=1)

    model = QNNClassifier(random_state=1).fit(X, y)
    ideal = model.decision_function(X_test)
    print(f"{len(model.theta_)} parameters, {len(X)} images; test accuracy ideal {model.score(X_test, y_test):.3f}")

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for name, execution in OPTIONS.items():
        model.set_params(backend=MACHINE, execution=execution, shots=2048)
        measured = model.measure(X_test)
        errors = measured.values - ideal
        accuracy = np.mean(model.classes_[(measured.values > 0).astype(int)] == y_test)
        slope = ideal @ measured.values / (ideal @ ideal)
        print(f"{name:>9} on {MACHINE}: accuracy {accuracy:.3f}, values contracted to {slope:.3f} of the ideal")
        axes.errorbar(ideal, errors, measured.standard_errors, fmt="o", ms=4, c=COLOURS[name], label=name)
    axes.axhline(0, c="#161616", lw=1, label="ideal")
    axes.set(xlabel="ideal decision value", ylabel=f"measured on {MACHINE} minus ideal")
    axes.legend()
    figure.savefig(figure_path, dpi=150)
    print(f"figure: {Path(figure_path)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
