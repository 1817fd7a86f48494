"""Labelled bit strings."""

import numpy as np
import pytest

from qcluster.qnn.data import images_to_bits, load_digits_4x4, load_images, subset_majority, subset_parity


def test_digits():
    """Counts from the specification: 364 images, 66 distinct, none contradictory at threshold 8."""
    digits = load_digits_4x4(3, 6)
    assert digits.X.shape == (364, 16)
    assert set(np.unique(digits.X)) == {0, 1}
    assert len(set(digits.groups)) == 66
    for threshold, kept in ((8, 364), (6, 354), (4, 297)):
        cut = load_digits_4x4(3, 6, threshold=threshold, duplicates="drop_contradictory")
        assert (len(cut.X), cut.dropped) == (kept, 364 - kept)
        pairs = {(tuple(x), label) for x, label in zip(cut.X, cut.y, strict=True)}
        assert len(pairs) == len({x for x, _ in pairs}), "no image is left with two labels"
    grey = load_digits_4x4(3, 6, threshold=None)
    assert grey.X.max() <= 1
    assert ((grey.X > 0.5) == digits.X).all()


def test_images_are_cut_into_blocks():
    image = np.arange(30).reshape(5, 6) / 29
    data = images_to_bits([image, image * 0], ["a", "b"], size=2, threshold=None)
    assert data.X[0] == pytest.approx([image[:3, :3].mean(), image[:3, 3:].mean(), image[3:, :3].mean(),
                                       image[3:, 3:].mean()])  # fmt: skip
    with pytest.raises(ValueError, match="both at least 4"):
        images_to_bits(np.zeros((1, 3, 9)), [1])
    with pytest.raises(ValueError, match="both at least 4"):
        images_to_bits(np.zeros((2, 9, 9)), [1])
    with pytest.raises(ValueError, match="duplicates must be"):
        images_to_bits(np.zeros((1, 9, 9)), [1], duplicates="drop")


def test_images_from_files(tmp_path):
    from matplotlib.image import imsave

    images = np.random.default_rng(1).integers(0, 256, (4, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "images.npz", images=images, labels=np.array(["a", "a", "b", "b"]))
    for number, image in enumerate(images):
        folder = tmp_path / "folder" / "aabb"[number]
        folder.mkdir(parents=True, exist_ok=True)
        imsave(folder / f"{number}.png", np.stack([image] * 3, axis=-1))
    from_npz, from_png = load_images(tmp_path / "images.npz"), load_images(tmp_path / "folder")
    assert from_npz.X.shape == (4, 16)
    assert (from_npz.X == from_png.X).all()
    assert (from_npz.y == from_png.y).all()


def test_bad_files_are_named(tmp_path):
    np.savez(tmp_path / "half.npz", images=np.zeros((1, 8, 8)))
    with pytest.raises(ValueError, match=r"lacks \['labels'\]"):
        load_images(tmp_path / "half.npz")
    with pytest.raises(ValueError, match="one subfolder of PNG files per class"):
        load_images(tmp_path)
    from matplotlib.image import imsave

    for number in (8, 9):
        (tmp_path / "set" / str(number)).mkdir(parents=True)
        imsave(tmp_path / "set" / str(number) / "x.png", np.zeros((number, number)))
    with pytest.raises(ValueError, match="one shape"):
        load_images(tmp_path / "set")


def test_boolean_functions_of_subsets():
    chosen = np.array([1, 0, 1, 1, 0], dtype=bool)
    parity = subset_parity(5, 200, subset=chosen, seed=1)
    assert (parity.y == parity.X[:, chosen].sum(axis=1) % 2).all()
    majority = subset_majority(5, 200, subset=chosen, seed=1)
    assert (majority.y == (parity.X[:, chosen].sum(axis=1) > 1.5)).all()
    assert (parity.X == majority.X).all(), "same seed, same strings"
    drawn = subset_majority(6, 100, seed=3)
    assert set(drawn.y) == {0, 1}
    assert (subset_parity(6, 50, seed=3).y == subset_parity(6, 50, seed=3).y).all()
