"""A distance of two distributions over the next token."""

from luthier.api import Signal


class Hellinger(Signal):
    """1 - Σ √(p q): the squared Hellinger distance of the teacher's and the student's distribution."""

    def __init__(self, *, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def __call__(self, distributions):
        p, q = distributions.shared_log_probs(self.temperature)
        return 1 - ((p + q) / 2).exp().sum(-1)
