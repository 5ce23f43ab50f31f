"""The proof of what was written: read back from its folder, it computes the logits of the network in memory.

Texts are few and short, and one network is read at a time. A folder of transformers is read in the dtype of its files,
which the operating system maps instead of copying: beside the network in memory it takes no memory of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers.utils import logging

from luthier.contracts.proof import Proof, Rounding
from luthier.errors import RecipeError
from luthier.models.auto_class import auto_class, with_masked_lm_heads
from luthier.models.encoder_heads import is_masked_lm
from luthier.models.evaluation_mode import evaluation_mode
from luthier.models.loading import load_config, without_progress_bars
from luthier.models.sequence_classification import is_reward_model
from luthier.models.wrappers import unwrapped

LENGTH = 32
"""The most tokens of a text that are compared."""
ROUNDING = {
    torch.float64: Rounding(1e-6, 1e-7),
    torch.float32: Rounding(5e-3, 5e-4),
    torch.float16: Rounding(0.1, 0.02),
    torch.bfloat16: Rounding(0.5, 0.06),
}
"""By the dtype of the weights, or of what is computed with them, whichever is the coarser."""


@dataclass(frozen=True, slots=True)
class ProofTexts:
    """Token ids of a few short texts, and what they are in words."""

    ids: tuple[tuple[int, ...], ...]
    kind: str

    @property
    def tokens(self) -> int:
        """How many there are in all."""
        return sum(map(len, self.ids))


def texts_by_seed(network: nn.Module, *, most: int = LENGTH) -> ProofTexts:
    """Token ids drawn by a fixed seed, those with the highest ids among them, whose rows may have been added."""
    config: Any = unwrapped(network).config
    rows = int(config.get_text_config().vocab_size)
    special = {getattr(config.get_text_config(), f"{name}_token_id", None) for name in ("pad", "bos", "eos")}
    others = {value for name, value in vars(config).items() if name.endswith(("token_id", "token_index"))}
    avoided = {value for value in special | {each for each in others if isinstance(each, int)} if value is not None}
    drawn = torch.randint(rows, (2 * most,), generator=torch.Generator().manual_seed(0)).tolist()
    ids = [token for token in (rows - 1, rows - 2, *drawn) if token >= 0 and token not in avoided]
    return ProofTexts((tuple(ids[:most]),), "token ids drawn by seed")


@dataclass(frozen=True, slots=True)
class Logits:
    """The logits of texts, float32 on the CPU: [tokens, vocabulary] of each, its scores, or its hidden states."""

    of_texts: tuple[Tensor, ...]
    texts: ProofTexts
    rounding: Rounding
    scores: bool

    @classmethod
    def of(cls, network: nn.Module, texts: ProofTexts) -> Logits:
        """Those of a network, in evaluation mode and in the dtype of its weights."""
        device, scores, found = next(network.parameters()).device, is_reward_model(network), []
        with evaluation_mode(network), torch.compiler.set_stance("force_eager"):
            for ids in texts.ids:
                output = network(input_ids=torch.tensor([ids], device=device), use_cache=False)
                scores = scores or not hasattr(output, "logits")  # those of an encoder are its hidden states
                logits = getattr(output, "logits", output[0])[0].float().cpu()
                found.append(logits if scores else logits[-len(ids) :])  # virtual tokens may stand before them
        return cls(tuple(found), texts, rounding_of(network), scores)

    def against(self, other: Logits, reader: str) -> Proof:
        """How far those of what was read back are from these."""
        pairs = list(zip(self.of_texts, other.of_texts, strict=True))
        if any(ours.shape != theirs.shape for ours, theirs in pairs):
            inf = float("inf")
            return Proof(reader=reader, logits=inf, mean=inf, tokens=self.texts.tokens, texts=self.texts.kind)
        apart = [_apart(ours, theirs) for ours, theirs in pairs]
        normed = [[torch.log_softmax(each, dim=-1) for each in pair] for pair in pairs]
        compared = apart if self.scores else [_apart(ours, theirs) for ours, theirs in normed]
        count = sum(each.numel() for each in compared)
        return Proof(
            reader=reader,
            logits=_largest(apart),
            nats=None if self.scores else _largest(compared),
            mean=sum(float(each.double().sum()) for each in compared) / max(count, 1),
            tokens=self.texts.tokens,
            texts=self.texts.kind,
        )


def rounding_of(network: nn.Module) -> Rounding:
    """What is rounding in the coarsest dtype that a network holds weights in or computes in."""
    dtypes = {weight.dtype for weight in network.parameters() if weight.is_floating_point()}
    computed = {getattr(module, "compute_dtype", None) for module in network.modules()}  # of quantized layers
    known = [ROUNDING[dtype] for dtype in dtypes | computed if dtype in ROUNDING]
    return max(known, key=lambda each: each.largest, default=ROUNDING[torch.bfloat16])


def read_by_transformers(folder: Path, *, like: nn.Module | None = None) -> nn.Module:
    """The network of a folder as plain transformers reads it, in the dtype of its files, on the CPU.

    RecipeError where its weights do not fill the network or where some are not read; with `like` also where one of them
    is not the same, bit for bit, as in that network, which reaches weights that no text passes through.
    """
    config = load_config(folder, owner=str(folder))
    with without_progress_bars(), _unheard(), with_masked_lm_heads(like is not None and is_masked_lm(like)):
        loaded: Any = auto_class(config).from_pretrained(
            folder, config=config, dtype="auto", use_safetensors=True, output_loading_info=True
        )
    network, report = cast("tuple[nn.Module, dict[str, Any]]", loaded)
    wrong = [f"{name} is {what}" for what in ("missing", "unexpected") for name in sorted(report[f"{what}_keys"])]
    wrong += [f"{name} has another shape" for name in map(str, report["mismatched_keys"])]
    if not wrong and like is not None:
        wrong = list(_other_values(like, network))
    if wrong:
        raise RecipeError(
            f"What plain transformers reads from {folder} is not what was written: {wrong[0]}"
            + (f", and {len(wrong) - 1} more weights." if wrong[1:] else "."),
            where="model",
        )
    return network.eval()


def _other_values(ours: nn.Module, theirs: nn.Module) -> Iterator[str]:
    written, read = ours.state_dict(), theirs.state_dict()
    for name in sorted(written.keys() ^ read.keys()):
        yield f"{name} is {'missing' if name in written else 'unexpected'}"
    for name in sorted(written.keys() & read.keys()):
        here = written[name].to(read[name].device)
        if here.shape != read[name].shape or not _same(here, read[name]).all():
            yield f"{name} has other values"


def prove_folder(network: nn.Module, folder: Path) -> Proof:
    """How far plain transformers reads a folder from a network in memory, over token ids drawn by seed.

    RecipeError where that is more than rounding in the coarser dtype of the two.
    """
    ours = Logits.of(network, texts_by_seed(network))
    read = read_by_transformers(folder)
    proof = ours.against(Logits.of(read, ours.texts), "plain transformers")
    if not proof.within(ours.rounding, rounding_of(read)):
        raise RecipeError(f"{folder} holds another network than {type(network).__name__} in memory: {proof}.")
    return proof


def read_by_peft(base: nn.Module, folder: Path) -> nn.Module:
    """A network with the adapter of a folder as plain PEFT reads it."""
    from peft import PeftModel

    with warnings.catch_warnings(), _unheard():
        warnings.simplefilter("ignore")  # what PEFT warns of shows in the logits
        return cast(nn.Module, PeftModel.from_pretrained(base, str(folder))).eval()


@contextmanager
def _unheard() -> Iterator[None]:
    """transformers' own warnings stay out: what they warn of is compared here."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _same(ours: Tensor, theirs: Tensor) -> Tensor:
    """Where both are equal, or both no number."""
    return (ours == theirs) | (ours.isnan() & theirs.isnan())


def _apart(ours: Tensor, theirs: Tensor) -> Tensor:
    """The absolute differences; 0 where both are the same infinity or no number, infinity where only one is none."""
    apart = torch.where(_same(ours, theirs), 0.0, (ours - theirs).abs())
    return apart.nan_to_num(nan=float("inf"), posinf=float("inf"))


def _largest(apart: Sequence[Tensor]) -> float:
    return max((float(each.max()) for each in apart if each.numel()), default=0.0)
