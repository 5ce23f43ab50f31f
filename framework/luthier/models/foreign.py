"""Files of others in the hands of a library: whatever it raises over them is said of the files, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from luthier.errors import LuthierError, RecipeError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

MOST_LAYERS, MOST_WEIGHTS = 10_000, 10**13
"""More than any language model has: what states more is refused before it is built."""
_COUNTS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")


@contextmanager
def foreign_files(what: str, *, where: str = "", hint: str = "") -> Iterator[None]:
    """RecipeError, `<what>: <the library's first line>`, for whatever else is raised over a file inside.

    Files of others have any shape, and no library checks all of it: TypeError, AttributeError, RecursionError, … are
    about the file. What is about this machine goes through: memory, and packages that are not installed.
    """
    try:
        yield
    except (LuthierError, MemoryError, ImportError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise RecipeError(f"{what}: {first_line(error)}", where=where, hint=hint) from error


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its kind where it says nothing; of a long line its beginning."""
    said = str(error).strip().splitlines()
    if len(said) > 1 and said[0].endswith(":"):  # of which the next line says what is wrong
        said = [f"{said[0]} {said[1].strip()}"]
    line = said[0][:300] if said else type(error).__name__
    return f"{type(error).__name__}: {line}" if said and not isinstance(error, OSError | ValueError) else line


def refuse_senseless(config: PretrainedConfig, owner: str) -> None:
    """RecipeError for a configuration that names no architecture, or states sizes that are no counts or greater than
    those of any network that could be built."""
    if not all(isinstance(name, str) for name in config.architectures or ()):
        raise RecipeError(f"config.json of {owner} names architectures that are no names.", where="model")
    refuse_sizes(
        config, f"config.json of {owner}", where="model", hint="Take the config.json that belongs to the weights."
    )


def refuse_sizes(config: PretrainedConfig, stated_by: str, *, where: str, hint: str = "") -> None:
    """RecipeError for sizes that are no counts, or greater than those of any network that could be built."""
    text = config.get_text_config()
    counts = {name: getattr(text, name, None) for name in _COUNTS}
    for name, value in counts.items():
        if value is not None and not isinstance(value, list | tuple) and not _is_count(value):
            raise RecipeError(f"{stated_by} states {name}={value!r}, which is no count.", where=where)
    width, layers, _, tokens = (value if isinstance(value, int) else 0 for value in counts.values())
    weights = 4 * layers * width**2 + tokens * width
    if layers > MOST_LAYERS or weights > MOST_WEIGHTS:
        raise RecipeError(
            f"{stated_by} states {layers:,} layers of width {width:,} over {tokens:,} tokens: at least "
            f"{weights:,} weights, {4 * weights / 2**30:,.0f} GiB in float32, which no language model has.",
            where=where,
            hint=hint,
        )


def refuse_stated_counts(stated: Mapping[str, Any], where: str) -> None:
    """RecipeError for a number of settings beyond any network's, before a configuration makes lists as long as it."""
    for name, value in stated.items():
        if isinstance(value, Mapping):
            refuse_stated_counts(value, f"{where}.{name}")
        elif "layer" in name and isinstance(value, int | float) and value > MOST_LAYERS:
            raise RecipeError(
                f"{where}.{name} is {value:,}, more layers than any language model has.",
                where=f"{where}.{name}",
                hint=f"Take at most {MOST_LAYERS:,}.",
            )
        elif isinstance(value, int | float) and value > MOST_WEIGHTS:
            raise RecipeError(
                f"{where}.{name} is {value:,}, more than any language model has weights.", where=f"{where}.{name}"
            )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
