"""Passages that share words with the question."""

import json

import numpy as np

from luthier.api import top_k, words_of


class SharedWords:
    """Rank passages by the number of words that they share with the question, those of `least` letters or more."""

    def __init__(self, *, least: int = 3) -> None:
        self.least, self.texts = least, []

    def write(self, folder, texts, reused):
        (folder / "words.json").write_text(json.dumps([sorted(self._words(text)) for text in texts]))

    def open(self, segments):
        self.texts = [set(words) for one in segments for words in json.loads((one.folder / "words.json").read_text())]

    def __call__(self, question, k):
        asked = self._words(question)
        scores = np.array([len(asked & words) for words in self.texts], np.float32)
        best = top_k(scores, k)
        return best, scores[best]

    def identity(self):
        return f"shared_words {self.least}"

    def _words(self, text):
        return {word for word in words_of([text])[0] if len(word) >= self.least}
