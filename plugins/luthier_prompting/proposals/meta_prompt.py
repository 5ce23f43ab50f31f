"""The meta prompt that makes a model write an instruction for a task."""

from __future__ import annotations

import random
from collections.abc import Sequence

from luthier.api import Demonstration

META_PROMPT = (
    "I gave a friend an instruction. Following it, the friend read each input and wrote the output beside it.\n\n"
    "{examples}\n\nWrite the instruction, in one or two sentences and nothing else."
)


def instruction_requests(pool: Sequence[Demonstration], count: int, shots: int, seed: int) -> list[str]:
    """`count` meta prompts, each with another random sample of `shots` examples (APE; Zhou et al., 2023)."""
    generator = random.Random(seed)
    samples = (generator.sample(list(pool), min(shots, len(pool))) for _ in range(count))
    return [
        META_PROMPT.format(examples="\n\n".join(f"Input: {one.text}\nOutput: {one.answer}" for one in sample))
        for sample in samples
    ]
