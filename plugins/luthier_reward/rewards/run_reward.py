"""What rewards by an earlier run share: it is loaded at the first use, into the training process."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luthier.api import Artifact


class RunReward:
    """A reward computed by the artifact of the run at `path`, beside the network that is trained."""

    in_process = True

    def __init__(self, path: str) -> None:
        self.path = path

    @cached_property
    def artifact(self) -> Artifact:
        from luthier.api import load

        return load(self.path)
