"""Rollouts by an inference engine with weights of its own, which are updated before it generates."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luthier.api import Answer, DataError, Model, RecipeError, SampledRollout, Sampling, cut_at_stop, stop_tokens


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """The tokens of a prompt, the maximum number of new tokens, and the seed of its answers."""

    ids: list[int]
    max_new_tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class GeneratedTokens:
    """The tokens of an answer and their log-probabilities in the distribution they were sampled from."""

    ids: Sequence[int]
    log_probs: Sequence[float]


@dataclass(kw_only=True, eq=False)
class EngineRollout(SampledRollout, ABC):
    """A rollout whose answers an engine generates. Subclasses load an adapter, or all weights, into theirs and call it.

    Both are passed as files in a temporary folder inside `weights` (null: the system's own): an adapter as PEFT saves
    it, all weights as transformers saves them. A network that is not adapted yet needs neither.
    """

    weights: str | None = None

    version: int = field(default=0, init=False)
    """How often the weights of the engine were updated."""
    _source: Model | None = field(default=None, init=False, repr=False)
    _adapted: bool = field(default=False, init=False)
    _folder: tempfile.TemporaryDirectory[str] | None = field(default=None, init=False, repr=False)

    @abstractmethod
    def load_adapter(self, folder: Path) -> None:
        """Generate with the LoRA adapter in the folder from now on, in place of the one before."""

    @abstractmethod
    def load_weights(self, folder: Path) -> None:
        """Generate with the weights in the folder from now on."""

    @abstractmethod
    def generate(
        self, requests: Sequence[PromptRequest], sampling: Sampling, stops: Sequence[int]
    ) -> list[list[GeneratedTokens]]:
        """`num_samples` answers to each prompt, each ending with the first of the tokens `stops`."""

    @property
    def source(self) -> Model:
        assert self._source is not None, "use comes first"
        return self._source

    def use(self, model: Model, adapted: bool) -> None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            raise RecipeError(
                f"{type(self).__name__} generates the answers of a single process, and this run has several.",
                where="method.rollout",
                hint="Train on one device, or use method/rollout=transformers.",
            )
        self._source, self._adapted = model, adapted

    def __call__(
        self, network: nn.Module, prompts: Sequence[NDArray[np.int32]], numbers: Sequence[int], count: int, seed: int
    ) -> list[Answer]:
        seeds = [int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) for number in numbers]
        return self._answers(network, prompts, seeds, replace(self.sampling, num_samples=count))

    def greedy(self, network: nn.Module, prompts: Sequence[NDArray[np.int32]]) -> list[Answer]:
        return self._answers(network, prompts, [0] * len(prompts), self._greedy)

    def _answers(
        self, network: nn.Module, prompts: Sequence[NDArray[np.int32]], seeds: Sequence[int], sampling: Sampling
    ) -> list[Answer]:
        if self._adapted:
            self._update(network)
        stops = sorted(stop_tokens(network, self.source.tokenizer))
        pairs = zip(prompts, seeds, strict=True)
        requests = [PromptRequest(prompt.tolist(), self._max_new_tokens(prompt), seed) for prompt, seed in pairs]
        generated = self.generate(requests, sampling, stops)
        return [self._answer(tokens, stops) for of_prompt in generated for tokens in of_prompt]

    def _update(self, network: nn.Module) -> None:
        self.version += 1
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="luthier-weights-", dir=self.weights)
        folder = Path(self._folder.name, str(self.version))
        saved: Any = network
        if hasattr(network, "peft_config"):
            _refuse_all_but_lora(saved.active_peft_config)
            saved.save_pretrained(folder, save_embedding_layers=False)
            self.load_adapter(folder)
        else:
            _refuse_new_weights(saved)
            saved.save_pretrained(folder)
            self.load_weights(folder)
        shutil.rmtree(folder.with_name(str(self.version - 1)), ignore_errors=True)

    def _max_new_tokens(self, prompt: NDArray[np.int32]) -> int:
        positions = self.source.tokenizer.model_max_length
        if len(prompt) >= positions:
            raise DataError(f"A prompt has {len(prompt)} tokens, and the model takes {positions}.", hint="Shorten it.")
        return min(self.max_new_tokens, positions - len(prompt))

    def _answer(self, tokens: GeneratedTokens, stops: Sequence[int]) -> Answer:
        """As `generate_from_tokens` makes it, except that `logprobs` are those of the sampling distribution, too."""
        ids, log_probs = list(tokens.ids), list(tokens.log_probs)
        ended = bool(ids) and ids[-1] in stops
        text = str(self.source.tokenizer.decode(ids[: len(ids) - ended], skip_special_tokens=True))
        before_stop = cut_at_stop(text, self.sampling.stop)
        finish: Any = "stop" if ended or before_stop is not None else "length"
        return Answer(ids, text if before_stop is None else before_stop, log_probs, log_probs, finish)


def _refuse_all_but_lora(config: Any) -> None:
    kind = str(getattr(config.peft_type, "value", config.peft_type))
    more = [name for name in ("use_dora", "modules_to_save", "trainable_token_indices") if getattr(config, name, None)]
    if kind != "LORA" or more or getattr(config, "bias", "none") != "none":
        raise RecipeError(
            f"vLLM takes plain LoRA adapters, and this is {kind.lower()}{' with ' + ', '.join(more) if more else ''}.",
            where="adaptation",
            hint="Use adaptation=lora or adaptation=full, or method/rollout=transformers.",
        )


def _refuse_new_weights(network: Any) -> None:
    with torch.device("meta"):
        plain = type(network)(network.config)
    if plain.state_dict().keys() != network.state_dict().keys():
        raise RecipeError(
            "The adaptation adds weights to the network that vLLM does not know.",
            where="adaptation",
            hint="Use adaptation=lora or adaptation=full, or method/rollout=transformers.",
        )
