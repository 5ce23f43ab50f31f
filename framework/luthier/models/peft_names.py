"""The names under which plain PEFT puts the weights of an adapter in their places.

PEFT reads the names in the file of a LoRA as those of an architecture's checkpoints, which transformers renames while
it loads. Some of its tables rename what has the names of the network already, `language_model.layers` for one: such
weights are written under the names of checkpoints.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from luthier.models.wrappers import unwrapped

log = logging.getLogger(__name__)

_PREFIX = "base_model.model."


def write_readable_names(network: nn.Module, file: Path, adapter: str) -> None:
    """Rename the weights in an adapter's file where plain PEFT would not put them in their places.

    Where it does under no name, the names of the network stay, and a warning is logged.
    """
    if not file.is_file():
        return
    saved = load_file(file)
    config: Any = network.peft_config[adapter]  # type: ignore[index]
    lost = saved.keys() - as_read(network, saved, config, adapter).keys()
    if not lost:
        return
    renamed = dict(zip(lost, _in_checkpoints(network, lost), strict=True))
    named = {renamed.get(name, name): weight for name, weight in saved.items()}
    if still := sorted(saved.keys() - as_read(network, named, config, adapter).keys()):
        log.warning("Plain PEFT finds no place for %d weights of the adapter, %s for one.", len(still), still[0])
        return
    save_file(named, file, metadata={"format": "pt"})


def as_read(network: nn.Module, saved: Mapping[str, Tensor], config: Any, adapter: str) -> dict[str, Tensor]:
    """The tensors of an adapter's file, under the names that PEFT gives them as it loads them."""
    try:
        from peft.utils.transformers_weight_conversion import convert_peft_adapter_state_dict_for_transformers
    except ImportError:  # another version of PEFT, which takes names as they are
        return dict(saved)
    read: dict[str, Tensor] = convert_peft_adapter_state_dict_for_transformers(
        unwrapped(network), config, dict(saved), adapter
    )
    return read


def _in_checkpoints(network: nn.Module, names: Iterable[str]) -> list[str]:
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightRenaming, apply_renamings

    table = get_model_conversion_mapping(cast(Any, unwrapped(network)), add_legacy=False)
    back: Any = [entry.reverse_transform() for entry in reversed(table) if isinstance(entry, WeightRenaming)]
    return [_PREFIX + apply_renamings(name.removeprefix(_PREFIX), back) for name in names]
