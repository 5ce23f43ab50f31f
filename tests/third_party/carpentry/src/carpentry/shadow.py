"""A subclass whose module has another Grain than the module that the setting is written in."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .reached import Board
from .forms import KeywordData


class Grain(enum.Enum):
    NONE = "none"


class Shadowing(Board):
    pass


@dataclass(kw_only=True)
class ShadowingData(KeywordData):
    own: Grain = Grain.NONE
