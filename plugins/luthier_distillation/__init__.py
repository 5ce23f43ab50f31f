"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import luthier

if TYPE_CHECKING:
    from luthier.verbs import Verb


@luthier.hookimpl
def luthier_recipes() -> str:
    return "pkg://luthier_distillation.recipes"


@luthier.hookimpl
def luthier_verbs() -> Iterable[Verb]:
    from luthier_distillation.cache_teacher import VERB

    return [VERB]
