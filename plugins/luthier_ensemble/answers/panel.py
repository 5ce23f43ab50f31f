"""Several models that are asked for whole answers, each in its own words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from luthier.api import (
    Answer,
    RecipeError,
    Sampling,
    content_hash,
    generate,
    score_labels,
    unwrapped,
    virtual_token_count,
)

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from luthier.api import Model

Conversation = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Member:
    """A network with the tokenizer that it reads through."""

    name: str
    network: nn.Module
    tokenizer: PreTrainedTokenizerBase

    def answers(self, conversations: Sequence[Conversation], settings: Sampling) -> list[Answer]:
        return generate(self.network, self.tokenizer, conversations, settings) if conversations else []

    def labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        """log p(label) among these labels, [conversations, labels]."""
        found = score_labels(self.network, self.tokenizer, conversations, labels).astype(np.float64)
        return (found - np.logaddexp.reduce(found, axis=1, keepdims=True)).astype(np.float32)


class PanelNetwork(nn.Module, ABC):
    """Networks that answer together; hidden states and losses are the first one's."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.networks = nn.ModuleList([member.network for member in members])
        self.members = list(members)

    @abstractmethod
    def write_answers(self, conversations: Sequence[Conversation], settings: Sampling) -> list[Answer]: ...

    @abstractmethod
    def judge_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]: ...

    @property
    def virtual_tokens(self) -> int:
        return virtual_token_count(self.networks[0])

    @property
    def config(self) -> Any:
        return self.get_base_model().config

    def set_attn_implementation(self, name: str) -> None:
        for network in self.networks:
            unwrapped(network).set_attn_implementation(name)  # type: ignore[operator]

    def get_base_model(self) -> nn.Module:
        return unwrapped(self.networks[0])

    def forward(self, *inputs: Any, **more: Any) -> Any:
        return self.networks[0](*inputs, **more)

    def save_pretrained(self, folder: str) -> None:
        raise RecipeError(
            "Several models that answer together are not one network, and other tools load one.",
            where=str(folder),
            hint="Export the members by themselves.",
        )


class Panel(ABC):
    """A model of several; subclasses say what network they make. The first member gives tokenizer and configuration."""

    members: dict[str, Model]

    def __init__(self, members: Mapping[str, Model]) -> None:
        if not members:
            raise RecipeError(
                f"{type(self).__name__} has no members to ask.",
                where="model.members",
                hint="Add each to the recipe's defaults: /model@model.members.NAME: folder.",
            )
        self.members = dict(members)

    @abstractmethod
    def joined(self, members: Sequence[Member]) -> PanelNetwork:
        """The network of the members."""

    @property
    def settings(self) -> dict[str, Any]:
        """What the answers depend on beside the members, for the lineage."""
        return {name: value for name, value in vars(self).items() if name != "members" and _is_plain(value)}

    @property
    def first(self) -> Model:
        return next(iter(self.members.values()))

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.first.tokenizer

    @property
    def config(self) -> PretrainedConfig:
        return self.first.config

    def network(self) -> nn.Module:
        return self.joined([Member(name, model.network(), model.tokenizer) for name, model in self.members.items()])

    def lineage(self) -> dict[str, Any]:
        """With the lineage of each member, and how they answer together."""
        members = {name: member.lineage() for name, member in self.members.items()}
        weights = [[name, member.get("sha256") or member] for name, member in members.items()]
        kind = type(self).__name__
        return {
            "kind": kind,
            "name": " + ".join(self.members),
            "sha256": content_hash([kind, weights, self.settings]),
            "note": f"Losses are those of {next(iter(self.members))}; answers are made by all members together.",
            "settings": self.settings,
            "members": members,
        }


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, list, dict))
