import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from qcluster.learn.forest import RateForest, quantile, rate, root, weight


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    X = rng.random((300, 3))
    groups = np.repeat(np.arange(60), 5)
    y = 0.4 * X[:, 0] * X[:, 1] + 0.02 * rng.standard_normal(60)[groups] + 0.005 * rng.standard_normal(300)
    return X, y, groups


@pytest.fixture(scope="module")
def forest(rows):
    return RateForest((0,), trees=20).fit(*rows)


def test_the_scale_of_the_target_is_undone():
    rates = np.linspace(-0.015, 0.6, 50)
    assert np.allclose(rate(root(rates)), rates)


def test_it_learns_and_repeats_itself(rows, forest):
    X, y, groups = rows
    said = forest.predict(X)
    assert np.corrcoef(said, y)[0, 1] > 0.95
    assert np.array_equal(clone(forest).fit(X, y, groups).predict(X), said)
    assert not np.array_equal(RateForest((0,), trees=20, seed=1).fit(X, y, groups).predict(X), said)
    assert np.array_equal(forest.predict_interval(X)[0], said)


def test_only_trees_that_a_prediction_needs_are_grown(rows):
    X, y, groups = rows
    forest = RateForest((0,), trees=5).fit(X, y, groups)
    assert not forest._forests
    forest.predict(np.where([True, True, False], X, np.nan))
    assert list(forest._forests) == [(0, 1)]


def test_monotone_trees_rise(rows):
    """With nothing but the noise of free trees left out, the average rises: half of it must."""
    X, y, _ = rows
    forest = RateForest((0,), trees=10).fit(X, y)
    trees = forest._trees((0, 1, 2))[10:]
    low, high = X.copy(), X.copy()
    high[:, 0] += 0.2
    for tree in trees:
        assert (tree.predict(high.astype(np.float32)) >= tree.predict(low.astype(np.float32)) - 1e-12).all()


def test_intervals_hold_what_they_promise_for_unseen_groups():
    rng = np.random.default_rng(8)

    def draw(n_groups, size):
        X = rng.random((n_groups * size, 3))
        shift = np.repeat(0.02 * rng.standard_normal(n_groups), size)
        return X, 0.4 * X[:, 0] * X[:, 1] + shift + 0.005 * rng.standard_normal(len(X))

    forest = RateForest((0,), trees=30).fit(*draw(400, 2), np.repeat(np.arange(400), 2))
    new, truth = draw(2000, 1)
    widths = []
    for coverage in (0.5, 0.8, 0.95):
        value, low, high = forest.predict_interval(new, coverage)
        assert ((low <= value) & (value <= high)).all()
        assert np.mean((truth >= low) & (truth <= high)) == pytest.approx(coverage, abs=0.05)
        widths.append(np.mean(high - low))
    assert widths == sorted(widths)


def test_intervals_hold_in_each_stratum_and_not_on_the_average():
    """One half scatters five times as much; the column that tells the halves apart is the stratum."""
    rng = np.random.default_rng(9)

    def draw(count):
        X = np.c_[rng.random((count, 2)), rng.random(count) < 0.5]
        return X, 0.1 + 0.2 * X[:, 0] + np.where(X[:, 2] > 0, 0.05, 0.01) * rng.standard_normal(count)

    forest = RateForest((0,), (), (2, (0.5,)), trees=20).fit(*draw(1200))
    new, truth = draw(2000)
    _, low, high = forest.predict_interval(new, 0.8)
    held = (truth >= low) & (truth <= high)
    for half in (0, 1):
        assert held[new[:, 2] == half].mean() == pytest.approx(0.8, abs=0.06)


