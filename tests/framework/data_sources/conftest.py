"""Files of rows, as users bring them."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def write(tmp_path):
    """Write rows as JSON Lines, or text or bytes as they are, and give the path."""

    def write(content, name="rows.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def pairs():
    """Rows of prompt and completion, no two the same."""
    return lambda count: [{"prompt": f"Question {i}?", "completion": f"Answer {i}."} for i in range(count)]
