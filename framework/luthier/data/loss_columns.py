"""Columns that change what is learned of a row: its weight, its vote, and those that no format can read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from luthier.data.formats.loss_switches import truth, weight_of
from luthier.data.records import Tally
from luthier.errors import DataError
from luthier.errors.pasting import setting_to_paste

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

WEIGHTS = ("weight", "sample_weight", "example_weight", "loss_weight")
VOTES = ("liked", "kto_tag", "label")
"""Names of the vote on an answer (luthier, LLaMA-Factory, TRL and ms-swift)."""
TOKEN_LEVEL = ("completion_mask", "assistant_masks", "assistant_mask", "loss_mask", "token_weights", "labels", "mask")
"""Lists of numbers that mask or label the tokens of another tokenizer."""
RENDERING = ("chat_template_kwargs", "enable_thinking")
"""What other tools hand to the chat template of each row."""
PROMPT_TRAINED = ("train_on_inputs", "train_on_input", "train_on_prompt")
USER = {"user", "human", "prompt", "instruction"}


def learned_as_given(example: Example, tally: Tally, counts: Counter[str]) -> Example | None:
    """The example with its weight, its vote and `mask_history` applied; None where its weight is 0.

    `weight` (or `sample_weight`, `example_weight`, `loss_weight`) multiplies the weights of a conversation's turns.
    `kto_tag`, and a `label` of true or false, become `liked`. `mask_history` leaves all answers but the last out of the
    loss. DataError for columns that mask single tokens, that are handed to the chat template, or that train the prompt.
    """
    if "text" in example:
        for name in WEIGHTS:
            if name in example:
                tally.warn(f"The column {name!r} is kept as it is; only conversations are weighed", example["where"])
        return example
    if "messages" not in example:
        return example
    _refuse(example)
    return _weighed(_voted(_without_history(example, counts), counts), counts)


def _refuse(example: Example) -> None:
    for name in TOKEN_LEVEL:
        value = example.get(name)
        if isinstance(value, (list, tuple)) and value and all(isinstance(each, (bool, int, float)) for each in value):
            raise _not_read(name, "masks or labels single tokens", "Weigh whole turns with `weight`")
    for name in RENDERING:
        if example.get(name) not in (None, {}, ""):
            raise _not_read(name, "changes how a row is rendered", "Set it for all rows with model.template_settings")
    for name in PROMPT_TRAINED:
        if truth(example.get(name)):
            raise _not_read(name, "trains the prompt as well", "Give the turns of the user the weight 1")
    if isinstance(mask := example.get("mask"), str) and mask.strip().lower() not in USER | {""}:
        raise _not_read("mask", f"leaves {mask!r} out of the loss", "Weigh turns with `weight`")


def _not_read(name: str, why: str, way_out: str) -> DataError:
    return DataError(
        f"The column {name!r} {why}, and is not read.",
        hint=f"{way_out}, or rename the column, so that it is one like any other: "
        f"{setting_to_paste('data.rename', {name: f'{name}_unused'})}.",
    )


def _without_history(example: Example, counts: Counter[str]) -> Example:
    if not truth(example.get("mask_history")):
        return example
    answers = [number for number, turn in enumerate(example["messages"]) if turn["role"] == "assistant"]
    earlier = set(answers[:-1])
    counts["earlier_answers_masked"] += len(earlier)
    messages = [
        {**turn, "weight": 0.0} if number in earlier else turn for number, turn in enumerate(example["messages"])
    ]
    return {**example, "messages": messages}


def _voted(example: Example, counts: Counter[str]) -> Example:
    if "chosen" in example:
        return example
    found = {name: vote for name in VOTES if (vote := _vote(name, example.get(name))) is not None}
    if len(set(found.values())) > 1:
        raise DataError(f"The columns {' and '.join(found)} say different things of one answer.")
    for name, vote in found.items():
        counts[f"liked_by_{name}"] += name != "liked"
        return {**example, "liked": vote}
    return example


def _vote(name: str, value: Any) -> bool | None:
    """The vote in a column; a `label` is one only where it is true or false."""
    if name == "label" and not isinstance(value, bool):
        return truth(value) if isinstance(value, str) and value.strip().lower() in ("true", "false") else None
    return truth(value)


def _weighed(example: Example, counts: Counter[str]) -> Example | None:
    given = {name: example[name] for name in WEIGHTS if example.get(name) not in (None, "")}
    if not given:
        return example
    weights = {name: weight_of(value, f"The column {name!r}") for name, value in given.items()}
    if len(set(weights.values())) > 1:
        raise DataError(f"The columns {' and '.join(weights)} give one row different weights.")
    (weight,) = set(weights.values())
    rest = {key: value for key, value in example.items() if key not in given}
    if weight == 1:
        return rest
    if "chosen" in example:
        name = next(iter(given))
        raise _not_read(name, "weighs a pair", "Say how much better the chosen answer is with `margin`")
    if weight == 0:
        counts["left_out_by_weight"] += 1
        return None
    counts["weighed"] += 1
    return {**rest, "messages": [_turn_weighed(turn, weight) for turn in example["messages"]]}


def _turn_weighed(turn: dict[str, Any], weight: float) -> dict[str, Any]:
    own = turn.get("weight", 1.0 if turn["role"] == "assistant" else 0.0)
    return {**turn, "weight": own * weight} if own else turn
