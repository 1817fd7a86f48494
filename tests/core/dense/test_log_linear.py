"""Log-linear deconvolution against distributions whose interactions are known."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits
from qcluster.core.dense.log_linear import distribution, log_linear, minimise, slope
from qcluster.core.dense.variational import variational
from qcluster.core.lockstep import Request, run_one
from qcluster.core.noise.kernel import Kernel
from qcluster.core.stats.walsh import walsh
from tests.core.dense.test_variational import kernel_of
from tests.core.noise.oracle_circuit import random_faults

ORDER = index_bits(np.arange(256), 8).sum(axis=1)


def fidelity(p: np.ndarray, q: np.ndarray) -> float:
    return float(np.sqrt(p * q).sum() ** 2)


def interacting(orders: tuple[int, ...], strength: float, rng: np.random.Generator) -> np.ndarray:
    """An ideal of 8 bits with interactions of so many bits alone."""
    return distribution(np.where(np.isin(ORDER, orders), rng.normal(0, strength, 256), 0.0))


def seen(ideal: np.ndarray, rng: np.random.Generator, shots: int = 8192) -> tuple[Kernel, np.ndarray]:
    kernel = Kernel.of(random_faults(8, rng, rate=0.03, readout=0.03))
    noisy = kernel.forward(ideal)
    return kernel, rng.multinomial(shots, noisy / noisy.sum()).astype(float)


@pytest.mark.parametrize("orders", [(1,), (2,), (1, 2), (2, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_few_interactions_are_found_beyond_what_shots_tell_of_strings(orders, seed):
    rng = np.random.default_rng([seed, *orders])
    ideal = interacting(orders, 0.25, rng)
    kernel, counts = seen(ideal, rng)
    (found,) = log_linear(kernel, (1.0,), counts)
    lost = 1 - fidelity(variational(kernel, counts)[0], ideal)
    assert 1 - fidelity(found.ideal, ideal) < 0.75 * lost
    assert 1 - fidelity(found.ideal, ideal) < 1 - fidelity(counts / counts.sum(), ideal)
    absent = [order for order in range(1, 5) if order not in orders]
    variances = found.prior[(1 << np.arange(5)) - 1]  # of interactions of 0, 1, ... bits
    assert variances[absent].max() < 0.2 * variances[list(orders)].max()


@pytest.mark.parametrize("seed", range(4))
def test_outputs_without_such_structure_gain_as_well(seed):
    rng = np.random.default_rng(seed)
    ideal = rng.dirichlet(np.ones(256))
    kernel, counts = seen(ideal, rng, 30_000)
    (found,) = log_linear(kernel, (1.0,), counts)
    assert 1 - fidelity(found.ideal, ideal) < 0.8 * (1 - fidelity(counts / counts.sum(), ideal))


def test_the_slope_is_that_of_the_log_posterior():
    rng = np.random.default_rng(3)
    kernel, counts = seen(rng.dirichlet(np.ones(256)), rng)
    theta, prior = rng.normal(0, 0.2, 256), np.where(ORDER > 0, 0.3, 0.0)
    theta[0] = 0.0
    _, uphill = slope(kernel, counts, theta, prior)
    assert uphill[0] == 0
    for k in (1, 3, 100, 255):
        step = 1e-5 * np.eye(256)[k]
        ahead, behind = slope(kernel, counts, theta + step, prior)[0], slope(kernel, counts, theta - step, prior)[0]
        assert uphill[k] == pytest.approx((ahead - behind) / 2e-5, rel=1e-4, abs=1e-2)


def test_what_is_found_is_the_most_probable():
    rng = np.random.default_rng(4)
    kernel, counts = seen(interacting((1, 2), 0.3, rng), rng)
    (found,) = log_linear(kernel, (1.0,), counts)
    value, _ = slope(kernel, counts, found.interactions, found.prior)
    for _ in range(20):
        moved = found.interactions + 0.3 * np.sqrt(found.spread) * rng.normal(size=256)
        assert slope(kernel, counts, moved, found.prior)[0] < value
    np.testing.assert_allclose(found.ideal, distribution(found.interactions))
    logs = np.log(found.ideal)
    np.testing.assert_allclose(walsh(logs)[1:] / 256, found.interactions[1:], atol=1e-9)


def test_posterior_variances_are_those_of_the_log_posterior_where_nothing_flips():
    """A parity that is nearly always even says less of its interaction than one that is even half of the time."""
    rng = np.random.default_rng(8)
    kernel = kernel_of(3, 0.0)
    theta = np.array([0.0, 1.5, 0.1, -0.3, 0.7, 0.3, 0.2, 0.4])
    counts = rng.multinomial(200_000, distribution(theta)).astype(float)
    (found,) = log_linear(kernel, (1.0,), counts)
    for k, step in enumerate(1e-4 * np.eye(8)):
        if k:
            ahead, behind = (slope(kernel, counts, found.interactions + s * step, found.prior)[1][k] for s in (1, -1))
            assert found.spread[k] == pytest.approx(-2e-4 / (ahead - behind), rel=0.02)
    assert found.spread[1] > 4 * found.spread[2]


def test_other_names_of_bits_are_other_names_of_strings():
    rng = np.random.default_rng(5)
    faults = random_faults(8, rng, rate=0.03, readout=0.03)
    counts = rng.multinomial(8192, rng.dirichlet(np.ones(256))).astype(float)
    turned = counts.reshape([2] * 8).transpose().ravel()
    plain = Kernel.of(faults)
    order = index_bits(np.arange(256), 8)[:, ::-1] @ (1 << np.arange(8))
    other = Kernel(plain.index, order[plain.shifts], plain.rates, plain.crosstalk, plain.decays[::-1])
    (one,), (two,) = log_linear(plain, (1.0,), counts), log_linear(other, (1.0,), turned)
    assert fidelity(one.ideal.reshape([2] * 8).transpose().ravel(), two.ideal) > 1 - 1e-4


def test_counts_drawn_again_as_they_are_give_the_answer_again():
    rng = np.random.default_rng(6)
    kernel, counts = seen(interacting((1, 2), 0.3, rng), rng)
    (found,) = log_linear(kernel, (1.0,), counts)
    other = rng.multinomial(8192, counts / counts.sum()).astype(float)
    again = found.refit(kernel, np.stack([counts, other]))
    assert fidelity(again[0], found.ideal) > 1 - 1e-4
    assert 1e-4 < 1 - fidelity(again[1], found.ideal) < 0.05


@pytest.mark.parametrize("n_bits", [2, 4, 5, 6, 8])
def test_models_that_are_fitted_together_are_to_the_last_digit_those_fitted_alone(n_bits):
    """Fits of few strings stop short of the optimum, where rounding errors grow: they must not depend on the batch."""
    rng = np.random.default_rng([7, n_bits])
    kernel = Kernel.of(random_faults(n_bits, rng, rate=0.03, readout=0.03))
    counts = np.zeros(1 << n_bits)
    counts[[0, -1, 1]] = 480, 500, 20
    scales = (0.4, 1.0, 1.7)
    for scale, found in zip(scales, log_linear(kernel, scales, counts), strict=True):
        (alone,) = log_linear(kernel, (scale,), counts)
        np.testing.assert_array_equal(found.ideal, alone.ideal)
        np.testing.assert_array_equal(found.spread, alone.spread)


def test_models_that_are_fitted_together_share_their_transforms(monkeypatch):
    points = []

    def counted(kernel, counts, theta, prior):
        points.append(len(theta))
        return slope(kernel, counts, theta, prior)

    monkeypatch.setattr("qcluster.core.dense.log_linear.slope", counted)
    rng = np.random.default_rng(9)
    kernel, counts = seen(interacting((1, 2), 0.3, rng), rng)
    found, _ = log_linear(kernel, (1.0, 0.7), counts)
    assert len(points) < 0.7 * sum(points)
    points.clear()
    found.refit(kernel, rng.multinomial(8192, counts / counts.sum(), size=50).astype(float))
    assert len(points) < 0.1 * sum(points)


def test_the_minimiser_finds_the_end_of_a_bent_valley():
    def valley(points: Sequence[np.ndarray]) -> list[tuple[float, np.ndarray]]:
        """Rosenbrock's."""
        (x,) = points
        value = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
        return [(float(value), np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)]))]

    found = run_one(minimise(partial(Request, valley, None), np.array([-1.2, 1.0]), 200))
    np.testing.assert_allclose(found, [1, 1], atol=1e-3)


@pytest.mark.parametrize("flips", [0.0, 1e-6, 1e-4])
def test_counts_under_hardly_any_noise_do_not_overflow(flips):
    """A long step may leave a string that was read with less than rounding does: the shots divided by that are none."""
    kernel, counts = kernel_of(12, flips), np.zeros(1 << 12)
    counts[[77, 1234]] = 10_000, 1
    (found,) = log_linear(kernel, (1.0,), counts)
    assert fidelity(found.ideal, counts / counts.sum()) > 0.99
