"""A Lightning strategy of our own, which counts the optimizer steps that it makes."""

from pytorch_lightning.strategies import SingleDeviceStrategy, Strategy


class CarefulStrategy(SingleDeviceStrategy):
    strategy_name = "careful"

    def __init__(self, device: str) -> None:
        super().__init__(device=device)
        self.made = 0

    def optimizer_step(self, *args, **kwargs):
        self.made += 1
        return super().optimizer_step(*args, **kwargs)

    def teardown(self) -> None:
        print(f"careful: {self.made} optimizer steps")
        super().teardown()


class Careful:
    """One device by its name."""

    def __init__(self, *, device: str = "cpu") -> None:
        self.device = device

    def __call__(self) -> Strategy:
        return CarefulStrategy(self.device)
