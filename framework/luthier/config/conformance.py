"""A part held against its contract as soon as it is built: the methods and attributes that the core will use.

The contract is the type of the parameter that receives the part, such as `reward: Reward`: a protocol or an abstract
class of luthier or of a plugin, or a `Callable` of so many arguments; also as the values of a mapping or sequence.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType, UnionType
from typing import Any, Union, get_args, get_origin

from luthier.errors import PluginError
from luthier.plugins.answered import answer_of
from luthier.plugins.blame import place_of, written

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_MADE_BY_PYTHON = {"__init__", "__new__", "__init_subclass__", "__subclasshook__", "__class_getitem__"}


def refuse_misfit(part: Any, expected: Any, at: str) -> None:
    """PluginError where a part is not what the type of the parameter that receives it asks for."""
    if problem := _problem(part, expected):
        raise PluginError(f"{answer_of(written(part)) or at}: {problem}.", where=at)


def _problem(part: Any, expected: Any) -> str:
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        problems = [_problem(part, one) for one in arguments if one is not type(None)]
        return problems[0] if problems and all(problems) else ""
    if origin is Callable and arguments and isinstance(arguments[0], list):
        return _uncallable(part, [_word(one) for one in arguments[0]])
    if isinstance(origin, type) and issubclass(origin, (Mapping, Sequence)) and arguments:
        values = part.values() if isinstance(part, Mapping) else part if isinstance(part, (list, tuple)) else ()
        return next((found for one in values if (found := _problem(one, arguments[-1]))), "")
    kind = origin if isinstance(origin, type) else expected
    if not _is_contract(kind) or (isinstance(part, Mapping) and not hasattr(kind, "__getitem__")):
        return ""
    if isinstance(part, type):
        return f"{place_of(part)} is the class itself, and must be one of its objects: a {kind.__name__}"
    return next((found for name, of in _members(kind) if (found := _unmet(part, name, of, kind))), "")


def _is_contract(kind: Any) -> bool:
    return isinstance(kind, type) and (bool(getattr(kind, "_is_protocol", False)) or inspect.isabstract(kind))


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods and attributes of a contract, those that it inherits from other contracts too."""
    for one in (one for one in kind.__mro__ if _is_contract(one)):
        names = dict.fromkeys([*vars(one), *vars(one).get("__annotations__", {})])
        for name in names:
            value = vars(one).get(name)
            special = name.startswith("__") and isinstance(value, FunctionType) and name not in _MADE_BY_PYTHON
            if special or not name.startswith("_"):
                yield name, value


def _unmet(part: Any, name: str, of: Any, kind: type) -> str:
    missing = object()
    found = inspect.getattr_static(part, name, missing)
    if name.startswith("__"):
        found = inspect.getattr_static(type(part), name, missing)
    if found is missing:
        if hasattr(type(part), "__getattr__"):
            return ""
        is_method = isinstance(of, FunctionType)
        what = f"method {name}({', '.join(_required(of))})" if is_method else f"attribute {name}"
        has_body = of is not None and not getattr(of, "__isabstractmethod__", False)
        way = f": inherit {kind.__name__}, which has one" if has_body else f", which a {kind.__name__} must have"
        return f"{place_of(part)} has no {what}{way}"
    if not isinstance(of, FunctionType):
        return _uncalled(found) if isinstance(of, property) else ""
    if isinstance(found, property):
        return ""
    return _uncallable(part if name == "__call__" else getattr(part, name), _required(of), _keywords(of))


def _uncalled(found: Any) -> str:
    """Why something is not the attribute that is read without a call; empty where it is."""
    is_method = isinstance(found, FunctionType | staticmethod | classmethod)
    return f"{place_of(found)} is a method, and must be an attribute: put @property before it" if is_method else ""


def _uncallable(part: Any, words: Sequence[str], named: Sequence[str] = ()) -> str:
    """Why a function cannot be called with so many arguments by position and these by name; empty where it can."""
    if not callable(part):
        return f"{place_of(part)} must be a function of {', '.join(words) or 'nothing'}"
    call = inspect.getattr_static(type(part), "__call__", part)
    if inspect.iscoroutinefunction(part) or inspect.iscoroutinefunction(call):
        return f"{place_of(part)} is async, and must be a plain function"
    if isinstance(call, staticmethod):  # Python 3.11 takes its first parameter for the object
        part = call.__func__
    try:
        signature = inspect.signature(part)
    except (ValueError, TypeError):  # a compiled one
        return ""
    try:
        signature.bind(*words, **dict.fromkeys(named))
    except TypeError:
        takes = ", ".join(str(one.name) for one in signature.parameters.values()) or "nothing"
        return f"{place_of(part)} must take {', '.join([*words, *named]) or 'nothing'}, and takes {takes}"
    return ""


def _required(function: Any) -> list[str]:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return [one.name for one in parameters if one.kind in _POSITIONAL and one.default is one.empty]


def _keywords(function: Any) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [one.name for one in parameters if one.kind is one.KEYWORD_ONLY and one.default is one.empty]


def _word(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))
