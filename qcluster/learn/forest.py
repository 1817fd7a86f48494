"""An average of free and monotone extra trees for flip rates, with prediction intervals and a test of range.

Intervals and range are calibrated on groups of rows that are left out.
"""

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
"""Added to a rate before the square root is taken: labels scatter slightly below 0."""
LEAST_ERROR = 0.01
"""Added to every expected error, on the square-root scale: labels scatter by shot noise even where all is known."""
ERROR_LEAF = 10
"""Fewest rows in a leaf of the trees that predict errors: a mean error needs several."""
BASE_TRIED = 0.5
"""Share of the columns tried at each split where the base is known."""
STRATUM = 40
"""Fewest rows from which an interval is learned; a smaller stratum uses the rows of all strata."""
NEIGHBOURS = 5
"""The distance of a row to the training rows is the distance to its fifth nearest neighbour."""
FAR = 0.9
"""Share of the training rows that count as near when only rows of other groups are considered."""


class Conformal(NamedTuple):
    """Trees and interval quantiles for rows with the same known columns."""

    trees: list[Any]
    """Predict square roots of rates, or where the base is known their differences from its square root."""
    errors: list[Any]
    """Predict the absolute error of `trees` for rows of an unseen group."""
    ratios: list[tuple[Floats, Floats]]
    """For each stratum: the ratios of actual to expected error in left-out groups, and the weights of these rows."""


