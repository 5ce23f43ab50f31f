from luthier.api import Adaptation, LanguageModelMethod, Loss, Model, Optimizer, Row, encode_conversation

from ._words import clamp
from .tempers import Temper


class Patient(LanguageModelMethod):
    """Cross-entropy whose size follows a temper, between `floor` and `ceiling`."""

    trains_likelihood = False

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        temper: Temper,
        floor: float = 0.1,
        ceiling: float = 1.0,
    ) -> None:
        super().__init__(model, adaptation, optimizer)
        self.temper, self.floor, self.ceiling = temper, floor, ceiling

    def encode(self, example, tokenizer):
        return Row((encode_conversation(example, tokenizer),))

    def loss(self, batch):
        plain = self.cross_entropy(batch)
        if not self.training:
            return plain
        return Loss(plain.sum * clamp(self.temper.factor(), self.floor, self.ceiling), plain.weight)

    def on_before_optimizer_step(self, optimizer):
        super().on_before_optimizer_step(optimizer)
        self.temper.saw(float(self.step_loss))
