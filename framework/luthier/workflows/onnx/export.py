"""`luthier export RUN FOLDER --to onnx`: a classifier or tagger as a file that onnxruntime runs on the CPU."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from luthier.contracts.examples import Example
from luthier.contracts.heads import Head
from luthier.disk.refusals import the_disk_may_refuse
from luthier.disk.writing import flush_all, temporary_name, write_json
from luthier.errors import DataError, RecipeError
from luthier.models.auto_class import is_encoder
from luthier.models.evaluation_mode import evaluation_mode
from luthier.models.sequence_classification import has_small_head
from luthier.models.text_attention import set_text_attention
from luthier.models.wrappers import unwrapped
from luthier.workflows.onnx.gate import compared, texts_of
from luthier.workflows.onnx.running import milliseconds, of_file, of_network
from luthier.workflows.onnx.writing import write_int8, write_onnx

FILE, FACTS = "model.onnx", "onnx.json"
BOUNDS = {False: 1e-3, True: 0.05}
"""The largest difference of a score that is allowed, in float32 and with weights in 8 bits."""


class Exportable(Protocol):
    """What an artifact gives to its export."""

    network: nn.Module
    tokenizer: Any
    manifest: Any

    def merged(self) -> nn.Module:
        """The plain network."""


@dataclass(frozen=True, slots=True)
class OnnxFacts:
    """What an export to ONNX was found to be."""

    int8: bool
    texts: int
    """How many texts were compared; all have the same labels."""
    source: str
    """What they are."""
    largest: float
    """The largest difference of a score."""
    bound: float
    """The largest that was allowed."""
    milliseconds: tuple[float, float]
    """The median time for one text on this machine: torch, onnxruntime."""
    bytes: tuple[int, int]
    """Of the weights in memory, and of the file."""
    problem: str
    labels: tuple[str, ...]

    def __str__(self) -> str:
        (before, after), (size, written) = self.milliseconds, self.bytes
        return (
            f"labels of {self.texts} texts ({self.source}) are equal, and scores differ by {self.largest:.2g} at most "
            f"(bound {self.bound:g}); {before:.1f} ms a text before, {after:.1f} ms after; {size / 1e6:.1f} MB before, "
            f"{written / 1e6:.1f} MB after"
        )


def export_onnx(
    artifact: Exportable,
    target: Path,
    examples: Sequence[Example],
    *,
    source: str,
    int8: bool = False,
    bound: float | None = None,
) -> OnnxFacts:
    """Write the merged network and the tokenizer to a new folder, once its file answers as the network does.

    RecipeError for a model that is no classifier or tagger on an encoder, for a folder that is there, and where a label
    of `examples` is another or a score differs by more than `bound`: then nothing is written.
    """
    head = _head(artifact.network)
    if target.exists():
        raise RecipeError(f"{target} is there already.", hint="Name a new folder.")
    if not examples:
        raise DataError("There is no text to compare on.", hint="Give some with --rows texts.jsonl.")
    allowed = BOUNDS[int8] if bound is None else bound
    network = artifact.merged().float().cpu()
    texts = texts_of(examples, head, artifact.tokenizer)
    size = sum(weight.nbytes for weight in network.parameters())
    temporary = temporary_name(target.absolute())
    try:
        with evaluation_mode(network), the_disk_may_refuse("The export", target, need=2 * size):
            temporary.mkdir(parents=True)
            before = milliseconds(of_network(network), [text.ids for text in texts])
            set_text_attention(network, "eager")
            write_onnx(network, temporary / FILE)
            if int8:
                (temporary / FILE).rename(temporary / f"float32-{FILE}")
                write_int8(temporary / f"float32-{FILE}", temporary / FILE)
                for rest in temporary.glob("float32-*"):
                    rest.unlink()
            run = of_file(temporary / FILE)
            found = compared(of_network(network), run, texts, head, bound=allowed)
            written = sum(file.stat().st_size for file in temporary.iterdir())
            after = milliseconds(run, [text.ids for text in texts])
            facts = OnnxFacts(
                int8, found.texts, source, found.largest, allowed, (before, after), (size, written),
                head.problem, head.labels,
            )  # fmt: skip
            _write_beside(artifact, network, facts, temporary)
            flush_all(temporary)
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return facts


def _write_beside(artifact: Exportable, network: Any, facts: OnnxFacts, folder: Path) -> None:
    artifact.tokenizer.save_pretrained(folder)
    network.config.save_pretrained(folder)
    calibration = {"calibration": artifact.manifest["calibration"]} if "calibration" in artifact.manifest else {}
    write_json(folder / FACTS, {**asdict(facts), **calibration}, indent=2)


def _head(network: Any) -> Head:
    """That of a classifier or tagger on an encoder; RecipeError for any other network."""
    inner: Any = unwrapped(network)
    head = Head.of(inner.config) if has_small_head(network) else None
    if head is not None and is_encoder(inner.config):
        return head
    what = "a causal language model" if not is_encoder(inner.config) else "an encoder without labels"
    raise RecipeError(
        f"{type(inner).__name__} is {what}, and classifiers and taggers on encoders are written as ONNX.",
        where="export",
        hint="Export it for plain transformers (luthier export RUN FOLDER), whose folder servers and llama.cpp read.",
    )
