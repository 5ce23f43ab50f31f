"""What a run writes is read back before it gets its name: texts to compare on, and who reads which kind of folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from luthier.contracts.heads import Head
from luthier.errors import DataError, LuthierError, PluginError, RecipeError
from luthier.models.adaptation import PeftAdaptation
from luthier.models.attention.proof import FAILURES, first_line
from luthier.models.encoder_heads import is_masked_lm
from luthier.models.masked_lm import MaskedLanguageModel
from luthier.models.read_back import LENGTH, Logits, ProofTexts, read_by_peft, read_by_transformers, texts_by_seed
from luthier.models.safety import names_code, read_json
from luthier.models.sequence_classification import SequenceClassification, has_small_head
from luthier.models.wrappers import unwrapped, virtual_token_count
from luthier.plugins.answered import answer_of
from luthier.plugins.blame import place_of
from luthier.reporting.record import RunRecord
from luthier.training.memory import is_out_of_memory
from luthier.workflows.planning.machine import free_memory

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.adaptation import Adaptation
    from luthier.contracts.examples import Example
    from luthier.contracts.model import Model
    from luthier.contracts.proof import Proof
    from luthier.data.module import Data

WHOLE = ("config.json", "model*.safetensors")
"""What transformers reads a model from."""
TEXTS = 3
"""How many texts of the data are compared, beside token ids that are drawn."""


class NotProved(Exception):  # noqa: N818 - read as `except NotProved`
    """Nobody could read back what was written; the sentence says why."""


def texts_of_data(data: Data, network: nn.Module) -> ProofTexts:
    """The beginnings of a few texts that were held out, else of what was trained on, and token ids drawn by seed."""
    for split in ("test", "validation", "train"):
        examples = data.examples(split)
        texts = [text for index in range(min(TEXTS, len(examples))) for text in _encoded(data, examples[index])]
        if texts:
            what = "training texts" if split == "train" else f"texts of the split {split}"
            return with_drawn(texts, what, network)
    return texts_by_seed(network, most=_longest(network))


def _encoded(data: Data, example: Example) -> Iterator[list[int]]:
    """The tokens of an example as they are trained; nothing where it cannot be encoded, which the run has counted."""
    from luthier.data.turn_examples import encoded_turns

    try:
        turns = encoded_turns(data.prompt(example), data.settings.encode, data.settings.tokenizer)
    except LuthierError:
        return
    yield turns[0].row.sequences[0].ids.tolist()


def texts_of_run(artifact: Path, tokenizer: PreTrainedTokenizerBase, network: nn.Module) -> ProofTexts:
    """As `texts_of_data`, from the record that lies beside an artifact: data that was read once need not be here."""
    try:
        record = RunRecord.load(artifact.parent / "record.json")
    except DataError:  # the artifact was copied without its run
        return texts_by_seed(network, most=_longest(network))
    held_out = [
        "\n".join([*(str(turn["content"]) for turn in sample.conversation), sample.reference])
        for sample in record.samples[:TEXTS]
    ]
    trained = "".join(token.text for token in record.ledger.tokens)
    texts, what = (held_out, "held-out texts of the run") if held_out else ([trained], "training text of the run")
    return with_drawn([tokenizer(text).input_ids for text in texts if text], what, network)


def with_drawn(texts: list[list[int]], what: str, network: nn.Module) -> ProofTexts:
    """These texts, cut, beside token ids drawn by seed."""
    longest = _longest(network)
    drawn = texts_by_seed(network, most=longest)
    cut = tuple(tuple(text[:longest]) for text in texts if text)
    return ProofTexts((*cut, *drawn.ids), f"{len(cut)} {what} and {drawn.kind}")


def _longest(network: nn.Module) -> int:
    config: Any = unwrapped(network).config
    positions = getattr(config.get_text_config(), "max_position_embeddings", None) or LENGTH
    return max(1, min(LENGTH, int(positions) - virtual_token_count(network)))


def prove_artifact(network: nn.Module, adaptation: Adaptation, model: Model, texts: ProofTexts, folder: Path) -> Proof:
    """Read back what an adaptation has written to a folder: by plain transformers or PEFT, or else by luthier.

    RecipeError where luthier itself reads another network; NotProved where nobody can read it here. What plain PEFT
    alone reads otherwise is proved as luthier reads it, whose name then stands in the proof.
    """
    try:
        written = _logits_of(network, texts)
    except FAILURES as error:
        raise NotProved(f"the network cannot compute a text by itself: {first_line(error)}") from error
    if has_small_head(network):
        config: Any = unwrapped(network).config
        model = SequenceClassification(model, int(config.num_labels), head=Head.of(config))
    elif is_masked_lm(network):
        model = MaskedLanguageModel(model)
    found: list[Proof] = []
    for reader, read in _readers(network, adaptation, model, folder):
        if found and type(adaptation).load is PeftAdaptation.load:
            break  # luthier reads it as PEFT does
        try:
            proof = written.against(_logits_of(read(), texts, device=_device(network)), reader)
        except LuthierError as error:
            raise _not_the_same(str(error.message)) from error
        except FAILURES:
            if reader != PEFT:
                raise
            continue  # what PEFT cannot read at all, luthier may
        if proof.within(written.rounding):
            found.append(proof)
        elif reader != PEFT:
            raise _not_the_same(f"{type(adaptation).__name__} has written another network than was trained: {proof}.")
    return found[0]


PEFT = "plain PEFT"
Reader = tuple[str, Callable[[], "nn.Module"]]


def _readers(network: nn.Module, adaptation: Adaptation, model: Model, folder: Path) -> Iterator[Reader]:
    own = copy(adaptation)  # what it remembers of a network is that of the trained one

    def luthier_reads() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            return own.load(model, folder)

    if not adaptation.needs_base:
        for lacking in (pattern for pattern in WHOLE if not any(folder.glob(pattern))):
            raise _not_a_model(adaptation, lacking.replace("*", ""))
        if names_code(read_json(folder / "config.json")):
            raise NotProved("the model brings code of its own, which plain transformers does not run")
        yield "plain transformers", lambda: read_by_transformers(folder, like=network)
        return
    _refuse_without_memory(network)
    if isinstance(own, PeftAdaptation) and (folder / "adapter_config.json").is_file():
        yield PEFT, lambda: read_by_peft(own.base(model), folder)
    yield "luthier", luthier_reads


def _not_a_model(adaptation: Adaptation, lacking: str) -> PluginError:
    """The error for an adaptation that says it writes a whole model, and has not."""
    answer = answer_of(type(adaptation))
    who = f"{answer}: {place_of(adaptation)}" if answer else place_of(adaptation)
    return PluginError(
        f"{who} has needs_base = False, and its `save` wrote no {lacking}, without which transformers reads no model.",
        where="adaptation",
        hint="Say needs_base = True, where the weights are of use only beside their base, or inherit FullFineTuning.",
    )


def _refuse_without_memory(network: nn.Module) -> None:
    """NotProved where the base does not fit into memory a second time."""
    needed = sum(weight.nbytes for weight in network.parameters())
    if needed > 0.9 * (free := free_memory(torch.device("cpu"))):
        raise NotProved(f"its base would take {needed / 1e9:.1f} GB of memory again, and {free / 1e9:.1f} GB are free")


def _device(network: nn.Module) -> torch.device:
    """That of the network where a second one fits beside it, else the CPU."""
    device = next(network.parameters()).device
    needed = sum(weight.nbytes for weight in network.parameters())
    return device if device.type == "cpu" or needed < 0.9 * free_memory(device) else torch.device("cpu")


def _logits_of(network: nn.Module, texts: ProofTexts, device: torch.device | None = None) -> Logits:
    try:
        return Logits.of(network if device is None else network.to(device), texts)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise NotProved("memory did not suffice to compute it a second time") from error


def _not_the_same(sentence: str) -> RecipeError:
    return RecipeError(
        sentence if sentence.endswith(".") else f"{sentence}.",
        where="adaptation",
        hint="No artifact was made; the trained weights are in the last checkpoint of the run.",
    )
