"""What a model is told that shall write instructions."""

from __future__ import annotations

import random
from collections.abc import Sequence

from luthier_prompting.demonstration import Demonstration

ASK = (
    "I gave a friend an instruction. Following it, the friend read each input and wrote the output beside it.\n\n"
    "{examples}\n\nWrite the instruction, in one or two sentences and nothing else."
)


def questions(pool: Sequence[Demonstration], count: int, shots: int, seed: int) -> list[str]:
    """`count` requests for an instruction, each with other examples of the task (APE; Zhou et al., 2023)."""
    draw = random.Random(seed)
    return [
        ASK.format(examples="\n\n".join(f"Input: {one.text}\nOutput: {one.answer}" for one in shown))
        for shown in (draw.sample(list(pool), min(shots, len(pool))) for _ in range(count))
    ]
