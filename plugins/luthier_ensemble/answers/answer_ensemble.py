"""What ensembles of whole answers share: their members, which may have other vocabularies, and their lineage."""

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
    Conversation,
    RecipeError,
    Sampling,
    generate,
    score_labels,
    unwrapped,
    virtual_token_count,
)
from luthier_ensemble.lineages import hash_of_members, lineages_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from luthier.api import Model


@dataclass(frozen=True)
class Member:
    """A network with its tokenizer and its name in the recipe."""

    name: str
    network: nn.Module
    tokenizer: PreTrainedTokenizerBase

    def answers(self, conversations: Sequence[Conversation], settings: Sampling) -> list[Answer]:
        """`num_samples` answers to each conversation, all of the first one first."""
        return generate(self.network, self.tokenizer, conversations, settings) if conversations else []

    def labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        """log p(label) among these labels, [conversations, labels]."""
        scores = score_labels(self.network, self.tokenizer, conversations, labels).astype(np.float64)
        return (scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)).astype(np.float32)


class AnswerEnsembleNetwork(nn.Module, ABC):
    """Networks whose answers are combined; hidden states and losses are those of the first."""

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

    def forward(self, *inputs: Any, **named: Any) -> Any:
        return self.networks[0](*inputs, **named)

    def save_pretrained(self, folder: str) -> None:
        raise RecipeError(
            "Several models whose answers are combined are not one network, and other tools load one.",
            where=str(folder),
            hint="Export the members by themselves.",
        )


class AnswerEnsemble(ABC):
    """A model whose members' answers a subclass combines; tokenizer and configuration are the first member's."""

    members: dict[str, Model]

    def __init__(self, members: Mapping[str, Model]) -> None:
        if not members:
            raise RecipeError(
                f"{type(self).__name__} has no members.",
                where="model.members",
                hint="Add each to the recipe's defaults: /model@model.members.NAME: folder.",
            )
        self.members = dict(members)

    @abstractmethod
    def combine(self, members: Sequence[Member]) -> AnswerEnsembleNetwork:
        """The network that combines the members' answers."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the answers depend on, for the lineage."""
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

    def loaded_members(self) -> list[Member]:
        """The members with their networks loaded."""
        return [Member(name, model.network(), model.tokenizer) for name, model in self.members.items()]

    def network(self) -> nn.Module:
        return self.combine(self.loaded_members())

    def lineage(self) -> dict[str, Any]:
        """With the lineage of each member, and the settings by which their answers are combined."""
        members, kind = lineages_of(self.members), type(self).__name__
        return {
            "kind": kind,
            "name": " + ".join(self.members),
            "sha256": hash_of_members(members, self.settings, kind=kind),
            "note": f"Losses are those of {next(iter(self.members))}; answers are made by all members together.",
            "settings": self.settings,
            "members": members,
        }


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, list, dict))
