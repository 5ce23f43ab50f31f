"""Answers that end as a sentence does."""


class Ended:
    """1 for an answer that ends with one of the `marks`, else 0; it counts the answers that it has seen."""

    def __init__(self, *, marks: str = ".!?") -> None:
        self.marks, self.seen = marks, 0

    def __call__(self, prompt, answers, example):
        self.seen += len(answers)
        return [float(answer.strip().endswith(tuple(self.marks))) for answer in answers]

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]