def test_intervals_are_learned_on_rows_like_those_to_come():
    """Rows that are not judged scatter five times as much; they would make the intervals too wide."""
    rng = np.random.default_rng(10)
    X, like = rng.random((1500, 2)), rng.random(1500) < 0.3
    y = 0.1 + 0.2 * X[:, 0] + np.where(like, 0.01, 0.05) * rng.standard_normal(1500)
    new = rng.random((2000, 2))
    truth = 0.1 + 0.2 * new[:, 0] + 0.01 * rng.standard_normal(2000)
    held = {}
    for name, judged in (("like", like), ("all", None)):
        _, low, high = RateForest((0,), trees=20).fit(X, y, judged=judged).predict_interval(new, 0.8)
        held[name] = np.mean((truth >= low) & (truth <= high))
    assert held["like"] == pytest.approx(0.8, abs=0.06)
    assert held["all"] > 0.92
    with pytest.raises(ValueError, match="judged must have shape"):
        RateForest((0,)).fit(X, y, judged=like[:5])


def test_folds_do_not_learn_from_rows_of_other_groups_that_resemble_theirs():
    """Each group has a level of its own; its copies in other groups would give it away to the fold that lacks it."""
    rng = np.random.default_rng(11)

    def draw(count):
        X = np.repeat(rng.random((count, 2)), 4, axis=0)
        return X, np.repeat(0.2 + 0.05 * rng.standard_normal(count), 4) + 0.001 * rng.standard_normal(4 * count)

    X, y = draw(100)
    groups = np.repeat(np.arange(100), 4)
    both, rates = np.r_[X, X], np.r_[y, y]
    labels, run = np.r_[groups, (groups + 1) % 100], np.arange(800) < 400
    new, truth = draw(500)
    held = {}
    for name, kinds in (("own", None), ("resembled", np.r_[groups, groups])):
        forest = RateForest(trees=20).fit(both, rates, labels, run, kinds)
        _, low, high = forest.predict_interval(new, 0.8)
        held[name] = np.mean((truth >= low) & (truth <= high))
    assert held["resembled"] == pytest.approx(0.8, abs=0.1)
    assert held["own"] < 0.4
    with pytest.raises(ValueError, match="kinds must have shape"):
        RateForest().fit(both, rates, labels, run, groups)


def test_a_base_that_is_right_is_kept_and_one_that_is_off_is_corrected():
    X = np.random.default_rng(4).random((400, 2)) * 0.4
    right = RateForest(base=0, trees=10).fit(X, X[:, 0])
    assert np.allclose(right.predict(X), X[:, 0])
    off = RateForest(base=0, trees=10).fit(X, X[:, 0] + 0.1)
    assert (off.predict(X) - X[:, 0]).mean() == pytest.approx(0.1, abs=0.005)


def test_complete_rows_are_those_that_serve(rows):
    X, y, groups = rows
    lacking = X.copy()
    lacking[:100, 1] = np.nan
    forest = RateForest((0,), trees=5).fit(lacking, y, groups)
    assert forest.complete(X[:1]).sum() == 200
    assert forest.complete(np.array([[0.5, np.nan, 0.5]])).all()


def test_groups_weigh_the_same_in_a_quantile():
    many, one = np.zeros(99), np.ones(1)
    groups = np.r_[np.zeros(99, dtype=int), 1]
    assert quantile(np.r_[many, one], weight(groups), 0.6) == 1.0
    assert quantile(np.r_[many, one], np.ones(100), 0.6) == 0.0


def test_a_quantile_leaves_room_for_the_group_to_come():
    """Of five exchangeable values, the last is at most the third smallest of the others with probability 3/5."""
    for level, rank in ((0.6, 3), (0.7, 4), (0.8, 4), (0.95, 4)):
        assert quantile(np.array([2.0, 1.0, 4.0, 3.0]), np.ones(4), level) == rank


def test_missing_columns_are_answered_by_trees_that_never_saw_them(rows):
    X, y, groups = rows
    forest = RateForest((0,), trees=10).fit(X, y, groups)
    blind = X.copy()
    blind[:, 1] = np.nan
    blind[::2, 2] = np.nan
    alone = RateForest((0,), trees=10).fit(X[:, [0, 2]], y, groups)
    said = forest.predict(blind)
    assert np.array_equal(said[1::2], alone.predict(X[1::2][:, [0, 2]]))
    assert np.array_equal(said, forest.predict(blind))


