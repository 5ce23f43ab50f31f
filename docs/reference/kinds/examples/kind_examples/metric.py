"""How many words of the reference the answer has."""

import numpy as np

from luthier.api import ratio


class WordRecall:
    """The share of the reference's words that the answer has, over all examples."""

    better = "higher"

    def __init__(self, *, lower: bool = True) -> None:
        self.lower = lower

    def statistics(self, attempts):
        pairs = [(self._words(one.output), self._words(one.reference)) for one in attempts]
        return np.array([(len(said & right), len(right)) for said, right in pairs], np.float64)

    def reduce(self, totals):
        return ratio(totals)

    def _words(self, text):
        return set((text.lower() if self.lower else text).split())
