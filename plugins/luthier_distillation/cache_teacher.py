"""`luthier cache-teacher FOLDER <answers>`: keep what a recipe's teacher says of its data, once, for many students."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import RecipeError
from luthier.verbs import Call, Verb

if TYPE_CHECKING:
    from luthier.data.module import Data
    from luthier.parts import Sequence


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="where it is kept; what is there already is not asked for again")
    parser.add_argument("answers", nargs="*", metavar="key=value", help="the recipe, as on any command line")
    parser.add_argument("--top", type=int, default=32, metavar="K", help="so many likeliest tokens of each (32)")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    asked = call.arguments
    composition = call.composer(asked.config_dir).compose(asked.answers)
    from luthier.build import build
    from luthier.data import identity
    from luthier.models.safety import vouch
    from luthier.report.figures import number, size
    from luthier_distillation.distill import Distillation
    from luthier_distillation.keeping import Keeper
    from luthier_distillation.teacher import Live

    config: Any = composition.config
    model = build(config.model)
    vouch(model, composition.vouched)
    method = build(config.method, model, build(config.adaptation), build(config.optimizer))
    if not isinstance(method, Distillation) or not isinstance(method.teacher, Live):
        raise RecipeError("The recipe has no teacher that could be asked.", where="method", hint="Say method=distill.")
    if asked.top < 1:
        raise RecipeError(f"--top is {asked.top}.", where="--top", hint="Keep 1 or more.")
    vouch(method, composition.vouched)
    method.teacher.check(model.tokenizer)
    parts = (build(config.data), build(config.prompt), method.encode, model.tokenizer)
    data = build(config.batch, *parts, int(config.seed))
    keeper = Keeper(asked.folder, method.teacher, top=asked.top, device=build(config.trainer).device)
    facts = keeper(_sequences(data), identity.of_tokenizer(model.tokenizer), call.console.say)
    tokens, a_token = facts["tokens"], facts["bytes_per_token"]
    rows = [
        ("teacher", method.teacher.said),
        ("tokens", f"{tokens:,}, the {asked.top} likeliest next ones of each"),
        ("on the disk", f"{size(round(tokens * a_token))}, {a_token} bytes a token"),
        ("left out", f"{facts['left_out']:.3%} of the probability, at most {facts['most_left_out']:.3%} of a token's"),
        ("divergence", f"{number(facts['divergence'])} nats a token from the whole distribution to what is kept"),
        ("bound", f"gradients of the logits differ by {2 * facts['left_out']:.3%} a token at most, on average (L1)"),
    ]
    call.console.data(call.console.table(("", ""), rows), facts | {"folder": str(asked.folder)})
    return 0


def _sequences(data: Data) -> Iterator[Sequence]:
    """All that a run trains on or validates with, as it would be encoded and cut."""
    for split in ("train", "validation"):
        blocks = data.blocks(split)
        for number in range(blocks.row_count if blocks else 0):
            yield from blocks.row(number).sequences  # type: ignore[union-attr]


VERB = Verb("cache-teacher", "Keep what a teacher says of a recipe's data, for students to learn from", declare, act)
