"""What the first rank has chosen for a prompt, on all ranks."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from luthier.training.devices import Devices

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.prompt import Prompt


def take_over(prompt: Prompt, tokenizer: PreTrainedTokenizerBase, devices: Devices, *, chose: bool) -> None:
    """Load on the other ranks what the prompt has saved where it `chose`; all ranks that are connected call it."""
    if not devices.are_connected:
        return
    with TemporaryDirectory() as name:
        folder = Path(name)
        if chose:
            prompt.save(folder)
        files = devices.agree({file.name: file.read_bytes() for file in folder.iterdir()})
        if not chose:
            for file, content in files.items():
                (folder / file).write_bytes(content)
            prompt.load(folder, tokenizer)
