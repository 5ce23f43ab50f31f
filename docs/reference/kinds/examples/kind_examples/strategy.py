"""Data-parallel training of Lightning itself."""

from luthier.api import Strategy


class PlainDdp(Strategy):
    """Each device holds the whole network; gradients are views into the buckets in which they travel."""

    def __init__(self, *, bucket_mb: int = 25) -> None:
        self.bucket_mb = bucket_mb

    def __call__(self):
        from pytorch_lightning.strategies import DDPStrategy

        return DDPStrategy(gradient_as_bucket_view=True, bucket_cap_mb=self.bucket_mb)
