"""Instructions written after examples that the model already answers, and a search for the best pair."""

from __future__ import annotations

import random
from typing import Any, ClassVar

from luthier.api import Needs, RecipeError
from luthier_prompting.choosing import Choosing, Ground, Trial
from luthier_prompting.dspy_search.predictions import Asking
from luthier_prompting.writers import Writer


class Mipro(Choosing):
    """DSPy's MIPROv2 (Opsahl-Ong et al., 2024), from the best of the prompts that were given.

    A third of `trials` goes to these. Then come `candidates` sets of training examples, bootstrapped: the model's own
    answer to each scores at least `passes`; and as many instructions by the `writer`, who sees such examples and, where
    `described`, a description of the data that it wrote first. Optuna's TPE tries their combinations. Each trial is
    asked as many questions as the budget has room for; at most a quarter of it goes to the bootstrapping. Each
    question's own score guides the search, and the recipe's score over all of them chooses.
    """

    writes = True
    needs: ClassVar[Needs] = {"dspy": "luthier[dspy]", "optuna": "luthier[dspy]"}

    def __init__(
        self,
        *,
        writer: Writer,
        trials: int = 18,
        candidates: int = 6,
        passes: float = 0.5,
        described: bool = True,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> None:
        for name, value, least in (("trials", trials, 3), ("candidates", candidates, 3)):
            if value < least:
                where = f"prompt.choosing.{name}"
                raise RecipeError(f"{where} is {value}.", where=where, hint=f"Use {least} or more.")
        self.writer, self.trials, self.candidates, self.passes = writer, trials, candidates, passes
        self.described, self.temperature, self.seed = described, temperature, seed

    def __call__(self, ground: Ground) -> list[Trial]:
        given = min(self.trials // 3, ground.shape[0] * ground.shape[1])
        later = self.trials - given
        taught = ground.budget // 4 // (self.candidates - 2)
        count = min(ground.judge.size, (ground.budget - taught * (self.candidates - 2)) // self.trials)
        if min(count, taught) < 1:
            raise RecipeError(
                f"A budget of {ground.budget} questions is too little for {self.trials} trials and {self.candidates} "
                f"sets of examples.",
                where="prompt.budget",
                hint=f"Use {4 * max(self.trials, self.candidates)} or more.",
            )
        asking = Asking(ground, count, self.writer, self.seed)
        begun = asking.begin(given)
        shown = random.Random(self.seed).sample(range(len(ground.pool)), min(taught, len(ground.pool)))
        return self._optimised(asking, begun, shown, later)

    def _optimised(self, asking: Asking, begun: tuple[int, int], shown: list[int], trials: int) -> list[Trial]:
        from dspy import MIPROv2

        from luthier_prompting.dspy_search.program import Program, held_out, quietly, training

        def metric(gold: Any, said: Any, trace: Any = None) -> float | bool:
            return float(said.score) if trace is None else bool(said.score >= self.passes)

        most = max((len(each) for each in asking.ground.sets), default=0)
        try:
            with quietly(asking, self.temperature) as model:
                MIPROv2(
                    metric, prompt_model=model, task_model=model, auto=None, num_candidates=self.candidates,
                    max_bootstrapped_demos=most, max_labeled_demos=most, num_threads=1, max_errors=1,
                    init_temperature=self.temperature, seed=self.seed, track_stats=False,
                ).compile(
                    Program(asking, asking.ground.instructions[begun[0]]),
                    trainset=training(asking, shown), valset=held_out(asking, begun), num_trials=trials,
                    minibatch=False, program_aware_proposer=False, data_aware_proposer=self.described,
                )  # fmt: skip
        except Exception as error:
            if asking.fault is None:
                raise RecipeError(f"DSPy's MIPROv2 gave up: {error}", where="prompt.choosing") from error
        return asking.done()
