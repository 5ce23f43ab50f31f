"""What only Python knows."""

import functools

from timber.kinds.benches import Bench, Kept
from timber.vocabulary import Grain

from .planes import Plane


def configurable(function):
    @functools.wraps(function)
    def changed(self, *args, **kwargs):
        return function(self, *args, **kwargs)

    return changed


class Decorated(Kept):
    @configurable
    def __init__(self, *, rank: int = 8, grain: Grain = Grain.FINE) -> None:
        self.rank, self.grain = rank, grain


def with_rank(cls):
    class Changed(cls):
        def __init__(self, *, rank: int = 8, **settings) -> None:
            super().__init__(**settings)
            self.rank = rank

    return Changed


@with_rank
class Replaced(Kept):
    def __init__(self, *, old: int = 1) -> None:
        self.old = old


class Changing(type):
    def __call__(cls, *, rank: int = 8, **settings):
        made = super().__call__(**settings)
        made.rank = rank
        return made


class Meta(Kept, metaclass=Changing):
    def __init__(self, *, depth: float = 1.0) -> None:
        self.depth = depth


def make(name):
    def __init__(self, *, rank: int = 8, grain: Grain = Grain.FINE):
        self.rank, self.grain = rank, grain

    return type(name, (Kept,), {"__init__": __init__})


Generated = make("Generated")


class Patched(Kept):
    def __init__(self, *, old: int = 1) -> None:
        self.old = old


def _init(self, *, rank: int = 8):
    self.rank = rank


Patched.__init__ = _init


def __getattr__(name):
    if name == "Lazy":
        return make("Lazy")
    raise AttributeError(name)


def factory(**settings):
    """Hands its settings on to something that it chooses."""
    chosen = [Bench, Plane][0]
    return chosen(**settings)
