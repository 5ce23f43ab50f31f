"""Reads a .wandb file without a server: a header, then LevelDB's log framing around protocol buffers."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK, FRAME = 32768, struct.Struct("<IHB")


def records(file: Path) -> list[Any]:
    data = file.read_bytes()
    assert data[:4] == b":W&B"
    found, at, part = [], 7, b""
    while at + FRAME.size <= len(data):
        left = BLOCK - at % BLOCK
        if left < FRAME.size:
            at += left
            continue
        _, length, kind = FRAME.unpack_from(data, at)
        part += data[at + FRAME.size : at + FRAME.size + length]
        at += FRAME.size + length
        if kind in (1, 4):  # whole, or the last piece
            record = wandb_internal_pb2.Record()
            record.ParseFromString(part)
            found.append(record)
            part = b""
    return found


def _complete(file: Path) -> list[Any]:
    """All records, once the last one is there: W&B's own process writes on for a moment after a run has ended."""
    until = time.monotonic() + 30
    while True:
        found = records(file)
        if any(record.HasField("exit") for record in found):
            return found
        assert time.monotonic() < until, "the run was never closed"
        time.sleep(0.1)


def read(folder: Path) -> dict[str, Any]:
    """All that a run in `folder` logged to W&B: config, history, files, artifacts."""
    (file,) = folder.glob("wandb/*run-*/run-*.wandb")
    logged: dict[str, Any] = {"config": {}, "history": [], "files": [], "artifacts": []}
    for record in _complete(file):
        for item in [*record.run.config.update, *record.config.update]:
            logged["config"][item.key or ".".join(item.nested_key)] = json.loads(item.value_json)
        if record.HasField("history"):
            row = {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            logged["history"].append(row)
        logged["files"] += [item.path for item in record.files.files]
        if record.HasField("artifact"):
            logged["artifacts"].append((record.artifact.type, record.artifact.name))
        if record.request.HasField("log_artifact"):
            artifact = record.request.log_artifact.artifact
            logged["artifacts"].append((artifact.type, artifact.name))
    logged["bytes"] = file.read_bytes()
    return logged
