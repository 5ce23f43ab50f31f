"""How a method's patience follows the losses that it has seen."""

from typing import Any, Protocol


class Temper(Protocol):
    def factor(self) -> float:
        """What the next step's loss is multiplied by."""
        ...

    def saw(self, loss: float) -> None:
        """The loss of a step that is over."""
        ...


class Remembering:
    """The share of the first loss that is left, smoothed."""

    def __init__(self, *, smoothing: float = 0.5) -> None:
        self.smoothing = smoothing
        self.first: float | None = None
        self.mean = 0.0

    def factor(self) -> float:
        return 1.0 if not self.first else self.mean / self.first

    def saw(self, loss: float) -> None:
        if self.first is None:
            self.first = self.mean = loss
        self.mean = self.smoothing * self.mean + (1 - self.smoothing) * loss

    def state_dict(self) -> dict[str, Any]:
        return {"first": self.first, "mean": self.mean}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.first, self.mean = state["first"], state["mean"]
