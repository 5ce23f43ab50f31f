"""Rollouts by vLLM in the training process."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from luthier.api import RecipeError, Sampling, refuse_absent
from luthier_reward.engine import EngineRollout, GeneratedTokens, PromptRequest


@dataclass(kw_only=True, eq=False)
class Vllm(EngineRollout):
    """Generate answers with vLLM on the training device, with the share `memory` of that device's memory.

    `lora_rank` is the largest rank of an adapter, 0 where all weights are trained. `eager` disables CUDA graphs: a
    faster start and slower generation. RecipeError where vLLM is not installed.
    """

    memory: float = 0.3
    lora_rank: int = 16
    eager: bool = False

    _adapter: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_absent(
            {"vllm": "vllm"},
            "method/rollout=vllm",
            where="method.rollout",
            otherwise="where there is no GPU choose method/rollout=vllm_server or transformers",
        )

    @cached_property
    def engine(self) -> Any:
        """vLLM's `LLM`, with the model before adaptation."""
        from vllm import LLM

        folder = tempfile.mkdtemp(prefix="luthier-model-", dir=self.weights)
        network: Any = self.source.network()
        network.save_pretrained(folder)
        self.source.tokenizer.save_pretrained(folder)
        adapters = {"enable_lora": True, "max_loras": 1, "max_lora_rank": self.lora_rank} if self.lora_rank else {}
        return LLM(
            model=folder, gpu_memory_utilization=self.memory, enforce_eager=self.eager,
            logprobs_mode="processed_logprobs", generation_config="vllm", **adapters,
        )  # fmt: skip

    def load_adapter(self, folder: Path) -> None:
        """Load it under a new name each time, as the prefix cache is kept per name."""
        from vllm.lora.request import LoRARequest

        if not self.lora_rank:
            raise RecipeError(
                "method.rollout.lora_rank is 0, which leaves vLLM no memory for an adapter.",
                where="method.rollout.lora_rank",
                hint="Set it to the rank of the adapter, or more.",
            )
        self._adapter = LoRARequest(f"luthier-{self.version}", self.version, str(folder))

    def load_weights(self, folder: Path) -> None:
        self.engine.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
        self.engine.reset_prefix_cache()

    def generate(
        self, requests: Sequence[PromptRequest], sampling: Sampling, stops: Sequence[int]
    ) -> list[list[GeneratedTokens]]:
        from vllm import SamplingParams

        settings = [
            SamplingParams(
                n=sampling.num_samples, temperature=sampling.temperature, top_p=sampling.top_p, top_k=sampling.top_k,
                seed=request.seed, max_tokens=request.max_new_tokens, stop=list(sampling.stop),
                stop_token_ids=list(stops), logprobs=0,
            )
            for request in requests
        ]  # fmt: skip
        prompts = [{"prompt_token_ids": request.ids} for request in requests]
        outputs = self.engine.generate(prompts, settings, lora_request=self._adapter, use_tqdm=False)
        return [[_tokens(answer) for answer in of_prompt.outputs] for of_prompt in outputs]


def _tokens(answer: Any) -> GeneratedTokens:
    ids = list(answer.token_ids)
    return GeneratedTokens(ids, [known[token].logprob for token, known in zip(ids, answer.logprobs, strict=True)])
