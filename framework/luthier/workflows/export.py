"""An artifact as plain transformers reads it: written beside its place, read back, compared, and only then named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import nn

from luthier.data.encoding.template import template_takes_parts
from luthier.data.examples import conversation_of, example_of
from luthier.disk.leftovers import TEMPORARY_NAME, sweep
from luthier.disk.refusals import the_disk_may_refuse
from luthier.disk.writing import flush_all, flush_folder, temporary_name
from luthier.errors import LuthierError, RecipeError
from luthier.inference.generation.stops import stop_tokens
from luthier.models.loading import load_tokenizer, without_progress_bars
from luthier.models.opening import opened
from luthier.models.processors import copy_processor, processor_files_in
from luthier.models.read_back import Logits, read_by_transformers, rounding_of
from luthier.models.sequence_classification import has_small_head

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.prompt import Prompt
    from luthier.contracts.proof import Proof
    from luthier.models.read_back import ProofTexts

_ASKED = ([{"role": "user", "content": "Why is it 12°, ok?"}],)


class Exportable(Protocol):
    """What an artifact gives to its export."""

    folder: Path
    network: nn.Module
    tokenizer: PreTrainedTokenizerBase
    prompt: Prompt
    proof: Proof | None

    def texts(self) -> ProofTexts:
        """Texts on which networks are compared."""

    def merged(self) -> nn.Module:
        """The plain network; `proof` is then known."""

    def write_modules(self, folder: Path, network: nn.Module) -> None:
        """Write the files by which other libraries read an embedder, where it is one."""


def export(artifact: Exportable, target: Path, *, prompted: bool = True) -> Proof:
    """Write the merged network and the tokenizer to a new folder; how far its logits are from the adapted network's.

    What the prompt says before every conversation goes into the chat template. RecipeError for a prompt that does more
    than that, unless the export is to be without it (`prompted`), for a folder that is not new, and where what plain
    transformers reads back is another model: the folder then does not get its name.
    """
    opening = artifact.prompt.opening() if prompted else []
    if opening is None:
        raise RecipeError(
            f"The prompt {type(artifact.prompt).__name__} looks at each question, which a chat template cannot do.",
            hint="Export with --without-prompt, and ask the model through luthier.load(run).generate.",
        )
    target = target.resolve()
    beside = target if target.is_dir() else target.parent
    sweep(beside, locked=False)
    _refuse_in_use(target)
    texts = artifact.texts()
    adapted = Logits.of(artifact.network, texts)
    merged: Any = artifact.merged()
    temporary = temporary_name(beside / target.name)
    need = sum(weight.nbytes for weight in merged.state_dict().values())
    try:
        with the_disk_may_refuse("The export", target, need=need):
            _write(artifact, merged, temporary, opening)
        proof = _proved(adapted, merged, temporary)
        _prove_tokenizer(artifact, temporary, prompted=prompted)
        with the_disk_may_refuse("The export", target, need=need):
            flush_all(temporary)
            _name(temporary, target)
            flush_folder(beside)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return replace(proof, changed=artifact.proof.changed if artifact.proof else None)


def _write(artifact: Exportable, merged: Any, temporary: Path, opening: Any) -> None:
    temporary.mkdir(parents=True)
    _state_stops(merged, artifact.tokenizer)
    with without_progress_bars():
        merged.save_pretrained(temporary)
    with opened(artifact.tokenizer, opening, template_takes_parts):
        artifact.tokenizer.save_pretrained(temporary)
    copy_processor(processor_files_in(artifact.folder), temporary)
    artifact.write_modules(temporary, merged)


def _refuse_in_use(target: Path) -> None:
    if target.is_dir():
        if not all(TEMPORARY_NAME.fullmatch(path.name) for path in target.iterdir()):
            raise RecipeError(f"{target} is not empty.", hint="Name a new folder.")
    elif target.exists():
        raise RecipeError(f"{target} is a file.", hint="Name a new folder.")


def _state_stops(network: Any, tokenizer: Any) -> None:
    """Let generation_config.json end answers where luthier ends them: at the end of a turn that was trained, too."""
    settings = getattr(network, "generation_config", None)
    if settings is None or has_small_head(network):
        return
    try:
        stops = sorted(stop_tokens(network, tokenizer))
    except LuthierError:  # there is no chat template
        return
    settings.eos_token_id = stops if len(stops) > 1 else stops[0]


def _proved(adapted: Logits, merged: nn.Module, folder: Path) -> Proof:
    read = read_by_transformers(folder, like=merged)
    proof = adapted.against(Logits.of(read, adapted.texts), "plain transformers")
    if not proof.within(adapted.rounding, rounding_of(merged)):
        raise RecipeError(f"The export is another model than the run's: {proof}.", hint="Nothing was exported.")
    return proof


def _prove_tokenizer(artifact: Exportable, folder: Path, *, prompted: bool) -> None:
    """RecipeError where the tokenizer that was written renders or tokenizes a conversation otherwise than the run's."""
    ours, theirs = artifact.tokenizer, load_tokenizer(folder, owner=str(folder))
    texts = [str(message["content"]) for turns in _ASKED for message in turns]
    for turns in _ASKED if ours.chat_template is not None else ():
        shown = conversation_of(artifact.prompt(example_of(turns))) if prompted else turns
        expected, found = (
            str(tokenizer.apply_chat_template(list(conversation), tokenize=False, add_generation_prompt=True))
            for tokenizer, conversation in ((ours, shown), (theirs, turns))
        )
        if found != expected:
            raise RecipeError(
                f"The exported chat template renders {found!r}, and the run {expected!r}.", hint="Nothing was exported."
            )
        texts.append(expected)
    for text in texts:
        if ours(text).input_ids != theirs(text).input_ids:
            raise RecipeError(
                f"The exported tokenizer cuts {text!r} otherwise than the run's.", hint="Nothing was exported."
            )


def _name(temporary: Path, target: Path) -> None:
    """Give the folder its name in one step; into a folder that was there empty, the configuration moves last."""
    if not target.is_dir():
        temporary.rename(target)
        return
    files = sorted(temporary.iterdir(), key=lambda file: file.name == "config.json")
    for file in files:
        file.rename(target / file.name)
