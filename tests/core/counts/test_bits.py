import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qcluster.core.counts import bits as b
from tests import oracle

matrices = st.tuples(st.integers(1, 20), st.integers(1, 200)).flatmap(lambda shape: hnp.arrays(np.bool_, shape))


def test_bit_zero_is_the_rightmost_character():
    assert b.parse_bitstrings(["100"]).tolist() == [[False, False, True]]
    assert b.format_bitstrings(np.array([[True, False, False]])) == ["001"]


@given(matrices)
def test_every_form_gives_the_bits_back(bits):
    width = bits.shape[1]
    texts = b.format_bitstrings(bits)
    assert np.array_equal(b.parse_bitstrings(texts), bits)
    assert np.array_equal(b.unpack(b.pack(bits), width), bits)
    assert np.array_equal(b.integers_to_bits([int(text, 2) for text in texts], width), bits)
    values = [int(text, 2).to_bytes((width + 7) // 8, "big") for text in texts]
    packed = np.frombuffer(b"".join(values), dtype=np.uint8).reshape(len(bits), -1)
    assert np.array_equal(b.big_endian_to_words(packed, width), b.pack(bits))


@given(matrices)
def test_distances_and_order_agree_with_text(bits):
    texts = b.format_bitstrings(bits)
    words = b.pack(bits)
    assert b.hamming(words, words[:3]).tolist() == [[oracle.distance(x, y) for y in texts[:3]] for x in texts]
    order, starts = b.distinct_rows(words)
    assert [texts[i] for i in order] == sorted(texts)
    assert [texts[i] for i in order[starts]] == sorted(set(texts))


def test_distances_in_chunks_agree(monkeypatch):
    words = b.pack(np.random.default_rng(1).random((57, 130)) < 0.5)
    whole = b.hamming(words, words)
    monkeypatch.setattr(b, "_CHUNK", 100)
    assert np.array_equal(b.hamming(words, words), whole)


@pytest.mark.parametrize("width", [7, 9, 63, 65])
def test_padding_is_ignored(width):
    bits = np.random.default_rng(width).random((20, width)) < 0.5
    packed = np.packbits(bits, axis=1, bitorder="little")[:, ::-1]
    inverted = ~packed
    assert np.array_equal(b.big_endian_to_words(inverted, width), b.pack(~bits))
    assert np.array_equal(packed, ~inverted)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["01", "1"], "'1' has 1"),
        (["01", "0x"], "'0x'"),
        (["01", "0\N{ARABIC-INDIC DIGIT ONE}"], "0 and 1"),
        (["2"], "'2'"),
    ],
)
def test_wrong_text_is_named(texts, said):
    with pytest.raises(ValueError, match=said):
        b.parse_bitstrings(texts)


@pytest.mark.parametrize("equal", [1, 3, 40])
@pytest.mark.parametrize("n_bits", [3, 40, 64, 70, 130, 190])
def test_distinct_rows_are_sorted_and_found_once(n_bits, equal):
    rng = np.random.default_rng([n_bits, equal])
    bits = np.tile(rng.random((300, n_bits)) < 0.3, (equal, 1))
    words = b.pack(bits[rng.permutation(len(bits))])
    order, starts = b.distinct_rows(words)
    wanted = sorted({tuple(row[::-1]) for row in words.tolist()})
    assert [tuple(row[::-1]) for row in words[order[starts]].tolist()] == wanted
    assert sorted(order.tolist()) == list(range(len(words)))
    for start, stop in zip(starts, [*starts[1:], len(words)], strict=True):
        assert (words[order[start:stop]] == words[order[start]]).all()
        assert (np.diff(order[start:stop]) > 0).all()


@pytest.mark.parametrize("many", [40, 3000])
def test_rows_are_ordered_by_value_and_equal_ones_as_they_came(many):
    rows = np.random.default_rng(many).integers(0, 6, (many, 2)).astype(np.uint64)
    by_value = sorted(range(many), key=lambda row: (int(rows[row, 1]), int(rows[row, 0])))
    assert b.distinct_rows(rows)[0].tolist() == by_value


@given(matrices, st.randoms(use_true_random=False))
def test_columns_are_packed_in_the_order_asked_for(bits, random):
    columns = random.sample(range(bits.shape[1]), bits.shape[1])
    assert (b.pack_columns(bits, np.array(columns)) == b.pack(bits[:, columns])).all()


def test_columns_of_many_rows_are_packed_chunk_by_chunk(monkeypatch):
    monkeypatch.setattr(b, "_ROWS", 7)
    bits = np.random.default_rng(1).random((30, 70)) < 0.5
    assert (b.pack_columns(bits, np.arange(70)[::-1]) == b.pack(bits[:, ::-1])).all()


@given(st.integers(1, 70), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_distinct_strings_are_those_of_numpy(n_bits, many, seed):
    bits = np.random.default_rng(seed).random((many, n_bits)) < 0.05
    strings, place = b.distinct(bits)
    wanted, which = np.unique(bits, axis=0, return_inverse=True)
    assert strings.tolist() == wanted.tolist()
    assert place.tolist() == which.ravel().tolist()


@pytest.mark.parametrize(("k", "n"), [(1, 3), (2, 3), (12, 5), (30, 90)])
def test_the_nearest_earlier_string_is_found(k, n):
    strings = np.random.default_rng(k).random((k, n)) < 0.5
    expected = [min(int((strings[i] ^ strings[j]).sum()) for j in range(i)) for i in range(1, k)]
    assert b.nearest_earlier(b.pack(strings), n).tolist() == expected


def test_the_heaviest_of_equals_does_not_depend_on_names():
    """Nor on the order of rows: renamed, it is the same string."""
    rng = np.random.default_rng(5)
    for _ in range(50):
        strings = rng.permutation(32)[:12]
        bits, weights = b.index_bits(strings, 5), rng.integers(1, 4, 12).astype(float)
        order, rows = rng.permutation(5), rng.permutation(12)
        found = b.most_frequent_row(bits, weights)
        assert weights[found] == weights.max()
        ones = np.log((weights @ bits + 0.5) / (weights.sum() - weights @ bits + 0.5))
        equals = np.flatnonzero(weights == weights.max())
        assert bits[found] @ ones == pytest.approx((bits[equals] @ ones).max())
        there = b.most_frequent_row(bits[rows][:, order], weights[rows])
        if len(equals) == 1 or np.diff(np.sort(bits[equals] @ ones))[-1] > 1e-9:  # else they are as usual
            assert (bits[rows][there] == bits[found]).all()


def test_the_order_of_columns_does_not_depend_on_labels():
    """Where every string is read once, as on wide registers, many bits are 1 in equally many shots."""
    rng = np.random.default_rng(0)
    bits = rng.random((500, 64)) < 0.5
    assert len(set(bits.sum(axis=0).tolist())) < 64
    order = rng.permutation(64)
    first, second = b.columns_by_weight(bits, np.ones(500)), b.columns_by_weight(bits[:, order], np.ones(500))
    np.testing.assert_array_equal(order[second], first)
