"""`luthier cache-teacher FOLDER <answers>`: keep what a recipe's teacher says of its data, once, for many students."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.api import Call, DataError, RecipeError, Verb, hash_of_tokenizer

if TYPE_CHECKING:
    from luthier.api import Data
    from luthier_distillation.teacher_cache import Both


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="where it is kept; what is there already is not asked for again")
    parser.add_argument("answers", nargs="*", metavar="key=value", help="the recipe, as on any command line")
    parser.add_argument("--top", type=int, default=32, metavar="K", help="so many likeliest tokens of each (32)")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    from luthier.api import format_number, format_size
    from luthier_distillation.teacher_cache import Keeper
    from luthier_distillation.teacher_recipe import teacher_parts

    asked = call.arguments
    if asked.top < 1:
        raise RecipeError(f"--top is {asked.top}.", where="--top", hint="Keep 1 or more.")
    method, parts = teacher_parts(call.composer(asked.config_dir).compose(asked.answers))
    data, device = parts.data, parts.trainer.device
    if method.alignment.translates:
        raise RecipeError(
            "What a teacher says of other tokens than the student's is not kept.",
            where="method.alignment",
            hint="Take method/alignment=same, or let the teacher be asked while the student learns.",
        )
    method.check()
    keeper = Keeper(asked.folder, method.live, top=asked.top, device=device)
    facts = keeper(_sequences(data), hash_of_tokenizer(method.model.tokenizer), call.console.say)
    tokens, a_token = facts["tokens"], facts["bytes_per_token"]
    rows = [
        ("teacher", method.live.said),
        ("tokens", f"{tokens:,}, the {asked.top} likeliest next ones of each"),
        ("on the disk", f"{format_size(round(tokens * a_token))}, {a_token} bytes a token"),
        ("left out", f"{facts['left_out']:.3%} of the probability, at most {facts['most_left_out']:.3%} of a token's"),
        (
            "divergence",
            f"{format_number(facts['divergence'])} nats a token from the whole distribution to what is kept",
        ),
        ("bound", f"gradients of the logits differ by {2 * facts['left_out']:.3%} a token at most, on average (L1)"),
    ]
    call.console.data(call.console.table(("", ""), rows), facts | {"folder": str(asked.folder)})
    return 0


def _sequences(data: Data) -> Iterator[Both]:
    """All that a run trains on or validates with, as it would be encoded and cut, and as the teacher is shown it."""
    from luthier_distillation.alignment import DIFFERENT, DIFFERENT_HINT

    for split in ("train", "validation"):
        blocks = data.blocks(split)
        for number in range(blocks.row_count if blocks else 0):
            sequences = blocks.row(number).sequences  # type: ignore[union-attr]
            own, shown = (each.ids[each.weights > 0] for each in (sequences[0], sequences[-1]))
            if own.tolist() != shown.tolist():
                raise DataError(DIFFERENT, hint=DIFFERENT_HINT)
            yield sequences[0], sequences[-1]


VERB = Verb("cache-teacher", "Keep what a teacher says of a recipe's data, for students to learn from", declare, act)
