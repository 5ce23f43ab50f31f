"""The loss on general text, which shows forgetting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from luthier.contracts.batch import TokenSequence
from luthier.contracts.examples import Example
from luthier.contracts.predictor import Predictor
from luthier.data.encoding import encode_text
from luthier.errors import DataError
from luthier.evaluation.bootstrap import Floats


def texts(examples: Iterable[Example], most: int) -> list[str]:
    """The first `most` texts of a source; DataError where it has none."""
    general: list[str] = []
    for example in examples:
        if len(general) == most:
            break
        if text := example.get("text"):
            general.append(str(text))
    if most and not general:
        raise DataError(
            "The general text that forgetting is measured on holds no record with `text`.",
            hint="Name another set with data@evaluation.general=…, or set evaluation.general_examples=0.",
        )
    return general


def text_losses(predictor: Predictor, texts: Sequence[str], length: int) -> tuple[Floats, int]:
    """(-log p, tokens) of each text, [texts, 2], and how many were cut to `length` tokens, or what the model takes."""
    length = min(length, predictor.tokenizer.model_max_length)
    encoded = [encode_text({"text": text}, predictor.tokenizer, end=False) for text in texts]
    sequences = [TokenSequence(whole.ids[:length], whole.weights[:length]) for whole in encoded]
    log_probs = predictor.log_probs(sequences)
    sums = [-(of_tokens * sequence.weights).sum() for of_tokens, sequence in zip(log_probs, sequences, strict=True)]
    weights = [sequence.weights.sum() for sequence in sequences]
    return np.stack([sums, weights], axis=1).astype(np.float64), sum(len(whole) > length for whole in encoded)
