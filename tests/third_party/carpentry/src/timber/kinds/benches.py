"""Bases that others derive from."""

from timber.vocabulary import DEFAULT_RANK, Mode


class Kept:
    """Keeps every setting under its name."""

    def __call__(self, folder):
        return []


class Bench(Kept):
    """A bench with a rank."""

    def __init__(self, *, rank: int = DEFAULT_RANK, mode: Mode = "plain") -> None:
        self.rank, self.mode = rank, mode


class Vice(Bench):
    pass
