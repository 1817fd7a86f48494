"""The benchmark of expectation values beside M3's: what it measures, and that readout alone leaves M3 no bias."""

import numpy as np
import pytest

pytest.importorskip("mthree")
from benchmarks import bias
from benchmarks.coverage import apply_faults, apply_flips


def rows_of(which: str, trials: int) -> dict[tuple[str, str], dict[str, str]]:
    name, ideal, _ = next(found for found in bias.ideals() if found[0] == "Porter-Thomas")
    noise, faults = next(found for found in bias.noises() if found[0] == which)
    rows = bias.measure(name, ideal, noise, faults, trials)
    return {(row["observable"], row["method"]): row for row in rows}


def test_every_case_is_a_distribution_under_flips():
    for (_, ideal, rotations), (_, faults) in zip(list(bias.ideals()) * 2, list(bias.noises()) * 5, strict=True):
        noisy = apply_faults(ideal, faults)
        assert noisy.sum() == pytest.approx(ideal.sum()) == pytest.approx(1)
        assert (noisy >= 0).all()
        assert np.abs(noisy - ideal).sum() > 0.01
        assert faults.n_bits == bias.N_BITS
        assert rotations is None or rotations >= 0


def test_readout_errors_are_flips_of_each_bit():
    _, faults = next(found for found in bias.noises() if found[0] == "readout")
    for _, ideal, _ in bias.ideals():
        np.testing.assert_allclose(apply_faults(ideal, faults), apply_flips(ideal, bias.READOUT), atol=1e-12)


def test_m3_has_no_bias_from_readout_and_raw_counts_have():
    found = rows_of("readout", 40)
    assert len(found) == 15
    for (observable, method), row in found.items():
        off, chance = abs(float(row["bias"])), 4 * float(row["bias_sd"])
        if method == "m3":
            assert off < chance
        if method == "raw" and observable == "IIIIZZ":
            assert off > chance