def test_two_groups_that_were_dealt_into_one_fold_still_judge_each_other(rows):
    X, y, groups = rows
    whole = RateForest((0,), trees=10, folds=2).fit(X, y, groups)
    together = np.unique(groups[whole._fold == 0])[:2]
    lacking = np.where(np.isin(groups, together)[:, None] | [[True, True, False]], X, np.nan)
    forest = RateForest((0,), trees=10, folds=2).fit(lacking, y, groups)
    value, low, high = forest.predict_interval(X[:1])
    assert low < value < high
    alone = np.where((groups == 7)[:, None] | [[True, True, False]], X, np.nan)
    with pytest.raises(ValueError, match="are of one group: an interval needs two"):
        RateForest((0,), trees=10).fit(alone, y, groups).predict_interval(X[:1])


def test_columns_that_training_lacks_are_ignored(rows):
    X, y, groups = rows
    lacking = X.copy()
    lacking[:, 2] = np.nan
    forest = RateForest((0,), trees=10).fit(lacking, y, groups)
    assert np.array_equal(forest.predict(X), forest.predict(lacking))


def test_rows_of_two_kinds_need_no_row_that_has_all_columns(rows):
    """Each half could be fitted; together they were refused."""
    X, y, groups = rows
    X = X.copy()
    X[:100, 0] = X[100:, 2] = np.nan
    forest = RateForest(trees=10).fit(X, y, groups)
    for kind, columns in (slice(100), [1, 2]), (slice(100, None), [0, 1]):
        alone = RateForest(trees=10).fit(X[kind][:, columns], y[kind], groups[kind])
        assert np.array_equal(forest.predict(X[kind]), alone.predict(X[kind][:, columns]))
    with pytest.raises(ValueError, match="fewer than two training rows have the columns that this row has"):
        forest.predict(np.ones((1, 3)))


def test_a_spare_column_is_used_only_where_the_better_one_is_unknown(rows):
    X, y, groups = rows
    forest = RateForest((0,), ((2, 0),), trees=10).fit(X, y, groups)
    other = X.copy()
    other[:, 2] = 1 - X[:, 2]
    assert np.array_equal(forest.predict(other), forest.predict(X))
    blind, other_blind = X.copy(), other.copy()
    blind[:, 0] = other_blind[:, 0] = np.nan
    assert np.array_equal(forest.predict(blind), RateForest((), trees=10).fit(X[:, 1:], y, groups).predict(X[:, 1:]))
    assert not np.array_equal(forest.predict(other_blind), forest.predict(blind))


def test_range(rows, forest):
    X, _, _ = rows
    assert forest.in_range(X).mean() > 0.95
    assert not forest.in_range(X + 2).any()
    assert forest.in_range(np.array([[0.5, np.nan, 0.5]])).all()


def test_wrong_input_is_named(rows, forest):
    X, y, _ = rows
    with pytest.raises(NotFittedError):
        RateForest().predict(X)
    with pytest.raises(ValueError, match=r"got \(300, 3\), \(299,\)"):
        RateForest().fit(X, y[1:])
    with pytest.raises(ValueError, match="two groups"):
        RateForest().fit(X, y, np.zeros(300))
    with pytest.raises(ValueError, match=r"groups must have shape \(300,\); got \(5,\)"):
        RateForest().fit(X, y, groups=[1, 2, 3, 4, 5])
    with pytest.raises(ValueError, match="3\\); got shape"):
        forest.predict(X[:, :2])
    with pytest.raises(ValueError, match="coverage"):
        forest.predict_interval(X, 1.0)
    with pytest.raises(ValueError, match="nothing to compare"):
        forest.predict(np.full((1, 3), np.nan))
