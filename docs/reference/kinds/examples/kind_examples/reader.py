"""Files of lines `key: value`, a blank line between two rows."""

from luthier.api import DataError, Record


class Blocks:
    """Read blocks of `key: value` lines; `mark` separates keys from values."""

    def __init__(self, *, mark: str = ":") -> None:
        self.mark = mark

    def files(self, path):
        if not path.is_file():
            raise DataError(f"{path} is no file.", where=str(path))
        return [path]

    def records(self, path, name):
        line = 1
        for block in path.read_text(encoding="utf-8").split("\n\n"):
            rows = [row.partition(self.mark) for row in block.strip().splitlines()]
            if all(mark for _, mark, _ in rows):
                yield Record(name, line, {key.strip(): value.strip() for key, _, value in rows})
            else:
                yield Record(name, line, fault=DataError(f"A line has no {self.mark!r}."), raw=block)
            line += block.count("\n") + 2
