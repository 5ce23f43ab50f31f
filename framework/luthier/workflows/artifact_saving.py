"""What a run leaves: the customised model, written whole or not at all, and its card."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from luthier.contracts.heads import Head
from luthier.contracts.text_embedding import Reranker
from luthier.disk.redaction import redact
from luthier.disk.refusals import the_disk_may_refuse
from luthier.disk.writing import replacing_folder, write_text
from luthier.models.backend import backend_of
from luthier.models.encoder_heads import is_masked_lm
from luthier.models.processors import copy_processor
from luthier.models.sequence_classification import has_small_head
from luthier.models.wrappers import unwrapped
from luthier.records import step_metrics
from luthier.workflows import artifact_manifest
from luthier.workflows.artifact import ARTIFACT_RECIPE, reranker_of, write_modules
from luthier.workflows.places import remember_places

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.adaptation import Adaptation
    from luthier.contracts.prompt import Prompt
    from luthier.inference.predictor import NetworkPredictor
    from luthier.records.folder import RunFolder


def save(
    tokenizer: PreTrainedTokenizerBase,
    prompt: Prompt,
    moved: NetworkPredictor | None,
    adaptation: Adaptation,
    run: RunFolder,
    *,
    recipe: Any,
    facts: Mapping[str, Any],
    processor: Iterable[Path] = (),
    prove: Callable[[Path], Mapping[str, Any]] = lambda folder: {},
) -> Path:
    """Write an artifact whole or not at all: into a folder beside its place, proved, sealed, then renamed.

    `prove` reads back what was written, and gives what the manifest says of it.

    `moved` is None for a run that moved no weight, whose artifact is the recipe, the tokenizer and the prompt.
    `processor` are the files that lie beside the tokenizer of a model that reads images or sound.
    """
    need = sum(weight.nbytes for weight in moved.network.parameters() if weight.requires_grad) if moved else 0
    left = "the checkpoints and an earlier artifact are as they were"
    with (
        the_disk_may_refuse("The artifact", run.artifact, need=need, left=left, resumable=True),
        replacing_folder(run.artifact) as temporary,
    ):
        if moved is not None:
            adaptation.save(moved.network, temporary)
            method = moved.method
            likelihood = method is None or (method.likelihood and method.trains_likelihood)
            step_metrics.write(run.metrics, temporary, likelihood=likelihood)
        prompt.save(temporary)
        backend_of(tokenizer)
        with _without_template(tokenizer, reranker) if (reranker := reranker_of(facts)) else nullcontext():
            tokenizer.save_pretrained(temporary)
        copy_processor(processor, temporary)
        write_modules(temporary, moved.network if moved else None, facts)
        (temporary / "README.md").unlink(missing_ok=True)  # PEFT's is full of blanks; the run writes a card
        proof = prove(temporary)
        plain: Any = redact(OmegaConf.to_container(recipe))
        write_text(temporary / ARTIFACT_RECIPE, OmegaConf.to_yaml(OmegaConf.create(plain)))
        network: Any = unwrapped(moved.network) if moved and has_small_head(moved.network) else None
        labelled = Head.of(network.config) if network is not None else None
        head: dict[str, Any] = {"outputs": int(network.config.num_labels)} if network is not None else {}
        head |= {"head": labelled.as_json()} if labelled else {}
        if moved is not None and is_masked_lm(moved.network):
            head = {"masked_lm": True}
        artifact_manifest.write(temporary, {**facts, **head, **({"proof": proof} if proof else {})})
    remember_places(recipe, run.artifact)
    return run.artifact


def add_card(folder: Path, text: str) -> None:
    """Put the model card beside the weights, and into the sealed list of files."""
    write_text(folder / artifact_manifest.CARD, text)
    artifact_manifest.renew(folder, [artifact_manifest.CARD])


@contextmanager
def _without_template(tokenizer: Any, reranker: Reranker) -> Iterator[None]:
    """A tokenizer as sentence-transformers' CrossEncoder uses it: it renders by a chat template, and cuts as told."""
    template, tokenizer.chat_template = tokenizer.chat_template, None
    longest, tokenizer.model_max_length = tokenizer.model_max_length, reranker.length
    try:
        yield
    finally:
        tokenizer.chat_template, tokenizer.model_max_length = template, longest
