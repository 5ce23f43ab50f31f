"""Try what looks promising after what was tried."""

from __future__ import annotations

from typing import ClassVar

from luthier.api import Needs, RecipeError
from luthier_prompting.choosing import Choosing, Ground, Trial


class Tpe(Choosing):
    """Optuna's tree-structured Parzen estimator over instructions and sets (Bergstra et al., 2011).

    Each of at most `trials` trials is asked an equal share of the budget, and at least one question. A combination that
    comes up again is not asked again.
    """

    needs: ClassVar[Needs] = {"optuna": "luthier[sweep]"}

    def __init__(self, *, trials: int = 20, seed: int = 0) -> None:
        if trials < 2:
            raise RecipeError("One trial chooses nothing.", where="prompt.choosing.trials", hint="Use 2 or more.")
        self.trials, self.seed = trials, seed

    def __call__(self, ground: Ground) -> list[Trial]:
        import optuna

        shape, budget = ground.shape, ground.budget
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        trials = min(self.trials, shape[0] * shape[1], budget)
        count = max(1, min(ground.judge.size, budget // trials))
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=self.seed))
        study.enqueue_trial({"instruction": 0, "examples": 0})
        known: dict[tuple[int, int], Trial] = {}
        for _ in range(4 * trials):  # some ask for what is known already
            asked = study.ask()
            place = tuple(
                asked.suggest_categorical(name, list(range(size)))
                for name, size in zip(("instruction", "examples"), shape, strict=True)
            )
            if place not in known:
                known[place[0], place[1]] = ground.score(place[0], place[1], count)
            study.tell(asked, known[place[0], place[1]].value)
            if len(known) == trials:
                break
        return list(known.values())
