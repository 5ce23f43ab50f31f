"""The hub, spoken to over HTTP: a small one of our own that answers as the real one does."""

from __future__ import annotations

import hashlib
import json
import pickle
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.contracts.trust import Trust
from luthier.errors import RecipeError, Refused, ResourceError
from luthier.fetch import cache
from luthier.fetch.once import NotYetError
from luthier.models.hub import Hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class TinyHub:
    """One repository, its answers, and what was asked of it."""

    folder: Path
    address: str = ""
    gated: bool = False
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        if self.gated and not self.tokens:
            return 403, {"X-Error-Code": "GatedRepo"}, b"{}"
        if path.startswith("/api/models/org/tiny"):
            revision = path.rpartition("/revision/")[2] if "/revision/" in path else "main"
            if revision not in {"main", COMMIT}:
                return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
            if "/tree/" in path:
                tree = [{"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40}
                        for file in sorted(self.folder.iterdir())]  # fmt: skip
                return 200, {"Content-Type": "application/json"}, json.dumps(tree).encode()
            files = [{"rfilename": file.name} for file in sorted(self.folder.iterdir())]
            info = {"id": "org/tiny", "modelId": "org/tiny", "sha": COMMIT, "siblings": files, "tags": []}
            return 200, {"Content-Type": "application/json"}, json.dumps(info).encode()
        file = self.folder / path.rpartition("/")[2]
        if path.startswith("/org/tiny/resolve/") and file.is_file():
            data = file.read_bytes()
            return 200, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}, data
        return 404, {"X-Error-Code": "EntryNotFound" if "resolve" in path else "RepoNotFound"}, b"{}"


@pytest.fixture
def hub(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyHub]:
    tiny = TinyHub(saved)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization"):
                tiny.tokens.add(self.headers["Authorization"])
            status, headers, body = tiny.answer(self.path.partition("?")[0])
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tiny.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", tiny.address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield tiny
    server.shutdown()


def test_a_model_of_the_hub_loads_and_its_commit_is_in_the_lineage(hub: TinyHub) -> None:
    model = Hub(id="org/tiny")
    assert model.network()(input_ids=torch.tensor([[1, 2]])).logits.isfinite().all()
    assert model.tokenizer.model_max_length == 256
    assert model.lineage()["revision"] == COMMIT
    assert len(model.lineage()["sha256"]) == 64


def test_looking_at_the_plans_fetches_no_weights(hub: TinyHub) -> None:
    model = Hub(id="org/tiny")
    assert model.config.hidden_size == 32
    assert model.tokenizer.eos_token == "<|im_end|>"
    assert not [path for path in hub.asked if path.endswith("safetensors")]


def test_what_was_fetched_once_loads_without_the_hub(hub: TinyHub, monkeypatch: pytest.MonkeyPatch) -> None:
    Hub(id="org/tiny").network()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert Hub(id="org/tiny").network() is not None


def test_a_hub_that_cannot_be_reached_is_a_resource_error(hub: TinyHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ResourceError, match=r"org/tiny.*model=smollm2"):
        _ = Hub(id="org/tiny").config


@pytest.mark.parametrize("name", ["org/nobody", "not a name", "a/b/c"])
def test_a_model_that_the_hub_does_not_have_is_named(hub: TinyHub, name: str) -> None:
    with pytest.raises((RecipeError, ResourceError), match=name):
        _ = Hub(id=name).config


def test_a_revision_that_does_not_exist_is_named(hub: TinyHub) -> None:
    with pytest.raises(RecipeError, match="v9"):
        _ = Hub(id="org/tiny", revision="v9").config


def test_a_gated_model_says_how_to_be_let_in_and_the_token_comes_from_the_environment(
    hub: TinyHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated = True
    with pytest.raises(ResourceError, match="HF_TOKEN"):
        _ = Hub(id="org/tiny").config
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    model = Hub(id="org/tiny")
    assert model.config.hidden_size == 32
    assert hub.tokens == {"Bearer hf_secret"}
    assert "hf_secret" not in json.dumps(model.lineage())


def test_pickled_weights_are_refused_before_they_are_fetched(hub: TinyHub, saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    (saved / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(Refused, match=r"pytorch_model\.bin"):
        Hub(id="org/tiny").network()
    assert not [path for path in hub.asked if path.endswith(".bin")]


def test_code_of_the_hub_is_refused_and_vouching_for_it_needs_a_commit(hub: TinyHub, saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text()) | {"auto_map": {"AutoConfig": "evil.Config"}}
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(Refused, match="code of its own"):
        _ = Hub(id="org/tiny").config
    vouched: Any = Hub(Trust(frozenset({"org/tiny@main"})), id="org/tiny", revision="main")
    with pytest.raises(Refused, match="not pinned"):
        _ = vouched.config
    assert not [path for path in hub.asked if path.endswith(".py")]


def test_a_plan_asks_the_hub_for_nothing(hub: TinyHub) -> None:
    with cache.read_only_cache(), pytest.raises(NotYetError, match="org/tiny"):
        _ = Hub(id="org/tiny").config
    assert hub.asked == []
    Hub(id="org/tiny").network()
    asked = len(hub.asked)
    with cache.read_only_cache():
        assert Hub(id="org/tiny").config.hidden_size == 32
    assert len(hub.asked) == asked
