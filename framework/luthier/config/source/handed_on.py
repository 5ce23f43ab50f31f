"""What a function does with its `*parts` and `**settings`: hands them on, looks single names up, or anything else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from luthier.config.source.modules import Function
from luthier.config.source.parameters import Parameter, Taken

_LOOKED_UP = {"pop", "get", "setdefault"}


@dataclass(slots=True)
class Use:
    """`call`: the only call that they are handed to; `named`: what is looked up by name, with its default.

    `open`: further names may be used in a way that cannot be read.
    """

    call: ast.Call | None = None
    named: list[tuple[str, ast.expr | None]] = field(default_factory=list)
    open: bool = False
    star: str | None = None
    words: str | None = None


def uses(function: Function) -> Use:
    """How the body of a function uses what it takes beyond its own parameters."""
    star = function.args.vararg.arg if function.args.vararg else None
    words = function.args.kwarg.arg if function.args.kwarg else None
    use = Use(star=star, words=words)
    above = {child: node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}
    calls: list[ast.Call] = []
    guarded = False
    for node in ast.walk(function):
        if not isinstance(node, ast.Name) or node.id not in {star, words}:
            continue
        parent = above[node]
        around = above.get(parent)
        unpacked = isinstance(parent, ast.Starred) or (isinstance(parent, ast.keyword) and parent.arg is None)
        if unpacked and isinstance(around, ast.Call):
            calls.append(around)
        elif node.id == words and (found := _looked_up(parent, around)):
            use.named += found
        elif node.id == words and _is_guard(node, above):
            guarded = True
        elif not isinstance(parent, ast.Compare):
            use.open = True
    distinct = list({id(call): call for call in calls}.values())
    if len(distinct) == 1:
        use.call = distinct[0]
    elif distinct or not guarded:
        use.open = words is not None
    return use


def _looked_up(parent: ast.AST | None, around: ast.AST | None) -> list[tuple[str, ast.expr | None]]:
    """`settings.pop("name", default)`, `settings["name"]`."""
    if isinstance(parent, ast.Subscript) and isinstance(parent.slice, ast.Constant):
        return [(str(parent.slice.value), None)]
    called = isinstance(parent, ast.Attribute) and parent.attr in _LOOKED_UP and isinstance(around, ast.Call)
    if called and isinstance(around, ast.Call) and around.args and isinstance(around.args[0], ast.Constant):
        return [(str(around.args[0].value), around.args[1] if len(around.args) > 1 else None)]
    return []


def _is_guard(node: ast.AST, above: dict[ast.AST, ast.AST]) -> bool:
    """Whether the settings are looked at to refuse what is left: `if settings: raise TypeError(…)`."""
    while (parent := above.get(node)) is not None and not isinstance(parent, Function):
        if isinstance(parent, ast.Raise):
            return True
        if isinstance(parent, ast.If):
            return node is parent.test and any(isinstance(one, ast.Raise) for one in parent.body)
        node = parent
    return False


def left(use: Use, reached: Taken) -> Iterator[Parameter]:
    """Those parameters of what is called that the function's own call does not fill itself."""
    assert use.call is not None
    filled = {word.arg for word in use.call.keywords if word.arg}
    starred = any(isinstance(one, ast.Starred) for one in use.call.args)
    given = sum(not isinstance(one, ast.Starred) for one in use.call.args)
    handed = any(word.arg is None and ast.unparse(word.value) == use.words for word in use.call.keywords)
    positional = [one for one in reached.parameters if one.kind != "keyword"]
    for place, one in enumerate(positional):
        if place < given or one.name in filled:
            continue
        if starred:
            yield one
        elif handed and one.kind == "positional":
            yield Parameter(one.name, "keyword", one.annotation, one.default, one.place)
    if handed:
        yield from (one for one in reached.parameters if one.kind == "keyword" and one.name not in filled)


def locals_of(function: Function) -> set[str]:
    """The names that are the function's own."""
    words = function.args
    listed = [*words.posonlyargs, *words.args, *words.kwonlyargs, *filter(None, (words.vararg, words.kwarg))]
    stored = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return stored | {one.arg for one in listed}
