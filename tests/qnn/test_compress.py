"""Compression keeps every decision."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcluster.qnn import encoding
from qcluster.qnn.ansatz import build, layers, reed_muller
from qcluster.qnn.simulation.compress import compress, phases
from qcluster.qnn.simulation.exact import exact_form


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.lists(st.sampled_from("XYZ"), min_size=1, max_size=6))
def test_compressed_is_the_value_over_the_amplitude(seed, n, letters):
    rng = np.random.default_rng(seed)
    ansatz = layers(n, [(letter, "X") for letter in letters])
    theta = rng.normal(0, 0.3, ansatz.n_parameters)
    bits = rng.integers(0, 2, (20, n))
    found = phases(ansatz, theta)
    short, angles = compress(ansatz, theta)
    f = exact_form(ansatz, "basis").forward(theta, encoding.basis(bits))[0]
    g = exact_form(short, "basis").forward(angles, encoding.basis(bits))[0]
    assert g * found.amplitude == pytest.approx(f, abs=1e-12)
    sine = -found.amplitude * np.sin((1 - 2 * bits) @ found.phases + 2 * found.bias)
    assert sine == pytest.approx(f, abs=1e-12)


def test_a_compressed_model_predicts_the_same():
    """1000 strings of 16 bits through 3 x (ZX + XX): f / R to 1e-12 and no label changed."""
    rng = np.random.default_rng(5)
    ansatz = build("zx-xx", 16, reps=3)
    theta, inputs = rng.normal(0, 0.3, 97), encoding.basis(rng.integers(0, 2, (1000, 16)))
    f = exact_form(ansatz, "basis").forward(theta, inputs)[0]
    short, angles = compress(ansatz, theta)
    g = exact_form(short, "basis").forward(angles, inputs)[0]
    assert abs(g - f / phases(ansatz, theta).amplitude).max() < 1e-12
    assert ((f > 0) == (g > 0)).all()


@pytest.mark.parametrize("ansatz", [build("tfq", 3), reed_muller(3, 1), layers(3, [("Z", "X"), ("X", "Y")])])
def test_other_models_are_refused(ansatz):
    with pytest.raises(ValueError, match="only a sine perceptron can be compressed"):
        compress(ansatz, np.zeros(ansatz.n_parameters))
