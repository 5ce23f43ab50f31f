"""`luthier cache-teacher FOLDER <answers>`: cache the teacher's top-k log-probabilities of a recipe's data."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.api import Call, DataError, RecipeError, Verb

if TYPE_CHECKING:
    from luthier.api import Data
    from luthier_distillation.teacher_cache import SequencePair


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, help="where the cache is written; parts that are there already are not computed again"
    )
    parser.add_argument("answers", nargs="*", metavar="key=value", help="the recipe, as on any command line")
    parser.add_argument("--top", type=int, default=32, metavar="K", help="so many likeliest tokens of each (32)")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    from luthier.api import format_number, format_size, hash_of_tokenizer
    from luthier_distillation.teacher_cache import TeacherCacheWriter
    from luthier_distillation.teacher_recipe import teacher_parts

    arguments, top = call.arguments, call.arguments.top
    if top < 1:
        raise RecipeError(f"--top is {top}.", where="--top", hint="Use 1 or more.")
    method, parts = teacher_parts(call.composer(arguments.config_dir).compose(arguments.answers))
    data, device = parts.data, parts.trainer.device
    if method.alignment.allows_other_vocabulary:
        raise RecipeError(
            "A teacher cache holds distributions over the student's vocabulary only.",
            where="method.alignment",
            hint="Take method/alignment=same, or train with the teacher itself instead of a cache.",
        )
    method.check()
    writer = TeacherCacheWriter(arguments.folder, method.teacher_networks, top=top, device=device)
    facts = writer(_sequences(data), hash_of_tokenizer(method.model.tokenizer), call.console.say)
    tokens, bytes_per_token = facts["tokens"], facts["bytes_per_token"]
    rows = [
        ("teacher", method.teacher_networks.description),
        ("tokens", f"{tokens:,}, the {top} likeliest next ones of each"),
        ("on the disk", f"{format_size(round(tokens * bytes_per_token))}, {bytes_per_token} bytes a token"),
        ("left out", f"{facts['left_out']:.3%} of the probability, at most {facts['most_left_out']:.3%} of a token's"),
        (
            "divergence",
            f"{format_number(facts['divergence'])} nats a token from the whole distribution to the cached one",
        ),
        ("bound", f"gradients of the logits differ by {2 * facts['left_out']:.3%} a token at most, on average (L1)"),
    ]
    call.console.data(call.console.table(("", ""), rows), facts | {"folder": str(arguments.folder)})
    return 0


def _sequences(data: Data) -> Iterator[SequencePair]:
    """The training and validation sequences of a run, encoded and truncated, the student's and the teacher's."""
    from luthier_distillation.alignment import DIFFERENT, DIFFERENT_HINT

    for split in ("train", "validation"):
        blocks = data.blocks(split)
        for number in range(blocks.row_count if blocks else 0):
            sequences = blocks.row(number).sequences  # type: ignore[union-attr]
            student, teacher = (one.ids[one.weights > 0] for one in (sequences[0], sequences[-1]))
            if student.tolist() != teacher.tolist():
                raise DataError(DIFFERENT, hint=DIFFERENT_HINT)
            yield sequences[0], sequences[-1]


VERB = Verb(
    "cache-teacher",
    "Cache a teacher's top-k log-probabilities of a recipe's data, for students to learn from",
    declare,
    act,
)
