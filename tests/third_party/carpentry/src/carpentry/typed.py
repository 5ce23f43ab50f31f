"""Types by every name that they can have."""

from __future__ import annotations

import enum
import typing
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Optional, Union

import timber
from timber import vocabulary
from timber.kinds.benches import Kept
from timber.vocabulary import (
    Count,
    Finish,
    Grade,
    Grain,
    Measures,
    Mode,
    Named,
    Number,
    Ratio,
    Size,
    Tolerant,
    Tree,
    Wood,
)
from typing_extensions import Self

if TYPE_CHECKING:
    from timber.vocabulary import Mode as Checked

Local = Literal["a", "b"]
Lit = Literal
Nested = Literal[Local, "c"]
Maybe = Optional[Local]


class Told(Kept):
    """One setting of each type."""

    def __init__(
        self,
        *,
        rank: int = vocabulary.DEFAULT_RANK,
        mode: Mode = "plain",
        other: vocabulary.Mode = "plain",
        local: Maybe = None,
        nested: Nested = "a",
        renamed: Lit["x", "y"] = "x",
        count: Count = 3,
        ratio: Ratio = 0.5,
        size: Size = "auto",
        named: Named = None,
        number: Number = 1,
        grain: Grain = Grain.FINE,
        wood: Wood = Wood.OAK,
        grade: Grade = vocabulary.Grade.LOW,
        finish: Finish = Finish.OIL,
        only: Literal[Grain.COARSE] | None = None,
        several: Sequence[Grain] = (),
        by_name: Mapping[str, Grain | None] | None = None,
        tolerant: Tolerant = Tolerant.SHARP,
        final: Final[int] = 2,
        annotated: Annotated[Optional[int], "doc"] = None,
        attribute: timber.Ratio = 0.5,
        module: typing.Optional[t.Union[int, str]] = None,
        quoted: "Optional[Mode]" = None,
        pair: tuple[int, str] = (1, "a"),
        checked: Checked | None = None,
        measures: Measures | None = None,
        folder: Path | str = ".",
        part: Callable[[float], float] | None = None,
        same: Self | None = None,
        flag: enum.Flag | None = None,
        tree: Tree = None,
    ) -> None:
        self.__dict__.update({name: value for name, value in locals().items() if name != "self"})
