"""The base of models whose weights are files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import metadata_load
from torch import nn
from yaml import YAMLError

from luthier.contracts.trust import Trust
from luthier.models.digests import weights_digest
from luthier.models.loadable import LoadableModel
from luthier.models.loading import load_config, load_network, load_tokenizer, meta_causal_lm
from luthier.models.processors import processor_files_in
from luthier.models.safety import refuse_code, refuse_devices, refuse_pickles, weight_files
from luthier.models.tokenizers import configure_tokenizer

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase


class StoredModel(LoadableModel, ABC):
    """A model in a folder of safetensors, beside its configuration and tokenizer.

    `trust` comes from the command line alone: a model that brings code of its own is refused unless the user vouched
    for it by name.
    """

    kind: str
    """The kind of model, as manifests name it: hub, folder, wheel, …"""

    def __init__(self, trust: Trust = Trust(), **loading: Any) -> None:  # noqa: B008 - it is frozen
        super().__init__(**loading)
        self.trust = trust

    @property
    @abstractmethod
    def name(self) -> str:
        """What error messages and `--trust` call it."""

    @property
    def trusted(self) -> bool:
        """Whether the user vouched for the code that the model brings."""
        return self.trust.covers(self.name, getattr(self, "revision", None))

    @abstractmethod
    def plans(self) -> Path:
        """A folder with its configuration and tokenizer; fetching it touches no weights."""

    @abstractmethod
    def folder(self) -> Path:
        """The folder with everything."""

    @cached_property
    def config(self) -> PretrainedConfig:
        """The configuration; Refused where the model brings code that the user did not vouch for."""
        folder = self.plans()
        refuse_devices(folder, owner=self.name)
        refuse_code(folder, owner=self.name, trusted=self.trusted)
        return load_config(folder, owner=self.name, trusted=self.trusted)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer, with its chat template and special tokens configured; errors as `config`."""
        config = self.config  # checked for code before the tokenizer is touched
        tokenizer = load_tokenizer(self.plans(), owner=self.name, trusted=self.trusted)
        configure_tokenizer(tokenizer, config, **self.loading.of_tokenizer)
        return tokenizer

    def network(self) -> nn.Module:
        """A fresh network with its weights; Refused where they are pickles, ResourceError where they are damaged."""
        config = self.config
        folder = self.folder()
        refuse_devices(folder, owner=self.name)
        refuse_pickles((file.name for file in folder.iterdir()), owner=self.name)
        return load_network(folder, self.loading, config, owner=self.name, trusted=self.trusted)

    def meta_network(self) -> nn.Module:
        """The network on the meta device, by the architecture's own code where the user trusts it."""
        return meta_causal_lm(self.config, trusted=self.trusted)

    def processor_files(self) -> list[Path]:
        """The files that say how images or sound are prepared; none for a model of text alone."""
        return processor_files_in(self.plans())

    def lineage(self) -> dict[str, Any]:
        """The kind, the name and the sha256 of the weights; the licence, where a model card beside them names it."""
        found = {
            "kind": self.kind,
            "name": self.name,
            "sha256": weights_digest(weight_files(self.folder(), owner=self.name)),
            "dtype": self.loading.dtype,
        }
        licence = _card(self.folder()).get("license")
        return found | ({"licence": licence} if isinstance(licence, str) else {})


def _card(folder: Path) -> dict[str, Any]:
    """What the head of a model card says; empty where there is none that can be read."""
    try:
        return metadata_load(folder / "README.md") or {}
    except (OSError, ValueError, YAMLError):
        return {}
