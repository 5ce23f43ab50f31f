"""Prompt optimisation by MIPROv2."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from luthier.api import Needs, RecipeError
from luthier_prompting.choosing import CandidateSpace, PromptOptimizer, Trial, check_at_least
from luthier_prompting.dspy_search.predictions import PromptEvaluator
from luthier_prompting.writers import InstructionWriter


class MiproV2(PromptOptimizer):
    """DSPy's MIPROv2 (Opsahl-Ong et al., 2024), from the best of the given candidates.

    A third of `trials` goes to these. Then `candidates` sets of training examples are bootstrapped from the model's own
    answers that score at least `passes`, and the `writer` proposes as many instructions after such examples and, if
    `described`, after a summary of the data that it wrote first. Optuna's TPE searches their combinations. Each trial
    is scored on as many questions as the budget allows; at most a quarter of it goes to the bootstrapping. The scores
    of single questions guide the search, and the recipe's score over all of them chooses. `temperature` is that of the
    writer, `seed` that of every draw.
    """

    writes = True
    needs: ClassVar[Needs] = {"dspy": "luthier[dspy]", "optuna": "luthier[dspy]"}

    def __init__(
        self,
        *,
        writer: InstructionWriter,
        trials: int = 18,
        candidates: int = 6,
        passes: float = 0.5,
        described: bool = True,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> None:
        check_at_least(trials=(trials, 3), candidates=(candidates, 3))
        self.writer, self.trials, self.candidates, self.passes = writer, trials, candidates, passes
        self.described, self.temperature, self.seed = described, temperature, seed

    def __call__(self, space: CandidateSpace) -> list[Trial]:
        given = min(self.trials // 3, space.shape[0] * space.shape[1])
        bootstrapped = space.budget // 4 // (self.candidates - 2)
        count = min(space.scorer.size, (space.budget - bootstrapped * (self.candidates - 2)) // self.trials)
        if min(count, bootstrapped) < 1:
            raise RecipeError(
                f"A budget of {space.budget} questions is too little for {self.trials} trials and {self.candidates} "
                f"sets of examples.",
                where="prompt.budget",
                hint=f"Use {4 * max(self.trials, self.candidates)} or more.",
            )
        evaluator = PromptEvaluator(space, count, self.writer, self.seed)
        start = evaluator.best_given(given)
        numbers = random.Random(self.seed).sample(range(len(space.pool)), min(bootstrapped, len(space.pool)))
        return self._optimise(evaluator, start, numbers, self.trials - given)

    def _optimise(
        self, evaluator: PromptEvaluator, start: tuple[int, int], numbers: list[int], trials: int
    ) -> list[Trial]:
        """The trials of DSPy's search from a candidate, with bootstrapping on the training examples `numbers`."""
        from dspy import MIPROv2

        from luthier_prompting.dspy_search.program import Program, training_examples, validation_examples, writing_model

        def metric(gold: Any, prediction: Any, trace: Any = None) -> float | bool:
            return float(prediction.score) if trace is None else bool(prediction.score >= self.passes)

        most = max((len(shown) for shown in evaluator.space.sets), default=0)
        try:
            with writing_model(evaluator, self.temperature) as model:
                MIPROv2(
                    metric, prompt_model=model, task_model=model, auto=None, num_candidates=self.candidates,
                    max_bootstrapped_demos=most, max_labeled_demos=most, num_threads=1, max_errors=1,
                    init_temperature=self.temperature, seed=self.seed, track_stats=False,
                ).compile(
                    Program(evaluator, evaluator.space.instructions[start[0]]),
                    trainset=training_examples(evaluator, numbers), valset=validation_examples(evaluator, start),
                    num_trials=trials, minibatch=False, program_aware_proposer=False,
                    data_aware_proposer=self.described,
                )  # fmt: skip
        except Exception as error:
            if evaluator.fault is None:
                raise RecipeError(f"DSPy's MIPROv2 failed: {error}", where="prompt.choosing") from error
        return evaluator.finish()
