"""Parts that are handed the user's trust, by a constructor of their own or of a class above."""

from timber.kinds.benches import Kept

from .reached import undone


class Trusting(Kept):
    def __init__(self, trust, *, rank: int = 8) -> None:
        self.trust, self.rank = trust, rank


class HandedOn(Trusting):
    def __init__(self, *args, **settings) -> None:
        super().__init__(*args, **settings)


class Deeper(HandedOn):
    def __init__(self, *args, depth: int = 1, **settings) -> None:
        super().__init__(*args, **settings)


class ByNew(Kept):
    def __new__(cls, *args, **settings):
        return super().__new__(cls)

    def __init__(self, trust, *, rank: int = 8) -> None:
        self.trust, self.rank = trust, rank


class Undone(Kept):
    @undone
    def __init__(self, trust, *, rank: int = 8) -> None:
        self.trust, self.rank = trust, rank


class Other(Kept):
    """Takes parts, none of which is the trust."""

    def __init__(self, *args, rank: int = 8) -> None:
        self.trust, self.rank = args, rank
