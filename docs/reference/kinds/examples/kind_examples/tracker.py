"""Figures as lines of text."""

from luthier.api import GuardedLogger, Tracker


class Lines(Tracker):
    """Write a line for each step into `lines.txt` of the run's folder, with `digits` digits."""

    def __init__(self, *, digits: int = 4) -> None:
        self.digits = digits

    def __call__(self, folder):
        def make():
            from kind_examples.tracker_lines import LinesLogger  # a Lightning logger, imported when it is needed

            return LinesLogger(folder.path / "lines.txt", self.digits)

        return [GuardedLogger("lines", make)]
