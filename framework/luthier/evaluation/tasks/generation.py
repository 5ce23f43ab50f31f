"""Generate an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luthier.contracts.predictor import Predictor
from luthier.contracts.sampling import Sampling
from luthier.evaluation.metrics.metric import Metric
from luthier.evaluation.questions import Question
from luthier.evaluation.tasks.task import Attempts


class Generation:
    """Generate each answer by greedy decoding, up to `max_new_tokens` tokens."""

    writes = True

    def __init__(self, *, metrics: Mapping[str, Metric], max_new_tokens: int = 256) -> None:
        self.metrics, self.max_new_tokens = metrics, max_new_tokens

    def __call__(self, predictor: Predictor, questions: Sequence[Question], known: Sequence[Question]) -> Attempts:
        greedy = Sampling(max_new_tokens=self.max_new_tokens, temperature=0.0)
        answers = predictor.answers([question.conversation for question in questions], greedy)
        attempts = [
            question.attempt(answer.spoken.strip()) for question, answer in zip(questions, answers, strict=True)
        ]
        empty, cut = (
            sum(not attempt.output for attempt in attempts),
            sum(answer.finish == "length" for answer in answers),
        )
        return Attempts(attempts, {"empty answers": empty, f"answers cut after {self.max_new_tokens} tokens": cut})
