"""Content hashes of examples, sources, tokenizers and encode functions, by which the caches are keyed."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from luthier.contracts.examples import Example, Source
from luthier.data.formats.auto import Auto
from luthier.data.formats.of_plugins import formats_of_plugins
from luthier.data.state import source_state
from luthier.models.backend import uncut
from luthier.plugins.source_code import code_hash

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


_ROOMS = ("contracts", "data", "models")
"""The folders of luthier whose code reads and encodes examples."""


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

    None where that is unknown without reading: for a source without `state`, with a constructor parameter that is not
    an attribute of the same name, or with code that is in no file.
    """
    state, classes = source_state(source), set[str]()
    settings = None if state is None else _part(source, classes)
    if f"{Auto.__module__}.{Auto.__qualname__}" in classes or getattr(source, "format", "") == Auto.name:
        for known in formats_of_plugins():
            _note_code(type(known.wrapped), classes)  # any of them may be the one that is detected
    if settings is None or any(map(_in_no_file, classes)):
        return None
    return content_hash([code_hash(classes, _ROOMS), settings, state])


def hash_of_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """The sha256 of a tokenizer: its tokenizer.json and its special tokens."""
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    return content_hash([uncut(tokenizer.backend_tokenizer).to_str(), special])


def hash_of_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """The sha256 of the chat template; without one, that of null."""
    return content_hash(tokenizer.chat_template)


def hash_of_encoding(settings: Any, targets: Iterable[str]) -> str:
    """The sha256 of how examples are encoded: the resolved settings of the parts that encode, and their code.

    `targets` are the dotted names of these parts and of all parts nested in them. The result of `encode` must depend on
    nothing but these, the example and the tokenizer.
    """
    return content_hash([settings, code_hash(targets, _ROOMS)])


def hash_of_function(function: Any) -> str:
    """The sha256 of an encode function that no recipe names: its name, its code, the settings of the object it is of.

    It is another one each time where the code is in no file, as in a notebook.
    """
    owner, classes = getattr(function, "__self__", None), set[str]()
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    _note_code(type(function if owner is None else owner), classes)
    unknown = os.urandom(16).hex() if any(_in_no_file(each) for each in {name, *classes}) else ""
    return hash_of_encoding([name, _settings(owner, classes), unknown], {name, *classes})


def content_hash(value: Any) -> str:
    """The sha256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _in_no_file(name: str) -> bool:
    return name.partition(".")[0] == "__main__"


def _note_code(kind: type, classes: set[str]) -> None:
    """Note the names of a class and of those that it inherits from."""
    classes |= {f"{each.__module__}.{each.__qualname__}" for each in kind.__mro__}


def _part(part: Any, classes: set[str]) -> Any:
    """A part as JSON: its class, and its parameters, read from the attributes of the same names; notes the `classes`.

    Plain values represent themselves. None where a parameter is not an attribute.
    """
    if part is None or isinstance(part, (str, int, float, bool)):
        return [part]
    if isinstance(part, Mapping):
        return _all({str(key): _part(inner, classes) for key, inner in part.items()})
    if isinstance(part, (list, tuple)):
        return _all({index: _part(inner, classes) for index, inner in enumerate(part)})
    kind = type(part)
    try:
        names = inspect.signature(kind).parameters
    except ValueError:  # a class of C
        return None
    if not all(hasattr(part, name) for name in names):
        return None
    _note_code(kind, classes)
    parameters = {name: _part(getattr(part, name), classes) for name in names}
    return _all({"": [f"{kind.__module__}.{kind.__qualname__}"], **parameters})


def _all(values: dict[Any, Any]) -> dict[Any, Any] | None:
    return None if any(value is None for value in values.values()) else values


def _settings(owner: Any, classes: set[str], *, nested: bool = False) -> Any:
    """A part's settings, from attributes of the same names; if one is missing, plain attributes, too.

    Those of a part that is `nested` in another are all its parameters, else those that are keyword-only.
    """
    if owner is None or isinstance(owner, (str, int, float, bool)):
        return owner
    if isinstance(owner, (list, tuple)):
        return [_settings(inner, classes, nested=True) for inner in owner]
    if isinstance(owner, Mapping):
        return {str(key): _settings(inner, classes, nested=True) for key, inner in owner.items()}
    if isinstance(owner, partial):
        name = f"{owner.func.__module__}.{owner.func.__qualname__}"
        classes.add(name)
        return {"": name, **_settings(owner.keywords, classes)}
    kind = type(owner)
    _note_code(kind, classes)
    known = inspect.signature(kind).parameters
    named = [name for name, each in known.items() if nested or each.kind is each.KEYWORD_ONLY]
    values = {name: _settings(getattr(owner, name), classes, nested=True) for name in named if hasattr(owner, name)}
    if len(values) < len(named):
        simple = (str, int, float, bool, type(None))
        values |= {name: value for name, value in vars(owner).items() if isinstance(value, simple)}
    return {"": f"{kind.__module__}.{kind.__qualname__}", **values}
