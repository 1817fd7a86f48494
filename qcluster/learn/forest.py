"""Extremely randomised trees of two kinds, averaged, with intervals and a range learned on groups left out."""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real, check_whole

Key = tuple[int, ...]

MARGIN = 0.02
"""Added to rates under the root: labels scatter a little below 0."""
LEAST_ERROR = 0.01
"""Added to every expected error, on the root scale: labels scatter by shot noise even where all is known."""
ERROR_LEAF = 10
"""Fewest rows in a leaf of the trees that predict errors: a mean error needs several."""
BASE_TRIED = 0.5
"""Share of the columns that are tried at a split, where there is a base."""
STRATUM = 40
"""Fewest rows from which an interval is learned; a smaller stratum uses all rows."""
NEIGHBOURS = 5
"""A row is as far from the training rows as from its fifth nearest."""
FAR = 0.9
"""Share of the training rows that count as near to the rows of other groups."""


class Learned(NamedTuple):
    """What is grown for rows that have the same columns."""

    trees: list[Any]
    """They predict roots of rates."""
    errors: list[Any]
    """They predict how far the trees are off in a group never seen."""
    misses: list[tuple[Floats, Floats]]
    """For each stratum, errors in groups left out over what was expected, and the weights of these rows."""


class RateForest(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Average free extra trees with monotone ones, on the square root of the rate.

    Free trees are best where a like circuit was seen, monotone ones where none was.

    Intervals hold in groups never seen: the groups are dealt into folds, and each fold is predicted by trees that did
    not see it. A second forest learns from its columns how far off a row is likely to be (normalised conformal
    prediction, Papadopoulos et al., 2011), and the reach in units of that is the quantile over the training rows of
    the same stratum (Mondrian conformal prediction, Vovk et al., 2003), where every group has the same weight: it holds
    by group, not on the average of rows.

    Rows may lack columns (NaN). Rows that lack the same ones are answered by trees grown on the columns that they do
    have; those are grown when first needed, and kept. A training row serves all runs of which no more is known than of
    itself; `complete` tells which serve a given one.

    Args:
        rising: columns in which the prediction of the monotone trees can only rise.
        spares: pairs (column, better): a column that is used only for rows that lack the better one.
        strata: a column and the values at which it is cut: the strata of the interval, where that column is used. None:
            one for all.
        base: a column that is a rate already: where it is known all trees are free, and learn how far the root of the
            rate is from the root of it. None: there is none.
        trees: number of trees of each kind.
        folds: number of folds for the interval; their forests have a fifth of the trees, at least ten.
        leaf: fewest rows in a leaf.
        base_leaf: the same where there is a base.
        seed: of trees and folds; the same seed gives the same forest.

    Attributes:
        n_features_in_: number of columns.
    """

    def __init__(
        self,
        rising: tuple[int, ...] = (),
        spares: tuple[tuple[int, int], ...] = (),
        strata: tuple[int, tuple[float, ...]] | None = None,
        base: int | None = None,
        *,
        trees: int = 50,
        folds: int = 8,
        leaf: int = 1,
        base_leaf: int = 5,
        seed: int = 0,
    ) -> None:
        self.rising = rising
        self.spares = spares
        self.strata = strata
        self.base = base
        self.trees = trees
        self.folds = folds
        self.leaf = leaf
        self.base_leaf = base_leaf
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None, judged: ArrayLike | None = None) -> Self:
        """Grow the trees for the columns that the rows have.

        Args:
            X: ``(n_rows, n_columns)``, NaN where unknown.
            y: ``(n_rows,)`` rates.
            groups: ``(n_rows,)``, such as families of circuits: a fold leaves out whole groups. Rows by default.
            judged: ``(n_rows,) bool``, rows that are like those to come: intervals are learned on them alone.
                All by default.

        Raises:
            ValueError: shapes that do not fit, fewer than two groups, or trees, folds or a leaf out of range.
        """
        for name, least in (("trees", 1), ("folds", 2), ("leaf", 1), ("base_leaf", 1)):
            check_whole(name, getattr(self, name), least)
        rows, rates = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if rows.ndim != 2 or rates.shape != rows.shape[:1] or not np.isfinite(rates).all():
            raise ValueError(f"X must be (n_rows, n_columns) and y (n_rows,) finite; got {rows.shape}, {rates.shape}")
        if groups is not None and np.shape(groups) != rates.shape:
            raise ValueError(f"groups must have shape {rates.shape}; got {np.shape(groups)}")
        names = np.arange(len(rows)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        if names.max(initial=0) < 1:
            raise ValueError("there must be at least two groups of rows")
        self.n_features_in_ = rows.shape[1]
        folds = np.random.default_rng(self.seed).permutation(names.max() + 1) % self.folds
        self._rows, self._rates, self._group, self._fold = rows, rates, names, folds[names]
        self._judged = np.ones(len(rows), dtype=bool) if judged is None else np.asarray(judged, dtype=bool)
        if self._judged.shape != rates.shape:
            raise ValueError(f"judged must have shape {rates.shape}; got {self._judged.shape}")
        self._grown: dict[Key, list[Any]] = {}
        self._learned: dict[Key, Learned] = {}
        self._near: dict[Key, Any] = {}
        usual = self._in_use(np.atleast_2d(~np.isnan(rows).all(axis=0)))
        self._trees(tuple(np.flatnonzero(usual).tolist()))
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Predict rates, ``(n_rows,)``."""
        rows, patterns = self._by_pattern(X)
        answers = np.empty(len(rows))
        for chosen, columns in patterns:
            answers[chosen] = rate(self._look(self._trees(columns), columns, rows[chosen]))
        return answers

    def predict_interval(self, X: ArrayLike, coverage: float = 0.8) -> tuple[Floats, Floats, Floats]:
        """Predict rates with an interval: value, low and high, ``(n_rows,)`` each.

        Args:
            X: ``(n_rows, n_columns)``, NaN where unknown.
            coverage: share of rows of groups never seen that the interval is to hold, in (0, 1).
        """
        coverage = check_real("coverage", coverage, 0, 1, open_low=True, open_high=True)
        rows, patterns = self._by_pattern(X)
        answers = np.empty((3, len(rows)))
        for chosen, columns in patterns:
            known = self._interval(columns)
            part = rows[chosen][:, columns]
            mean = self._look(known.trees, columns, rows[chosen])
            stratum = self._stratum(columns, rows[chosen])
            reach = np.array([quantile(*misses, coverage) for misses in known.misses])[stratum]
            reach *= _mean(known.errors, part) + LEAST_ERROR
            answers[:, chosen] = rate(np.stack([mean, mean - reach, mean + reach]))
        return answers[0], answers[1], answers[2]

    def in_range(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Tell whether there are training rows nearby, ``(n_rows,) bool``.

        Nearby: the fifth nearest is no farther than it is for 90 % of the training rows when only rows of other groups
        count; each column in units of its spread over the training rows.
        """
        rows, patterns = self._by_pattern(X)
        near = np.empty(len(rows), dtype=bool)
        for chosen, columns in patterns:
            if columns not in self._near:
                self._near[columns] = self._neighbours(columns)
            scale, index, limit = self._near[columns]
            near[chosen] = index.kneighbors(rows[chosen][:, columns] / scale)[0][:, -1] <= limit
        return near

    def complete(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Tell which training rows have all columns that one row has, ``(n_training_rows,) bool``."""
        _, patterns = self._by_pattern(X)
        columns = sorted({column for _, some in patterns for column in some})
        return np.asarray(~np.isnan(self._rows[:, columns]).any(axis=1))

    def _neighbours(self, columns: Key) -> tuple[Floats, Any, float]:
        """Give the unit of each column, an index of the training rows, and how far counts as near."""
        whole = ~np.isnan(self._rows[:, columns]).any(axis=1)
        rows, group = self._rows[whole][:, columns], self._group[whole]
        scale = np.maximum(rows.std(axis=0), 1e-9)
        rows = rows / scale
        far = np.full(len(rows), np.nan)
        for name in np.unique(group):
            out = group == name
            if (~out).sum() >= NEIGHBOURS:
                far[out] = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(rows[~out]).kneighbors(rows[out])[0][:, -1]
        index = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(rows))).fit(rows)
        return scale, index, float(np.quantile(far[~np.isnan(far)], FAR)) if (~np.isnan(far)).any() else 0.0

    def _by_pattern(self, X: ArrayLike) -> tuple[Floats, list[tuple[NDArray[np.bool_], Key]]]:
        """Check rows, and sort them by the columns that they have."""
        check_is_fitted(self)
        rows = np.asarray(X, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.n_features_in_:
            raise ValueError(f"X must be (n_rows, {self.n_features_in_}); got shape {rows.shape}")
        known = self._in_use(~np.isnan(rows) & ~np.isnan(self._rows).all(axis=0))
        patterns = np.unique(known, axis=0)
        return rows, [((known == p).all(axis=1), tuple(np.flatnonzero(p).tolist())) for p in patterns]

    def _in_use(self, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Of the columns that rows have, take out spares whose better one is there."""
        known = known.copy()
        for column, better in self.spares:
            known[:, column] &= ~known[:, better]
        return known

    def _stratum(self, columns: Key, rows: Floats) -> NDArray[np.intp]:
        """Give the stratum of each row, ``(n_rows,)``: 0 for all without strata, or without a column for them."""
        if self.strata is None or self.strata[0] not in columns:
            return np.zeros(len(rows), dtype=np.intp)
        return np.asarray(np.searchsorted(self.strata[1], rows[:, self.strata[0]]))

    def _data(self, columns: Key) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
        """Give the training rows that have these columns: columns, roots of the rates, of the base; and which rows."""
        whole = np.asarray(~np.isnan(self._rows[:, columns]).any(axis=1))
        if not columns or whole.sum() < 2:
            raise ValueError("no training row has the columns that this row has: there is nothing to compare it with")
        rows = self._rows[whole]
        return rows[:, columns], root(self._rates[whole]), self._start(columns, rows), whole

    def _start(self, columns: Key, rows: Floats) -> Floats:
        """Give the root that the trees of these columns correct, ``(n_rows,)``: zeros without a base."""
        return root(rows[:, self.base]) if self.base in columns else np.zeros(len(rows))

    def _look(self, trees: list[Any], columns: Key, rows: Floats) -> Floats:
        """Predict roots of rates, ``(n_rows,)``, from all columns of rows."""
        return self._start(columns, rows) + _mean(trees, rows[:, columns])

    def _trees(self, columns: Key) -> list[Any]:
        """Give the trees for rows that have these columns, grown when first asked for."""
        if columns not in self._grown:
            rows, target, start, _ = self._data(columns)
            self._grown[columns] = self._plant(columns, rows, target - start, self.trees)
        return self._grown[columns]

    def _interval(self, columns: Key) -> Learned:
        """Give trees, trees of their errors, and what is left of the errors, from folds left out."""
        if columns not in self._learned:
            rows, target, start, whole = self._data(columns)
            few, fold = max(min(10, self.trees), self.trees // 5), self._fold[whole]
            if (fold == fold[0]).all():  # groups that were dealt into one fold, of which others lack these columns
                fold = self._group[whole]
            if (fold == fold[0]).all():
                raise ValueError(
                    "the training rows that have the columns of this row are of one group: an interval needs two"
                )
            parts = [fold == number for number in np.unique(fold) if not (fold == number).all()]
            missed, expected = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
            for out in parts:
                trees = self._plant(columns, rows[~out], (target - start)[~out], few)
                missed[out] = np.abs(self._look(trees, columns, self._rows[whole][out]) - target[out])
            for out in parts:
                expected[out] = _mean(self._doubt(rows[~out], missed[~out], few), rows[out])
            known = ~np.isnan(expected)
            judged = known & self._judged[whole]
            like = judged if judged.sum() >= STRATUM else known
            ratio = missed[like] / (expected[like] + LEAST_ERROR)
            stratum = self._stratum(columns, self._rows[whole])[like]
            group, count = self._group[whole][like], 1 + len(self.strata[1]) if self.strata else 1
            each = [stratum == number for number in range(count)]
            each = [part if part.sum() >= STRATUM else np.ones(len(ratio), dtype=bool) for part in each]
            misses = [(ratio[part], weight(group[part])) for part in each]
            self._learned[columns] = Learned(self._trees(columns), self._doubt(rows[known], missed[known], few), misses)
        return self._learned[columns]

    def _plant(self, columns: Key, rows: Floats, target: Floats, each: int) -> list[Any]:
        """Grow `each` free trees and as many monotone ones; free ones only where there is a base."""
        based = self.base in columns
        rising = None if based else np.isin(columns, self.rising).astype(int)
        leaf, tried = (self.base_leaf, BASE_TRIED) if based else (self.leaf, 1.0)
        trees: list[Any] = []
        for seed, constraint in ((self.seed, None), (self.seed + based, rising)):
            forest = ExtraTreesRegressor(
                each, min_samples_leaf=leaf, max_features=tried, monotonic_cst=constraint, random_state=seed
            )
            trees += [tree.tree_ for tree in forest.fit(rows, target).estimators_]
        return trees

    def _doubt(self, rows: Floats, missed: Floats, each: int) -> list[Any]:
        """Grow trees that predict errors."""
        forest = ExtraTreesRegressor(2 * each, min_samples_leaf=ERROR_LEAF, random_state=self.seed)
        return [tree.tree_ for tree in forest.fit(rows, missed).estimators_]


def _mean(trees: list[Any], rows: Floats) -> Floats:
    """Mean over trees, ``(n_rows,)``; without the overhead of a call per forest."""
    single = rows.astype(np.float32)
    said: Floats = np.mean([tree.predict(single).ravel() for tree in trees], axis=0)
    return said


def weight(groups: NDArray[np.intp]) -> Floats:
    """Give every group the same weight in all, whatever its number of rows: a new run is of one group as of another."""
    _, place, rows = np.unique(groups, return_inverse=True, return_counts=True)
    return np.asarray(1 / rows[place])


def quantile(values: Floats, weights: Floats, level: float) -> float:
    """Find the least value that so much of the weight does not exceed.

    Example:
        >>> quantile(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]), 0.5)
        2.0
    """
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(total, level * total[-1])), len(order) - 1)])


def root(rates: Floats) -> Floats:
    """Bend rates so that small ones count for more."""
    bent: Floats = np.sqrt(np.maximum(rates + MARGIN, 0.0))
    return bent


def rate(roots: Floats) -> Floats:
    """Undo `root`."""
    straight: Floats = np.maximum(roots, 0.0) ** 2 - MARGIN
    return straight
