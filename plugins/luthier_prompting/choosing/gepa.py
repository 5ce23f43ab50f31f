"""Instructions that are rewritten after what went wrong with them."""

from __future__ import annotations

from typing import Any, ClassVar

from luthier.api import Needs, RecipeError
from luthier_prompting.choosing import Choosing, Ground, Trial
from luthier_prompting.dspy_search.predictions import Asking
from luthier_prompting.writers import Writer


class Gepa(Choosing):
    """DSPy's GEPA (Agrawal et al., 2025), from the best of the prompts that were given.

    At most a third of the budget goes to these, each asked `questions` held-out questions. The examples of the best one
    stay; its instruction evolves: the `writer` reads what the model answered to `reflected` training examples and what
    was right, and writes another, which is asked the held-out questions if it does better on these examples. Parents
    are drawn from those that are best at some question.
    """

    writes = True
    needs: ClassVar[Needs] = {"dspy": "luthier[dspy]"}

    def __init__(
        self, *, writer: Writer, questions: int = 24, reflected: int = 3, temperature: float = 1.0, seed: int = 0
    ) -> None:
        for name, value in (("questions", questions), ("reflected", reflected)):
            if value < 1:
                where = f"prompt.choosing.{name}"
                raise RecipeError(f"{where} is {value}.", where=where, hint="Use 1 or more.")
        self.writer, self.questions, self.reflected = writer, questions, reflected
        self.temperature, self.seed = temperature, seed

    def __call__(self, ground: Ground) -> list[Trial]:
        count = min(ground.judge.size, self.questions)
        step = count + 2 * self.reflected
        given = max(1, min(ground.budget // 3, ground.budget - step) // count)
        asking = Asking(ground, count, self.writer, self.seed)
        least = count + step
        if ground.budget < least:
            raise RecipeError(
                f"A budget of {ground.budget} questions tries no second instruction on {count} of them.",
                where="prompt.budget",
                hint=f"Use {least} or more, or fewer prompt.choosing.questions.",
            )
        return self._optimised(asking, asking.begin(given))

    def _optimised(self, asking: Asking, begun: tuple[int, int]) -> list[Trial]:
        from dspy import GEPA, Prediction
        from dspy.teleprompt.gepa import InstructionProposer

        from luthier_prompting.dspy_search.program import Lenient, Program, held_out, quietly, training

        def metric(gold: Any, said: Any, trace: Any = None, name: Any = None, steps: Any = None) -> Any:
            if name is None:
                return float(said.score)
            return Prediction(score=float(said.score), feedback=f"The right answer: {gold.answer}")

        ground = asking.ground
        program = Program(asking, ground.instructions[begun[0]])
        numbers = list(range(len(ground.pool)))
        try:
            with quietly(asking, self.temperature) as model:
                program.predict.demos = training(asking, [ground.pool.index(one) for one in ground.sets[begun[1]]])
                GEPA(
                    metric, reflection_lm=model, instruction_proposer=InstructionProposer(adapter=Lenient()),
                    max_metric_calls=ground.budget - ground.asked - 2 * self.reflected + 1,
                    reflection_minibatch_size=self.reflected, use_merge=False, num_threads=1, seed=self.seed,
                ).compile(program, trainset=training(asking, numbers), valset=held_out(asking, begun))  # fmt: skip
        except Exception as error:
            if asking.fault is None:
                raise RecipeError(f"DSPy's GEPA gave up: {error}", where="prompt.choosing") from error
        return asking.done()
