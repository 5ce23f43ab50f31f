"""What of a network no text passes through: towers for images and sound, projectors, attention to their output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from torch import nn
from transformers import PreTrainedModel

from luthier.errors import RecipeError
from luthier.models.wrappers import unwrapped

_SEEING = ("vision", "visual", "image", "video", "audio", "speech", "crossattention", "perceiver")
"""What a module inside the text tower, or its class, is named after, if it computes with images or sound alone."""


def other_modalities(network: nn.Module) -> list[str]:
    """The names of the largest modules, and of weights outside of these, that no text passes through.

    Empty for a network that reads text alone. Names are those within the network that PEFT may have wrapped.
    """
    plain: Any = unwrapped(network)
    if not _reads_more_than_text(plain):
        return []
    text = [plain.get_decoder(), plain.get_input_embeddings(), plain.get_output_embeddings()]
    if type(plain).__name__.endswith("ForSequenceClassification"):
        text += [child for name, child in plain.named_children() if name != plain.base_model_prefix]
    return list(_outside(plain, "", {module for module in text if module is not None}))


def text_weights(network: nn.Module, named: Iterable[str] = ()) -> dict[str, nn.Parameter]:
    """The weights that text passes through, by name: all of them where the network reads text alone.

    Those of a tower or projector are among them if one of `named` (names or patterns of names) contains its name, such
    as `vision_tower` or `model.visual.*`: a pattern that happens to fit there does not reach them.
    """
    left_out = [part for part in other_modalities(network) if not is_named(part, named)]
    return {name: weight for name, weight in unwrapped(network).named_parameters() if not within(name, left_out)}


def other_weights(network: nn.Module) -> list[nn.Parameter]:
    """The weights that no text passes through."""
    parts = other_modalities(network)
    return [weight for name, weight in unwrapped(network).named_parameters() if within(name, parts)]


def is_named(part: str, named: Iterable[str]) -> bool:
    """Whether any of the names or patterns contains the last word of a part's name, as `visual` of `model.visual`."""
    word = next(word for word in reversed(part.split(".")) if not word.isdigit())
    return any(word in one for one in named)


def within(name: str, parts: Iterable[str]) -> bool:
    """Whether a module or weight of this name is one of the parts or lies in one."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def freeze_other_modalities(network: nn.Module) -> nn.Module:
    """The network with no gradients for what no text passes through."""
    for weight in other_weights(network):
        weight.requires_grad_(False)
    return network


def check_gradients(network: nn.Module) -> str:
    """A warning for trainable weights that no text passes through; empty where there are none.

    RecipeError if all trainable weights are such: they get no gradient from text, so nothing would be learned.
    """
    parts = other_modalities(network)
    named = dict(unwrapped(network).named_parameters())
    idle = {weight: name for name, weight in named.items() if weight.requires_grad and within(name, parts)}
    if not idle:
        return ""
    where = " and ".join(part for part in parts if any(within(name, [part]) for name in idle.values()))
    if not any(weight.requires_grad and weight not in idle for weight in network.parameters()):
        raise RecipeError(
            f"Only weights of {where} would be trained, and no text passes through them: they get no gradient.",
            where="adaptation",
            hint="Train weights of the text tower; luthier reads no images and no sound.",
        )
    count = sum(weight.numel() for weight in idle)
    return (
        f"{count:,} trainable weights of {where} get no gradient, as no text passes through them: they stay as they "
        "began."
    )


def _reads_more_than_text(network: Any) -> bool:
    config = getattr(network, "config", None)
    modalities = getattr(network, "input_modalities", "text")
    several = not isinstance(modalities, str) and len(set(modalities)) > 1
    return several or (
        config is not None and any(names_another_modality(name) for name in getattr(config, "sub_configs", ()))
    )


def _outside(module: nn.Module, name: str, text: set[nn.Module]) -> Iterator[str]:
    """The largest modules and the single weights of `module`, called `name`, that are not in `text`."""
    if module in text:
        yield from _seeing(module, name)
        return
    if name and not any(inner in text for inner in module.modules()):
        if any(True for _ in module.parameters()):
            yield name
        return
    for own, _ in module.named_parameters(recurse=False):
        yield _join(name, own)
    for own, child in module.named_children():
        yield from _outside(child, _join(name, own), text)


def _seeing(module: nn.Module, name: str) -> Iterator[str]:
    """The largest modules inside the text tower that compute with images or sound alone."""
    for own, child in module.named_children():
        if (names_another_modality(own) or _computes_with_others(child)) and any(True for _ in child.parameters()):
            yield _join(name, own)
        else:
            yield from _seeing(child, _join(name, own))


def _computes_with_others(module: nn.Module) -> bool:
    modalities: Any = cast(Any, module).input_modalities if isinstance(module, PreTrainedModel) else "text"
    return "text" not in modalities or names_another_modality(type(module).__name__)


def names_another_modality(name: str) -> bool:
    """Whether a part is named after images, video or sound."""
    return any(word in name.lower() for word in _SEEING)


def _join(name: str, own: str) -> str:
    return f"{name}.{own}" if name else own
