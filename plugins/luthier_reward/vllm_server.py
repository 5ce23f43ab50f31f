"""Rollouts by a vLLM server, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import ResourceError, Sampling, api_key
from luthier_reward.engine import EngineRollout, GeneratedTokens, PromptRequest

if TYPE_CHECKING:
    import httpx

_DEVELOPMENT = "Start it with VLLM_SERVER_DEV_MODE=1."
_LORA_UPDATES = "Start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True."


@dataclass(kw_only=True, eq=False)
class VllmServer(EngineRollout):
    """Generate answers with a vLLM server at `url`, with the model that it serves under the name `model`.

    An adapter is loaded under a new name each time, as the prefix cache is kept per name, and the one before is
    unloaded; all weights are reloaded in place. The server reads both from `weights`, a folder that it shares with this
    machine (null: a temporary one, for a server on this machine). `secret` is the name of the environment variable
    with the API key; `at_once` prompts are requested concurrently, each with a limit of `timeout` seconds.
    """

    url: str
    model: str
    secret: str | None = None
    at_once: int = 32
    timeout: float = 600.0

    _served: str = field(default="", init=False)
    """The name that answers are requested under: that of the model, or of the last adapter."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.url, self._served = self.url.rstrip("/").removesuffix("/v1"), self.model

    def load_adapter(self, folder: Path) -> None:
        name, before = f"luthier-{self.version}", self._served
        self._post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)}, _LORA_UPDATES)
        self._served = name
        if before != self.model:
            self._post("/v1/unload_lora_adapter", {"lora_name": before}, _LORA_UPDATES)

    def load_weights(self, folder: Path) -> None:
        call = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
        self._post("/collective_rpc", call, _DEVELOPMENT)
        self._post("/reset_prefix_cache", {}, _DEVELOPMENT)

    def generate(
        self, requests: Sequence[PromptRequest], sampling: Sampling, stops: Sequence[int]
    ) -> list[list[GeneratedTokens]]:
        with ThreadPoolExecutor(self.at_once) as pool:
            return list(pool.map(lambda request: self._completions(request, sampling, stops), requests))

    def _completions(self, request: PromptRequest, sampling: Sampling, stops: Sequence[int]) -> list[GeneratedTokens]:
        """The server's default sampling settings, such as a repetition penalty, are overridden."""
        response = self._post("/v1/completions", {
            "model": self._served, "prompt": request.ids, "n": sampling.num_samples, "seed": request.seed,
            "max_tokens": request.max_new_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p,
            "top_k": sampling.top_k, "min_p": 0.0, "repetition_penalty": 1.0, "stop": list(sampling.stop),
            "stop_token_ids": list(stops), "logprobs": 0, "return_token_ids": True,
        }).json()  # fmt: skip
        choices = sorted(response["choices"], key=lambda choice: int(choice["index"]))
        if any(choice.get("token_ids") is None for choice in choices):
            raise ResourceError(
                f"The server at {self.url} returns no token ids.", hint="It must be vLLM 0.10.2 or later."
            )
        return [GeneratedTokens(choice["token_ids"], choice["logprobs"]["token_logprobs"]) for choice in choices]

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        key = api_key(self.secret, where="method.rollout.secret")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=self.at_once)
        return httpx.Client(timeout=self.timeout, headers=headers, limits=limits)

    def _post(self, path: str, body: Any, where_missing: str = "") -> httpx.Response:
        """The response of the server; a resumable ResourceError where there is none, or an error status."""
        import httpx

        try:
            response = self._client.post(self.url + path, json=body)
        except httpx.TransportError as error:
            raise ResourceError(
                f"vLLM does not answer: {type(error).__name__} at {self.url + path}.",
                where="method.rollout.url",
                hint=f"Start it with `vllm serve {self.model} --logprobs-mode processed_logprobs`.",
                resumable=True,
            ) from error
        if response.is_error:
            missing = response.status_code in (404, 405)
            raise ResourceError(
                f"vLLM answered {response.status_code} at {path}: {response.text[:300]}",
                where="method.rollout.url",
                hint=where_missing if missing else "",
                resumable=True,
            )
        return response
