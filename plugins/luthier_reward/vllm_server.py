"""Rollouts by a vLLM server, over HTTP."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import RecipeError, ResourceError, Sampling
from luthier_reward.engine import Asked, EngineRollout, Written

if TYPE_CHECKING:
    import httpx

DEVELOPING = "Start it with VLLM_SERVER_DEV_MODE=1."
UPDATING = "Start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True."


class VllmServer(EngineRollout):
    """Have a vLLM server at `url` write the answers, with the model that it calls `model`.

    An adapter is loaded beside that model under a new name each time, which the prefix cache takes for another model,
    and the one before unloaded; all weights are reloaded in place. The server reads both from `weights`, a folder that
    both sides see, null for a temporary one on this machine. `secret` is the name of the environment variable with
    the key; `at_once` prompts are asked side by side, each with a limit of `timeout` seconds.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str,
        weights: str | None = None,
        secret: str | None = None,
        at_once: int = 32,
        timeout: float = 600.0,
        max_new_tokens: int = 128,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
        stop: list[str] | None = None,
    ) -> None:
        super().__init__(Sampling(max_new_tokens, temperature, top_p, top_k, tuple(stop or ())), weights)
        self.url, self.served, self.secret = url.rstrip("/").removesuffix("/v1"), model, secret
        self.at_once, self.timeout, self._name = at_once, timeout, model

    def take_adapter(self, folder: Path) -> None:
        name, before = f"luthier-{self.brought}", self._name
        self._post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)}, UPDATING)
        self._name = name
        if before != self.served:
            self._post("/v1/unload_lora_adapter", {"lora_name": before}, UPDATING)

    def take_weights(self, folder: Path) -> None:
        told = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
        self._post("/collective_rpc", told, DEVELOPING)
        self._post("/reset_prefix_cache", {}, DEVELOPING)

    def write(self, asked: Sequence[Asked], sampling: Sampling, stops: Sequence[int]) -> list[list[Written]]:
        with ThreadPoolExecutor(self.at_once) as pool:
            return list(pool.map(lambda one: self._written(one, sampling, stops), asked))

    def _written(self, asked: Asked, sampling: Sampling, stops: Sequence[int]) -> list[Written]:
        """What else the server would do to the probabilities by its own defaults is turned off."""
        said = self._post("/v1/completions", {
            "model": self._name, "prompt": asked.ids, "n": sampling.num_samples, "seed": asked.seed,
            "max_tokens": asked.room, "temperature": sampling.temperature, "top_p": sampling.top_p,
            "top_k": sampling.top_k, "min_p": 0.0, "repetition_penalty": 1.0, "stop": list(sampling.stop),
            "stop_token_ids": list(stops), "logprobs": 0, "return_token_ids": True,
        }).json()  # fmt: skip
        choices = sorted(said["choices"], key=lambda choice: int(choice["index"]))
        if any(choice.get("token_ids") is None for choice in choices):
            raise ResourceError(
                f"The server at {self.url} does not say which tokens it wrote.", hint="It must be vLLM 0.10.2 or later."
            )
        return [Written(choice["token_ids"], choice["logprobs"]["token_logprobs"]) for choice in choices]

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        key = os.environ.get(self.secret, "") if self.secret else ""
        if self.secret and not key:
            raise RecipeError(
                f"The environment has no {self.secret}, where the server's key is said to be.",
                where="method.rollout.secret",
            )
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=self.at_once)
        return httpx.Client(timeout=self.timeout, headers=headers, limits=limits)

    def _post(self, path: str, body: Any, where_missing: str = "") -> httpx.Response:
        """What the server answers; ResourceError, from which a run can go on, where it does not or says no."""
        import httpx

        try:
            answer = self._client.post(self.url + path, json=body)
        except httpx.TransportError as error:
            raise ResourceError(
                f"vLLM does not answer: {type(error).__name__} at {self.url + path}.",
                where="method.rollout.url",
                hint=f"Start it with `vllm serve {self.served} --logprobs-mode processed_logprobs`.",
                resumable=True,
            ) from error
        if answer.is_error:
            missing = answer.status_code in (404, 405)
            raise ResourceError(
                f"vLLM answered {answer.status_code} at {path}: {answer.text[:300]}",
                where="method.rollout.url",
                hint=where_missing if missing else "",
                resumable=True,
            )
        return answer
