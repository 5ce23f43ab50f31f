"""Bayesian optimisation by the tree-structured Parzen estimator."""

from __future__ import annotations

from typing import ClassVar

from luthier.api import Needs
from luthier_prompting.choosing import CandidateSpace, PromptOptimizer, Trial, check_at_least


class Tpe(PromptOptimizer):
    """Optuna's tree-structured Parzen estimator over instructions and example sets (Bergstra et al., 2011).

    Each of at most `trials` trials is scored on an equal share of the budget, and on at least one question. A candidate
    that is proposed again is not scored again.
    """

    needs: ClassVar[Needs] = {"optuna": "luthier[sweep]"}

    def __init__(self, *, trials: int = 20, seed: int = 0) -> None:
        check_at_least(trials=(trials, 2))
        self.trials, self.seed = trials, seed

    def __call__(self, space: CandidateSpace) -> list[Trial]:
        import optuna

        shape, budget = space.shape, space.budget
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        trials = min(self.trials, shape[0] * shape[1], budget)
        count = max(1, min(space.scorer.size, budget // trials))
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=self.seed))
        study.enqueue_trial({"instruction": 0, "examples": 0})
        scored: dict[tuple[int, int], Trial] = {}
        for _ in range(4 * trials):  # some proposals repeat
            proposal = study.ask()
            instruction, examples = (
                proposal.suggest_categorical(name, list(range(size)))
                for name, size in zip(("instruction", "examples"), shape, strict=True)
            )
            if (instruction, examples) not in scored:
                scored[instruction, examples] = space.score(instruction, examples, count)
            study.tell(proposal, scored[instruction, examples].value)
            if len(scored) == trials:
                break
        return list(scored.values())
