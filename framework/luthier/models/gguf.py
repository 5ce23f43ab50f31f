"""Convert a GGUF file once into a folder of safetensors, configuration and tokenizer."""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from luthier.errors import ResourceError
from luthier.fetch import cache
from luthier.fetch.once import build_once
from luthier.fetch.remembered import remembered_digest
from luthier.models.loading import without_progress_bars
from luthier.models.read_back import prove_folder
from luthier.models.tokenizers import configure_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

VERSION = 1
"""Part of the cache key: raise it when the conversion of the same file changes."""

log = logging.getLogger("luthier")


def converted(file: Path) -> Path:
    """The folder that a GGUF file was converted to; made at the first call, which takes some 20 seconds for 100 MB.

    Weights are de-quantised to float32, which loses nothing more. Its name comes from the sha256 of the file, and
    it appears whole or not at all.
    """
    folder = cache.cache_folder("models") / f"{file.stem}-{remembered_digest(file)[:16]}-v{VERSION}"
    return build_once(folder, lambda target: convert(file, target))


def convert(file: Path, target: Path) -> None:
    """Write safetensors, configuration and tokenizer; ResourceError if the file is damaged or not understood."""
    with without_progress_bars():
        _convert(file, target)


def _convert(file: Path, target: Path) -> None:
    log.info("Converting %s to safetensors; this happens once.", file.name)
    try:
        network = AutoModelForCausalLM.from_pretrained(
            file.parent, gguf_file=file.name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
        )
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    except (ValueError, KeyError, IndexError, OSError, RuntimeError, struct.error) as error:
        raise ResourceError(f"{file.name} cannot be converted: {error}", where=str(file)) from error
    restore_pre_tokenizer(tokenizer, _kind_of_pre_tokenizer(file), file.name)
    configure_tokenizer(tokenizer, network.config)
    network.save_pretrained(target)
    tokenizer.save_pretrained(target)
    log.info("%s: %s.", file.name, prove_folder(network, target))


def restore_pre_tokenizer(tokenizer: PreTrainedTokenizerBase, kind: str, name: str) -> None:
    """Put back how a `smollm` tokenizer splits text before merging, which transformers drops: digits one by one."""
    if kind == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        pieces = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        _backend(tokenizer).pre_tokenizer = pre_tokenizers.Sequence([digits, pieces])
    else:
        log.warning("%s splits text by the rules %r: check its token ids against the original.", name, kind)


def _backend(tokenizer: PreTrainedTokenizerBase) -> Any:
    return tokenizer.backend_tokenizer


def _kind_of_pre_tokenizer(file: Path) -> str:
    from gguf import GGUFReader

    field = GGUFReader(file).fields.get("tokenizer.ggml.pre")
    return str(field.contents()) if field is not None else "unknown"
