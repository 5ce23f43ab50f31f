"""Rollouts by vLLM in the process that trains."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from luthier.api import RecipeError, Sampling, refuse_absent
from luthier_reward.engine import Asked, EngineRollout, Written


class Vllm(EngineRollout):
    """Have vLLM write the answers on the device that trains, with `memory` of what that device has.

    `lora_rank` is the largest rank of an adapter that it has room for: 0 where all weights are trained. `eager` starts
    faster and writes slower. RecipeError where vLLM is not installed.
    """

    def __init__(
        self,
        *,
        memory: float = 0.3,
        lora_rank: int = 16,
        eager: bool = False,
        weights: str | None = None,
        max_new_tokens: int = 128,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
        stop: list[str] | None = None,
    ) -> None:
        super().__init__(Sampling(max_new_tokens, temperature, top_p, top_k, tuple(stop or ())), weights)
        refuse_absent(
            {"vllm": "vllm"},
            "method/rollout=vllm",
            where="method.rollout",
            otherwise="where there is no GPU choose method/rollout=vllm_server or transformers",
        )
        self.memory, self.lora_rank, self.eager = memory, lora_rank, eager
        self._adapter: Any = None

    @cached_property
    def engine(self) -> Any:
        """vLLM's own, with the model as it comes."""
        from vllm import LLM

        folder = tempfile.mkdtemp(prefix="luthier-model-", dir=self.weights)
        network: Any = self.model.network()
        network.save_pretrained(folder)
        self.model.tokenizer.save_pretrained(folder)
        adapters = {"enable_lora": True, "max_loras": 1, "max_lora_rank": self.lora_rank} if self.lora_rank else {}
        return LLM(
            model=folder, gpu_memory_utilization=self.memory, enforce_eager=self.eager,
            logprobs_mode="processed_logprobs", generation_config="vllm", **adapters,
        )  # fmt: skip

    def take_adapter(self, folder: Path) -> None:
        """Under a new name each time: what is cached of prompts belongs to a name."""
        from vllm.lora.request import LoRARequest

        if not self.lora_rank:
            raise RecipeError("vLLM was left no room for an adapter.", where="method.rollout.lora_rank")
        self._adapter = LoRARequest(f"luthier-{self.brought}", self.brought, str(folder))

    def take_weights(self, folder: Path) -> None:
        self.engine.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
        self.engine.reset_prefix_cache()

    def write(self, asked: Sequence[Asked], sampling: Sampling, stops: Sequence[int]) -> list[list[Written]]:
        from vllm import SamplingParams

        settings = [
            SamplingParams(
                n=sampling.num_samples, temperature=sampling.temperature, top_p=sampling.top_p, top_k=sampling.top_k,
                seed=one.seed, max_tokens=one.room, stop=list(sampling.stop), stop_token_ids=list(stops), logprobs=0,
            )
            for one in asked
        ]  # fmt: skip
        prompts = [{"prompt_token_ids": one.ids} for one in asked]
        found = self.engine.generate(prompts, settings, lora_request=self._adapter, use_tqdm=False)
        return [[_written(answer) for answer in of_prompt.outputs] for of_prompt in found]


def _written(answer: Any) -> Written:
    ids = list(answer.token_ids)
    return Written(ids, [said[token].logprob for token, said in zip(ids, answer.logprobs, strict=True)])
