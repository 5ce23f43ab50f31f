"""A model in ONNX as onnxruntime runs it on the CPU, and how long it and a network take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luthier.fetch.extras import imported
from luthier.workflows.onnx.writing import EXTRA, INPUTS, OUTPUT, WHO

Ids = Sequence[int]
Logits = NDArray[np.float32]
Run = Callable[[Sequence[Ids]], list[Logits]]
"""Logits [outputs] or [tokens, outputs] of each of several texts, which share a padded batch."""
TIMED, WARM = 32, 3


def of_file(file: Path) -> Run:
    """What onnxruntime computes on the CPU, with as many threads as torch has."""
    runtime: Any = imported("onnxruntime", EXTRA, WHO)
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = torch.get_num_threads(), 3
    session = runtime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])

    def run(texts: Sequence[Ids]) -> list[Logits]:
        ids, mask = _padded(texts)
        (logits,) = session.run([OUTPUT], dict(zip(INPUTS, (ids, mask), strict=True)))
        return _apart(logits, texts)

    return run


def of_network(network: nn.Module) -> Run:
    """What transformers' own forward computes."""

    @torch.no_grad()
    def run(texts: Sequence[Ids]) -> list[Logits]:
        ids, mask = map(torch.from_numpy, _padded(texts))
        return _apart(network(input_ids=ids, attention_mask=mask).logits.float().numpy(), texts)

    return run


def milliseconds(run: Run, texts: Sequence[Ids]) -> float:
    """The median time for one text, in milliseconds, over at most 32 of them."""
    for ids in texts[:WARM]:
        run([ids])
    taken = []
    for ids in texts[:TIMED]:
        began = perf_counter()
        run([ids])
        taken.append(perf_counter() - began)
    return 1000 * median(taken)


def _padded(texts: Sequence[Ids]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    longest = max(map(len, texts))
    ids, mask = np.zeros((len(texts), longest), np.int64), np.zeros((len(texts), longest), np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = text, 1
    return ids, mask


def _apart(logits: NDArray[np.float32], texts: Sequence[Ids]) -> list[Logits]:
    return [own[: len(text)] if own.ndim == 2 else own for own, text in zip(logits, texts, strict=True)]
