"""Labelled bit strings: small digits, binarised images, and Boolean functions of a subset of the bits."""

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
    """Inputs and labels for `QNNClassifier.fit(X, y)`."""

    X: Floats
    """(samples, n): zeros and ones, or grey values in [0, 1] if the threshold is None."""
    y: npt.NDArray[np.generic]
    """(samples,) labels."""
    dropped: int = 0
    """Number of samples left out because their image also occurs with another label."""
    names: tuple[str, ...] = ()
    """Names of the columns of X; empty if they have none."""

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """(samples,) index of each row's image, for splits that share no image (`GroupShuffleSplit`)."""
        return np.unique(self.X, axis=0, return_inverse=True)[1].reshape(-1)


def load_digits_4x4(
    a: int = 3, b: int = 6, *, threshold: float | None = 8, duplicates: Literal["keep", "drop_contradictory"] = "keep"
) -> LabelledBits:
    """Load two digits of scikit-learn's 8 x 8 set (not MNIST), reduced to 4 x 4 one-bit pixels.

    Args:
        a: First digit.
        b: Second digit. The larger of the two is the class of positive decision values.
        threshold: A bit is 1 where the mean of the 2 x 2 block of pixels (0 to 16) exceeds it; None returns the means
            divided by 16.
        duplicates: Whether to keep or drop all images that occur with both labels. No model can classify both copies
            correctly.

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
    selected = np.isin(labels, [a, b])
    return images_to_bits(
        images[selected].reshape(-1, 8, 8) / 16,
        labels[selected],
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
    """Reduce images to size x size block means and binarise them.

    Args:
        images: (samples, height, width) grey values in [0, 1]; height and width at least `size`.
        labels: (samples,).
        size: Blocks per side, which gives size**2 data qubits.
        threshold: A bit is 1 where the block mean exceeds it; None returns the means, for angle encoding.
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
    groups = data.groups
    pairs = np.unique(np.stack([groups, np.unique(y, return_inverse=True)[1]], axis=1), axis=0)  # (image, label)
    keep = np.bincount(pairs[:, 0])[groups] == 1
    return LabelledBits(X[keep], y[keep], int((~keep).sum()))


def subset_parity(
    n_bits: int,
    n_samples: int,
    *,
    subset: npt.ArrayLike | None = None,
    label_noise: float = 0.0,
    seed: int | np.random.Generator | None = None,
) -> LabelledBits:
    """Draw bit strings labelled by the parity of a subset of their bits.

    One ZX layer can represent the parity, but it is hard to train.

    Args:
        n_bits: Length of the strings.
        n_samples: Number of strings, drawn uniformly with replacement.
        subset: (n_bits,) bool, True for the bits of the subset; None draws a non-empty subset.
        label_noise: Probability, at most 0.5, with which each label is flipped independently.
        seed: Seed or generator.

    Example:
        >>> subset_parity(3, 2, subset=[1, 1, 0], seed=1).y.shape
        (2,)
    """
    n_bits, n_samples, rng = check_whole("n_bits", n_bits, 1), check_whole("n_samples", n_samples, 0), make_rng(seed)
    in_subset = _draw_subset(n_bits, rng) if subset is None else _check_subset(subset, n_bits)
    bits = rng.integers(0, 2, (n_samples, n_bits))
    return _with_label_noise(bits, bits[:, in_subset].sum(axis=1) % 2, label_noise, rng)


def subset_majority(
    n_bits: int,
    n_samples: int,
    *,
    subset: npt.ArrayLike | None = None,
    label_noise: float = 0.0,
    seed: int | np.random.Generator | None = None,
) -> LabelledBits:
    """Draw bit strings labelled by the majority of a subset of their bits: 1 if more than half of these are 1.

    Args:
        n_bits: Length of the strings.
        n_samples: Number of strings, drawn uniformly with replacement.
        subset: (n_bits,) bool, True for the bits of the subset; None draws a subset of odd size, which has no ties.
        label_noise: Probability, at most 0.5, with which each label is flipped independently.
        seed: Seed or generator.

    Example:
        >>> data = subset_majority(5, 100, subset=[1, 1, 1, 0, 0], seed=1)
        >>> bool(((data.X[:, :3].sum(axis=1) >= 2) == data.y).all())
        True
    """
    n_bits, n_samples, rng = check_whole("n_bits", n_bits, 1), check_whole("n_samples", n_samples, 0), make_rng(seed)
    in_subset = _draw_subset(n_bits, rng) if subset is None else _check_subset(subset, n_bits)
    if subset is None and in_subset.sum() % 2 == 0:
        in_subset[rng.choice(np.flatnonzero(in_subset))] = False
    bits = rng.integers(0, 2, (n_samples, n_bits))
    majority = 2 * bits[:, in_subset].sum(axis=1) > in_subset.sum()
    return _with_label_noise(bits, majority.astype(np.int64), label_noise, rng)


def _check_subset(subset: npt.ArrayLike, n_bits: int) -> npt.NDArray[np.bool_]:
    array = np.asarray(subset)
    if array.shape != (n_bits,) or not np.isin(array, (0, 1)).all():
        raise ValueError(f"subset must be ({n_bits},) of True and False, one for each bit; got {subset!r:.60}")
    return array.astype(bool)


def _draw_subset(n_bits: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    in_subset = rng.random(n_bits) < 0.5
    in_subset[rng.integers(n_bits)] = True
    return in_subset


def _with_label_noise(
    bits: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], noise: float, rng: np.random.Generator
) -> LabelledBits:
    # Drawn after the strings, so that a seed gives the same strings at any noise level.
    flipped = rng.random(len(labels)) < check_real("label_noise", noise, 0, 0.5)
    return LabelledBits(bits.astype(np.float64), labels ^ flipped)
