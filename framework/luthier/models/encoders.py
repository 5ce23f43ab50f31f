"""Loading of encoders: networks that read a whole text and generate none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from luthier.models.loading import load_tokenizer, without_progress_bars
from luthier.models.safety import refuse_code, refuse_pickles

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.models.stored import StoredModel


def load_encoder(model: StoredModel, auto_class: Any) -> tuple[Any, PreTrainedTokenizerBase]:
    """The network and the tokenizer of a stored encoder, in float32 on the CPU and in evaluation mode.

    `auto_class` is the class of transformers that builds the network, such as `AutoModel`. `Refused` for a model that
    brings code of its own, and for weights in pickles.
    """
    folder = model.folder()
    refuse_code(folder, owner=model.name)
    refuse_pickles((file.name for file in folder.iterdir()), owner=model.name)
    with without_progress_bars():
        network = auto_class.from_pretrained(folder, use_safetensors=True, dtype=torch.float32)
    return network.eval(), load_tokenizer(folder, owner=model.name)
