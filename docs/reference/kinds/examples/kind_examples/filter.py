"""Examples of a certain length."""

from luthier.api import example_text


class Short:
    """Keep examples of at most `characters` characters."""

    def __init__(self, *, characters: int = 200) -> None:
        self.characters = characters

    def __call__(self, examples, tally):
        for example in examples:
            if len(example_text(example)) <= self.characters:
                yield example
            else:
                tally.counts["too long"] += 1
