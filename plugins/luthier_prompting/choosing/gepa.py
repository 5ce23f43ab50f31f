"""Reflective prompt evolution by GEPA."""

from __future__ import annotations

from typing import Any, ClassVar

from luthier.api import Needs, RecipeError
from luthier_prompting.choosing import CandidateSpace, PromptOptimizer, Trial, check_at_least
from luthier_prompting.dspy_search.predictions import PromptEvaluator
from luthier_prompting.writers import InstructionWriter


class Gepa(PromptOptimizer):
    """DSPy's GEPA (Agrawal et al., 2025), from the best of the given candidates.

    At most a third of the budget goes to these, each scored on `questions` validation questions. The example set of the
    best one stays; its instruction evolves: the `writer` reads the model's answers to `reflected` training examples
    with the right ones, and writes another instruction, which is scored on the validation questions if it does better
    on these examples. Parents are drawn from the Pareto front, the candidates that are best on some question.
    `temperature` is that of the writer, `seed` that of every draw.
    """

    writes = True
    needs: ClassVar[Needs] = {"dspy": "luthier[dspy]"}

    def __init__(
        self,
        *,
        writer: InstructionWriter,
        questions: int = 24,
        reflected: int = 3,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> None:
        check_at_least(questions=(questions, 1), reflected=(reflected, 1))
        self.writer, self.questions, self.reflected = writer, questions, reflected
        self.temperature, self.seed = temperature, seed

    def __call__(self, space: CandidateSpace) -> list[Trial]:
        count = min(space.scorer.size, self.questions)
        step = count + 2 * self.reflected
        given = max(1, min(space.budget // 3, space.budget - step) // count)
        evaluator = PromptEvaluator(space, count, self.writer, self.seed)
        least = count + step
        if space.budget < least:
            raise RecipeError(
                f"A budget of {space.budget} questions scores no second instruction on {count} of them.",
                where="prompt.budget",
                hint=f"Use {least} or more, or fewer prompt.choosing.questions.",
            )
        return self._optimise(evaluator, evaluator.best_given(given))

    def _optimise(self, evaluator: PromptEvaluator, start: tuple[int, int]) -> list[Trial]:
        """The trials of DSPy's evolution from a candidate."""
        from dspy import GEPA, Prediction
        from dspy.teleprompt.gepa import InstructionProposer

        from luthier_prompting.dspy_search.program import (
            LenientChatAdapter,
            Program,
            training_examples,
            validation_examples,
            writing_model,
        )

        def metric(gold: Any, prediction: Any, trace: Any = None, name: Any = None, steps: Any = None) -> Any:
            if name is None:
                return float(prediction.score)
            return Prediction(score=float(prediction.score), feedback=f"The right answer: {gold.answer}")

        space = evaluator.space
        program = Program(evaluator, space.instructions[start[0]])
        shown = [space.pool.index(demonstration) for demonstration in space.sets[start[1]]]
        try:
            with writing_model(evaluator, self.temperature) as model:
                program.predict.demos = training_examples(evaluator, shown)
                GEPA(
                    metric, reflection_lm=model,
                    instruction_proposer=InstructionProposer(adapter=LenientChatAdapter()),
                    max_metric_calls=space.budget - space.questions_used - 2 * self.reflected + 1,
                    reflection_minibatch_size=self.reflected, use_merge=False, num_threads=1, seed=self.seed,
                ).compile(
                    program, trainset=training_examples(evaluator, list(range(len(space.pool)))),
                    valset=validation_examples(evaluator, start),
                )  # fmt: skip
        except Exception as error:
            if evaluator.fault is None:
                raise RecipeError(f"DSPy's GEPA failed: {error}", where="prompt.choosing") from error
        return evaluator.finish()
