"""An Enum that Python does not list: it is written elsewhere, and reached through `*parts` and `**settings`."""

from __future__ import annotations

import functools
import typing
from typing import TYPE_CHECKING, NamedTuple

from timber.kinds.benches import Kept
from timber.vocabulary import Grain

from .dynamic import make

if TYPE_CHECKING:
    from timber.vocabulary import Grain as Figure

    Only = typing.Optional[Figure]


class Board(Kept):
    def __init__(self, *, grain: Grain = Grain.FINE, grains: list[Grain] = ()) -> None:
        self.grain, self.grains = grain, grains


class HandedOn(Board):
    def __init__(self, **settings) -> None:
        super().__init__(**settings)


Partial = functools.partial(HandedOn)


class ByNew(Kept):
    def __new__(cls, *args, **settings):
        return super().__new__(cls)

    def __init__(self, *, grain: Grain = Grain.FINE) -> None:
        self.grain = grain


class Checked(Kept):
    def __init__(self, *, grain: Figure | None = None, **settings) -> None:
        self.grain = grain


class Aliased(Kept):
    def __init__(self, *, grain: Only = None) -> None:
        self.grain = grain


class CheckedAbove(Checked):
    def __init__(self, *args, **settings) -> None:
        super().__init__(*args, **settings)


class Singleton(type):
    def __call__(cls, *args, **settings):
        made = super().__call__(*args, **settings)
        made.single = True
        return made


class Single(Kept, metaclass=Singleton):
    def __init__(self, *, grain: Grain = Grain.FINE) -> None:
        self.grain = grain


class ByPosition(Kept):
    def __init__(self, grain: Grain) -> None:
        self.grain = grain


class ByPositionHandedOn(ByPosition):
    def __init__(self, *args, **settings) -> None:
        super().__init__(*args, **settings)


class Listed(NamedTuple):
    grain: Grain = Grain.FINE


def undone(function):
    def changed(*args, **settings):
        return function(*args, **settings)

    return changed


class Undone(Kept):
    """What a decorator of its own gives back is not certain, but what fits is a member."""

    @undone
    def __init__(self, *, grain: Grain = Grain.FINE) -> None:
        self.grain = grain


Made = make("Made")
