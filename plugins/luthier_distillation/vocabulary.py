"""May a student follow this teacher? Only where the same id is the same token for both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.api import RecipeError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def refuse_another(student: PreTrainedTokenizerBase, teacher: PreTrainedTokenizerBase, *, name: str) -> None:
    """RecipeError, with the reason, where the vocabularies differ: distributions over other tokens are no signal."""
    ours, theirs = student.get_vocab(), teacher.get_vocab()
    if ours == theirs:
        return
    shared = sum(theirs.get(token) == number for token, number in ours.items())
    raise RecipeError(
        f"Student and teacher have different vocabularies: {len(ours):,} and {len(theirs):,} tokens, of which "
        f"{shared:,} have the same number in both.",
        where=f"method.{name}",
        hint="Take a student of the teacher's family, such as model=pruned with model@model.base=<the teacher>, "
        "or another teacher: model@method.teacher=…",
    )
