"""The classes above a class in the order of Python's lookup, and what each binds itself."""

from __future__ import annotations

import ast

from luthier.config.source import fields
from luthier.config.source.resolution import UNKNOWN, Defined, Meaning, Outside, inside, resolved_base

_DEEPEST = 20


def linear(meaning: Defined, depth: int = 0) -> list[Meaning]:
    """The method resolution order (C3), with what cannot be read in it as Outside."""
    assert isinstance(meaning.node, ast.ClassDef)
    rows: list[list[Meaning]] = []
    for base in meaning.node.bases:
        named = base.value if isinstance(base, ast.Subscript) else base
        found = resolved_base(named, meaning)
        one: Meaning = found[0] if len(found) == 1 else Outside("?")
        is_class = isinstance(one, Defined) and isinstance(one.node, ast.ClassDef)
        if one == UNKNOWN and (models := fields.written(named, meaning) & fields.MODELS):
            one = Outside(models.pop())
        if isinstance(one, Defined) and (not is_class or one.path in fields.MODELS):
            one = Outside(one.path if is_class else "?")
        rows.append(linear(one, depth + 1) if isinstance(one, Defined) and depth < _DEEPEST else [one])
    rows.append([row[0] for row in rows])
    order: list[Meaning] = [meaning]
    while rows := [row for row in rows if row]:
        head = next((row[0] for row in rows if not any(row[0] in other[1:] for other in rows)), rows[0][0])
        order.append(head)
        rows = [[one for one in row if one != head] for row in rows]
    return order


def own(meaning: Meaning, name: str) -> list[Meaning]:
    """What the class's own body binds to a name."""
    if not isinstance(meaning, Defined):
        return []
    if not meaning.source.bound(f"{meaning.key}.{name}"):
        return []
    return inside(meaning, [name])


def first(order: list[Meaning], name: str) -> list[Defined]:
    """What the first class in the order that binds the name binds to it."""
    each = ([bound for bound in own(one, name) if isinstance(bound, Defined)] for one in order)
    return next(filter(None, each), [])
