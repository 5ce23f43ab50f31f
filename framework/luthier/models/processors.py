"""The files beside a tokenizer with which transformers and servers prepare images and sound for a model."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from luthier.contracts.model import HasProcessor, Model
from luthier.models.safety import names_code, read_json

log = logging.getLogger("luthier")

PROCESSOR_FILES = (
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "audio_tokenizer_config.json",
)
"""What transformers' AutoProcessor reads beside the tokenizer and its chat template."""
_TEMPLATE = "chat_template"
_TEMPLATES = ("chat_template.json", "processor_config.json")


def processor_files(model: Model) -> list[Path]:
    """The processor files of a model; none where it reads text alone, or is not stored in files."""
    return model.processor_files() if isinstance(model, HasProcessor) else []


def processor_files_in(folder: Path) -> list[Path]:
    """The processor files of a folder."""
    return [folder / name for name in PROCESSOR_FILES if (folder / name).is_file()]


def copy_processor(files: Iterable[Path], target: Path) -> None:
    """Write processor files beside a saved tokenizer, which holds the chat template from then on.

    A template in a processor file is left out, as transformers would prefer it to the tokenizer's. A file that names
    code is not copied, since no artifact may bring code; a warning says so.
    """
    for file in files:
        stated: dict[str, Any] = read_json(file)
        if names_code(stated):
            log.warning("%s names code of the model's own, so it is not copied: fetch it with that code.", file.name)
            continue
        kept = {name: value for name, value in stated.items() if name != _TEMPLATE}
        text = json.dumps(kept, indent=2, ensure_ascii=False) + "\n"
        (target / file.name).write_text(text, encoding="utf-8")


def processor_template(folder: Path) -> str | None:
    """The chat template of a processor, which older folders keep apart from that of the tokenizer."""
    for name in _TEMPLATES:
        stated = read_json(folder / name) if (folder / name).is_file() else {}
        if isinstance(stated, dict) and isinstance(stated.get(_TEMPLATE), str):
            return str(stated[_TEMPLATE])
    return None
