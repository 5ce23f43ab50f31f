"""Whether what was written answers as the network: the same labels, and scores within a bound, or no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True, slots=True)
class Text:
    """The token ids of a text, and of a tagger the tokens that speak for its words."""

    ids: Ids
    words: NDArray[np.intp] | None = None


def texts_of(examples: Sequence[Example], head: Head, tokenizer: PreTrainedTokenizerBase) -> list[Text]:
    """Examples as the head reads them; what is longer than it reads is cut."""
    longest = tokenizer.model_max_length
    if head.problem != "token_classification":
        return [Text(encode_for_classification(one, tokenizer, longest=longest)[0].ids.tolist()) for one in examples]
    found = []
    for row in (encode_words(one, tokenizer).row for one in examples):
        (sequence,) = (row if len(row) <= longest else windows_of_row(row, longest)[0]).sequences
        assert sequence.labels is not None
        found.append(Text(sequence.ids.tolist(), np.flatnonzero(sequence.labels >= 0)))
    return found


def compared(network: Run, file: Run, texts: Sequence[Text], head: Head, *, bound: float) -> Compared:
    """Compare one by one, and some in a padded batch; RecipeError for another label, or a score beyond the bound.

    Scores are probabilities, of a regression its value.
    """
    largest = 0.0
    pairs = [(text, network([text.ids])[0], file([text.ids])[0]) for text in texts]
    by_length = sorted(range(len(texts)), key=lambda at: len(texts[at].ids))
    together = by_length[:: max(1, len(texts) // TOGETHER)]  # short and long ones, in one padded batch
    padded = file([texts[at].ids for at in together])
    pairs += [(texts[at], pairs[at][1], own) for at, own in zip(together, padded, strict=True)]
    for place, (text, before, after) in enumerate(pairs):
        ours, theirs = _scores(before, text, head), _scores(after, text, head)
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


def _scores(logits: Logits, text: Text, head: Head) -> Any:
    if text.words is not None:
        logits = logits[text.words]
    problem = "single_label_classification" if head.problem == "token_classification" else head.problem
    return class_probabilities(logits, problem)


def _labels(scores: Any, head: Head) -> Any:
    """What is answered: a label, all labels above one half, or the tags of words as they are decoded."""
    if head.problem == "regression":
        return ""
    if head.problem == "multi_label_classification":
        return [label for label, score in zip(head.labels, scores, strict=True) if score > 0.5]
    if head.problem == "single_label_classification":
        return head.labels[int(scores.argmax())]
    return rules_of(head.labels).best(np.log(np.maximum(scores, 1e-12)))
