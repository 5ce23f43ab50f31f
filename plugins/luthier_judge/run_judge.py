"""A judge that is an earlier run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from luthier.api import Trust
from luthier_judge.judge_prompt import CHOICES, CHOOSE, DEFAULT, JudgePrompt, Verdict
from luthier_judge.pair_judge import Pair, PairJudge

if TYPE_CHECKING:
    from luthier.api import Artifact

_VERDICTS: tuple[Verdict, ...] = ("first", "second", "tie")


class RunJudge(PairJudge):
    """Let the model of the run at `path` choose its verdict on each pair: the likeliest of A, B and tie as its answer.

    Nothing is generated, so that every response has a verdict. `prompt` replaces the judge's question, with {question},
    {first} and {second}. The run is loaded at the first use, beside the model that is evaluated.
    """

    def __init__(self, trust: Trust, *, path: str, prompt: str | None = None) -> None:
        self.trust, self.path = trust, path
        self.prompt = JudgePrompt(prompt or DEFAULT, CHOOSE)

    @cached_property
    def artifact(self) -> Artifact:
        """The run's model."""
        from luthier.api import load

        return load(self.path, vouched=self.trust.names)

    def verdicts(self, pairs: Sequence[Pair]) -> list[Verdict]:
        conversations = [self.prompt.messages(*pair) for pair in pairs]
        scores = self.artifact.score_labels(conversations, CHOICES)
        return [_VERDICTS[int(best)] for best in scores.argmax(1)]
