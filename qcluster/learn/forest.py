"""Two kinds of extremely randomised trees, averaged, with an interval that was checked on groups left out."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.utils.validation import check_is_fitted

from qcluster.core.checks import check_whole

Floats = NDArray[np.float64]
Key = tuple[int, ...]

MARGIN = 0.02
"""Added to rates under the root: labels scatter a little below 0."""
SPREAD = 0.02
"""Added to the spread of the trees, on the root scale: where all trees agree, labels still scatter."""


class RateForest(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Average free extra trees with monotone ones, on the square root of the rate.

    Free trees are best where a like circuit was seen, monotone ones where none was. For the interval the groups are
    dealt into folds; what smaller forests say about the fold that they did not see, against the truth and over the
    spread of their trees, gives the reach (cross-conformal prediction with normalised scores, Vovk, arXiv:1208.0806).

    Rows may lack columns (NaN). Rows that lack the same ones are answered by trees grown on the columns that they do
    have; those are grown when first needed, and kept.

    Args:
        rising: columns in which the prediction of the monotone trees can only rise.
        spares: pairs (column, better): a column that is used only for rows that lack the better one.
        trees: number of trees of each kind.
        folds: number of folds for the interval; their forests have a fifth of the trees, at least ten.
        leaf: fewest rows in a leaf.
        seed: of trees and folds; the same seed gives the same forest.

    Attributes:
        n_features_in_: number of columns.
    """

    def __init__(
        self,
        rising: tuple[int, ...] = (),
        spares: tuple[tuple[int, int], ...] = (),
        *,
        trees: int = 50,
        folds: int = 4,
        leaf: int = 1,
        seed: int = 0,
    ) -> None:
        self.rising = rising
        self.spares = spares
        self.trees = trees
        self.folds = folds
        self.leaf = leaf
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Grow the trees for the columns that the rows have.

        Args:
            X: ``(n_rows, n_columns)``, NaN where unknown.
            y: ``(n_rows,)`` rates.
            groups: ``(n_rows,)``, such as names of circuits: a fold leaves out whole groups. Rows by default.

        Raises:
            ValueError: shapes that do not fit, fewer than two groups, or trees, folds or a leaf out of range.
        """
        for name, least in (("trees", 1), ("folds", 2), ("leaf", 1)):
            check_whole(name, getattr(self, name), least)
        rows, rates = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if rows.ndim != 2 or rates.shape != rows.shape[:1] or not np.isfinite(rates).all():
            raise ValueError(f"X must be (n_rows, n_columns) and y (n_rows,) finite; got {rows.shape}, {rates.shape}")
        names = np.arange(len(rows)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        if names.max(initial=0) < 1:
            raise ValueError("there must be at least two groups of rows")
        self.n_features_in_ = rows.shape[1]
        folds = np.random.default_rng(self.seed).permutation(names.max() + 1) % self.folds
        self._rows, self._rates, self._fold = rows, rates, folds[names]
        self._grown: dict[Key, list[Any]] = {}
        self._missed: dict[Key, Floats] = {}
        usual = self._in_use(np.atleast_2d(~np.isnan(rows).all(axis=0)))
        self._trees(tuple(np.flatnonzero(usual).tolist()))
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Predict rates, ``(n_rows,)``."""
        rows, patterns = self._by_pattern(X)
        answers = np.empty(len(rows))
        for chosen, columns in patterns:
            answers[chosen] = rate(_look(self._trees(columns), rows[chosen][:, columns])[0])
        return answers

    def predict_interval(self, X: ArrayLike, coverage: float = 0.8) -> tuple[Floats, Floats, Floats]:
        """Predict rates with an interval: value, low and high, ``(n_rows,)`` each.

        Args:
            X: ``(n_rows, n_columns)``, NaN where unknown.
            coverage: share of rows of groups never seen that the interval is to hold, in (0, 1).
        """
        if not 0 < coverage < 1:
            raise ValueError(f"coverage must lie in (0, 1); got {coverage}")
        rows, patterns = self._by_pattern(X)
        answers = np.empty((3, len(rows)))
        for chosen, columns in patterns:
            mean, spread = _look(self._trees(columns), rows[chosen][:, columns])
            reach = np.quantile(self._misses(columns), coverage) * (spread + SPREAD)
            answers[:, chosen] = rate(np.stack([mean, mean - reach, mean + reach]))
        return answers[0], answers[1], answers[2]

    def in_range(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Tell whether every known column lies within the training rows, ``(n_rows,) bool``."""
        check_is_fitted(self)
        rows = np.asarray(X, dtype=np.float64)
        seen = ~np.isnan(self._rows).all(axis=0)
        low, high = np.nanmin(self._rows[:, seen], axis=0), np.nanmax(self._rows[:, seen], axis=0)
        outside: NDArray[np.bool_] = ((rows[:, seen] < low) | (rows[:, seen] > high)).any(axis=1)
        return ~outside

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

    def _data(self, columns: Key) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """Give the training rows that have these columns: columns, roots of the rates, folds."""
        whole = ~np.isnan(self._rows[:, columns]).any(axis=1)
        if not columns or whole.sum() < 2:
            raise ValueError("no training row has the columns that this row has: there is nothing to compare it with")
        return self._rows[whole][:, columns], root(self._rates[whole]), self._fold[whole]

    def _trees(self, columns: Key) -> list[Any]:
        """Give the trees for rows that have these columns, grown when first asked for."""
        if columns not in self._grown:
            rows, target, _ = self._data(columns)
            self._grown[columns] = self._plant(rows, target, columns, self.trees)
        return self._grown[columns]

    def _misses(self, columns: Key) -> Floats:
        """Give, for each training row, how far trees that did not see its fold are off, over their spread."""
        if columns not in self._missed:
            rows, target, fold = self._data(columns)
            misses = np.full(len(rows), np.nan)
            for number in np.unique(fold):
                out = fold == number
                if not out.all():
                    trees = self._plant(rows[~out], target[~out], columns, max(min(10, self.trees), self.trees // 5))
                    mean, spread = _look(trees, rows[out])
                    misses[out] = np.abs(mean - target[out]) / (spread + SPREAD)
            self._missed[columns] = misses[~np.isnan(misses)]
        return self._missed[columns]

    def _plant(self, rows: Floats, target: Floats, columns: Key, each: int) -> list[Any]:
        """Grow `each` free trees and as many monotone ones."""
        rising = np.isin(columns, self.rising).astype(int)
        trees: list[Any] = []
        for constraint in (None, rising):
            forest = ExtraTreesRegressor(
                each, min_samples_leaf=self.leaf, monotonic_cst=constraint, random_state=self.seed
            )
            trees += [tree.tree_ for tree in forest.fit(rows, target).estimators_]
        return trees


def _look(trees: list[Any], rows: Floats) -> tuple[Floats, Floats]:
    """Mean and spread over trees, ``(n_rows,)`` each, as roots; without the overhead of a call per forest."""
    single = rows.astype(np.float32)
    said = np.stack([tree.predict(single).ravel() for tree in trees])
    return said.mean(axis=0), said.std(axis=0)


def root(rates: Floats) -> Floats:
    """Bend rates so that small ones count for more."""
    bent: Floats = np.sqrt(np.maximum(rates + MARGIN, 0.0))
    return bent


def rate(roots: Floats) -> Floats:
    """Undo `root`."""
    straight: Floats = np.maximum(roots, 0.0) ** 2 - MARGIN
    return straight
