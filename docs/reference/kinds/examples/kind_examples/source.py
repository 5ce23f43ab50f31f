"""Examples that are computed."""

from dataclasses import dataclass

from luthier.api import Record, RecordsSource


@dataclass(kw_only=True)
class Sums(RecordsSource):
    """Questions for the sum of two numbers below `below`."""

    below: int = 5

    def records(self):
        pairs = [(a, b) for a in range(self.below) for b in range(self.below)]
        for line, (a, b) in enumerate(pairs, start=1):
            yield Record("sums", line, {"prompt": f"What is {a} and {b}?", "completion": str(a + b)})

    def origin(self):
        return {"name": "sums", "sha256": str(self.below)}  # what the rows depend on
