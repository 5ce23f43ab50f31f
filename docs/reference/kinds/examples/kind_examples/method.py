"""A loss that trains unlikely tokens most."""

from luthier.api import LanguageModelMethod, Loss, Row, encode_conversation, shifted_targets


class Focal(LanguageModelMethod):
    """Raise the likelihood of tokens, the likely ones less: -(1 - p)^γ log p of each (Lin et al., 2017)."""

    likelihood = trains_likelihood = False  # so nobody shows a perplexity

    def __init__(self, model, adaptation, optimizer, *, gamma: float = 2.0) -> None:
        super().__init__(model, adaptation, optimizer)
        self.gamma = gamma

    def encode(self, example, tokenizer) -> Row:
        return Row((encode_conversation(example, tokenizer),))

    def loss(self, batch) -> Loss:
        _, weights = shifted_targets(batch)
        log_p = self.token_log_probs(batch).flatten()
        return Loss((-((1 - log_p.exp()) ** self.gamma) * log_p * weights).sum(), weights.sum())
