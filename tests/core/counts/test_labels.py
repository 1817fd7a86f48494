"""Short names of bitstrings."""

from hypothesis import given
from hypothesis import strategies as st

from qcluster.core.counts.labels import short_labels


def test_strings_are_whole_up_to_twelve_bits_or_as_many_as_there_is_room_for():
    assert short_labels([]) == []
    assert short_labels(["010101010101"]) == ["010101010101"]
    assert short_labels(["0101010101011"]) == ["0x0aab"]
    assert short_labels(["0101010101011"], 20) == ["0101010101011"]


def test_of_very_long_strings_as_many_digits_stay_as_tell_them_apart():
    alike = ["0" * 100, "0" * 70 + "1" + "0" * 29]
    first, second = short_labels(alike)
    assert first != second
    assert max(map(len, (first, second))) < 2 + 25
    assert short_labels(["1" * 100])[0] == "0xffff…ffff"


@given(st.integers(1, 200).flatmap(lambda n: st.sets(st.text("01", min_size=n, max_size=n), min_size=1, max_size=20)))
def test_names_are_as_distinct_as_the_strings(texts):
    names = short_labels(sorted(texts))
    assert len(set(names)) == len(texts)
    assert all(len(name) <= 2 + max(12, len(next(iter(texts)))) for name in names)
