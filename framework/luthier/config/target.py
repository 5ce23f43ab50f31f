"""What a recipe names as `_target_`, and what is known of its parameters: by Python, and by its source."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from luthier.config.annotation_names import evaluated, names_at, names_of
from luthier.config.real_types import normal
from luthier.config.settings import Signature
from luthier.config.signatures import signature
from luthier.errors import PluginError

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Target:
    """`made` is the class or function that the name means, as it was imported."""

    name: str
    made: Callable[..., Any]

    @cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter] | None:
        """What the target takes; None where Python does not know, as of some compiled functions."""
        return _parameters(self.made, follow_wrapped=True)

    @cached_property
    def wrapper(self) -> Mapping[str, inspect.Parameter]:
        """What the outermost wrapper takes, which stands in front of the function whose signature it shows."""
        return _parameters(self.made, follow_wrapped=False) or {}

    @cached_property
    def source(self) -> Signature | None:
        """What the source says; it knows what `**settings` reach, where Python knows that there are any."""
        try:
            return signature(self.name)
        except PluginError:
            return None

    @property
    def is_open(self) -> bool:
        """Whether the target may take further names than Python lists."""
        shown = (*(self.parameters or {}).values(), *self.wrapper.values())
        return any(one.kind is one.VAR_KEYWORD for one in shown)

    @property
    def by_name(self) -> dict[str, inspect.Parameter]:
        """Those parameters that can be given by name."""
        listed = {**self.wrapper, **(self.parameters or {})}
        return {name: one for name, one in listed.items() if one.kind in _BY_NAME}

    @property
    def _more(self) -> inspect.Parameter | None:
        """`**more: Type`, which gives each further name its type."""
        listed = (self.parameters or {}).values()
        return next((one for one in listed if one.kind is one.VAR_KEYWORD and one.annotation is not one.empty), None)

    def handed(self, count: int) -> list[str]:
        """The names of the parameters that so many parts fill from the left."""
        positional = [one for one in (self.parameters or {}).values() if one.kind.name.startswith("POSITIONAL")]
        return [one.name for one in positional[:count]]

    def takes_first(self, name: str) -> bool:
        """Whether the first positional parameter has the name, also one that `*parts` are handed on to."""
        first = next(iter(self.parameters.values()), None) if self.parameters is not None else None
        if self.parameters is None or (first is not None and first.kind is first.VAR_POSITIONAL):
            return self.source is not None and self.source.parts[:1] == (name,)
        return self.handed(1) == [name]

    def type_of(self, name: str) -> tuple[Any, bool]:
        """The type of a parameter as recipes are checked by, and whether that is certain."""
        annotation, certain = self.annotation_of(name)
        return normal(annotation), certain

    def annotation_of(self, name: str) -> tuple[Any, bool]:
        """The type of a parameter, and whether that is certain: what Python lists is, as is what the source settles."""
        listed = self.by_name.get(name)
        if listed is not None:
            annotation = Any if listed.annotation is listed.empty else listed.annotation
            return evaluated(annotation, names_of(self.made, name)), True
        told = self.source.told.get(name) if self.source else None
        if told is None and (more := self._more) is not None:
            return evaluated(more.annotation, names_of(self.made, more.name)), True
        if self.source is None or told is None:
            return Any, False
        return evaluated(told.annotation, [names_at(told.written_in)]), self.source.certain


def _parameters(made: Callable[..., Any], *, follow_wrapped: bool) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(made, follow_wrapped=follow_wrapped).parameters
    except (ValueError, TypeError, NameError):
        return None
