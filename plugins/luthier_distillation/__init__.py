"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from luthier.api import Verb


@hookimpl
def luthier_check(config: DictConfig) -> Iterator[str]:
    """A prompt for the teacher under a method that has none."""
    for_teacher = config.prompt.get("_target_") == "luthier_distillation.prompts.ForTeacher"
    if for_teacher and config.method.get("_target_") != "luthier_distillation.distill.Distillation":
        yield "prompt=for_teacher has a prompt for the teacher, and the method has no teacher: set method=distill."


@hookimpl
def luthier_verbs() -> Iterable[Verb]:
    from luthier_distillation import ask_teacher, cache_teacher, distilled

    return [ask_teacher.VERB, cache_teacher.VERB, distilled.VERB]
