"""Names for content: the same examples, tokenizer and settings always have the same hash."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.contracts.examples import Example, Source
from luthier.data.state import source_state
from luthier.version import __version__

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class ExamplesHash:
    """The sha256 of what the examples say, in order; where they were read does not count."""

    def __init__(self) -> None:
        self._found = hashlib.sha256()

    def add(self, example: Example) -> None:
        said = {key: value for key, value in example.items() if key != "where"}
        self._found.update(json.dumps(said, sort_keys=True, default=str).encode())
        self._found.update(b"\n")

    def told(self) -> str:
        return self._found.hexdigest()


def hash_of_examples(examples: Iterable[Example]) -> str:
    """The same of examples that are there already."""
    found = ExamplesHash()
    for example in examples:
        found.add(example)
    return found.told()


def hash_of_reading(source: Source) -> str | None:
    """The sha256 of all that a reading of a source depends on: its settings, its code and the state of its files.

    None where that cannot be told without reading: a source without `state`, or one that keeps a setting to itself.
    """
    state = source_state(source)
    told = None if state is None else _part(source)
    if told is None:
        return None
    reading = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.rglob("*.py"))]
    return content_hash([__version__, reading, told, state])


def hash_of_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """The sha256 of a tokenizer: its vocabulary, rules and special tokens."""
    named = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    return content_hash([tokenizer.backend_tokenizer.to_str(), named])


def hash_of_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """The sha256 of the chat template, or of its absence."""
    return content_hash(tokenizer.chat_template)


def hash_of_function(function: Any) -> str:
    """The sha256 of what an encoding function is: its name, its source file, and its owner's settings.

    An `encode` may depend on these, on the example and on the tokenizer, and on nothing else.
    """
    owner = getattr(function, "__self__", None)
    classes = type(owner).__mro__ if owner is not None else ()
    sources = {_source(each) for each in (*classes, function)} - {""}
    encoding = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("encoding/*.py"))]
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    return content_hash([__version__, name, sorted(sources), encoding, _settings(owner)])


def content_hash(value: Any) -> str:
    """The sha256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _source(thing: Any) -> str:
    """The source code of the file in which a class or function of luthier or a plugin is written."""
    if str(getattr(thing, "__module__", "")).partition(".")[0] in {"torch", "pytorch_lightning", "builtins", "abc"}:
        return ""
    try:
        file = inspect.getsourcefile(thing)
        return Path(file).read_text(encoding="utf-8") if file else ""
    except (TypeError, OSError):
        return ""


def _part(part: Any) -> Any:
    """A part by its class, the code of that, and its parameters by the attributes of the same names; None if one hides.

    Simple values stand for themselves.
    """
    if part is None or isinstance(part, (str, int, float, bool)):
        return [part]
    if isinstance(part, Mapping):
        return _all({str(key): _part(inner) for key, inner in part.items()})
    if isinstance(part, (list, tuple)):
        return _all(dict(enumerate(map(_part, part))))
    kind = type(part)
    try:
        names = inspect.signature(kind).parameters
    except ValueError:  # a class of C
        return None
    if not all(hasattr(part, name) for name in names):
        return None
    told = {name: _part(getattr(part, name)) for name in names}
    code = sorted({_source(each) for each in kind.__mro__})
    return _all({"": [f"{kind.__module__}.{kind.__qualname__}", code], **told})


def _all(told: dict[Any, Any]) -> dict[Any, Any] | None:
    return None if any(inner is None for inner in told.values()) else told


def _settings(owner: Any) -> Any:
    """The keyword-only parameters of a part, by the attributes of the same names; all it knows where one has none."""
    if owner is None or isinstance(owner, (str, int, float, bool)):
        return owner
    if isinstance(owner, (list, tuple)):
        return [_settings(inner) for inner in owner]
    if isinstance(owner, Mapping):
        return {str(key): _settings(inner) for key, inner in owner.items()}
    if isinstance(owner, partial):
        return {"": f"{owner.func.__module__}.{owner.func.__qualname__}", **_settings(owner.keywords)}
    kind = type(owner)
    named = [name for name, each in inspect.signature(kind).parameters.items() if each.kind is each.KEYWORD_ONLY]
    told = {name: _settings(getattr(owner, name)) for name in named if hasattr(owner, name)}
    if len(told) < len(named):
        simple = (str, int, float, bool, type(None))
        told = {name: value for name, value in vars(owner).items() if isinstance(value, simple)}
    return {"": f"{kind.__module__}.{kind.__qualname__}", **told}
