"""Q-Cluster as published (arXiv:2504.10801)."""

from typing import Any

import numpy as np

from qcluster.core.counts.distribution import Distribution
from qcluster.core.estimators.q_cluster import PaperSettings, q_cluster
from qcluster.core.methods.registry import Method, register
from qcluster.core.mitigation import Mitigation
from qcluster.core.words import plural


def mitigate(raw: Distribution, rates: Any, guard: bool, settings: PaperSettings) -> Mitigation:
    """Cluster the shots, and assign those of each cluster to its centroid; see `Method.function`."""
    distribution, clusters = q_cluster(raw, rates, settings)
    weights = clusters.weights
    heaviest = np.argsort(-weights, kind="stable")
    return Mitigation(
        distribution=distribution,
        raw=raw,
        method="paper",
        applied=True,
        share=1.0,
        confidence=None,
        reason=f"{weights.sum():.0%} of the shots lie within reach of {plural(len(weights), 'centroid')} "
        f"at flips of {rates.mean():.1%} per bit",
        centroids=clusters.centroids[heaviest],
        weights=weights[heaviest],
        rates=rates,
        response=clusters,
    )


register(
    Method(
        name="paper",
        summary="Q-Cluster as published (arXiv:2504.10801): clusters of shots around the most frequent strings.",
        function=mitigate,
        needs="rates",
        estimate="clustering",
        settings=PaperSettings,
    )
)
