"""Train the gate for the expected fidelity of its answer, with harm counted extra, by stochastic gradients in NumPy."""

import json
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import delayed

from qcluster.core.arrays import Floats, Singles
from qcluster.core.checks import check_real, check_whole
from qcluster.core.decision.candidates import RAW, WIDEST
from qcluster.core.decision.features import expectation
from qcluster.core.decision.gate import Gate
from qcluster.core.stats.special import softmax
from qcluster.files import pack_arrays, write_whole
from qcluster.learn.decision.ideals import FAMILIES
from qcluster.learn.decision.table import Table
from qcluster.workers import parallel

_FEW = ("strings", "ghz")
"""Families that all networks see: mitigation gains most on them, and a network that never saw few strings rejects all.
"""


@dataclass(frozen=True)
class Training:
    """Settings of the training.

    Raises:
        ValueError: a setting is out of its range.
    """

    hidden: int = 96
    """Width of both hidden layers, at least 1."""
    members: int = 8
    """Networks whose answers are averaged, at least 1."""
    missed: int = 2
    """How many networks never see a given family of ideals, below `members`: where networks disagree, an output is
    unlike those in training."""
    epochs: int = 64
    """Passes over the table, at least 1."""
    batch: int = 512
    """Rows in each step, at least 1."""
    harm: float = 14.0
    """Extra weight of losses: a loss against the counts weighs 1 + harm times as much as a gain; at least 0."""
    rate: float = 2e-3
    """Learning rate of Adam, above 0; it falls along a half cosine."""
    decay: float = 3e-3
    """Weight decay (AdamW), at least 0."""
    blur: float = 0.1
    """Standard deviation of noise added to the features, in units of their standard deviations, at least 0: answers
    must not depend on shot noise."""
    dropout: float = 0.25
    """Share of hidden units left out of each step, in [0, 1)."""
    expectation: float = 0.3
    """Probability that the user's expectation is given in training, in [0, 1]."""
    mistaken: float = 0.03
    """Probability that it is wrong, in [0, 1]."""
    seed: int = 0
    """Seed of all random numbers, at least 0."""

    def __post_init__(self) -> None:
        checked: dict[str, int | float] = {}
        for name, least in (("hidden", 1), ("members", 1), ("missed", 0), ("epochs", 1), ("batch", 1), ("seed", 0)):
            checked[name] = check_whole(name, getattr(self, name), least)
        for name in ("harm", "decay", "blur"):
            checked[name] = check_real(name, getattr(self, name), 0)
        for name in ("expectation", "mistaken"):
            checked[name] = check_real(name, getattr(self, name), 0, 1)
        checked["rate"] = check_real("rate", self.rate, 0, open_low=True)
        checked["dropout"] = check_real("dropout", self.dropout, 0, 1, open_high=True)
        if checked["missed"] >= checked["members"]:
            raise ValueError(
                f"missed must be below members, so that a network sees each family; got {self.missed} of {self.members}"
            )
        vars(self).update(checked)  # as ints and floats: short NumPy integers would overflow, and JSON rejects them


class _Net:
    """One network with its gradients and the moments of Adam."""

    def __init__(self, inputs: int, hidden: int, outputs: int, rng: np.random.Generator) -> None:
        sizes = [(inputs, hidden), (hidden, hidden), (hidden, outputs)]
        self.layers: list[Singles] = []
        for size, gain in zip(sizes, (2.0, 2.0, 0.1), strict=True):
            self.layers += [
                rng.normal(0, np.sqrt(gain / size[0]), size).astype(np.float32),
                np.zeros(size[1], np.float32),
            ]
        self.first = [np.zeros_like(layer) for layer in self.layers]
        self.second = [np.zeros_like(layer) for layer in self.layers]
        self.steps = 0

    def forward(self, x: Singles, dropout: float, rng: np.random.Generator) -> tuple[Singles, list[Singles]]:
        w1, b1, w2, b2, w3, b3 = self.layers
        masks = [((rng.random((len(x), len(b1))) > dropout) / (1 - dropout)).astype(np.float32) for _ in range(2)]
        one = np.maximum(x @ w1 + b1, 0) * masks[0]
        two = np.maximum(one @ w2 + b2, 0) * masks[1]
        return two @ w3 + b3, [x, one, two, *masks]

    def descend(self, slope: Singles, seen: list[Singles], rate: float, decay: float) -> None:
        _, _, w2, _, w3, _ = self.layers
        x, one, two, mask1, mask2 = seen
        back2 = slope @ w3.T * (two > 0) * mask2
        back1 = back2 @ w2.T * (one > 0) * mask1
        slopes = [x.T @ back1, back1.sum(0), one.T @ back2, back2.sum(0), two.T @ slope, slope.sum(0)]
        self.steps += 1
        for i, g in enumerate(slopes):
            self.first[i] = np.asarray(0.9 * self.first[i] + 0.1 * g, dtype=np.float32)
            self.second[i] = np.asarray(0.999 * self.second[i] + 0.001 * g * g, dtype=np.float32)
            step = self.first[i] / (1 - 0.9**self.steps)
            step = step / (np.sqrt(self.second[i] / (1 - 0.999**self.steps)) + 1e-8)
            self.layers[i] = (self.layers[i] - rate * (step + decay * self.layers[i] * (i % 2 == 0))).astype(np.float32)


def inputs(table: Table, expected: Floats | None = None) -> Singles:
    """Return the inputs of a gate: what users expect (by default nothing), followed by the features of the table."""
    word = np.tile(expectation(None), (len(table), 1)) if expected is None else expected
    return np.hstack([word, table.features]).astype(np.float32)


