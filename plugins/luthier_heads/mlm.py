"""Continue the pre-training of an encoder on plain text: predict tokens that are masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from luthier.api import (
    Adaptation,
    Batch,
    DataError,
    Example,
    Loss,
    MaskedLanguageModel,
    Measure,
    Model,
    Optimizer,
    RecipeError,
    Row,
    TokenSequence,
    masked_logits,
    packed_batches,
    prove_masked_lm,
    ratio,
    windows_of_row,
)
from luthier_heads.masking import HELD_OUT, drawn, masked
from luthier_heads.reading import ReadingMethod

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Units = Literal["tokens", "whole_words", "spans"]


def _perplexity(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """The exponential of the mean of -log p over masked tokens."""
    value: NDArray[np.float64] = np.exp(totals[..., 0] / totals[..., 1])
    return value


class MaskedLanguageModeling(ReadingMethod):
    """Mask tokens of unlabelled text and raise the likelihood of what stood there (Devlin et al., 2019).

    Of `share` of a text's tokens, 80 % are masked, 10 % replaced by any other and 10 % left. `units` are what is chosen
    together: `tokens`, `whole_words` (as the tokenizer cuts words), or `spans` of words with a geometric length
    (Joshi et al., 2020). Masks are drawn anew in each step from `mask_seed` and the text; held-out text always has the
    same ones, so that runs can be compared.
    """

    measures: Mapping[str, Measure] = {
        "masked_perplexity": Measure(_perplexity, better="lower"),
        "masked_accuracy": Measure(ratio),
    }

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        share: float = 0.15,
        units: Units = "tokens",
        mask_seed: int = 0,
    ) -> None:
        super().__init__(MaskedLanguageModel(model), adaptation, optimizer)
        if not 0 < share < 1:
            raise RecipeError(f"share is {share}.", where="method.share", hint="Use between 0 and 1, such as 0.15.")
        if mask_seed < 0:
            raise RecipeError(f"mask_seed is {mask_seed}.", where="method.mask_seed", hint="Use 0 or more.")
        self.share, self.units, self.mask_seed = share, units, mask_seed
        self.preparation = _Masks(self)

    def _when_adapted(self) -> None:
        self._say_layout()

    def _prove(self) -> float:
        return prove_masked_lm(self.network)

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        """The text of an example as the tokenizer alone encodes it; labels are the words of tokens, -1 of special ones.

        DataError for an example without a text, or with an empty one.
        """
        text = example.get("text")
        if not isinstance(text, str):
            raise DataError(
                "method=mlm reads `text`, which this example does not have.",
                hint="Rename the column that holds it with data.rename.",
            )
        encoded: Any = tokenizer(text, verbose=False, return_special_tokens_mask=True)
        special = list(encoded.special_tokens_mask)
        numbers = encoded.word_ids()
        words = [-1 if one or word is None else word for one, word in zip(special, numbers, strict=True)]
        labels = np.asarray(words, dtype=np.int32)
        if not (labels >= 0).any():
            raise DataError("The text is empty.", hint="Leave such rows out: data.on_bad_row=skip.")
        weights = np.ones(len(labels), np.float32)
        weights[0] = 0
        sequence = TokenSequence(np.asarray(encoded.input_ids, dtype=np.int32), weights, labels)
        return Row((sequence,), read_only=True, opening=_specials(special), closing=_specials(special[::-1]))

    def masked(self, batch: Batch, step: int) -> Batch:
        """The batch with tokens masked, and their true ids in `extras["targets"]`, int64 [B, T], else -1."""
        ids, words = batch.input_ids.flatten().cpu().numpy(), batch.labels.flatten().cpu().numpy()
        shown, targets = ids.copy(), np.full(len(ids), -1, np.int64)
        for number in batch.sequence_numbers:
            span = slice(batch.boundaries[number], batch.boundaries[number + 1])
            own = ids[span].astype(np.int32)
            if (words[span] >= 0).any():
                shown[span], targets[span] = masked(
                    own, words[span], share=self.share, units=self.units, mask=self._mask, vocabulary=self._vocabulary,
                    random=drawn(self.mask_seed, step, own),
                )  # fmt: skip
        like = batch.input_ids
        made = torch.from_numpy(np.stack([shown, targets])).view(2, *like.shape).to(like.device)
        return replace(batch, input_ids=made[0], extras={**batch.extras, "targets": made[1]})

    @cached_property
    def _mask(self) -> int:
        mask = self.model.tokenizer.mask_token_id
        if not isinstance(mask, int):
            raise RecipeError(
                f"The tokenizer of {self.model.config.model_type} has no token that masks others.",
                where="model",
                hint="Choose an encoder whose tokenizer has a mask_token.",
            )
        return mask

    @cached_property
    def _vocabulary(self) -> NDArray[np.int32]:
        """All ids but those of special tokens."""
        tokenizer = self.model.tokenizer
        return np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids).astype(np.int32)

    def loss(self, batch: Batch) -> Loss:
        """Of a batch that is not masked yet, as held-out ones are, with their own masks."""
        losses, _ = self._predicted(batch if "targets" in batch.extras else self.masked(batch, HELD_OUT))
        return Loss(losses.sum(), losses.new_tensor(float(len(losses))))

    def _predicted(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """-log p of each masked token, and whether it is the most probable one, in the order of the batch."""
        targets = batch.extras["targets"].flatten()
        positions = (targets >= 0).nonzero().flatten()
        logits = masked_logits(self.network, batch, positions)
        true = targets[positions]
        return cross_entropy(logits, true, reduction="none"), logits.argmax(-1) == true

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        return self.measured(rows)["loss"]

    @torch.no_grad()
    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """Sums over the masked tokens of each row: -log p, how many are right, and their number."""
        longest = self.model.tokenizer.model_max_length
        pieces = [
            (number, piece)
            for number, row in enumerate(rows)
            for piece in ([row] if len(row) <= longest else windows_of_row(row, longest))
        ]
        sums = np.zeros((len(rows), 3))
        device = next(self.network.parameters()).device
        for group, batch in packed_batches([piece for _, piece in pieces], device):
            shown = self.masked(batch, HELD_OUT)
            losses, right = self._predicted(shown)
            owners = np.zeros(batch.boundaries[-1], np.intp)
            for number, index in zip(batch.sequence_numbers, group, strict=True):
                owners[batch.boundaries[number] : batch.boundaries[number + 1]] = pieces[index][0]
            own = owners[(shown.extras["targets"].flatten() >= 0).cpu().numpy()]
            for column, values in enumerate((losses, right, torch.ones_like(losses))):
                np.add.at(sums[:, column], own, values.double().cpu().numpy())
        loss, accuracy = sums[:, [0, 2]], sums[:, [1, 2]]
        return {"loss": loss, "masked_perplexity": loss, "masked_accuracy": accuracy}


class _Masks:
    """The preparation of each training step: other masks each time."""

    visits = 1

    def __init__(self, method: MaskedLanguageModeling) -> None:
        self.method = method

    def __call__(self, step: list[Batch], number: int) -> list[Batch]:
        return [self.method.masked(batch, number + 1) for batch in step]

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        del state


def _specials(mask: Sequence[int]) -> int:
    return next((number for number, special in enumerate(mask) if not special), 0)
