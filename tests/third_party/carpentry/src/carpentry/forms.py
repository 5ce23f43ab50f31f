"""Classes by every way that there is to make one."""

import functools
import sys
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import ClassVar, NamedTuple

from typing_extensions import TypedDict, Unpack

from timber.kinds.benches import Bench, Kept
from timber.vocabulary import Grain

from .planes import Plane

if sys.version_info >= (3, 8):

    class Conditional(Kept):
        def __init__(self, *, rank: int = 8) -> None:
            self.rank = rank

else:

    class Conditional(Kept):
        def __init__(self, *, old: int = 8) -> None:
            self.old = old


try:
    import no_such_module_anywhere

    class Tried(Kept):
        def __init__(self, *, rank: int = 8) -> None:
            self.rank = rank

except ImportError:

    class Tried(Kept):
        def __init__(self, *, rank: int = 8) -> None:
            self.rank = rank


Renamed = Bench
Twice = Renamed


class Outer:
    class Inner(Plane):
        """Stands inside another class."""

    Alias = Bench


class InnerOfBase(Outer):
    pass


def function(folder=None, *, rank: int = 8):
    return [rank]


def plainly(rank: int = 8, sharp: bool = True):
    return [rank, sharp]


Quick = functools.partial(Bench, rank=16)


@dataclass
class Data(Kept):
    rank: int = 8
    words: list[str] = field(default_factory=list)
    kind: ClassVar[str] = "data"
    made: int = field(init=False, default=0)


@dataclass(kw_only=True)
class KeywordData(Data):
    sharp: bool = field(default=True)
    grain: Grain = Grain.FINE


@dataclass
class Marked(Kept):
    rank: int = 8
    _: KW_ONLY
    sharp: bool = True
    seed: InitVar[int] = 0

    def __post_init__(self, seed):
        self.seeded = seed


@dataclass(init=False)
class NoInit(Plane):
    shown: int = 3


class Triple(NamedTuple):
    rank: int = 8
    sharp: bool = True


class Options(TypedDict, total=False):
    rank: int
    sharp: bool


class Unpacked(Kept):
    def __init__(self, **settings: Unpack[Options]) -> None:
        self.rank = settings.get("rank", 8)
        self.sharp = settings.get("sharp", True)


class Made(Kept):
    def __new__(cls, *, rank: int = 8):
        made = super().__new__(cls)
        made.rank = rank
        return made


class Positional(Kept):
    """Without a star: settings of plain types all the same."""

    def __init__(self, rank: int = 8, sharp=True):
        self.rank, self.sharp = rank, sharp


REGISTRY = {}


def register(cls):
    REGISTRY[cls.__name__] = cls
    return cls


def register_as(name):
    def keep(cls):
        REGISTRY[name] = cls
        return cls

    return keep


@register
class Registered(Plane):
    pass


@register_as("named")
class RegisteredAs(Plane):
    pass


class Class(type):
    """A metaclass that leaves calls alone."""


class WithMeta(Plane, metaclass=Class):
    pass


class Built(Kept):
    def __init__(self, rank):
        self.rank = rank

    @classmethod
    def of(cls, *, rank: int = 8):
        return cls(rank)
