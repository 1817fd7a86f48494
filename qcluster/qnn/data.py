"""Make labelled bit strings: small digits, images cut into bits, Boolean functions of a subset of bits."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real, check_whole, make_rng
from qcluster.core.frozen import Valued


@dataclass(frozen=True, eq=False)
class LabelledBits(Valued):
    """Hold inputs and labels for `QNNClassifier.fit(X, y)`."""

    X: Floats
    """(samples, n): 0 and 1, or grey values in [0, 1] where no threshold was asked for."""
    y: npt.NDArray[np.generic]
    """(samples,) labels."""
    dropped: int = 0
    """Samples left out because their image also occurs with another label."""

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """Number the distinct rows, for splits that share no image (`GroupShuffleSplit`)."""
        return np.unique(self.X, axis=0, return_inverse=True)[1].reshape(-1)


def load_digits_4x4(
    a: int = 3, b: int = 6, *, threshold: float | None = 8, duplicates: Literal["keep", "drop_contradictory"] = "keep"
) -> LabelledBits:
    """Load two digits of scikit-learn's 8 x 8 set (not MNIST), shrunk to 4 x 4 pixels of one bit.

    Args:
        a: First digit.
        b: Second digit, the class of positive decision values if it is the larger one.
        threshold: A pixel's bit is 1 where the mean of its 2 x 2 block, 0 to 16, exceeds this; None keeps the mean
            divided by 16.
        duplicates: What to do with images that occur under both labels: keep, or drop them all. No model can be right
            on both.

    Example:
        >>> digits = load_digits_4x4(3, 6)
        >>> digits.X.shape, len(set(digits.groups)), digits.dropped
        ((364, 16), 66, 0)
    """
    from sklearn.datasets import load_digits

    a, b = check_whole("a", a, 0, 9), check_whole("b", b, 0, 9)
    if a == b:
        raise ValueError(f"a and b must be two digits; got {a} twice")
    images, labels = load_digits(return_X_y=True)
    chosen = np.isin(labels, [a, b])
    return images_to_bits(
        images[chosen].reshape(-1, 8, 8) / 16,
        labels[chosen],
        size=4,
        threshold=None if threshold is None else threshold / 16,
        duplicates=duplicates,
    )


def images_to_bits(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    size: int = 4,
    threshold: float | None = 0.5,
    duplicates: Literal["keep", "drop_contradictory"] = "keep",
) -> LabelledBits:
    """Shrink images to size x size block means and cut them into bits.

    Args:
        images: (samples, height, width), grey values in [0, 1]; height and width at least `size`.
        labels: (samples,).
        size: Pixels per side: size**2 data qubits.
        threshold: Bit is 1 where the block mean exceeds it; None keeps the means, for angle encoding.
        duplicates: As in `load_digits_4x4`.

    Example:
        >>> images_to_bits([[[0, 1], [1, 1]]], ["L"], size=2).X
        array([[0., 1., 1., 1.]])
    """
    size = check_whole("size", size, 1)
    if threshold is not None:
        check_real("threshold", threshold, -inf)
    pixels, y = np.asarray(images, dtype=np.float64), np.asarray(labels)
    if pixels.ndim != 3 or min(pixels.shape[1:]) < size or len(y) != len(pixels):
        raise ValueError(
            f"images must be (samples, height, width), both at least {size}, one label each; "
            f"got {pixels.shape} and {len(y)} labels"
        )
    outside = pixels[~((pixels >= 0) & (pixels <= 1))]
    if outside.size:
        raise ValueError(f"images must hold grey values in [0, 1]; got {outside[0]:g}: divide bytes by 255")
    if duplicates not in ("keep", "drop_contradictory"):
        raise ValueError(f"duplicates must be keep or drop_contradictory; got {duplicates!r}")
    for axis in (1, 2):
        blocks = np.array_split(np.arange(pixels.shape[axis]), size)
        pixels = np.stack([pixels.take(block, axis).mean(axis) for block in blocks], axis)
    X = pixels.reshape(len(pixels), size**2)
    if threshold is not None:
        means, X = X, (threshold < X).astype(np.float64)
        if len(X) > 1 and X.min() == X.max():
            warnings.warn(
                f"images should differ in a bit; all are {X.max():.0f} where block means from {means.min():.3g} to "
                f"{means.max():.3g} are cut at {threshold:g}: give another threshold, or scale the images to [0, 1]",
                UserWarning,
                stacklevel=2,
            )
    data = LabelledBits(X, y)
    if duplicates == "keep":
        return data
    labels_of = np.unique(np.stack([data.groups, np.unique(y, return_inverse=True)[1]], axis=1), axis=0)[:, 0]
    keep = np.bincount(labels_of)[data.groups] == 1
    return LabelledBits(X[keep], y[keep], int((~keep).sum()))


def subset_parity(
    n_bits: int,
    n_samples: int,
    *,
    subset: npt.ArrayLike | None = None,
    label_noise: float = 0.0,
    seed: int | np.random.Generator | None = None,
) -> LabelledBits:
    """Draw bit strings labelled by the parity of some of their bits: solvable by one ZX layer, hard to train.

    Args:
        n_bits: Length of the strings.
        n_samples: How many to draw, uniformly, with repeats.
        subset: (n_bits,) bool, the bits that count; None draws a non-empty one.
        label_noise: Probability with which each label is turned over, by itself; at most 0.5.
        seed: Seed or generator.

    Example:
        >>> subset_parity(3, 2, subset=[1, 1, 0], seed=1).y.shape
        (2,)
    """
    n_bits, n_samples, rng = check_whole("n_bits", n_bits, 1), check_whole("n_samples", n_samples, 0), make_rng(seed)
    chosen = _drawn(n_bits, rng) if subset is None else _given(subset, n_bits)
    bits = rng.integers(0, 2, (n_samples, n_bits))
    return _noisy(bits, bits[:, chosen].sum(axis=1) % 2, label_noise, rng)


def subset_majority(
    n_bits: int,
    n_samples: int,
    *,
    subset: npt.ArrayLike | None = None,
    label_noise: float = 0.0,
    seed: int | np.random.Generator | None = None,
) -> LabelledBits:
    """Draw bit strings labelled 1 where more than half of some of their bits are 1.

    Args:
        n_bits: Length of the strings.
        n_samples: How many to draw, uniformly, with repeats.
        subset: (n_bits,) bool, the bits that count; None draws one of odd size, so that there are no ties.
        label_noise: Probability with which each label is turned over, by itself; at most 0.5.
        seed: Seed or generator.

    Example:
        >>> data = subset_majority(5, 100, subset=[1, 1, 1, 0, 0], seed=1)
        >>> bool(((data.X[:, :3].sum(axis=1) >= 2) == data.y).all())
        True
    """
    n_bits, n_samples, rng = check_whole("n_bits", n_bits, 1), check_whole("n_samples", n_samples, 0), make_rng(seed)
    chosen = _drawn(n_bits, rng) if subset is None else _given(subset, n_bits)
    if subset is None and chosen.sum() % 2 == 0:
        chosen[rng.choice(np.flatnonzero(chosen))] = False
    bits = rng.integers(0, 2, (n_samples, n_bits))
    return _noisy(bits, (2 * bits[:, chosen].sum(axis=1) > chosen.sum()).astype(np.int64), label_noise, rng)


def _given(subset: npt.ArrayLike, n_bits: int) -> npt.NDArray[np.bool_]:
    array = np.asarray(subset)
    if array.shape != (n_bits,) or not np.isin(array, (0, 1)).all():
        raise ValueError(f"subset must be ({n_bits},) of True and False, one for each bit; got {subset!r:.60}")
    return array.astype(bool)


def _drawn(n_bits: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    chosen = rng.random(n_bits) < 0.5
    chosen[rng.integers(n_bits)] = True
    return chosen


def _noisy(
    bits: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], noise: float, rng: np.random.Generator
) -> LabelledBits:
    # Drawn after the strings, so that one seed gives the same strings under any noise.
    turned = rng.random(len(labels)) < check_real("label_noise", noise, 0, 0.5)
    return LabelledBits(bits.astype(np.float64), labels ^ turned)
