import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qcluster.core.counts.bits import format_bitstrings, parse_bitstrings
from qcluster.core.counts.distribution import Distribution
from qcluster.core.estimators.clusters import (
    Metric,
    channel_metric,
    cluster,
    majority,
    merge_duplicates,
    most_frequent_strings,
)
from tests import oracle
from tests.strategies import counts, flip_rates, untied


@given(counts(), st.integers(1, 50))
def test_most_frequent_follows_the_declared_ties(given_counts, k):
    held = Distribution.of(given_counts)
    rows = most_frequent_strings(held.bits, held.weights, k)
    assert format_bitstrings(held.bits[rows]) == oracle.ranked(given_counts)[:k]
    assert len(most_frequent_strings(held.bits, held.weights, 0)) == 0


@given(counts())
def test_majority_sets_a_tied_bit(given_counts):
    held = Distribution.of(given_counts)
    assert format_bitstrings(majority(held.bits, held.weights)[None]) == [oracle.majority(given_counts)]


@given(counts(), st.integers(1, 5), st.floats(0, 6))
def test_clusters_agree_with_the_slow_version(given_counts, k, radius):
    held = Distribution.of(given_counts)
    starts = oracle.ranked(given_counts)[:k]
    metric = Metric(np.ones(held.n_bits), radius)
    found, joined, _ = cluster(held.bits, held.weights, parse_bitstrings(starts), metric)
    centroids, labels = oracle.cluster(given_counts, starts, radius)
    assert format_bitstrings(found) == centroids
    assert dict(zip(format_bitstrings(held.bits), joined.tolist(), strict=True)) == labels


@given(st.integers(1, 200), st.floats(0, 0.5))
def test_equal_rates_give_hamming_distance_and_the_published_radius(n_bits, rate):
    metric = channel_metric(np.full(n_bits, rate))
    assert (metric.costs == 1).all()
    assert metric.radius == pytest.approx(2 * n_bits * rate * (1 - rate))


@given(st.lists(flip_rates, min_size=2, max_size=40), st.integers(0, 99))
def test_distances_do_not_depend_on_the_order_of_bits(rates, seed):
    rng = np.random.default_rng(seed)
    rows, centroids = rng.random((6, len(rates))) < 0.5, rng.random((4, len(rates))) < 0.5
    order = rng.permutation(len(rates))
    metric, shuffled = channel_metric(np.array(rates)), channel_metric(np.array(rates)[order])
    assert np.array_equal(metric.costs[order], shuffled.costs)
    assert np.array_equal(metric.distances(rows, centroids), shuffled.distances(rows[:, order], centroids[:, order]))
    slow = [[metric.costs @ (row != centroid) for centroid in centroids] for row in rows]
    assert metric.distances(rows, centroids) == pytest.approx(np.array(slow))


def test_a_bit_that_flips_often_costs_less():
    metric = channel_metric(np.array([0.01, 0.4]))
    assert metric.costs[1] < metric.costs[0] == 1
    assert channel_metric(np.full(3, 0.5)).costs.tolist() == [1, 1, 1]
    assert channel_metric(np.zeros(3)).radius == 0


def test_equal_centroids_merge_and_empty_ones_go():
    centroids = parse_bitstrings(["01", "11", "01", "10"])
    merged, labels = merge_duplicates(centroids, np.array([0, 2, 1, -1, 1]))
    assert format_bitstrings(merged) == ["01", "11"]
    assert labels.tolist() == [0, 0, 1, -1, 1]


@given(counts(min_bits=3), st.integers(0, 99))
def test_relabelling_bits_relabels_the_clusters(given_counts, seed):
    held = Distribution.of(given_counts)
    assume(untied(held))
    order = np.random.default_rng(seed).permutation(held.n_bits)
    other = held.marginal(order.tolist())
    metric = Metric(np.ones(held.n_bits), 1.5)
    shares = []
    for one in held, other:
        starts = one.bits[most_frequent_strings(one.bits, one.weights, 3)]
        centroids, labels, _ = cluster(one.bits, one.weights, starts, metric)
        shares.append((centroids, np.bincount(labels + 1, one.weights, 4)))
    (first, weights), (second, others) = shares
    assert np.array_equal(first[:, order], second)
    assert np.array_equal(weights, others)
