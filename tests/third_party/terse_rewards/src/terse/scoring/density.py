from typing import ClassVar

from luthier.api import Needs

from .numbers import share


class Density:
    """The share of an answer's words that it does not repeat; an empty answer has none."""

    needs: ClassVar[Needs] = {"wordcounts": "word-counts"}

    def __init__(self, *, best: float = 1.0):
        self.best = best

    def __call__(self, prompt, answers, example):
        from wordcounts import distinct

        return [
            self.best * share(distinct(answer), len(answer.split())) if answer.split() else 0.0 for answer in answers
        ]
