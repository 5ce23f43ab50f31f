"""Write an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luthier.contracts.predictor import Predictor
from luthier.contracts.sampling import Sampling
from luthier.evaluation.metrics.metric import Metric
from luthier.evaluation.questions import Question
from luthier.evaluation.tasks.task import Attempts


class Generation:
    """Answer with what the model writes when it always takes the most probable token, up to `max_new_tokens`."""

    writes = True

    def __init__(self, *, metrics: Mapping[str, Metric], max_new_tokens: int = 256) -> None:
        self.metrics, self.max_new_tokens = metrics, max_new_tokens

    def __call__(self, subject: Predictor, turns: Sequence[Question], known: Sequence[Question]) -> Attempts:
        greedy = Sampling(max_new_tokens=self.max_new_tokens, temperature=0.0)
        answers = subject.answers([turn.conversation for turn in turns], greedy)
        made = [turn.attempt(answer.text.strip()) for turn, answer in zip(turns, answers, strict=True)]
        empty, cut = sum(not attempt.output for attempt in made), sum(answer.finish == "length" for answer in answers)
        return Attempts(made, {"empty answers": empty, f"answers cut after {self.max_new_tokens} tokens": cut})
