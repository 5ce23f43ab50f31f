"""From the source of a target to its signature."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from luthier.config.settings import REQUIRED, Setting, Signature
from luthier.config.source import modules
from luthier.config.source.calls import taken_by
from luthier.config.source.parameters import Parameter, either
from luthier.config.source.resolution import Defined, Meaning, inside, members
from luthier.config.type_hints import Part
from luthier.errors import PluginError
from luthier.plugins.source_code import spec


def read(target: str) -> Signature:
    """The signature of a target; PluginError where there is no such module, or nothing of that name in it."""
    module, words = _module(target)
    lies = spec(module)
    file = Path(lies.origin) if lies and lies.origin else Path()
    try:
        source = modules.source(module, largest=None)
    except (SyntaxError, UnicodeDecodeError) as error:
        place = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        said = error.msg if isinstance(error, SyntaxError) else error.reason
        raise PluginError(f"The module of {target!r} cannot be read: {said}.", where=f"{file}{place}") from error
    if source is None:  # compiled
        return Signature(target, (), file=file, open=True, certain=False)
    found = members(source, words)
    if not found or (len(words) > 1 and not source.bound(words[0])):
        raise _nothing(target, words, source)
    taken = either([taken_by(one) for one in found])
    handed, told = _apart(taken.parameters)
    by_name = {one.name: _setting(one) for one in handed if one.kind == "positional" and not _holds_part(one.type)}
    last = max((index for index, one in enumerate(handed) if _holds_part(one.type)), default=-1)
    by_name = {one.name: by_name[one.name] for one in handed[last + 1 :] if one.name in by_name}
    settings = {one.name: _setting(one) for one in told}
    doc, stands, line = _described(found[0], file)
    bound = source.bound(words[0])
    line = line or getattr(bound[0].node if bound else None, "lineno", 1)
    return Signature(
        target, tuple(one.name for one in handed), settings, doc, stands, line, taken.open, taken.certain, by_name,
        _needs(target, found[0]),
    )  # fmt: skip


def _module(target: str) -> tuple[str, list[str]]:
    """The module of a target and the names inside it: `package.module.Outer.Inner` has two."""
    words = target.split(".")
    for split in range(len(words) - 1, 0, -1):
        found = spec(".".join(words[:split]))
        if found is not None and found.origin and found.origin not in {"built-in", "frozen"}:
            return ".".join(words[:split]), words[split:]
    raise _no_module(target)


def _no_module(target: str) -> PluginError:
    return PluginError(f"The module of {target!r} cannot be found.", hint="Is its plugin installed?")


def _nothing(target: str, words: list[str], source: modules.Source) -> PluginError:
    if len(words) > 1 and not source.bound(words[0]):
        return _no_module(target)
    return PluginError(f"{target!r} is named by an option file, but {source.file} defines no {'.'.join(words)!r}.")


def _described(meaning: Meaning, file: Path) -> tuple[str, Path, int]:
    """The docstring of what a target means, its file and line; `file` where it is not read."""
    if not isinstance(meaning, Defined):
        return "", file, 0
    node = meaning.node
    documented = isinstance(node, modules.Definition)
    doc = ast.get_docstring(node) or "" if documented else ""  # type: ignore[arg-type]
    return doc, meaning.source.file, getattr(node, "lineno", 0)


def _needs(target: str, meaning: Meaning) -> dict[str, str]:
    """The class attribute `needs`, inherited ones too; PluginError where it is not written out."""
    if not isinstance(meaning, Defined) or not isinstance(meaning.node, ast.ClassDef):
        return {}
    written = next((one for one in inside(meaning, ["needs"]) if isinstance(one, Defined)), None)
    if written is None:
        return {}
    try:
        said: Any = ast.literal_eval(getattr(written.node, "value", None) or ast.Dict(keys=[], values=[]))
        return {str(key): str(value) for key, value in said.items()}
    except (ValueError, AttributeError) as error:
        message = f"`needs` of {target} is not a dictionary of texts that is written out."
        raise PluginError(message, hint='Such as {"rensa": "luthier[cpt]"}.') from error


def _setting(parameter: Parameter) -> Setting:
    annotation = ast.unparse(parameter.annotation) if parameter.annotation else "Any"
    return Setting(parameter.name, annotation, parameter.default, parameter.type, parameter.place.path)


def _apart(parameters: Sequence[Parameter]) -> tuple[list[Parameter], list[Parameter]]:
    """(parts, settings). Positional parameters are handed over from the left, so none before a part is a setting."""
    positional = [one for one in parameters if one.kind != "keyword" and not one.field]
    last = max((index for index, one in enumerate(positional) if not _is_optional(one)), default=-1)
    handed = {one.name for one in positional[: last + 1]}
    handed |= {one.name for one in parameters if one.field and one.kind == "positional" and _is_part_field(one)}
    return [one for one in parameters if one.name in handed], [one for one in parameters if one.name not in handed]


def _is_optional(parameter: Parameter) -> bool:
    """Whether a positional parameter is of a plain type and has a default, so that a recipe may say it."""
    if parameter.kind == "positional only" or parameter.default == REQUIRED:
        return False
    unsaid = parameter.annotation is None and parameter.default is None
    return not unsaid and not _holds_part(parameter.type)


def _is_part_field(parameter: Parameter) -> bool:
    return parameter.default == REQUIRED and _holds_part(parameter.type)


def _holds_part(expected: Any) -> bool:
    return expected is Part or any(_holds_part(one) for one in get_args(expected) if get_origin(expected) is Union)
