"""An OpenAI-compatible server in this process that returns a given response to every chat completion.

A response that is a function is given the request, and returns the response.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class ChatServer(HTTPServer):
    """Its base `url`, the `requests` that it received, each with its `key` and `path`, and its `response`."""

    def __init__(self, response: Any, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.response, self.status, self.requests = response, status, list[dict[str, Any]]()
        self.url = f"http://127.0.0.1:{self.server_port}/v1/"


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"key": self.headers["Authorization"], "path": self.path, **request})
        response = self.server.response
        body = json.dumps(response(request) if callable(response) else response).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is printed."""


def answer(text: str | None) -> dict[str, Any]:
    """A response with one choice."""
    return {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}


@contextmanager
def chat_server(response: Any, status: int = 200) -> Iterator[ChatServer]:
    server = ChatServer(response, status)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
