"""Classes that take the name of what they inherit from, and values as they are where a class is defined."""

from timber.kinds.benches import Kept
from timber.vocabulary import Grain

HEIGHT = 13


class Kept(Kept):
    """A class named like its base."""

    def __init__(self, *, rank: int = 8, height: int = HEIGHT, **settings) -> None:
        super().__init__(**settings)
        self.rank, self.height = rank, height


HEIGHT = 14


class Outer:
    class Kept(Kept):
        def __init__(self, *, depth: int = 1, **settings) -> None:
            super().__init__(**settings)
            self.depth = depth


class Kept(Kept):
    """The third of the name."""

    def __init__(self, *, grain: Grain = Grain.FINE, **settings) -> None:
        super().__init__(**settings)
        self.grain = grain


class Further:
    def __init__(self, **grains: Grain) -> None:
        self.grains = grains


class Faulty:
    def __init__(self, *, name: str = "a", indent: int = 2) -> None:
        helper("x", indent=indent) if indent > 2 else helper()


def helper(name):
    return name