def fidelity(weights: Floats, gram: Floats) -> tuple[Floats, Floats]:
    """Return the fidelity of answers with their ideals ``(r,)`` and its gradient by the weights ``(r, c)``."""
    overlap, inner = gram[:, :-1, -1], gram[:, :-1, :-1]
    above = (weights * overlap).sum(axis=1, keepdims=True)
    spread = np.einsum("rij,rj->ri", inner, weights)
    below = np.maximum((weights * spread).sum(axis=1, keepdims=True), 1e-12)
    slope = 2 * above / below * overlap - 2 * (above / below) ** 2 * spread
    return (above**2 / below)[:, 0], slope


def train(table: Table, settings: Training | None = None, weight: Floats | None = None, *, workers: int = 1) -> Gate:
    """Train a gate.

    Args:
        table: the cases.
        settings: settings of the training.
        weight: ``(r,)`` relative frequency at which each row is drawn; equal by default.
        workers: number of processes, each of which trains one network at a time; the gate does not depend on it.

    Returns:
        The gate, for more than 12 bits if all cases have more. Cost: a minute for 100,000 rows and one member.

    Raises:
        ValueError: the table is too small for one step, or a network would see none of its rows.
    """
    settings = settings or Training()
    if not _steps(table, settings):
        raise ValueError(
            f"training needs {-(-settings.batch // settings.epochs)} cases or more for one step of {settings.batch}, "
            f"at {settings.epochs} epochs; the table has {len(table)}"
        )
    plain = inputs(table)
    mean, scale = plain.mean(axis=0), plain.std(axis=0)
    mean[:2], scale = 0.0, np.where(scale < 1e-4, 1.0, scale).astype(np.float32)
    scaled = np.clip((plain - mean) / scale, -6, 6).astype(np.float32)
    chance = np.ones(len(table)) if weight is None else weight
    missed = _missed(table, settings)
    odds = [
        chance * ~np.isin(table.group, [group for group, members in missed.items() if member in members])
        for member in range(settings.members)
    ]
    if not all(mine.any() for mine in odds):
        raise ValueError(
            f"a network must see some cases, and a table of {', '.join(missed)} alone leaves none to those that never "
            "see a family of ideals: put others into the table, or let missed be 0"
        )
    nets = parallel(workers, settings.members)(
        delayed(_descend)(scaled, table, mine / mine.sum(), settings, member) for member, mine in enumerate(odds)
    )
    layers = tuple(np.stack(parts) for parts in zip(*nets, strict=True))
    wide = bool((table.n_bits > WIDEST).all())
    card = {
        "wide": wide,
        "rows": len(table),
        "table": table.digest,
        "missed": missed,
        "settings": {name: getattr(settings, name) for name in settings.__dataclass_fields__},
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    return Gate(mean, scale, layers, table.names, json.dumps(card, sort_keys=True), wide)


def _missed(table: Table, settings: Training) -> dict[str, list[int]]:
    """Choose the networks that never see each family of ideals; all see wide registers and records."""
    rng = np.random.default_rng([settings.seed, settings.members])
    groups = [str(group) for group in np.unique(table.group)]
    families = [group for group in groups if group.removeprefix("foreign-") in set(FAMILIES) - set(_FEW)]
    size = settings.members, settings.missed
    return {family: sorted(rng.choice(*size, replace=False).tolist()) for family in families}


def _steps(table: Table, settings: Training) -> int:
    return settings.epochs * len(table) // settings.batch


def _descend(scaled: Singles, table: Table, chance: Floats, settings: Training, member: int) -> list[Singles]:
    """Train one network and return its layers."""
    rng = np.random.default_rng([settings.seed, member])
    net = _Net(scaled.shape[1], settings.hidden, len(table.names) + 1, rng)
    net.layers[5][RAW] = 1.0
    steps = _steps(table, settings)
    rows = rng.choice(len(table), (steps, settings.batch), p=chance)
    for step, batch in enumerate(rows):
        x, gram = scaled[batch].copy(), table.gram[batch].astype(np.float64)
        x += settings.blur * rng.standard_normal(x.shape, dtype=np.float32)
        stated = rng.random(len(batch)) < settings.expectation
        sparse = table.sparse[batch] ^ (rng.random(len(batch)) < settings.mistaken)
        x[:, 0], x[:, 1] = stated & sparse, stated & ~sparse
        logits, seen = net.forward(x, settings.dropout, rng)
        weights = softmax(np.where(table.present[batch], logits[:, :-1], -np.inf).astype(np.float64))
        reached, slope = fidelity(weights, gram)
        raw = gram[:, RAW, -1] ** 2
        slope = -slope * (1 + settings.harm * (reached < raw))[:, None]
        slope = weights * (slope - (slope * weights).sum(axis=1, keepdims=True))
        improved = 1 / (1 + np.exp(-logits[:, -1:].astype(np.float64)))
        slope = np.hstack([slope, 0.1 * (improved - (reached > raw)[:, None])]) / len(batch)
        rate = settings.rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        net.descend(slope.astype(np.float32), seen, rate, settings.decay)
    return net.layers


def write_gate(gate: Gate, path: Path) -> Gate:
    """Save a gate as arrays, completely or not at all, under exactly the given name.

    Returns:
        The gate as it was written, its weights rounded to half precision.

    Raises:
        StorageError: it cannot be written; an earlier file of that name is unchanged.
    """
    names = ("w1", "b1", "w2", "b2", "w3", "b3")
    gate = replace(gate, layers=tuple(layer.astype(np.float16).astype(np.float32) for layer in gate.layers))
    arrays: dict[str, Any] = {"mean": gate.mean, "scale": gate.scale}
    arrays |= {"names": np.array(gate.names), "card": np.array(gate.card)}
    arrays |= zip(names, gate.layers, strict=True)
    write_whole(path, pack_arrays(arrays))
    return gate
