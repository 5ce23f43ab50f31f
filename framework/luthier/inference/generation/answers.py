"""Generation of answers: prompts of similar length share a batch, prefilled once; finished rows leave it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.contracts.sampling import Answer, Sampling
from luthier.data.encoding import encode_prompt
from luthier.data.examples import example_of
from luthier.errors import DataError
from luthier.inference.generation.answering import AnsweringNetwork
from luthier.inference.generation.decoder import Decoder, Decoding
from luthier.inference.generation.proof import decoding_of
from luthier.inference.generation.reasoning import read_reasoning
from luthier.inference.generation.stops import cut_at_stop, stop_tokens
from luthier.models.evaluation_mode import evaluation_mode
from luthier.models.wrappers import virtual_token_count

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.predictor import Conversation

BATCH = 8192
"""Tokens of prompts and answers in one batch; a single conversation may have more."""


def generate(
    network: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Conversation],
    settings: Sampling | None = None,
    *,
    numbers: Sequence[int] | None = None,
    on_token: Callable[[Answer], None] | None = None,
) -> list[Answer]:
    """`num_samples` answers to each conversation, all of the first one first.

    A conversation is a list of messages, a `ToolConversation`, or an example with `messages` and `tools`. Reasoning
    that the chat template shows apart is also in `Answer.reasoning`, what follows it in `Answer.spoken`. `on_token` is
    called with the answer so far after each of its tokens, and `numbers` seed the sampling of each conversation.
    Computes in evaluation mode, without gradients, in the dtype of the weights. An answer also ends where the
    longest input of the tokenizer is reached; DataError if a prompt leaves no room for an answer at all. A network
    that is an `AnsweringNetwork` generates by itself and does not call `on_token`.
    """
    if isinstance(network, AnsweringNetwork):
        return network.write_answers(conversations, settings or Sampling())
    prompts = [encode_prompt(example_of(conversation), tokenizer) for conversation in conversations]
    answers = generate_from_tokens(network, tokenizer, prompts, settings, numbers=numbers, on_token=on_token)
    read_reasoning(answers, prompts, tokenizer, settings or Sampling())
    return answers


def generate_from_tokens(
    network: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[NDArray[np.int32]],
    settings: Sampling | None = None,
    *,
    numbers: Sequence[int] | None = None,
    on_token: Callable[[Answer], None] | None = None,
) -> list[Answer]:
    """`generate` for prompts given as token ids; `numbers` seed the sampling of each prompt, by default its index."""
    settings = settings or Sampling()
    writer = Writer(network, tokenizer, settings, on_token, numbers)
    longest = writer.most
    for number, prompt in enumerate(prompts):
        if len(prompt) >= longest:
            raise DataError(
                f"Conversation {number} has {len(prompt)} tokens, and the model takes {longest}.",
                hint="Shorten it; the model needs room to answer.",
            )
    answers = [Answer() for _ in range(len(prompts) * settings.num_samples)]
    with evaluation_mode(network):
        for batch in writer.batches(prompts):
            writer.write(batch, prompts, answers)
    return answers


def longest_row(tokenizer: PreTrainedTokenizerBase, decoding: Decoding) -> int:
    """The tokens of the longest prompt with its answer, virtual ones included."""
    ends = decoding.border if decoding.beyond is None else None
    return min(tokenizer.model_max_length, ends or tokenizer.model_max_length)


class Writer:
    """Generates the answers of one batch at a time."""

    def __init__(
        self,
        network: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        settings: Sampling,
        on_token: Callable[[Answer], None] | None = None,
        numbers: Sequence[int] | None = None,
    ) -> None:
        self.network, self.tokenizer, self.settings, self.on_token = network, tokenizer, settings, on_token
        self.numbers, self.decoding = numbers, decoding_of(network)
        self.stops, self.virtual = stop_tokens(network, tokenizer), virtual_token_count(network)
        self.most = longest_row(self.tokenizer, self.decoding) - self.virtual
        self.pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0

    def batches(self, prompts: Sequence[NDArray[np.int32]]) -> Iterator[list[int]]:
        """The numbers of the prompts, longest first, as many as there is room for; of one length where they must be."""
        order = sorted(range(len(prompts)), key=lambda number: -len(prompts[number]))
        while order:
            longest = len(prompts[order[0]])
            most = longest + self.settings.max_new_tokens
            batch = order[: max(1, BATCH // (most * self.settings.num_samples))]
            if not self.decoding.pads(self.virtual + most):
                batch = [number for number in batch if len(prompts[number]) == longest]
            yield batch
            order = order[len(batch) :]

    def write(self, batch: Sequence[int], prompts: Sequence[NDArray[np.int32]], answers: list[Answer]) -> None:
        """Fill in the answers to the prompts of those numbers."""
        samples = self.settings.num_samples
        rows = [(number, sample) for number in batch for sample in range(samples)]
        live = [answers[number * samples + sample] for number, sample in rows]
        known = self.numbers if self.numbers is not None else range(len(prompts))
        uniforms = np.stack([self.settings.uniforms(known[number], sample) for number, sample in rows])
        most = self.most
        room = [min(self.settings.max_new_tokens, most - len(prompts[number])) for number, _ in rows]

        decoder = Decoder(self.network, self.decoding, self.pad)
        logits = decoder.start([prompts[number] for number in batch], max(room), samples)
        for step in range(max(room)):
            tokens = self.settings.choose(logits, uniforms[:, step])
            chosen = _log_probs(logits, tokens).tolist()
            drawn = chosen if self.settings.temperature in (0, 1) else self._drawn(logits, tokens)
            for answer, token, logprob, at_temperature in zip(live, tokens.tolist(), chosen, drawn, strict=True):
                answer.ids.append(token)
                answer.logprobs.append(logprob)
                answer.sampling_logprobs.append(at_temperature)
                if self.on_token is not None:
                    self.on_token(answer)
            keep = [row for row, answer in enumerate(live) if not self._ends(answer, room[row])]
            if not keep:
                return
            if len(keep) < len(live):
                where = torch.tensor(keep, device=decoder.device)
                decoder.keep(where)
                tokens, uniforms = tokens[where], uniforms[keep]
                live, room = [live[row] for row in keep], [room[row] for row in keep]
            logits = decoder.step(tokens)

    def _drawn(self, logits: Tensor, tokens: Tensor) -> list[float]:
        found: list[float] = _log_probs(logits / self.settings.temperature, tokens).tolist()
        return found

    def _ends(self, answer: Answer, room: int) -> bool:
        """Whether the answer is finished; sets its text and finish reason."""
        stopped = answer.ids[-1] in self.stops
        over = stopped or len(answer.ids) == room
        if over or self.settings.stop:
            text = str(self.tokenizer.decode(answer.ids[: len(answer.ids) - stopped], skip_special_tokens=True))
            before = cut_at_stop(text, self.settings.stop)
            answer.text = text if before is None else before
            stopped, over = stopped or before is not None, over or before is not None
        answer.finish = "stop" if stopped else "length"
        return over


def _log_probs(logits: Tensor, tokens: Tensor) -> Tensor:
    """log p of one token of each row, [B], from logits [B, V]."""
    return logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)
