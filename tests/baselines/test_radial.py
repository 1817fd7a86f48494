"""The radial sums: three exact ways, one answer."""

import numpy as np
import pytest

from qcluster.baselines import radial
from qcluster.core.counts.bits import hamming, pack


def random_words(n_bits, n_rows, seed):
    rng = np.random.default_rng(seed)
    return np.unique(pack(rng.random((n_rows, n_bits)) < 0.5), axis=0)


@pytest.mark.parametrize("n_bits", [1, 5, 12, 31, 40, 65, 200, 260])
def test_blocks_are_hamming_distances(n_bits, monkeypatch):
    monkeypatch.setattr(radial, "_BLOCK", 100)
    left, right = random_words(n_bits, 30, 1), random_words(n_bits, 40, 2)
    blocks = list(radial.distance_blocks(left, right))
    assert n_bits == 1 or len(blocks) > 1
    assert np.array_equal(np.vstack([block for _, block in blocks]), hamming(left, right))


@pytest.mark.parametrize("n_bits", [1, 6, 11])
def test_all_ways_agree(n_bits):
    words = random_words(n_bits, 200, 3)
    rng = np.random.default_rng(4)
    kernel, values = rng.random(n_bits + 1), rng.random(len(words))
    kernel[0] = 0.0
    exact = kernel[hamming(words, words)] @ values
    for way in (radial._walsh_operator(words, n_bits, kernel), radial._block_operator(words, kernel)):
        assert way(values) == pytest.approx(exact, rel=1e-10)
    assert radial._stored_operator(words, kernel)(values) == pytest.approx(exact, rel=1e-10)
    assert radial.radial_operator(words, n_bits, kernel)(values) == pytest.approx(exact, rel=1e-10)


def test_a_kernel_with_too_many_entries_is_not_stored(monkeypatch):
    monkeypatch.setattr(radial, "_MOST_STORED", 10)
    words = random_words(40, 20, 5)
    assert radial._stored_operator(words, np.ones(41)) is None
    assert radial.radial_operator(words, 40, np.ones(41))(np.ones(20)) == pytest.approx(np.full(20, 20.0))


def test_a_short_kernel_is_a_sparse_matrix_and_a_long_one_a_transform(monkeypatch):
    """On a register of which many strings are there, 16 bits; the answers are one."""
    words, values = random_words(16, 3000, 7), np.random.default_rng(8).random(3000)
    values = values[: len(words)]
    short = np.r_[0.0, 0.4, 0.2, np.zeros(14)]
    answers = [radial.radial_operator(words, 16, short)(values)]
    monkeypatch.setattr(radial, "_TRIED", 0)
    answers.append(radial.radial_operator(words, 16, short)(values))
    assert answers[0] == pytest.approx(short[hamming(words, words)] @ values, rel=1e-10)
    assert answers[1] == pytest.approx(answers[0], rel=1e-10)
    monkeypatch.undo()
    monkeypatch.setattr(radial, "_walsh_operator", lambda *_: "transform")
    assert radial.radial_operator(words, 16, np.ones(17)) == "transform"
    assert radial.radial_operator(words, 16, short) != "transform"


def test_a_kernel_of_zeros_gives_zeros():
    words = random_words(40, 20, 6)
    assert not radial.radial_operator(words, 40, np.zeros(41))(np.ones(20)).any()
