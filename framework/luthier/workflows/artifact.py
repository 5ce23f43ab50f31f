"""The customised model, as it is read back from disk.

Whatever did the customising, a run leaves the same thing: a folder with what moved (an adapter or a whole network, as
PEFT or transformers write it), the tokenizer with the chat template that was trained, the resolved recipe and a
manifest. `luthier.load(path)` gives an object that can generate and score.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from luthier.config.withheld import given_back
from luthier.contracts.heads import Head
from luthier.contracts.model import RestorableModel
from luthier.contracts.text_embedding import Reranker, TextEmbedding
from luthier.contracts.trust import Trust
from luthier.errors import RecipeError
from luthier.fetch.paths import local_path
from luthier.inference.calibration import Calibration
from luthier.inference.predictor import NetworkPredictor
from luthier.models.auto_class import with_masked_lm_heads
from luthier.models.masked_lm import MaskedLanguageModel
from luthier.models.read_back import Logits, ProofTexts, rounding_of
from luthier.models.safety import refuse_code, refuse_pickles
from luthier.models.sentence_transformers import state_activation, write_embedder
from luthier.models.sequence_classification import SequenceClassification
from luthier.models.wrappers import unwrapped
from luthier.plugins.registry import Plugins
from luthier.workflows import artifact_manifest
from luthier.workflows.origins import recipe_read_back
from luthier.workflows.parts import part
from luthier.workflows.places import refuse_without_base, with_places, with_revisions
from luthier.workflows.proving import texts_of_run

if TYPE_CHECKING:
    from torch import nn

    from luthier.contracts.adaptation import Adaptation
    from luthier.contracts.model import Model
    from luthier.contracts.proof import Proof

log = logging.getLogger("luthier")
ARTIFACT_MANIFEST = artifact_manifest.MANIFEST
"""The file of an artifact that says what it is made of and lists the sha256 of its files."""
ARTIFACT_RECIPE = "resolved.yaml"
"""The file of an artifact that holds the recipe of its run, resolved."""
FOLDER = "artifact"
SPARE = ("data", "method", "optimizer", "trainer", "evaluation", "tracking")
"""The parts of its recipe that a model needs no longer, once it is customised."""


@dataclass
class Artifact(NetworkPredictor):
    """A customised model as a predictor, with its manifest and recipe."""

    folder: Path = field(default_factory=Path)
    """The folder of the artifact."""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """What it is made of: model, data, settings, and the sha256 of its files."""
    recipe: DictConfig = field(default_factory=lambda: DictConfig({}))
    """The resolved recipe of its run."""
    adaptation: Adaptation | None = None
    """How its weights were adapted; None for a model that no run customised."""
    proof: Proof | None = None
    """How far the logits of the merged network are from those of the adapted one, once it is merged."""

    def add(self, path: str | Path, name: str) -> None:
        """Put what another run learned beside this one's, which is called `default`, on the same base; see `use`.

        RecipeError where it is of another adaptation or another base, or where the adaptation does not allow it.
        """
        assert self.adaptation is not None
        folder, manifest = _open(path)
        refuse_pickles((file.name for file in folder.iterdir()), owner=str(folder))
        theirs, ours = OmegaConf.load(folder / ARTIFACT_RECIPE).adaptation, self.recipe.adaptation
        alike = all(theirs.get(name) == ours.get(name) for name in ("_target_", *self.adaptation.shaping_base))
        if not alike or manifest["model"] != self.manifest["model"]:
            raise RecipeError(
                "Only what the same adaptation of the same base learned can stand beside it.", where=str(folder)
            )
        self.adaptation.add(self.network, folder, name)
        self.network.eval()

    def use(self, name: str | None) -> None:
        """Answer with the adapter of this name from now on; None is the base as it was."""
        assert self.adaptation is not None
        self.adaptation.use(self.network, name)

    def merged(self) -> nn.Module:
        """A plain network with the same logits, which no longer needs PEFT; the artifact's own is used up.

        `proof` is then how far they are from those of the adapted network; RecipeError where it is more than rounding.
        """
        assert self.adaptation is not None
        if not (self.manifest["trained"] and self.manifest["needs_base"]):
            return self.network
        adapted = Logits.of(self.network, self.texts())
        with _without_adapter(self.network) as base:
            before = None if base is None else Logits.of(base, adapted.texts)
        merged = self.adaptation.merge(self.network)
        proof = adapted.against(Logits.of(merged, adapted.texts), "luthier, merged in memory")
        if not proof.within(adapted.rounding, rounding_of(merged)):
            raise RecipeError(
                f"{type(self.adaptation).__name__} cannot be merged into the weights of this network: {proof}.",
                where=str(self.folder),
                hint="Keep the adapter beside its base.",
            )
        self.proof = replace(proof, changed=None if before is None else before.against(adapted, "").mean)
        return merged

    def texts(self) -> ProofTexts:
        """Texts on which networks are compared: some that the run held out, where it lies here, and drawn token ids."""
        return texts_of_run(self.folder, self.tokenizer, self.network)

    def write_modules(self, folder: Path, network: nn.Module) -> None:
        """Write the files by which sentence-transformers reads an embedder, where it is one."""
        write_modules(folder, network, self.manifest)

    def export(self, folder: Path, *, prompted: bool = True) -> Proof:
        """`luthier.workflows.export.export`; the artifact's own network is used up."""
        from luthier.workflows.export import export

        return export(self, folder, prompted=prompted)


