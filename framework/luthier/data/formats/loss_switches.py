"""The loss weight of a message, under the names that the field's tools write it by."""

from __future__ import annotations

import math
from typing import Any

from luthier.data.formats.fields import kind
from luthier.errors import DataError

WEIGHTS = ("weight", "loss_weight", "loss_scale")
"""A number that multiplies the loss (OpenAI, Mistral, Together, Fireworks, axolotl's ShareGPT, ms-swift)."""
SWITCHES = ("train", "training", "trainable", "train_on_turn", "loss", "loss_mask")
"""True or 1: the turn is trained, whatever its role; false or 0: it is not (axolotl, ms-swift, XTuner, verl)."""
MASKS = ("masked", "ignore_loss")
"""True or 1: the turn is not trained; false or 0 changes nothing (torchtune)."""
REFUSED = {
    "train_detail": "chooses parts of a turn",
    "training_detail": "chooses parts of a turn",
    "token_weights": "weighs single tokens",
    "labels": "labels single tokens",
    "mask": "means a trained turn in one tool and a masked one in another",
}
"""Names that change what is trained and are not read -> why."""
NAMES = (*WEIGHTS, *SWITCHES, *MASKS)

_WORDS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def message_weight(given: dict[str, Any], role: str, at: str) -> float | None:
    """The weight that a turn's own keys give it; None where they give none, or what its role has anyway.

    DataError where two keys contradict each other, where one has no such value, and for a key that chooses or weighs
    parts of a turn.
    """
    for name, why in REFUSED.items():
        if given.get(name) is not None:
            raise DataError(
                f"`{at}` has the key {name!r}, which {why} and is not read.",
                hint="Weigh whole turns with `weight`: 0 leaves a turn out of the loss.",
            )
    found = {name: weight for name in NAMES if (weight := _read(name, given.get(name), role, at)) is not None}
    if len(set(found.values())) > 1:
        said = " and ".join(f"{name!r} ({given[name]!r})" for name in found)
        raise DataError(f"`{at}` has the keys {said}, which contradict each other.")
    weight = next(iter(found.values()), None)
    usual = float(role == "assistant")
    return None if weight == usual and "weight" not in found else weight


def _read(name: str, value: Any, role: str, at: str) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if name in WEIGHTS:
        return weight_of(value, f"The {name} of `{at}`" if name != "weight" else f"The weight of `{at}`")
    on = truth(value)
    if on is None:
        raise DataError(f"The {name} of `{at}` is {value!r}, where true or false is expected.")
    if name in MASKS:
        return 0.0 if on else None
    return float(on)


def weight_of(value: Any, what: str) -> float:
    """A weight as a number or its text; DataError, about `what`, for anything but a finite number of 0 or more."""
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, (int, float, str)) else float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise DataError(f"{what} is {_shown(value)}, where a number of 0 or more is expected.")
    return number


def truth(value: Any) -> bool | None:
    """The truth value that is written as one, as 0 or 1, or as its word; None for anything else."""
    if isinstance(value, (bool, int, float)):
        return bool(value) if value in (0, 1) else None
    return _WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, (str, int, float)) else kind(value)
