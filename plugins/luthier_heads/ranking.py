"""What rankings and graded pairs are measured by, as sums over examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from luthier.api import Floats, Measure, ratio


def spearman(totals: Floats) -> Floats:
    """Spearman's correlation from totals [..., 6] of 1, x, y, x², y², xy over pairs with the ranks x and y."""
    count, x, y, xx, yy, xy = np.moveaxis(totals, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (xx / count - (x / count) ** 2) * (yy / count - (y / count) ** 2)
        return np.asarray((xy / count - x * y / count**2) / np.sqrt(np.maximum(spread, 0)))


RETRIEVAL = {name: Measure(ratio) for name in ("ndcg", "mrr", "recall")}
GRADED = {"spearman": Measure(spearman)}


def rank_statistics(values: Floats, scores: Floats, all_values: Floats, all_scores: Floats) -> Floats:
    """The statistics of `spearman` of pairs, [pairs, 6]; their ranks are those among all pairs, from 0 to 1."""
    x, y = _share_below(values, all_values), _share_below(scores, all_scores)
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], 1)


def _share_below(values: Floats, among: Floats) -> Floats:
    ordered = np.sort(among)
    places = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(places / (2 * max(len(ordered), 1)), dtype=np.float64)


def ranks_of(relevant: NDArray[np.floating], others: NDArray[np.floating]) -> list[int]:
    """The rank of each relevant document, the best first, among the others; of equal scores a relevant one is last."""
    best = np.sort(relevant)[::-1]
    below = len(others) - np.searchsorted(np.sort(others), best, "left")
    return [int(ahead) + place for place, ahead in enumerate(below, 1)]


def ranking_statistics(ranks: Sequence[Sequence[int]], k: int) -> dict[str, Floats]:
    """(value, weight) of nDCG@k, the reciprocal rank and recall@k of queries, [queries, 2], by the ranks of what fits.

    Relevance is binary; DCG is the sum of 1 / log2(1 + rank) (Järvelin & Kekäläinen, 2002).
    """
    found = np.zeros((len(RETRIEVAL), len(ranks), 2))
    for number, own in enumerate(ranks):
        if not own:
            continue
        inside = [rank for rank in own if rank <= k]
        ideal = sum(1 / np.log2(1 + rank) for rank in range(1, min(k, len(own)) + 1))
        found[0, number] = sum(1 / np.log2(1 + rank) for rank in inside) / ideal, 1
        found[1, number] = 1 / own[0], 1
        found[2, number] = len(inside) / len(own), 1
    return dict(zip(RETRIEVAL, found, strict=True))
