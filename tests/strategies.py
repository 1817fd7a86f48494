"""Hypothesis strategies for counts and rates."""

from hypothesis import strategies as st

from qcluster.core.counts.distribution import Distribution


def counts(min_bits: int = 1, max_bits: int = 12, max_strings: int = 40, max_weight: int = 400) -> st.SearchStrategy:
    """Dicts of counts: whole shots on distinct strings of one width."""
    return st.integers(min_bits, max_bits).flatmap(
        lambda n: st.dictionaries(
            st.integers(0, 2**n - 1).map(lambda value: format(value, f"0{n}b")),
            st.integers(1, max_weight),
            min_size=1,
            max_size=max_strings,
        )
    )


flip_rates = st.floats(0.001, 0.45)


def untied(held: Distribution) -> bool:
    """Tell whether the declared ties (weight, then summed distance to all shots) order all strings."""
    spread = ((held.bits[:, None] ^ held.bits[None]).sum(axis=2) * held.weights).sum(axis=1)
    return len(set(zip(held.weights, spread, strict=True))) == held.n_outcomes
