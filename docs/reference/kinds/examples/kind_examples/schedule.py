"""The learning rate falls with the root of time."""

from luthier.api import Schedule


class InverseRoot(Schedule):
    """Fall as 1 / √(1 + `steepness` · progress) after the warm-up."""

    def __init__(self, *, warmup: float = 0.03, steepness: float = 10.0) -> None:
        super().__init__(warmup=warmup)
        self.steepness = steepness

    def after_warmup(self, progress: float) -> float:
        return (1 + self.steepness * progress) ** -0.5
