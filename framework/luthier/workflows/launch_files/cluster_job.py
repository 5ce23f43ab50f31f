"""What a job file of any cluster says of a run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from luthier.config.compose import Composition
from luthier.errors import RecipeError

PORT = 29500
"""Where the processes of a run meet, on its first machine."""


@dataclass(frozen=True)
class Wishes:
    """What a user asks of a cluster, beside the recipe; None asks for nothing."""

    gpu: str | None = None
    """The name of the GPU, as the cluster calls it."""
    cpus: int | None = None
    """Processor cores of each machine."""
    memory: int | None = None
    """GB of each machine."""
    time: float | None = None
    """The longest that the job may take, in seconds."""
    image: str | None = None
    """The container image, which holds luthier and the plugins of the recipe."""
    volume: str | None = None
    """Where runs are kept: the name of a claim for a volume."""

    def refuse(self, kind: str, *names: str) -> None:
        """RecipeError where one of these is asked for, which a job file of this kind cannot say."""
        for name in names:
            if getattr(self, name) is not None:
                raise RecipeError(f"A job file of {kind} cannot say --{name}.", where=f"--{name}", hint="Leave it out.")


@dataclass(frozen=True)
class ClusterJob:
    """A run on some machines: its name, luthier's words, and how many devices of each machine it uses."""

    name: str
    words: tuple[str, ...]
    machines: int
    devices: int
    on_gpus: bool

    @classmethod
    def of(cls, composition: Composition, flags: Sequence[str], overrides: Sequence[str], name: str) -> ClusterJob:
        """The job of a recipe; RecipeError where it does not say how many devices it wants, or several unconnected."""
        trainer = composition.config.trainer
        devices, machines = trainer.get("devices", 1), int(trainer.get("num_nodes", 1))
        on_gpus = trainer.get("accelerator", "cpu") != "cpu"
        if not isinstance(devices, int) or devices < 1:
            raise RecipeError(
                f"trainer.devices is {devices}, and a job file says how many devices it wants of each machine.",
                where="trainer.devices",
                hint="Say it: trainer.devices=8.",
            )
        given = {word.lstrip("+").partition("=")[0] for word in overrides}
        added = [word for word in (f"name={name}", "resume=auto") if word.partition("=")[0] not in given]
        return cls(name, (*flags, *overrides, *added), machines, devices, on_gpus)

    @property
    def command(self) -> str:
        """The command line of one process, for a shell."""
        return shlex.join(["luthier", *self.words])

    @property
    def label(self) -> str:
        """The name in small letters, digits and hyphens, 50 at most, as names on a network are."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")[:50].strip("-") or "luthier"


def clock(seconds: float) -> str:
    """HH:MM:SS of a time in seconds."""
    return f"{int(seconds // 3600):02}:{int(seconds % 3600 // 60):02}:{int(seconds % 60):02}"
