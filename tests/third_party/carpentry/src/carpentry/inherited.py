"""Settings that come from elsewhere."""

import timber
import timber.kinds.benches as benches
from timber import Workbench, kinds
from timber.kinds import *
from typing import Generic, TypeVar

from .planes import Plane

T = TypeVar("T")


class Absolute(Workbench):
    pass


class Star(Vice):
    pass


class ByAttribute(timber.Workbench):
    pass


class ByModuleName(kinds.benches.Bench):
    pass


class HandsOn(Plane):
    def __init__(self, *, depth: float = 1.0, **settings) -> None:
        super().__init__(**settings)
        self.depth = depth


class HandsOnTwice(HandsOn):
    def __init__(self, *, width: float = 2.0, **settings) -> None:
        super(HandsOnTwice, self).__init__(**settings)
        self.width = width


class ByName(Plane):
    def __init__(self, *, depth: float = 1.0, **kwargs) -> None:
        Plane.__init__(self, **kwargs)
        self.depth = depth


class Fixed(Plane):
    """Says one of the base's settings itself."""

    def __init__(self, *, depth: float = 1.0, **settings) -> None:
        super().__init__(sharp=False, **settings)
        self.depth = depth


class Pops(Plane):
    def __init__(self, **settings) -> None:
        self.depth = settings.pop("depth", 1.0)
        super().__init__(**settings)


class Guards(benches.Kept):
    def __init__(self, **settings) -> None:
        self.rank = settings.pop("rank", 8)
        if settings:
            raise TypeError(f"unexpected: {settings}")


class Typed(benches.Bench, Generic[T]):
    pass


class OfTyped(Typed[int]):
    pass


class Mixin:
    def __init__(self, *, depth: float = 1.0, **settings) -> None:
        super().__init__(**settings)
        self.depth = depth


class Mixed(Mixin, Plane):
    """`super()` in the mixin is the plane."""


class Everything(Plane):
    def __init__(self, *parts, depth: float = 1.0, **settings):
        super().__init__(*parts, **settings)
        self.depth = depth


class Sets(benches.Kept):
    def __init__(self, **settings) -> None:
        self.__dict__.update({"rank": 8, **settings})