def find_artifact(path: str | Path) -> Path:
    """The artifact's folder in a run's folder, or the folder itself; RecipeError where there is none."""
    path = local_path(path)
    for folder in (path / FOLDER, path):
        if (folder / ARTIFACT_MANIFEST).is_file():
            return folder
    raise RecipeError(
        f"{path} holds no artifact: it is neither the folder of a finished run nor an artifact itself.",
        hint="Finished runs are under runs/; `luthier recipe=… resume=auto` finishes one that was cut off.",
    )


def load(path: str | Path, *, plugins: Plugins | None = None, vouched: Iterable[str] = ()) -> Artifact:
    """Load what a run left. Its recipe may name only code that installed plugins name, as any recipe."""
    return load_without(path, SPARE, plugins=plugins, vouched=vouched)


def load_without(
    path: str | Path, spare: Collection[str], *, plugins: Plugins | None = None, vouched: Iterable[str] = ()
) -> Artifact:
    """`load`, where only what the parts at the places `spare` are of may be absent; see `recipe_read_back`."""
    folder, manifest = _open(path)
    refuse_code(folder, owner=str(folder))
    plugins = plugins or Plugins.from_flags([])
    file, parts = folder / ARTIFACT_RECIPE, manifest.get("parts")
    written = recipe_read_back(file, plugins, vouched, parts, owner=folder, spare=spare)
    recipe = with_revisions(with_places(written, manifest.get("places", {}), folder), manifest["model"])
    needed = ("adaptation", "prompt", *(["model"] if manifest["needs_base"] else ()))
    recipe = given_back(recipe, needed, folder)
    if manifest["needs_base"]:
        refuse_without_base(recipe, written, manifest, folder)
    trust = Trust(frozenset(vouched))
    model: Model = part(recipe, trust, "model")
    if manifest["needs_base"] and isinstance(model, RestorableModel):
        model.restore(folder)
    adaptation: Adaptation = part(recipe, trust, "adaptation")
    _refuse_another_base(model, manifest, folder)
    if outputs := manifest.get("outputs"):
        labelled = manifest.get("head")
        model = SequenceClassification(model, outputs, head=Head.from_json(labelled) if labelled else None)
    embedding, reranker = _embedding(manifest), reranker_of(manifest)
    if masked := bool(manifest.get("masked_lm")):
        model = MaskedLanguageModel(model)
    if manifest["trained"]:
        refuse_pickles((file.name for file in folder.iterdir()), owner=str(folder))
    with with_masked_lm_heads(masked):
        network = adaptation.load(model, folder) if manifest["trained"] else model.network()
    if reranker is not None:
        state_activation(unwrapped(network).config, reranker)
    tokenizer, prompt = _tokenizer(folder), part(recipe, trust, "prompt")
    prompt.load(folder, tokenizer)
    return Artifact(
        network=network.eval(),
        tokenizer=tokenizer,
        prompt=prompt,
        folder=folder,
        manifest=manifest,
        recipe=recipe,
        adaptation=adaptation,
        calibration=Calibration.from_json(manifest["calibration"]) if "calibration" in manifest else None,
        embedding=embedding,
        reranker=reranker,
    )


def write_modules(folder: Path, network: nn.Module | None, manifest: Mapping[str, Any]) -> None:
    """The files by which sentence-transformers reads an embedder, where a manifest says that it is one."""
    if network is not None and (embedding := _embedding(manifest)) is not None:
        config: Any = unwrapped(network).config
        write_embedder(folder, embedding, int(config.get_text_config().hidden_size))


def _embedding(manifest: Mapping[str, Any]) -> TextEmbedding | None:
    return TextEmbedding.from_json(manifest["embedding"]) if "embedding" in manifest else None


def reranker_of(manifest: Mapping[str, Any]) -> Reranker | None:
    """How pairs of texts are read, where a manifest says that it is a reranker."""
    return Reranker.from_json(manifest["reranker"]) if "reranker" in manifest else None


def _open(path: str | Path) -> tuple[Path, dict[str, Any]]:
    """An artifact's folder and manifest; ResourceError where a file is not what the run wrote."""
    folder = find_artifact(path)
    manifest = artifact_manifest.verify(folder)
    for note in artifact_manifest.notes(folder, manifest):
        log.warning("%s", note)
    return folder, manifest


def _refuse_another_base(model: Model, manifest: Mapping[str, Any], folder: Path) -> None:
    """An adapter on other weights than its own is silently wrong."""
    then, now = manifest["model"].get("sha256"), None
    if manifest.get("needs_base") and then:
        now = model.lineage().get("sha256")
        if now != then:
            raise RecipeError(
                f"The adapter was made for weights {then[:12]}…, but the recipe's model now has {str(now)[:12]}….",
                where=str(folder),
            )


def _tokenizer(folder: Path) -> Any:
    from luthier.models.loading import load_tokenizer

    return load_tokenizer(folder, owner=str(folder), trusted=False)


@contextmanager
def _without_adapter(network: nn.Module) -> Iterator[nn.Module | None]:
    """The network as it was before its adapter; None where the two cannot be told apart."""
    switched = getattr(network, "disable_adapter", None)
    if switched is None:
        yield None
        return
    with switched():
        yield network
