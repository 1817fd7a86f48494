"""The gate: a small network that weighs candidates and tells how probable it is that the answer beats the counts.

Standardised features go through two hidden layers (rectified) to one logit for each candidate and one for the
probability of improvement. Several such networks, trained from different seeds, are averaged in their logits. The
weights ship as ``gate.npz`` (arrays only; `qcluster.learn.decision.train` makes them).
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.decision.candidates import NAMES as COUNTS
from qcluster.core.stats.special import softmax

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

_LAYERS = ("w1", "b1", "w2", "b2", "w3", "b3")
_FAR = 6.0
"""Standard deviations beyond which a feature is not followed."""


@dataclass(frozen=True, eq=False)
class Gate:
    """A trained gate."""

    mean: Singles
    """``(f,)`` of the features in training."""
    scale: Singles
    """``(f,)`` their standard deviations."""
    layers: tuple[Singles, ...]
    """Weights and biases of the layers, the first axis for the networks: ``(e, f, h), (e, h), (e, h, h), ...``."""
    names: tuple[str, ...]
    """The candidates that it was trained on."""
    card: str
    """Where it comes from, as JSON: seeds, versions, hash of the table."""

    def __call__(self, features: Floats, present: NDArray[np.bool_]) -> tuple[Floats, float]:
        """Weigh candidates.

        Args:
            features: ``(f,)``.
            present: ``(c,)`` candidates that there are.

        Returns:
            ``(c,)`` weights, sum 1, zero for those absent; and the probability that the answer made of them is nearer
            to the ideal than the counts are. Cost: some microseconds.
        """
        logits = self.logits(features[None])[0]
        weights = softmax(np.where(present, logits[:-1], -np.inf))
        return weights, float(1 / (1 + np.exp(-logits[-1])))

    def logits(self, features: Floats) -> Floats:
        """Give ``(b, c + 1)`` logits for ``(b, f)`` features: of the candidates, then of improvement."""
        w1, b1, w2, b2, w3, b3 = self.layers
        x = np.clip((features - self.mean) / self.scale, -_FAR, _FAR).astype(np.float32)
        hidden = np.maximum(x @ w1 + b1[:, None], 0)
        hidden = np.maximum(hidden @ w2 + b2[:, None], 0)
        return np.asarray((hidden @ w3 + b3[:, None]).mean(axis=0, dtype=np.float64))


def read_gate(path: Any = None, names: tuple[str, ...] = COUNTS) -> Gate:
    """Read a gate from a file that `qcluster decision train` wrote; by default the one that ships.

    Args:
        path: of the file.
        names: the candidates that it must weigh.

    Raises:
        ValueError: it was trained on other candidates than there are.
    """
    if path is None:
        return shipped(names)
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
        layers = tuple(held[name] for name in _LAYERS)
        gate = Gate(held["mean"], held["scale"], layers, tuple(held["names"].tolist()), str(held["card"]))
    if gate.names != names:
        raise ValueError(f"a gate must weigh the candidates {', '.join(names)}; got {', '.join(gate.names)}")
    return gate


@lru_cache(maxsize=2)
def shipped(names: tuple[str, ...] = COUNTS) -> Gate:
    """Give the gate that ships for these candidates, read once: of counts alone, or of counts of known circuits."""
    name = "gate.npz" if names == COUNTS else "circuit_gate.npz"
    return read_gate(files("qcluster.core.decision").joinpath(name), names)