class RateForest(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Average free extra trees with monotone ones; both predict the square root of the rate.

    Free trees are better where the training data hold similar circuits, monotone trees where they do not.

    Intervals are calibrated for groups that training has not seen. The groups are split into folds, and each fold is
    predicted by trees grown on the others. Further trees learn from the columns how large the error of a row is likely
    to be (normalised conformal prediction, Papadopoulos et al., 2011). The half-width of an interval, in units of this
    expected error, is a quantile over the training rows of the same stratum (Mondrian conformal prediction, Vovk et
    al., 2003). Every group has the same weight in this quantile, so the coverage is an average over groups, not over
    rows, and the group to come has a share in it like the others (Lee, Barber and Willett, 2023).

    Columns may be unknown (NaN). Rows with the same known columns are predicted by trees grown on just these columns,
    from all training rows that have them. Such trees are grown when first needed, and kept. `complete` returns the
    training rows that are used.

    Args:
        rising: columns in which the prediction of the monotone trees can only rise.
        spares: pairs (column, better): a column that is used only for rows whose better column is unknown.
        strata: a column and the values at which it is cut into strata for the interval. Where that column is not used,
            and with None, there is one stratum.
        base: a column that already is an estimate of the rate. Where it is known, all trees are free, and predict the
            difference between the square roots of the rate and of this estimate. None: there is no such column.
        trees: number of trees of each kind.
        folds: number of folds for the interval; their forests have a fifth of the trees, at least ten.
        leaf: fewest rows in a leaf.
        base_leaf: fewest rows in a leaf where the base is known.
        seed: seed of the trees and folds; the same seed gives the same forest.

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

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        judged: ArrayLike | None = None,
        kinds: ArrayLike | None = None,
    ) -> Self:
        """Keep the training rows; trees are grown when a prediction first needs them.

        Args:
            X: ``(n_rows, n_columns)``, NaN where unknown.
            y: ``(n_rows,)`` rates.
            groups: ``(n_rows,)`` labels, such as families of circuits: each fold leaves out whole groups. By default
                each row is a group.
            judged: ``(n_rows,) bool``. True for rows that resemble those to be predicted: intervals are calibrated on
                them alone. All by default.
            kinds: ``(n_rows,)`` labels: the group whose rows a row resembles, which may differ from its own. Folds do
                not learn from rows that resemble their groups. By default rows resemble only their own group.

        Raises:
            ValueError: shapes that do not match, fewer than two groups, or trees, folds or a leaf out of range.
        """
        for name, least in (("trees", 1), ("folds", 2), ("leaf", 1), ("base_leaf", 1)):
            check_whole(name, getattr(self, name), least)
        rows, rates = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if rows.ndim != 2 or rates.shape != rows.shape[:1] or not np.isfinite(rates).all():
            raise ValueError(f"X must be (n_rows, n_columns) and y (n_rows,) finite; got {rows.shape}, {rates.shape}")
        for name, given in (("groups", groups), ("judged", judged), ("kinds", kinds)):
            if given is not None and np.shape(given) != rates.shape:
                raise ValueError(f"{name} must have shape {rates.shape}; got {np.shape(given)}")
        labels = np.arange(len(rows)) if groups is None else np.asarray(groups)
        names = np.unique(labels, return_inverse=True)[1]
        if names.max(initial=0) < 1:
            raise ValueError("there must be at least two groups of rows")
        self.n_features_in_ = rows.shape[1]
        folds = np.random.default_rng(self.seed).permutation(names.max() + 1) % self.folds
        self._rows, self._rates, self._group, self._fold = rows, rates, names, folds[names]
        self._judged = np.ones(len(rows), dtype=bool) if judged is None else np.asarray(judged, dtype=bool)
        self._label, self._kind = labels, labels if kinds is None else np.asarray(kinds)
        self._forests: dict[Key, list[Any]] = {}
        self._conformals: dict[Key, Conformal] = {}
        self._ranges: dict[Key, Any] = {}
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Predict rates, ``(n_rows,)``."""
        rows, patterns = self._by_pattern(X)
        answers = np.empty(len(rows))
        for chosen, columns in patterns:
            answers[chosen] = rate(self._predict_roots(self._trees(columns), columns, rows[chosen]))
        return answers

    def predict_interval(self, X: ArrayLike, coverage: float = 0.8) -> tuple[Floats, Floats, Floats]:
        """Predict rates with an interval: the rate and both ends, ``(n_rows,)`` each.

        Args:
            X: ``(n_rows, n_columns)``, NaN where unknown.
            coverage: share of rows from unseen groups whose rate the interval should contain, in (0, 1).
        """
        coverage = check_real("coverage", coverage, 0, 1, open_low=True, open_high=True)
        rows, patterns = self._by_pattern(X)
        answers = np.empty((3, len(rows)))
        for chosen, columns in patterns:
            conformal = self._conformal(columns)
            part = rows[chosen][:, columns]
            mean = self._predict_roots(conformal.trees, columns, rows[chosen])
            stratum = self._stratum(columns, rows[chosen])
            reach = np.array([quantile(*ratios, coverage) for ratios in conformal.ratios])[stratum]
            reach *= _mean(conformal.errors, part) + LEAST_ERROR
            answers[:, chosen] = rate(np.stack([mean, mean - reach, mean + reach]))
        return answers[0], answers[1], answers[2]

    def in_range(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Return whether there are training rows nearby, ``(n_rows,) bool``.

        A row is near if its fifth nearest training row is no farther than it is for 90 % of the training rows when
        only rows of other groups count as neighbours. Each column is divided by its standard deviation over the
        training rows.
        """
        rows, patterns = self._by_pattern(X)
        near = np.empty(len(rows), dtype=bool)
        for chosen, columns in patterns:
            if columns not in self._ranges:
                self._ranges[columns] = self._neighbours(columns)
            scale, index, limit = self._ranges[columns]
            near[chosen] = index.kneighbors(rows[chosen][:, columns] / scale)[0][:, -1] <= limit
        return near

    def complete(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Return which training rows have all the columns that are known in X, ``(n_training_rows,) bool``."""
        _, patterns = self._by_pattern(X)
        columns = sorted({column for _, used in patterns for column in used})
        return np.asarray(~np.isnan(self._rows[:, columns]).any(axis=1))

    def _neighbours(self, columns: Key) -> tuple[Floats, Any, float]:
        """Return the scale of each column, an index of the training rows, and the largest distance that is near."""
        complete = ~np.isnan(self._rows[:, columns]).any(axis=1)
        rows, group = self._rows[complete][:, columns], self._group[complete]
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
        """Check the rows and group them by their known columns."""
        check_is_fitted(self)
        rows = np.asarray(X, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.n_features_in_:
            raise ValueError(f"X must be (n_rows, {self.n_features_in_}); got shape {rows.shape}")
        known = self._in_use(~np.isnan(rows) & ~np.isnan(self._rows).all(axis=0))
        patterns = np.unique(known, axis=0)
        return rows, [((known == p).all(axis=1), tuple(np.flatnonzero(p).tolist())) for p in patterns]

    def _in_use(self, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Drop the spare columns of rows whose better column is known."""
        known = known.copy()
        for column, better in self.spares:
            known[:, column] &= ~known[:, better]
        return known

    def _stratum(self, columns: Key, rows: Floats) -> NDArray[np.intp]:
        """Return the stratum of each row, ``(n_rows,)``; 0 for all where the column of the strata is not used."""
        if self.strata is None or self.strata[0] not in columns:
            return np.zeros(len(rows), dtype=np.intp)
        return np.asarray(np.searchsorted(self.strata[1], rows[:, self.strata[0]]))

    def _training_data(self, columns: Key) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
        """Return the training rows that have these columns: columns, roots of rates, roots of the base, and a mask."""
        complete = np.asarray(~np.isnan(self._rows[:, columns]).any(axis=1))
        if not columns or complete.sum() < 2:
            raise ValueError(
                "fewer than two training rows have the columns that this row has: there is nothing to compare it with"
            )
        rows = self._rows[complete]
        return rows[:, columns], root(self._rates[complete]), self._base_roots(columns, rows), complete

    def _base_roots(self, columns: Key, rows: Floats) -> Floats:
        """Return the square root of the base, ``(n_rows,)``; zeros where the base is not used."""
        return root(rows[:, self.base]) if self.base in columns else np.zeros(len(rows))

    def _predict_roots(self, trees: list[Any], columns: Key, rows: Floats) -> Floats:
        """Predict square roots of rates, ``(n_rows,)``, from rows with all columns."""
        return self._base_roots(columns, rows) + _mean(trees, rows[:, columns])

    def _trees(self, columns: Key) -> list[Any]:
        """Return the trees for these known columns; they are grown at the first call."""
        if columns not in self._forests:
            rows, target, start, _ = self._training_data(columns)
            self._forests[columns] = self._grow(columns, rows, target - start, self.trees)
        return self._forests[columns]

    def _conformal(self, columns: Key) -> Conformal:
        """Return the trees with the calibration of their intervals for these known columns."""
        if columns not in self._conformals:
            rows, target, start, complete = self._training_data(columns)
            n_trees, fold = max(min(10, self.trees), self.trees // 5), self._fold[complete]
            if (fold == fold[0]).all():  # all rows that have these columns are in one fold: leave out single groups
                fold = self._group[complete]
            if (fold == fold[0]).all():
                raise ValueError(
                    "the training rows that have the columns of this row are of one group: an interval needs two"
                )
            folds_out = [fold == number for number in np.unique(fold) if not (fold == number).all()]
            label, kind = self._label[complete], self._kind[complete]
            others = [~out & ~np.isin(kind, label[out]) for out in folds_out]
            others = [part if part.any() else ~out for out, part in zip(folds_out, others, strict=True)]
            missed, expected = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
            for out, part in zip(folds_out, others, strict=True):
                trees = self._grow(columns, rows[part], (target - start)[part], n_trees)
                missed[out] = np.abs(self._predict_roots(trees, columns, self._rows[complete][out]) - target[out])
            for out, part in zip(folds_out, others, strict=True):
                expected[out] = _mean(self._grow_error_trees(rows[part], missed[part], n_trees), rows[out])
            known = ~np.isnan(expected)
            judged = known & self._judged[complete]
            used = judged if judged.sum() >= STRATUM else known
            ratio = missed[used] / (expected[used] + LEAST_ERROR)
            stratum = self._stratum(columns, self._rows[complete])[used]
            group, count = self._group[complete][used], 1 + len(self.strata[1]) if self.strata else 1
            each = [stratum == number for number in range(count)]
            each = [part if part.sum() >= STRATUM else np.ones(len(ratio), dtype=bool) for part in each]
            ratios = [(ratio[part], weight(group[part])) for part in each]
            self._conformals[columns] = Conformal(
                self._trees(columns), self._grow_error_trees(rows[known], missed[known], n_trees), ratios
            )
        return self._conformals[columns]

    def _grow(self, columns: Key, rows: Floats, target: Floats, n_trees: int) -> list[Any]:
        """Grow `n_trees` free trees and as many monotone ones; where the base is known, all are free."""
        based = self.base in columns
        rising = None if based else np.isin(columns, self.rising).astype(int)
        leaf, tried = (self.base_leaf, BASE_TRIED) if based else (self.leaf, 1.0)
        trees: list[Any] = []
        for seed, constraint in ((self.seed, None), (self.seed + based, rising)):
            forest = ExtraTreesRegressor(
                n_trees, min_samples_leaf=leaf, max_features=tried, monotonic_cst=constraint, random_state=seed
            )
            trees += [tree.tree_ for tree in forest.fit(rows, target).estimators_]
        return trees

    def _grow_error_trees(self, rows: Floats, missed: Floats, n_trees: int) -> list[Any]:
        """Grow trees that predict the absolute errors."""
        forest = ExtraTreesRegressor(2 * n_trees, min_samples_leaf=ERROR_LEAF, random_state=self.seed)
        return [tree.tree_ for tree in forest.fit(rows, missed).estimators_]


def _mean(trees: list[Any], rows: Floats) -> Floats:
    """Return the mean prediction of the trees, ``(n_rows,)``; faster than a call of each forest."""
    single = rows.astype(np.float32)
    mean: Floats = np.mean([tree.predict(single).ravel() for tree in trees], axis=0)
    return mean


def weight(groups: NDArray[np.intp]) -> Floats:
    """Return weights that add up to 1 in each group, since a new run may belong to any group."""
    _, place, rows = np.unique(groups, return_inverse=True, return_counts=True)
    return np.asarray(1 / rows[place])


def quantile(values: Floats, weights: Floats, level: float) -> float:
    """Return the smallest value that the value of a new group does not exceed with probability `level`.

    The new group has a weight of 1, and the others have one in total each (see `weight`). If it is as likely to be any
    of them, its value has this probability of being at most the value at which the cumulative weight reaches a share
    `level` of the total with the new group; if none reaches it, the largest is returned.

    Example:
        >>> quantile(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]), 0.5)
        2.0
    """
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(total, level * (total[-1] + 1))), len(order) - 1)])


def root(rates: Floats) -> Floats:
    """Take the square root of rates, shifted by `MARGIN`: errors of small rates then count for more."""
    roots: Floats = np.sqrt(np.maximum(rates + MARGIN, 0.0))
    return roots


def rate(roots: Floats) -> Floats:
    """Invert `root`."""
    rates: Floats = np.maximum(roots, 0.0) ** 2 - MARGIN
    return rates
