"""The gate: small networks that weigh candidates and estimate the probability that the answer beats the counts.

Standardised features go through two hidden layers (rectified) to one logit for each candidate and one for the
probability of improvement. Each of several such networks was trained without some families of outputs, except in the
gates for more than 12 bits. On counts unlike those of their training the networks disagree, and the more they do, the
more weight goes to the unchanged counts. ``gate.npz`` and its like hold their arrays (`qcluster.learn.decision.train`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats, Singles
from qcluster.core.decision.candidates import NAMES as COUNTS
from qcluster.core.decision.candidates import RAW, WIDEST
from qcluster.core.stats.special import softmax

_LAYERS = ("w1", "b1", "w2", "b2", "w3", "b3")
_FAR = 6.0
"""Standard deviations at which standardised features are clipped."""


@dataclass(frozen=True, eq=False, repr=False)
class Gate:
    """A trained gate. `qcluster.read_gate` reads one from a file."""

    mean: Singles
    """``(f,)`` mean of each feature in training."""
    scale: Singles
    """``(f,)`` standard deviation of each feature in training."""
    layers: tuple[Singles, ...]
    """Weights and biases of the layers; the first axis runs over networks: ``(e, f, h), (e, h), (e, h, h), ...``."""
    names: tuple[str, ...]
    """The candidates that it weighs, in order."""
    card: str
    """Origin of the gate as JSON: seeds, versions, hash of the table."""
    wide: bool = False
    """True if it is for counts of more than 12 bits, False if it is for up to 12."""

    def __repr__(self) -> str:
        return f"Gate({gate_kind(self.names, self.wide)}, {self.digest})"

    @classmethod
    def of(cls, arrays: Mapping[str, Any], names: tuple[str, ...], wide: bool = False) -> "Gate":
        """Make a gate from the arrays of a gate file, as `qcluster.learn.decision.train.write_gate` writes them.

        Raises:
            KeyError: an array is missing.
            ValueError: the gate weighs other candidates, its arrays do not fit together or are not finite numbers, or
                its card is not a JSON object.
        """
        mean, scale, *layers = (arrays[name] for name in ("mean", "scale", *_LAYERS))
        weighed, card = tuple(map(str, arrays["names"].ravel())), str(arrays["card"])
        if weighed != names:
            raise ValueError(f"a gate must weigh the candidates {', '.join(names)}; got {', '.join(weighed)}")
        members, sizes = layers[0].shape[:1], (mean.shape, layers[1].shape[1:], layers[3].shape[1:], (len(names) + 1,))
        expected = tuple(members + part for into, out in pairwise(sizes) for part in (into + out, out))
        shapes = tuple(layer.shape for layer in layers)
        if shapes != expected or scale.shape != mean.shape or {len(part) for part in (members, *sizes)} != {1}:
            raise ValueError(f"weights of a gate must fit together; got {mean.shape}, {scale.shape}, {shapes}")
        if not all(part.dtype.kind == "f" and part.size and np.isfinite(part).all() for part in (mean, scale, *layers)):
            raise ValueError("weights of a gate must be finite floating-point numbers; got others, or none")
        if not (scale > 0).all():
            raise ValueError(f"standard deviations of features must be above zero; got {scale.min():g}")
        if not isinstance(json.loads(card), dict):
            raise ValueError(f"the card of a gate must be a JSON object; got {card[:40]}")
        return cls(mean, scale, tuple(layers), names, card, wide)

    @cached_property
    def digest(self) -> str:
        """Hash of names and weights, 16 hexadecimal digits; equal for equal gates."""
        import hashlib  # loads OpenSSL, which nothing else here needs

        sha = hashlib.sha256(json.dumps(self.names).encode())
        for part in (self.mean, self.scale, *self.layers):
            sha.update(np.ascontiguousarray(part).tobytes())
        return sha.hexdigest()[:16]

    def __call__(self, features: Floats, present: NDArray[np.bool_], gram: Floats) -> tuple[Floats, float]:
        """Weigh candidates, given ``(f,)`` features, ``(c,)`` which are present, and ``(c, c)`` their overlaps.

        Returns ``(c,)`` weights, sum 1, zero for absent candidates; and the probability that the answer blended with
        them is nearer to the ideal than the counts are. Cost: some microseconds.
        """
        weights, confidence = self.weigh(features[None], present[None], gram[None])
        return weights[0], float(confidence[0])

    def weigh(self, features: Floats, present: NDArray[np.bool_], gram: Floats) -> tuple[Floats, Floats]:
        """Weigh candidates of b sets of counts: ``(b, f)`` features, ``(b, c)`` present, ``(b, c, c)`` overlaps.

        Weights are the mean over networks, times the networks' agreement: the mean squared overlap of their answers
        over all pairs. The rest, up to a sum of 1, goes to the counts.
        """
        logits = self.logits(features)
        by_network = softmax(np.where(present, logits[..., :-1], -np.inf)).transpose(1, 0, 2)
        cross = by_network @ gram @ by_network.transpose(0, 2, 1)
        squared = np.diagonal(cross, axis1=1, axis2=2)
        fidelity = cross**2 / np.maximum(squared[:, :, None] * squared[:, None, :], 1e-12)
        n = fidelity.shape[1]
        agreement = (fidelity.sum(axis=(1, 2)) - n) / (n * n - n) if n > 1 else np.ones(len(fidelity))
        weights = by_network.mean(axis=1) * np.clip(agreement, 0, 1)[:, None]
        weights[:, RAW] += 1 - weights.sum(axis=1)
        return weights, 1 / (1 + np.exp(-logits[..., -1].mean(axis=0)))

    def unseen(self, group: str) -> "Gate | None":
        """Return a gate of only the networks that were trained without a family of outputs; None if there are none."""
        members = json.loads(self.card).get("missed", {}).get(group)
        return replace(self, layers=tuple(layer[members] for layer in self.layers)) if members else None

    def logits(self, features: Floats) -> Floats:
        """Return the ``(e, b, c + 1)`` logits of each network for ``(b, f)`` features; that of improvement is last."""
        w1, b1, w2, b2, w3, b3 = self.layers
        x = np.clip((features - self.mean) / self.scale, -_FAR, _FAR).astype(np.float32)
        hidden = np.maximum(x @ w1 + b1[:, None], 0)
        hidden = np.maximum(hidden @ w2 + b2[:, None], 0)
        return np.asarray(hidden @ w3 + b3[:, None], dtype=np.float64)


@lru_cache(maxsize=5)
def shipped(names: tuple[str, ...] = COUNTS, *, wide: bool = False, measured: bool = False) -> Gate:
    """Return the gate that ships for these candidates, those of counts alone or of known circuits: the one for up to 12
    bits or, with `wide`, for more, or with `measured` for up to 12 bits of circuits whose fault rates a reference
    measured. It is read once."""
    from importlib.resources import files  # imports zipfile and tempfile, which nothing else here needs

    prefix = "wide_" if wide else "measured_" if measured else ""
    name = prefix + ("gate.npz" if names == COUNTS else "circuit_gate.npz")
    file = files("qcluster.core.decision").joinpath(name)
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return Gate.of(arrays, names, wide)


def check_gates(gates: Any) -> Sequence[Gate]:
    """Return gates that a user gave; TypeError for anything but a list or tuple of gates."""
    if not isinstance(gates, (list, tuple)) or not all(isinstance(gate, Gate) for gate in gates):
        raise TypeError(f"gates must be a list of gates, such as [qc.read_gate('gate.npz')]; got {gates!r:.60}")
    return gates


def gate_kind(names: tuple[str, ...], wide: bool) -> str:
    """Describe the counts that a gate is for, by its candidates and its widths.

    Example:
        >>> gate_kind(COUNTS, wide=True)
        'counts of more than 12 bits'
    """
    what, how_many = "counts" if names == COUNTS else "counts of known circuits", "more than" if wide else "up to"
    return f"{what} of {how_many} {WIDEST} bits"
