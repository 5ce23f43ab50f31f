"""Selective fine-tuning: some of the network's own weights are trained, the rest are frozen or trained more slowly."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from torch import nn

from luthier.api import (
    FullFineTuning,
    NamedWeightsAdaptation,
    RecipeError,
    decoder_layers,
    freeze_routers,
    nearest,
    text_weights,
)


class SelectiveFineTuning(NamedWeightsAdaptation):
    """The trained weights are part of the plain network: there is nothing to merge."""

    def merge(self, network: nn.Module) -> nn.Module:
        return network


class Freeze(SelectiveFineTuning):
    """Freeze all weights but those of the first and last layers, and those that patterns of names choose.

    Weights that match `also` are trained as well; those that match `never` are frozen in any case. Both are shell
    patterns, such as *norm* or model.layers.3.*, each of which must match a weight. A pattern of `also` reaches a tower
    for images or sound where it contains its name, as *vision_tower* does. The routers of experts in those layers are
    frozen, unless `routers` or a pattern of `also` names them.
    """

    def __init__(
        self,
        *,
        first: int = 0,
        last: int = 2,
        also: list[str] | None = None,
        never: list[str] | None = None,
        routers: bool = False,
    ) -> None:
        if first < 0 or last < 0:
            raise RecipeError("first and last are counts of layers, at least 0.", where="adaptation")
        self.first, self.last, self.also, self.never = first, last, also or [], never or []
        self.routers = routers

    def __call__(self, network: nn.Module) -> nn.Module:
        network.requires_grad_(False)
        layers = decoder_layers(network)
        for layer in [*layers[: self.first], *layers[len(layers) - self.last :]]:
            layer.requires_grad_(True)
        freeze_routers(network, unless=self.routers)
        for pattern in self.also:
            named = text_weights(network, [pattern])
            for weight in _matching(named, pattern, "adaptation.also", left_out=network):
                weight.requires_grad_(True)
        for pattern in self.never:
            for weight in _matching(dict(network.named_parameters()), pattern, "adaptation.never"):
                weight.requires_grad_(False)
        return network


class BitFit(SelectiveFineTuning):
    """Train the biases alone (BitFit, Ben Zaken et al., 2022), and with `norms` the scales of the normalisation layers.

    Llama-like networks have no biases; RecipeError where nothing would be trained. Routers of experts are frozen,
    unless `routers`.
    """

    def __init__(self, *, norms: bool = False, routers: bool = False) -> None:
        self.norms, self.routers = norms, routers

    def __call__(self, network: nn.Module) -> nn.Module:
        network.requires_grad_(False)
        of_text = set(text_weights(network).values())
        for name, weight in network.named_parameters():
            weight.requires_grad_(weight in of_text and name.endswith(".bias"))
        for module in network.modules():
            if self.norms and "norm" in type(module).__name__.lower():
                for weight in of_text.intersection(module.parameters()):
                    weight.requires_grad_(True)
        freeze_routers(network, unless=self.routers)
        if not any(weight.requires_grad for weight in network.parameters()):
            raise RecipeError(
                "bitfit trains biases, of which the network has none.",
                where="adaptation",
                hint="Set adaptation.norms=true to train the scales of norms, or choose adaptation=lora.",
            )
        return network


class EmbeddingRate(FullFineTuning):
    """Train every weight, those of the embeddings and of the LM head at `factor` times the learning rate.

    The routers of mixtures of experts are frozen, unless `routers`.
    """

    resumable = ("factor",)

    def __init__(self, *, factor: float = 0.1, routers: bool = False) -> None:
        super().__init__(routers=routers)
        self.factor = factor
        self._tables: frozenset[str] = frozenset()

    def __call__(self, network: nn.Module) -> nn.Module:
        ends = (network.get_input_embeddings(), network.get_output_embeddings())  # type: ignore[operator]
        tables = {weight for end in ends if end is not None for weight in end.parameters()}
        self._tables = frozenset(name for name, weight in network.named_parameters() if weight in tables)
        return super().__call__(network)

    def rate(self, name: str) -> float:
        return self.factor if name in self._tables else 1.0


def _matching(
    named: Mapping[str, nn.Parameter], pattern: str, where: str, left_out: nn.Module | None = None
) -> list[nn.Parameter]:
    """The weights whose names match the pattern; RecipeError where none does.

    `left_out` is the network whose weights these are, without those that no text passes through.
    """
    matching = [weight for name, weight in named.items() if fnmatchcase(name, pattern)]
    if matching:
        return matching
    every = dict(left_out.named_parameters()) if left_out is not None else {}
    seen = next((name for name in every if fnmatchcase(name, pattern)), None)
    if seen is not None:
        raise RecipeError(
            f"{pattern!r} matches weights alone that no text passes through, such as {seen}.",
            where=where,
            hint="Name a weight of the text tower, or the tower for images or sound itself.",
        )
    raise RecipeError(
        f"No weight of the network is named {pattern!r}.",
        where=where,
        hint=nearest(pattern.strip("*"), named, "There are"),
    )
