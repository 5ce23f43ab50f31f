"""The artifact of an earlier run as the model of another."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from luthier.contracts.trust import Trust
from luthier.models.attention import attention_to_build
from luthier.models.digests import weights_digest
from luthier.models.loadable import LoadableModel
from luthier.models.loading import cast_weights, load_config, load_tokenizer, prepare_network
from luthier.models.processors import processor_files_in
from luthier.models.text_attention import set_text_attention
from luthier.models.tokenizers import configure_tokenizer
from luthier.workflows import artifact, artifact_manifest

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from luthier.contracts.proof import Proof

log = logging.getLogger("luthier")
LOSSY = (
    "merging rounds away most of what the adapter changed, since the weights have few digits. It is whole beside its "
    "base alone (model.merge=false)."
)


class EarlierRun(LoadableModel):
    """Start from the artifact of an earlier run: its network with what it learned, and its tokenizer and template.

    With `merge` the adapter is folded into the weights and the network is a plain one, which any adaptation can
    take up. Where mathematics does not allow that, `merge: false` gives the adapted network as it is, to be measured
    or asked. `dtype` is that of the result; `loading` holds it with the other settings of `LoadSettings`, `path` is
    the folder of the run or of its artifact, `trust` what the user vouched for.
    """

    def __init__(
        self,
        trust: Trust = Trust(),  # noqa: B008 - it is frozen
        *,
        path: str,
        merge: bool = True,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        self.trust, self.path, self.merge = trust, path, merge
        self.proofs: dict[str, Proof] = {}
        """How far the merged network is from the adapted one, once it was loaded."""

    @cached_property
    def folder(self) -> Path:
        """The folder of the artifact; RecipeError where the run left none."""
        return artifact.find_artifact(self.path)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of the artifact, configured."""
        tokenizer = load_tokenizer(self.folder, owner=self.path)
        configure_tokenizer(tokenizer, self.config, **self.loading.of_tokenizer)
        return tokenizer

    @cached_property
    def config(self) -> PretrainedConfig:
        """The configuration of the network."""
        if (self.folder / "config.json").is_file():
            return load_config(self.folder, owner=self.path)
        return cast("PretrainedConfig", artifact.load(self.path, vouched=self.trust.names).network.config)

    def network(self) -> nn.Module:
        """The network with what the run learned, merged unless `merge` is false."""
        loaded = artifact.load(self.path, vouched=self.trust.names)
        network = self._merged(loaded) if self.merge else loaded.network
        if self.loading.dtype != "auto":
            cast_weights(network, self.loading.torch_dtype(self.config))
        return self._dressed(network)

    def _merged(self, loaded: artifact.Artifact) -> nn.Module:
        network = loaded.merged()
        if loaded.proof is not None:
            self.proofs = {f"Merge of {self.path}": loaded.proof}
            if loaded.proof.lossy:
                log.warning("%s: %s", self.path, LOSSY)
        return network

    def _dressed(self, network: nn.Module) -> nn.Module:
        plain = cast("PreTrainedModel", network)  # or one that PEFT wraps, which answers as it would
        set_text_attention(plain, attention_to_build(plain.config, self.loading.attn_implementation))
        return prepare_network(plain, self.loading)

    def processor_files(self) -> list[Path]:
        """Those of the artifact."""
        return processor_files_in(self.folder)

    @property
    def stacked_adapter(self) -> bool:
        """Whether the network keeps the earlier run's adapter beside its weights."""
        return not self.merge and self._manifest["trained"] and self._manifest["needs_base"]

    @cached_property
    def _manifest(self) -> dict[str, Any]:
        return artifact_manifest.read(self.folder)

    def lineage(self) -> dict[str, Any]:
        """With the lineage of the model that the earlier run started from, under `parent`."""
        moved = sorted(self.folder.rglob("*.safetensors"))  # none where the run moved no weight
        return {
            "kind": "run",
            "name": self.path,
            "sha256": weights_digest(moved) if moved else self._manifest["model"].get("sha256"),
            "merged": self.merge,
            "dtype": self.loading.dtype,
            "parent": self._manifest["model"],
        }
