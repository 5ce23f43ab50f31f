"""The parameters of a function or a constructor as they were read, and what several of them come to."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from luthier.config.source.annotations import type_of
from luthier.config.source.modules import Scope, Source

Kind = Literal["positional only", "positional", "keyword"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an annotation or a default stands: the scope of its names, and the type parameters of its function."""

    scope: Scope
    source: Source
    free: frozenset[str] = frozenset()

    @property
    def path(self) -> str:
        """The dotted name of the module or class."""
        return ".".join(filter(None, (self.source.name, self.source.keys.get(id(self.scope), "").partition("#")[0])))


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter with its default (REQUIRED where there is none); `field` of a class that is made from its fields."""

    name: str
    kind: Kind
    annotation: ast.expr | None
    default: Any
    place: Place
    field: bool = False

    @property
    def type(self) -> Any:
        return type_of(self.annotation, self.place.scope, self.place.source, free=self.place.free)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a call takes: `open`, it takes further names; not `certain`, it may take something else altogether."""

    parameters: tuple[Parameter, ...] = ()
    open: bool = False
    certain: bool = True

    @property
    def names(self) -> set[str]:
        return {one.name for one in self.parameters if one.kind != "positional only"}

    @property
    def shape(self) -> tuple[Any, ...]:
        """What two that take the same have in common."""
        written = [(one.annotation and ast.unparse(one.annotation), one.type) for one in self.parameters]
        listed = [(one.name, one.kind, str(one.default)) for one in self.parameters]
        return self.open, self.certain, listed, written

    def with_more(self, others: Iterable[Parameter]) -> Taken:
        """Own parameters first; what they hide is left out."""
        own = {one.name for one in self.parameters}
        return replace(self, parameters=(*self.parameters, *(one for one in others if one.name not in own)))

    def unsure(self) -> Taken:
        return replace(self, open=True, certain=False)


DYNAMIC = Taken(open=True, certain=False)


def either(found: list[Taken]) -> Taken:
    """One of several, a condition decides which: what all have in common is certain."""
    first, *others = found or [DYNAMIC]
    for one in others:
        if one.shape != first.shape:
            first = first.with_more(one.parameters).unsure()
    return first
