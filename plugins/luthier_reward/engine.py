"""Rollouts by an engine that holds the weights a second time: what has moved is brought to it before it writes."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luthier.api import Answer, DataError, Model, RecipeError, Sampling, cut_at_stop, stop_tokens


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt's tokens, the most that may be written to it, and the seed of its answers."""

    ids: list[int]
    room: int
    seed: int


@dataclass(frozen=True, slots=True)
class Written:
    """The tokens of an answer with the log-probabilities that they were drawn with."""

    ids: Sequence[int]
    log_probs: Sequence[float]


class EngineRollout(ABC):
    """A rollout whose answers an engine writes. Subclasses bring an adapter, or all weights, to theirs and ask it.

    Both travel as files in a folder, `weights` or one of its own: an adapter as PEFT writes it, and weights as
    transformers does. A network that is still as it came needs neither.
    """

    def __init__(self, sampling: Sampling, weights: str | None) -> None:
        if sampling.temperature <= 0:
            raise RecipeError(
                f"method.rollout.temperature is {sampling.temperature}: all answers to a prompt would be the same.",
                where="method.rollout.temperature",
                hint="Use 1, or a little less.",
            )
        self.sampling = sampling
        self.temperature, self.max_new_tokens = sampling.temperature, sampling.max_new_tokens
        self.weights, self.brought = weights, 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @abstractmethod
    def take_adapter(self, folder: Path) -> None:
        """Answer with the LoRA adapter in the folder from now on, and no longer with the one before."""

    @abstractmethod
    def take_weights(self, folder: Path) -> None:
        """Answer with the weights in the folder from now on."""

    @abstractmethod
    def write(self, asked: Sequence[Asked], sampling: Sampling, stops: Sequence[int]) -> list[list[Written]]:
        """`num_samples` answers to each prompt; one ends with the first of the tokens `stops`."""

    def use(self, model: Model, changed: bool) -> None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            raise RecipeError(
                f"{type(self).__name__} writes the answers of one process, and this run has several.",
                where="method.rollout",
                hint="Train on one device, or use method/rollout=transformers.",
            )
        self.model, self.changed = model, changed

    def __call__(
        self, network: nn.Module, prompts: Sequence[NDArray[np.int32]], numbers: Sequence[int], count: int, seed: int
    ) -> list[Answer]:
        seeds = [int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) for number in numbers]
        return self._answers(network, prompts, seeds, replace(self.sampling, num_samples=count))

    def likeliest(self, network: nn.Module, prompts: Sequence[NDArray[np.int32]]) -> list[Answer]:
        plain = replace(self.sampling, temperature=0.0, top_p=1.0, top_k=0)
        return self._answers(network, prompts, [0] * len(prompts), plain)

    def _answers(
        self, network: nn.Module, prompts: Sequence[NDArray[np.int32]], seeds: Sequence[int], sampling: Sampling
    ) -> list[Answer]:
        if self.changed:
            self._bring(network)
        stops = sorted(stop_tokens(network, self.model.tokenizer))
        asked = [Asked(prompt.tolist(), self._room(prompt), seed) for prompt, seed in zip(prompts, seeds, strict=True)]
        written = self.write(asked, sampling, stops)
        return [self._answer(one, stops) for of_prompt in written for one in of_prompt]

    def _bring(self, network: nn.Module) -> None:
        self.brought += 1
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="luthier-weights-", dir=self.weights)
        folder = Path(self._folder.name, str(self.brought))
        adapted: Any = network
        if hasattr(network, "peft_config"):
            _refuse_all_but_lora(adapted.active_peft_config)
            adapted.save_pretrained(folder, save_embedding_layers=False)
            self.take_adapter(folder)
        else:
            _refuse_new_weights(adapted)
            adapted.save_pretrained(folder)
            self.take_weights(folder)
        shutil.rmtree(folder.with_name(str(self.brought - 1)), ignore_errors=True)

    def _room(self, prompt: NDArray[np.int32]) -> int:
        longest = self.model.tokenizer.model_max_length
        if len(prompt) >= longest:
            raise DataError(f"A prompt has {len(prompt)} tokens, and the model takes {longest}.", hint="Shorten it.")
        return min(self.max_new_tokens, longest - len(prompt))

    def _answer(self, written: Written, stops: Sequence[int]) -> Answer:
        """As `luthier.inference.generation` would have it; log-probabilities are those of the drawing throughout."""
        ids, log_probs = list(written.ids), list(written.log_probs)
        ended = bool(ids) and ids[-1] in stops
        said = str(self.model.tokenizer.decode(ids[: len(ids) - ended], skip_special_tokens=True))
        before = cut_at_stop(said, self.sampling.stop)
        finish: Any = "stop" if ended or before is not None else "length"
        return Answer(ids, said if before is None else before, log_probs, log_probs, finish)


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
            "The adaptation puts weights into the network that vLLM does not know.",
            where="adaptation",
            hint="Use adaptation=lora or adaptation=full, or method/rollout=transformers.",
        )
