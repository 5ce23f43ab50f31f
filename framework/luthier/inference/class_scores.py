"""What a classification head says of texts: its outputs, and the probabilities that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.contracts.examples import Example
from luthier.contracts.heads import Head, Problem
from luthier.errors import DataError, RecipeError
from luthier.inference.log_probabilities import BLOCK, packed_batches
from luthier.inference.reward_scores import last_token_positions, reward_outputs
from luthier.models.attention import layout_of
from luthier.models.encoder_heads import head_outputs, text_states
from luthier.models.lm_head import hidden_states
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def class_outputs(network: nn.Module, batch: Batch) -> Tensor:
    """Outputs of the head for each text of a packed batch, float32 [texts, outputs], each as if it were alone."""
    if not layout_of(network).bidirectional:
        return reward_outputs(network, batch, last_token_positions(batch))
    states, mask = text_states(hidden_states(network, batch), batch)
    return head_outputs(network, states, mask).float()


@torch.no_grad()
def class_scores(network: nn.Module, sequences: Sequence[TokenSequence], *, length: int = BLOCK) -> NDArray[np.float32]:
    """Outputs of the head for each text, float32 [texts, outputs], from packed forward passes."""
    device = next(network.parameters()).device
    found = np.zeros((len(sequences), len(head_of(network).labels)), dtype=np.float32)
    for group, batch in packed_batches([Row((sequence,)) for sequence in sequences], device, length=length):
        found[group] = class_outputs(network, batch).cpu().numpy()
    return found


def head_of(network: nn.Module) -> Head:
    """The head of a classifier; RecipeError for a network without labels."""
    head = Head.of(unwrapped(network).config)
    if head is None or head.problem == "token_classification":
        raise RecipeError("The model is no classifier.", hint="Train one with method=classify.")
    return head


def class_probabilities(outputs: NDArray[np.floating[Any]], problem: Problem) -> NDArray[np.float64]:
    """Outputs [..., labels] as transformers' pipelines give them: a softmax, sigmoids, or the number itself."""
    given = np.asarray(outputs, dtype=np.float64)
    if problem == "regression":
        return given
    if problem == "multi_label_classification":
        return np.exp(-np.logaddexp(0.0, -given))
    powers = np.exp(given - given.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def encode_for_classification(
    example: Example, tokenizer: PreTrainedTokenizerBase, *, longest: int | None = None
) -> tuple[TokenSequence, int]:
    """The text of an example as the tokenizer alone encodes it, as pipelines do, and how many tokens close it.

    All tokens behind the first have weight 1. With `longest` it is cut to so many tokens, the closing one kept.
    DataError for an example without a text, and for a text without a token.
    """
    text = example.get("text")
    if not isinstance(text, str):
        raise DataError(
            "There is no `text` to classify.", hint="Name its column with data.format.text, or choose a format with it."
        )
    cut = {} if longest is None else {"truncation": True, "max_length": longest}
    encoded = tokenizer(text, verbose=False, return_special_tokens_mask=True, **cut)
    ids = np.asarray(encoded.input_ids, dtype=np.int32)
    if not len(ids):
        raise DataError("The text is empty.", hint="Leave such rows out: data.on_bad_row=skip.")
    weights = np.ones(len(ids), np.float32)
    weights[0] = 0
    closing = next((at for at, special in enumerate(reversed(encoded.special_tokens_mask)) if not special), 0)
    return TokenSequence(ids, weights), closing
