"""Instructions that a model of one's own writes."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.api import Sampling, load
from luthier_prompting.demonstration import Demonstration
from luthier_prompting.proposals import Proposals
from luthier_prompting.proposals.meta_prompt import questions


class ByRun(Proposals):
    """Let an earlier run write `count` instructions, each after `shots` examples of the task (Zhou et al., 2023).

    The run's own prompt is for its own questions, and not asked through.
    """

    def __init__(
        self, *, path: str, count: int = 8, shots: int = 5, temperature: float = 0.8, tokens: int = 64, seed: int = 0
    ) -> None:
        self.path, self.count, self.shots, self.seed = path, count, shots, seed
        self.sampling = Sampling(max_new_tokens=tokens, temperature=temperature, seed=seed)

    def __call__(self, pool: Sequence[Demonstration]) -> list[str]:
        asked = [[{"role": "user", "content": one}] for one in questions(pool, self.count, self.shots, self.seed)]
        return [said.text.strip() for said in load(self.path).answers(asked, self.sampling)]
