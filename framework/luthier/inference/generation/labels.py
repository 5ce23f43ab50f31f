"""Log-probabilities of a few labels as the next turn, from one forward pass over the conversation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.contracts.batch import TokenSequence
from luthier.data.encoding import encode_continuation
from luthier.data.examples import example_of
from luthier.inference import log_probabilities as scoring
from luthier.inference.generation.answering import AnsweringNetwork
from luthier.models import attention
from luthier.models.lm_head import find_lm_head, last_hidden_state
from luthier.models.wrappers import unwrapped, virtual_token_count

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH = 4096
"""Tokens of one forward pass; a single conversation with its labels may have more."""


@torch.no_grad()
def score_labels(
    network: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Sequence[dict[str, Any]]],
    labels: Sequence[str],
) -> NDArray[np.float32]:
    """log p(label as the next assistant turn), its end of turn included, float32 [conversations, labels].

    A label of several tokens counts all of them, so that labels of any length compare, and one that begins like
    another is not taken for it. Labels stand side by side behind their conversation, each blind to the others;
    where the network's attention cannot be masked so, every pair is read by itself, with the same result.
    """
    if isinstance(network, AnsweringNetwork):
        return network.judge_labels(conversations, labels)
    trees = [Tree([_continued(conversation, label, tokenizer) for label in labels]) for conversation in conversations]
    if not can_branch(network, max((len(tree) for tree in trees), default=0)):
        sequences = [sequence for tree in trees for sequence in tree.branches]
        sums = [logprobs[sequence.weights > 0].sum() for logprobs, sequence in _scored(network, sequences)]
        return np.array(sums, dtype=np.float32).reshape(len(trees), len(labels))
    scores = np.zeros((len(trees), len(labels)), dtype=np.float32)
    head = find_lm_head(network) if trees else None
    for batch in _batches(trees):
        assert head is not None
        members = [trees[number] for number in batch]
        hidden = last_hidden_state(network, _inputs(network, members))
        rows = torch.cat([torch.full_like(tree.predictors, row) for row, tree in enumerate(members)]).to(hidden.device)
        places = torch.cat([tree.predictors for tree in members]).to(hidden.device)
        targets = torch.cat([tree.targets for tree in members]).to(hidden.device)
        found = head.log_probs(hidden[rows, places], targets).float().cpu().numpy()
        for number, part in zip(batch, np.split(found, np.cumsum([len(t.targets) for t in members])[:-1]), strict=True):
            np.add.at(scores[number], trees[number].owners, part)
    return scores


def can_branch(network: nn.Module, length: int) -> bool:
    """Whether the network's layers attend exactly by a given mask over `length` tokens."""
    config: Any = unwrapped(network).config.get_text_config()  # type: ignore[operator, union-attr]
    windows = [getattr(config, name, None) for name in attention.WINDOWS]
    longest = virtual_token_count(network) + length
    return attention.layout_of(network).masks and all(window is None or longest <= window for window in windows)


@dataclass(frozen=True)
class Tree:
    """A conversation and its labels as one row: what they share, then what is left of each label but its last token."""

    branches: Sequence[TokenSequence]

    @cached_property
    def shared(self) -> int:
        """How many tokens all labels have before them: at most up to the first that is scored."""
        first = min(int((sequence.weights > 0).argmax()) for sequence in self.branches)
        start = np.stack([sequence.ids[:first] for sequence in self.branches])
        differs = (start != start[0]).any(0)
        return int(differs.argmax()) if differs.any() else first

    @cached_property
    def tails(self) -> list[NDArray[np.int32]]:
        return [sequence.ids[self.shared : -1] for sequence in self.branches]

    def __len__(self) -> int:
        return self.shared + sum(map(len, self.tails))

    @cached_property
    def ids(self) -> NDArray[np.int32]:
        return np.concatenate([self.branches[0].ids[: self.shared], *self.tails])

    @cached_property
    def positions(self) -> NDArray[np.int64]:
        return np.concatenate([np.arange(self.shared), *(np.arange(len(tail)) + self.shared for tail in self.tails)])

    @cached_property
    def membership(self) -> NDArray[np.int64]:
        """0 for what is shared, 1, 2, … for the labels; [len]."""
        sizes = [self.shared, *map(len, self.tails)]
        return np.repeat(np.arange(len(sizes)), sizes)

    @cached_property
    def scored(self) -> list[tuple[int, int, int]]:
        """(label, place of the token before, token) of every token that counts."""
        found, begin = [], self.shared
        for label, sequence in enumerate(self.branches):
            for place in np.flatnonzero(sequence.weights > 0).tolist():
                inside = place - self.shared
                found.append((label, begin + inside - 1 if inside else self.shared - 1, int(sequence.ids[place])))
            begin += len(self.tails[label])
        return found

    @property
    def owners(self) -> list[int]:
        return [label for label, _, _ in self.scored]

    @property
    def predictors(self) -> Tensor:
        return torch.tensor([place for _, place, _ in self.scored])

    @property
    def targets(self) -> Tensor:
        return torch.tensor([token for _, _, token in self.scored])


def _continued(conversation: Sequence[dict[str, Any]], label: str, tokenizer: PreTrainedTokenizerBase) -> TokenSequence:
    """The conversation with the label as its next turn, up to the end of that turn."""
    turn = [{"role": "assistant", "content": label}]
    whole = encode_continuation({**example_of(conversation), "label": turn}, "label", tokenizer)
    end = int(np.flatnonzero(whole.weights)[-1]) + 1
    return TokenSequence(whole.ids[:end], whole.weights[:end])


def _scored(
    network: nn.Module, sequences: Sequence[TokenSequence]
) -> Iterator[tuple[NDArray[np.float32], TokenSequence]]:
    yield from zip(scoring.log_probs(network, sequences), sequences, strict=True)


def _batches(trees: Sequence[Tree]) -> Iterator[list[int]]:
    order = sorted(range(len(trees)), key=lambda number: -len(trees[number]))
    while order:
        size = max(1, BATCH // len(trees[order[0]]))
        yield order[:size]
        order = order[size:]


def _inputs(network: nn.Module, trees: Sequence[Tree]) -> dict[str, Any]:
    """Rows padded at their end, and a mask that shows each token the shared part and its own label before it."""
    longest = max(map(len, trees))
    ids, positions = np.zeros((len(trees), longest), np.int64), np.zeros((len(trees), longest), np.int64)
    membership = np.full((len(trees), longest), -1)
    for row, tree in enumerate(trees):
        ids[row, : len(tree)], positions[row, : len(tree)] = tree.ids, tree.positions
        membership[row, : len(tree)] = tree.membership
    parameter = next(network.parameters())
    member = torch.from_numpy(membership).to(parameter.device)
    mine = (member[:, None, :] == 0) | (member[:, None, :] == member[:, :, None])
    mask: Tensor = (mine & torch.ones_like(mine[0]).tril()).unsqueeze(1)
    if unwrapped(network).config.get_text_config()._attn_implementation == "eager":  # type: ignore[operator, union-attr]
        mask = torch.zeros_like(mask, dtype=parameter.dtype).masked_fill(~mask, torch.finfo(parameter.dtype).min)
    return {
        "input_ids": torch.from_numpy(ids).to(parameter.device),
        "position_ids": torch.from_numpy(positions).to(parameter.device),
        "attention_mask": mask,
        "use_cache": False,
    }
