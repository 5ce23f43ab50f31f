"""Content hashes of examples, sources, tokenizers and encode functions, by which the caches are keyed."""

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
    """The sha256 of examples in order, computed one by one; their `where` is not part of it."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, example: Example) -> None:
        content = {key: value for key, value in example.items() if key != "where"}
        self._sha256.update(json.dumps(content, sort_keys=True, default=str).encode())
        self._sha256.update(b"\n")

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


def hash_of_examples(examples: Iterable[Example]) -> str:
    """The sha256 of examples in order, in hexadecimal; their `where` is not part of it."""
    digest = ExamplesHash()
    for example in examples:
        digest.add(example)
    return digest.hexdigest()


def hash_of_reading(source: Source) -> str | None:
    """The sha256 of everything that a reading of a source depends on: its settings, its code and its files' state.

    None where that is unknown without reading: for a source without `state`, or with a constructor parameter that is
    not an attribute of the same name.
    """
    state = source_state(source)
    settings = None if state is None else _part(source)
    if settings is None:
        return None
    code = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.rglob("*.py"))]
    return content_hash([__version__, code, settings, state])


def hash_of_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """The sha256 of a tokenizer: its tokenizer.json and its special tokens."""
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    return content_hash([tokenizer.backend_tokenizer.to_str(), special])


def hash_of_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """The sha256 of the chat template; without one, that of null."""
    return content_hash(tokenizer.chat_template)


def hash_of_function(function: Any) -> str:
    """The sha256 of an encode function: its name, its source file, and the settings of the object that it belongs to.

    The result of `encode` must depend on nothing but these, the example and the tokenizer.
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


def _source(target: Any) -> str:
    """The source code of the file in which a class or function of luthier or a plugin is written."""
    if str(getattr(target, "__module__", "")).partition(".")[0] in {"torch", "pytorch_lightning", "builtins", "abc"}:
        return ""
    try:
        file = inspect.getsourcefile(target)
        return Path(file).read_text(encoding="utf-8") if file else ""
    except (TypeError, OSError):
        return ""


def _part(part: Any) -> Any:
    """A part as JSON: its class, the source of that, and its parameters, read from the attributes of the same names.

    Plain values represent themselves. None where a parameter is not an attribute.
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
    parameters = {name: _part(getattr(part, name)) for name in names}
    code = sorted({_source(base) for base in kind.__mro__})
    return _all({"": [f"{kind.__module__}.{kind.__qualname__}", code], **parameters})


def _all(values: dict[Any, Any]) -> dict[Any, Any] | None:
    return None if any(value is None for value in values.values()) else values


def _settings(owner: Any) -> Any:
    """A part's keyword-only parameters, from attributes of the same names; if one is missing, plain attributes, too."""
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
    values = {name: _settings(getattr(owner, name)) for name in named if hasattr(owner, name)}
    if len(values) < len(named):
        simple = (str, int, float, bool, type(None))
        values |= {name: value for name, value in vars(owner).items() if isinstance(value, simple)}
    return {"": f"{kind.__module__}.{kind.__qualname__}", **values}
