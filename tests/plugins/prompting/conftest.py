"""A tokenizer that marks turns, and reviews to choose examples from."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from luthier.contracts.examples import Example
from luthier.models.bpe import byte_level_bpe


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def tokenizer():
    return byte_level_bpe(400)


def review(text: str, label: str, **more: object) -> Example:
    asked = {"role": "user", "content": f"Happy or not?\n\n{text}"}
    answer = {"role": "assistant", "content": label}
    return {"messages": [asked, answer], "text": text, "label": label, "split": "train", **more}


@pytest.fixture
def reviews() -> list[Example]:
    return [
        review("The bow broke at once", "unhappy", stars=1),
        review("A warm violin", "happy", stars=5),
        review("The violin sounds thin", "unhappy", stars=2),
        review("My cello sings", "happy", stars=5),
        review("The best strings for a cello", "happy", stars=4),
        review("A case without a handle", "unhappy", stars=1),
    ]


class Scribe(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that always writes the same."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.heard.append({"key": self.headers["Authorization"], **asked})
        told = json.dumps({"choices": [{"message": {"content": " Judge the review. "}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *words):
        pass


@pytest.fixture
def scribe() -> Iterator[HTTPServer]:
    """Its `address`, and what it `heard`."""
    server = HTTPServer(("127.0.0.1", 0), Scribe)
    server.heard, server.address = [], f"http://127.0.0.1:{server.server_port}/v1/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
