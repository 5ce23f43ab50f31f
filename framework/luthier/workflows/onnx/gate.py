"""Whether what was written answers as the network: the same labels, and scores within a bound, or no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from luthier.contracts.examples import Example
from luthier.contracts.heads import Head
from luthier.data.overlong import windows_of_row
from luthier.errors import RecipeError
from luthier.inference.class_scores import class_probabilities, encode_for_classification
from luthier.inference.tag_decoding import rules_of
from luthier.inference.token_scores import encode_words
from luthier.workflows.onnx.running import Ids, Logits, Run

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TOGETHER = 4
"""Texts that share a padded batch, beside those that are run one by one."""


@dataclass(frozen=True, slots=True)
class Compared:
    """How many texts were compared, and the largest difference of their scores."""

    texts: int
    largest: float


def texts_of(examples: Sequence[Example], head: Head, tokenizer: PreTrainedTokenizerBase) -> list[Ids]:
    """The token ids of examples as the head reads them; what is longer than it reads is cut."""
    longest = tokenizer.model_max_length
    if head.problem != "token_classification":
        return [encode_for_classification(one, tokenizer, longest=longest)[0].ids.tolist() for one in examples]
    rows = [encode_words(one, tokenizer).row for one in examples]
    cut = [row if len(row) <= longest else windows_of_row(row, longest)[0] for row in rows]
    return [row.sequences[0].ids.tolist() for row in cut]


def compared(network: Run, file: Run, texts: Sequence[Ids], head: Head, *, bound: float) -> Compared:
    """Compare one by one, and in padded batches; RecipeError for another label, or a score beyond the bound.

    Scores are probabilities, of a regression its value.
    """
    largest = 0.0
    pairs = [(network([ids])[0], file([ids])[0]) for ids in texts]
    by_length = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    for group in (by_length[at::TOGETHER] for at in range(min(TOGETHER, len(texts)))):
        for at, own in zip(group[:TOGETHER], file([texts[at] for at in group[:TOGETHER]]), strict=True):
            pairs.append((pairs[at][0], own))
    for place, (before, after) in enumerate(pairs):
        ours, theirs = _scores(before, head), _scores(after, head)
        apart = float(np.abs(ours - theirs).max())
        largest = max(largest, apart)
        where = f"text {place + 1} of {len(texts)}" if place < len(texts) else "a padded batch"
        if (one := _labels(ours, head)) != (other := _labels(theirs, head)):
            raise _other(where, f"it answers {other} where the network answers {one}")
        if not apart <= bound:
            raise _other(where, f"a score differs by {apart:.2g}, more than the bound {bound:g}")
    return Compared(len(texts), largest)


def _other(where: str, what: str) -> RecipeError:
    return RecipeError(
        f"The ONNX file is another model than the run's: of {where}, {what}.",
        where="export",
        hint="Nothing was exported. Leave out --int8, or allow more with --bound.",
    )


def _scores(logits: Logits, head: Head) -> Any:
    problem = "single_label_classification" if head.problem == "token_classification" else head.problem
    return class_probabilities(logits, problem)


def _labels(scores: Any, head: Head) -> Any:
    """What is answered: a label, all labels above one half, or the tags of all tokens as they are decoded."""
    if head.problem == "regression":
        return ""
    if head.problem == "multi_label_classification":
        return [label for label, score in zip(head.labels, scores, strict=True) if score > 0.5]
    if head.problem == "single_label_classification":
        return head.labels[int(scores.argmax())]
    return rules_of(head.labels).best(np.log(np.maximum(scores, 1e-12)))
