"""The first word of an answer."""

from luthier.api import Attempts, Sampling


class FirstWord:
    """Let the model write a few tokens, and take the first word of them as its answer."""

    writes = True

    def __init__(self, *, metrics, max_new_tokens: int = 4) -> None:
        self.metrics, self.max_new_tokens = metrics, max_new_tokens

    def __call__(self, predictor, questions, known):
        greedy = Sampling(max_new_tokens=self.max_new_tokens)
        answers = predictor.answers([question.conversation for question in questions], greedy)
        words = [answer.text.split()[:1] for answer in answers]
        attempts = [question.attempt("".join(word)) for question, word in zip(questions, words, strict=True)]
        return Attempts(attempts, {"answers without a word": words.count([])})
