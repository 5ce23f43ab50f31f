"""What a head says of the words of texts: its outputs at the first token of each, long texts in overlapping windows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.contracts.examples import Example
from luthier.contracts.heads import Head
from luthier.data.overlong import windows_of_row
from luthier.data.tagging.words import Word, example_words
from luthier.errors import DataError, RecipeError
from luthier.inference.log_probabilities import BLOCK, packed_batches
from luthier.models.encoder_heads import head_outputs
from luthier.models.lm_head import hidden_states
from luthier.models.sequence_classification import is_tagger
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def token_outputs(network: nn.Module, batch: Batch) -> Tensor:
    """Outputs of a tagger for each token of a packed batch, float32 [B, T, outputs], each text as if it were alone."""
    return head_outputs(network, hidden_states(network, batch), (batch.segments > 0).long()).float()


@dataclass(frozen=True, slots=True)
class EncodedWords:
    """A text as a row whose `labels` are the numbers of words at their first tokens, and the words themselves."""

    row: Row
    """The whole text, with its words' numbers as labels."""
    words: list[Word]
    """Where each begins and ends in the text."""

    @property
    def first_tokens(self) -> NDArray[np.intp]:
        """Of each word the token that speaks for it, its first; -1 where the tokenizer leaves nothing of it."""
        labels = self.row.sequences[0].labels
        assert labels is not None
        found = np.full(len(self.words), -1, np.intp)
        places = np.flatnonzero(labels >= 0)
        found[labels[places]] = places
        return found

    def scores(self, of_tokens: NDArray[np.floating]) -> NDArray[np.floating]:
        """Scores of tokens [tokens, tags] as those of words [words, tags]; alike for all tags of a word without one."""
        first = self.first_tokens
        own = of_tokens[np.maximum(first, 0)]
        own[first < 0] = -np.log(of_tokens.shape[1])
        return own

    def labelled(self, numbers: Sequence[int]) -> Row:
        """The row with the label `numbers[word]` at the first token of each word."""
        sequence = self.row.sequences[0]
        labels, first = np.full(len(sequence), -1, np.int32), self.first_tokens
        there = first >= 0
        labels[first[there]] = np.asarray(numbers, dtype=np.int32)[there]
        return replace(self.row, sequences=(replace(sequence, labels=labels),))


def encode_words(example: Example, tokenizer: PreTrainedTokenizerBase) -> EncodedWords:
    """The text of an example as the tokenizer alone encodes it, as pipelines do, with the first token of each word.

    A token belongs to the word in which its first character that is no blank stands. DataError for a text without a
    word.
    """
    words, text = example_words(example), str(example["text"])
    encoded: Any = tokenizer(text, verbose=False, return_special_tokens_mask=True, return_offsets_mapping=True)
    ids, special = np.asarray(encoded.input_ids, dtype=np.int32), list(encoded.special_tokens_mask)
    if not words or not len(ids):
        raise DataError("The text has no word.", hint="Leave such rows out: data.on_bad_row=skip.")
    labels = np.full(len(ids), -1, np.int32)
    known = set[int]()
    ends = [end for _, end in words]
    for token, ((begin, end), is_special) in enumerate(zip(encoded.offset_mapping, special, strict=True)):
        word = bisect_right(ends, begin)  # the first that ends behind it
        if not is_special and word < len(words) and words[word][0] < end and word not in known:
            labels[token] = word
            known.add(word)
    weights = np.ones(len(ids), np.float32)
    weights[0] = 0
    row = Row(
        (TokenSequence(ids, weights, labels),),
        read_only=True,
        opening=_specials(special),
        closing=_specials(special[::-1]),
    )
    return EncodedWords(row, words)


def _specials(mask: Sequence[int]) -> int:
    return next((number for number, special in enumerate(mask) if not special), 0)


@torch.no_grad()
def token_scores(
    network: nn.Module, rows: Sequence[Row], longest: int, *, length: int = BLOCK
) -> list[NDArray[np.float32]]:
    """log p(tag) of each token of each row, float32 [tokens, tags], from packed forward passes.

    Rows of more than `longest` tokens are read in overlapping windows, where a token speaks from the one in which it
    has the most context.
    """
    numbered = [_numbered(row) for row in rows]
    pieces = [(at, piece) for at, row in enumerate(numbered) for piece in _pieces(row, longest)]
    device, tags = next(network.parameters()).device, len(tags_of_network(network))
    found = [np.full((len(row), tags), -np.log(tags), np.float32) for row in rows]
    for group, batch in packed_batches([piece for _, piece in pieces], device, length=length):
        outputs = torch.log_softmax(token_outputs(network, batch), -1).cpu().numpy().reshape(-1, tags)
        places = batch.labels.flatten().cpu().numpy()
        for number, index in zip(batch.sequence_numbers, group, strict=True):
            span = slice(batch.boundaries[number], batch.boundaries[number + 1])
            answered = places[span] >= 0
            found[pieces[index][0]][places[span][answered]] = outputs[span][answered]
    return found


def _numbered(row: Row) -> Row:
    """The row with the places of its tokens as labels, so that windows say which of them they answer for."""
    (sequence,) = row.sequences
    return replace(row, sequences=(replace(sequence, labels=np.arange(len(sequence), dtype=np.int32)),))


def _pieces(row: Row, longest: int) -> list[Row]:
    return [row] if len(row) <= longest else windows_of_row(row, longest)


def word_scores(network: nn.Module, texts: Sequence[EncodedWords], longest: int) -> list[NDArray[np.floating]]:
    """log p(tag) of each word of each text, float32 [words, tags]."""
    scores = token_scores(network, [text.row for text in texts], longest)
    return [text.scores(own) for text, own in zip(texts, scores, strict=True)]


def tags_of_network(network: nn.Module) -> tuple[str, ...]:
    """The tags of a tagger in the order of its outputs; RecipeError for another network."""
    head = Head.of(unwrapped(network).config)
    if head is None or not is_tagger(network):
        raise RecipeError("The model is no tagger.", hint="Train one with method=tag.")
    return head.labels
