"""Richardson-Lucy under a circuit's kernel: what it maximises, where it ends, and the noise it undoes."""

from types import SimpleNamespace

import numpy as np
import pytest

from qcluster.core.dense.richardson_lucy import allowed, deconvolve, richardson_lucy
from qcluster.core.noise.kernel import Kernel
from qcluster.core.noise.scales import ScaledKernels
from qcluster.core.stats.goodness import deviance, shot_noise
from tests.core.noise.oracle_circuit import random_faults

SCALES = (2.0, 1.4, 1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.0)


def drawn(seed: int, n: int = 6, shots: int = 8192) -> tuple[Kernel, np.ndarray, np.ndarray]:
    """A kernel, an ideal, and counts of the ideal seen through the kernel."""
    rng = np.random.default_rng(seed)
    kernel = Kernel.of(random_faults(n, rng, rate=0.03, readout=0.03))
    ideal = rng.dirichlet(np.full(1 << n, 0.3))
    noisy = kernel.forward(ideal)
    return kernel, ideal, rng.multinomial(shots, noisy / noisy.sum()).astype(float)


def fidelity(p: np.ndarray, q: np.ndarray) -> float:
    return float(np.sqrt(p * q).sum() ** 2)


@pytest.mark.parametrize("seed", range(4))
def test_twenty_accelerated_rounds_go_as_far_as_sixty_plain_ones(seed):
    kernel, _, counts = drawn(seed)
    seen = counts / counts.sum()
    plain = seen + 1e-12
    for _ in range(60):
        plain = plain * kernel.adjoint(seen / kernel.forward(plain))
        plain /= plain.sum()
    fast = richardson_lucy(kernel, seen, 20)
    levels = [seen @ np.log(kernel.forward(one)) for one in (plain, fast, seen + 1e-12)]
    assert levels[1] >= levels[0] - 0.02 * (levels[0] - levels[2])
    assert fast.sum() == pytest.approx(1)
    assert fast.min() >= 0


@pytest.mark.parametrize("seed", range(4))
def test_rounds_end_where_noise_would_be_fitted_and_the_answer_is_nearer(seed):
    kernel, ideal, counts = drawn(seed)
    found = deconvolve(ScaledKernels.of(kernel, (1.0,)), counts, rounds=200)
    assert found.deviance[0] > 0.2 * found.usual[0]
    assert fidelity(found.ideals[0], ideal) > fidelity(counts / counts.sum(), ideal)


@pytest.mark.parametrize("seed", range(4))
def test_scales_are_deconvolved_as_if_each_were_alone(seed):
    kernel, _, counts = drawn(seed)
    kernels = ScaledKernels.of(kernel, SCALES)
    together = deconvolve(kernels, counts)
    for place in range(len(SCALES)):
        alone = deconvolve(kernels.take(slice(place, place + 1)), counts)
        np.testing.assert_allclose(alone.ideals[0], together.ideals[place], atol=1e-12)
        assert alone.deviance[0] == pytest.approx(together.deviance[place])


@pytest.mark.parametrize("seed", range(4))
def test_the_calibrated_noise_is_undone_where_it_is_right_and_less_where_counts_are_sharper(seed):
    kernel, ideal, counts = drawn(seed)

    def scale(of: Kernel, counts: np.ndarray) -> float:
        found = deconvolve(ScaledKernels.of(of, SCALES), counts)
        return SCALES[allowed(found, float(counts.sum()))]

    assert scale(kernel, counts) == 1
    assert scale(kernel.scaled(6.0), counts) < 0.5
    clean = np.random.default_rng(seed).multinomial(8192, ideal).astype(float)
    noisy = Kernel.of(random_faults(6, np.random.default_rng(seed), rate=0.4, readout=0.2))
    assert scale(noisy, clean) == 0


@pytest.mark.parametrize(
    ("scales", "deviances", "wanted"),
    [
        ((2.0, 1.0, 0.5), (500.0, 139.0, 100.0), 1.0),  # three standard deviations, and a hundredth a shot
        ((2.0, 1.0, 0.5), (500.0, 141.0, 100.0), 0.5),
        ((1.6, 0.5), (100.0, 100.0), 1.6),  # the nearer one in the logarithm
        ((2.0, 1.0, 0.5), (300.0, 205.0, 170.0), 1.0),  # none explains the counts: as much above the least
        ((2.0, 1.0, 0.5), (300.0, 215.0, 170.0), 0.5),
    ],
)
def test_the_noise_nearest_to_the_calibrated_is_taken_of_those_that_explain_the_counts(scales, deviances, wanted):
    fits = SimpleNamespace(
        kernels=SimpleNamespace(scales=np.array(scales)), usual=100.0, spread=10.0, deviance=np.array(deviances)
    )
    assert scales[allowed(fits, 1000.0)] == wanted


def test_several_frequencies_are_deconvolved_at_once():
    kernel, _, counts = drawn(9)
    both = np.stack([counts, counts[::-1]]) / counts.sum()
    together = richardson_lucy(kernel, both, 12)
    for one, alone in zip(both, together, strict=True):
        np.testing.assert_allclose(richardson_lucy(kernel, one, 12), alone, atol=1e-9)


def test_shot_noise_has_the_deviance_that_is_said():
    rng = np.random.default_rng(0)
    for level in (0.02, 0.5, 4.0, 200.0):
        expected = np.full(4000, level)
        found = [deviance(rng.poisson(expected).astype(float), expected) for _ in range(40)]
        mean, spread = map(float, shot_noise(expected))
        assert abs(np.mean(found) - mean) < 4 * spread / np.sqrt(40)
        assert np.std(found) == pytest.approx(spread, rel=0.5)
