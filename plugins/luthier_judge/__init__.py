"""Hooks only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.api import hookimpl

if TYPE_CHECKING:
    from luthier.api import Verb


@hookimpl
def luthier_verbs() -> Iterator[Verb]:
    from luthier.api import Verb
    from luthier_judge import judge_check_verb

    help_ = "Measure how often a recipe's judge agrees with given preferences, and how often it contradicts itself"
    yield Verb("judge-check", help_, judge_check_verb.declare, judge_check_verb.act)
