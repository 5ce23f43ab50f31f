"""A vLLM of a tiny network: its HTTP interface, and the part of its Python one that luthier calls.

It writes with luthier's own generation, from the weights and adapters in the folders that it is told of, and from
nothing else: what was not brought to it, it does not have.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from luthier.contracts.sampling import Answer, Sampling
from luthier.inference.generation import generate_from_tokens


class Engine:
    """A base from a folder, and adapters from others."""

    def __init__(self, folder: str) -> None:
        self.folder, self.tokenizer = folder, AutoTokenizer.from_pretrained(folder)
        self.adapters: dict[str, str] = {}
        self.cached, self.one_at_a_time = 0, threading.Lock()  # transformers does not load in several threads

    def reload_weights(self, weights_path: str) -> None:
        assert any(Path(weights_path).glob("*.safetensors"))
        self.folder = weights_path
        self._read(None)

    def _read(self, adapter: str | None) -> Any:
        network = AutoModelForCausalLM.from_pretrained(self.folder)
        return PeftModel.from_pretrained(network, adapter) if adapter else network

    def answers(self, adapter: str | None, asked: Any) -> list[Answer]:
        sampling = Sampling(
            asked["max_tokens"], asked["temperature"], asked["top_p"], asked["top_k"], tuple(asked["stop"]),
            asked["seed"], asked["n"],
        )  # fmt: skip
        with self.one_at_a_time:
            return generate_from_tokens(
                self._read(adapter), self.tokenizer, [np.array(asked["prompt"], np.int32)], sampling
            )


def serving(folder: str) -> Any:
    """A server with that model under the name `tiny`; `told` is what it was asked, in order."""
    engine = Engine(folder)

    def load(asked: Any) -> Any:
        assert asked["lora_name"] not in engine.adapters  # a name stands for one adapter: prompts are cached by it
        engine._read(asked["lora_path"])
        engine.adapters[asked["lora_name"]] = asked["lora_path"]
        return "Success: LoRA adapter added successfully"

    def write(asked: Any) -> Any:
        adapter = None if asked["model"] == "tiny" else engine.adapters[asked["model"]]
        written = engine.answers(adapter, asked)
        choices = [
            {"index": number, "text": one.text, "token_ids": one.ids, "finish_reason": one.finish,
             "logprobs": {"token_logprobs": one.sampling_logprobs}}
            for number, one in enumerate(written)
        ]  # fmt: skip
        return {"choices": choices[::-1]}

    def reset(asked: Any) -> Any:
        engine.cached += 1
        return {}

    paths = {
        "/v1/load_lora_adapter": load,
        "/v1/unload_lora_adapter": lambda asked: engine.adapters.pop(asked["lora_name"]),
        "/v1/completions": write,
        "/collective_rpc": lambda asked: getattr(engine, asked["method"])(**asked["kwargs"]),
        "/reset_prefix_cache": reset,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.told.append((self.path, asked, self.headers.get("Authorization")))
            known = self.path in paths and self.path not in made.missing
            said = paths[self.path](asked) if known else {"detail": "Not Found"}
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_: Any) -> None:
            pass

    made: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.engine, made.told, made.missing = engine, [], set()
    made.url = f"http://127.0.0.1:{made.server_port}"
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return made


class LLM:
    """As vLLM's: `generate`, `collective_rpc` and `reset_prefix_cache`."""

    def __init__(self, *, model: str, **settings: Any) -> None:
        self.engine, self.settings = Engine(model), settings

    def collective_rpc(self, method: str, *, kwargs: Any) -> None:
        getattr(self.engine, method)(**kwargs)

    def reset_prefix_cache(self) -> None:
        self.engine.cached += 1

    def generate(self, prompts: Any, settings: Any, *, lora_request: Any, use_tqdm: bool) -> list[Any]:
        adapter = lora_request.lora_path if lora_request else None
        return [
            SimpleNamespace(outputs=[
                SimpleNamespace(
                    token_ids=one.ids,
                    logprobs=[{token: SimpleNamespace(logprob=each)}
                              for token, each in zip(one.ids, one.sampling_logprobs, strict=True)],
                )
                for one in self.engine.answers(adapter, {**vars(how), "prompt": prompt["prompt_token_ids"]})
            ])
            for prompt, how in zip(prompts, settings, strict=True)
        ]  # fmt: skip


def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`import vllm` finds this one."""

    def lora_request(name: str, number: int, path: str) -> Any:
        return SimpleNamespace(lora_name=name, lora_int_id=number, lora_path=path)

    parts = {"LLM": LLM, "SamplingParams": lambda **settings: SimpleNamespace(**settings)}
    for name, content in (("vllm", parts), ("vllm.lora", {}), ("vllm.lora.request", {"LoRARequest": lora_request})):
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
