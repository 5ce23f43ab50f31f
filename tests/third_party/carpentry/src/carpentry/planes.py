from timber.kinds.benches import Kept


class Plane(Kept):
    def __init__(self, *, rank: int = 8, sharp: bool = True) -> None:
        self.rank, self.sharp = rank, sharp
