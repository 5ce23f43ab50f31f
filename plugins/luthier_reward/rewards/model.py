"""What does a reward model say?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from luthier.api import Messages

if TYPE_CHECKING:
    from luthier.api import Artifact


class ModelReward:
    """The score that a run of `method=reward_model` gives the conversation with the answer, times `scale`.

    It is loaded when it is first asked, beside the network that is trained.
    """

    in_process = True

    def __init__(self, *, path: str, scale: float = 1.0) -> None:
        self.path, self.scale = path, scale

    @cached_property
    def _judge(self) -> Artifact:
        from luthier.api import load

        return load(self.path)

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        said = [[*map(dict, prompt), {"role": "assistant", "content": answer}] for answer in answers]
        found = self._judge.rewards(said)
        return [self.scale * float(score) for score in found]
