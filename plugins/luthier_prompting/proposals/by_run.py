"""Instructions proposed by an earlier run."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.api import Demonstration, Sampling, load
from luthier_prompting.proposals import Proposals
from luthier_prompting.proposals.meta_prompt import instruction_requests


class RunProposals(Proposals):
    """Let the model of an earlier run write `count` instructions, each after `shots` examples (Zhou et al., 2023).

    The run's own prompt is not applied to these requests. `temperature` and `tokens` are the temperature and the most
    tokens of an instruction; `seed` draws the examples and the instructions.
    """

    def __init__(
        self, *, path: str, count: int = 8, shots: int = 5, temperature: float = 0.8, tokens: int = 64, seed: int = 0
    ) -> None:
        self.path, self.count, self.shots, self.seed = path, count, shots, seed
        self.sampling = Sampling(max_new_tokens=tokens, temperature=temperature, seed=seed)

    def __call__(self, pool: Sequence[Demonstration]) -> list[str]:
        requests = instruction_requests(pool, self.count, self.shots, self.seed)
        conversations = [[{"role": "user", "content": request}] for request in requests]
        return [answer.text.strip() for answer in load(self.path).answers(conversations, self.sampling)]
