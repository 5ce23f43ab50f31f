"""A classifier or tagger as an ONNX file with dynamic shapes, in float32 or with weights in 8 bits."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from luthier.errors import RecipeError
from luthier.fetch.extras import Needs, imported, refuse_absent
from luthier.models.attention.proof import FAILURES, first_line

EXTRA, WHO = "luthier[onnx]", "An export to ONNX"
NEEDS: Needs = dict.fromkeys(("onnx", "onnxscript", "onnxruntime"), EXTRA)
INPUTS = ("input_ids", "attention_mask")
"""int64 [batch, tokens] each."""
OUTPUT = "logits"
ONE_FILE = 1 << 30
"""The most bytes of weights that are written into the same file; ONNX allows 2 GiB."""


class _Outputs(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        logits: Tensor = self.network(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def write_onnx(network: nn.Module, file: Path) -> None:
    """Write the logits of a network in float32 with eager attention; RecipeError where torch cannot trace it."""
    refuse_absent(NEEDS, WHO)
    ids = torch.arange(3, 15).view(2, 6)
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    shapes = {name: {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC} for name in INPUTS}
    size = sum(weight.nbytes for weight in network.parameters())
    try:
        with _unheard(), torch.no_grad():
            program: Any = torch.onnx.export(
                _Outputs(network).eval(), (ids, mask), dynamo=True, input_names=list(INPUTS), output_names=[OUTPUT],
                dynamic_shapes=shapes, verbose=False,
            )  # fmt: skip
            program.save(str(file), external_data=size > ONE_FILE)
    except (*FAILURES, torch.onnx.OnnxExporterError) as error:
        raise RecipeError(
            f"torch cannot write {type(network).__name__} as ONNX: {first_line(error)}.",
            hint="Export it for plain transformers: luthier export RUN FOLDER.",
        ) from error


def write_int8(file: Path, target: Path) -> None:
    """The same model with its matrices in 8 bits, a scale for each channel; activations are quantized as it runs."""
    quantization: Any = imported("onnxruntime.quantization", EXTRA, WHO)
    with _unheard():
        quantization.quantize_dynamic(
            str(file), str(target), weight_type=quantization.QuantType.QInt8, per_channel=True
        )


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Without what exporters print and warn of: what they write is compared."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
