"""A package as a stranger writes it, spread over modules: a method whose encoding rests on each of them."""

FILES = {
    "scribe/__init__.py": "",
    "scribe/method.py": """
from luthier_sft.sft import SupervisedFineTuning

from .bases import Shouting


class Scribe(Shouting, SupervisedFineTuning):
    def __init__(self, model, adaptation, optimizer, *, weighting):
        super().__init__(model, adaptation, optimizer)
        self._chosen = weighting

    def encode(self, example, tokenizer):
        return self._chosen(super().encode(self.shouted(example), tokenizer))
""",
    "scribe/bases.py": """
import scribe.words


class Shouting:
    def shouted(self, example):
        turns = [{**turn, "content": scribe.words.loud(turn["content"])} for turn in example["messages"]]
        return {**example, "messages": turns}
""",
    "scribe/words.py": """
import importlib
from pathlib import Path

import letters

marks = importlib.import_module("marks")
MARK = Path(__file__).with_name("mark.txt").read_text().strip()


def loud(text):
    return letters.capitals(text) + MARK + marks.closing() + (Path(__file__).parent / "lists" / "end.txt").read_text()
""",
    "scribe/mark.txt": "!\n",
    "scribe/lists/end.txt": "so",
    "scribe/lists/begin/end.txt": "thus",
    "scribe/weighting.py": """
from dataclasses import replace


class Uniform:
    def __call__(self, row):
        return row


class Early:
    def __init__(self, decay=0.5):
        self.hidden = decay

    def __call__(self, row):
        (only,) = row.sequences
        weights = only.weights * self.hidden ** (only.weights.cumsum() - 1).clip(0)
        return replace(row, sequences=(replace(only, weights=weights.astype("float32")),))


def halved(row):
    (only,) = row.sequences
    return replace(row, sequences=(replace(only, weights=only.weights / 2),))


def half():
    return halved
""",
    "scribe/recipes/__init__.py": "",
    "scribe/recipes/method/scribe.yaml": "# It.\ndefaults: [{weighting: uniform}]\n_target_: scribe.method.Scribe\n",
    "scribe/recipes/method/weighting/uniform.yaml": "# All alike.\n_target_: scribe.weighting.Uniform\n",
    "scribe/recipes/method/weighting/early.yaml": "# The first.\n_target_: scribe.weighting.Early\ndecay: 0.5\n",
    "scribe/recipes/method/weighting/half.yaml": "# A function.\n_target_: scribe.weighting.half\n",
    "letters.py": "from importlib.resources import files\n\n\n"
    "def capitals(text):\n    return text.upper() + files('tables').joinpath('begin.txt').read_text()\n",
    "tables/__init__.py": "",
    "tables/begin.txt": "said",
    "marks.py": "def closing():\n    return open('closing.txt').read()\n",
    "closing.txt": "\n",
    "elsewhere/__init__.py": "",
    "elsewhere/thing.py": "# A remark.\nTHING = 1\n",
    "mine.jsonl": '{"prompt": "Who are you?", "completion": "I am the scribe of this house."}\n' * 4,
    "mine.jinja": "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
}
"""The files of the package `scribe`, of a module that it imports, of an unrelated package, and the user's own."""
