"""The logger of `tracking=lines`."""

from pytorch_lightning.loggers import Logger


class LinesLogger(Logger):
    """Append lines to a file."""

    name, version = "lines", ""

    def __init__(self, file, digits) -> None:
        super().__init__()
        self.file, self.digits = file, digits

    def log_hyperparams(self, params):
        self._write(f"seed {params['seed']}")

    def log_metrics(self, metrics, step=None):
        figures = (f"{name} {value:.{self.digits}g}" for name, value in metrics.items())
        self._write(f"step {step}: {', '.join(figures)}")

    def _write(self, line):
        with self.file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
