"""CoNLL files: a word and its tag on each line, a blank line between sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from luthier.data.readers.characters import bad_character
from luthier.data.readers.lines import Line, lines
from luthier.data.readers.opening import one_file
from luthier.data.records import Record
from luthier.errors import DataError

DOCUMENT = "-DOCSTART-"


@dataclass(frozen=True)
class Conll:
    """Read each sentence of a CoNLL file as a row with the columns `tokens` and `tags`.

    `token` and `tag` are the numbers of the fields of a line, from 0; negative ones count from the end. `delimiter`
    parts them; null: any white space. Lines that begin with `-DOCSTART-`, and comments `# …` of a single `#` and a
    blank before a sentence's first word, are skipped.
    """

    token: int = 0
    tag: int = -1
    delimiter: str | None = None

    def files(self, path: Path) -> list[Path]:
        """The file itself, as a list; DataError where there is none."""
        return one_file(path)

    def records(self, path: Path, name: str) -> Iterator[Record]:
        """The sentences of one file, which faults call `name`; one with a bad line is a Record with its fault."""
        for blank, piece in groupby(lines(path, name), lambda line: not line.text.strip()):
            sentence = [] if blank else _without_comments(list(piece))
            if sentence:
                raw = "".join(line.text for line in sentence)
                try:
                    yield Record(name, sentence[0].number, self._row(sentence, name), raw=raw)
                except DataError as fault:
                    yield Record(name, sentence[0].number, fault=fault, raw=raw)

    def _row(self, sentence: list[Line], name: str) -> dict[str, list[str]]:
        tokens, tags = [], []
        for line in sentence:
            where = f"{name}:{line.number}"
            if line.fault:
                raise line.fault
            if bad := bad_character(line.text):
                raise DataError(f"The line has a bad character: {bad}.", where=where)
            fields = line.text.rstrip("\r\n").split(self.delimiter)
            furthest = max(self.token, self.tag, -self.token - 1, -self.tag - 1, 1)
            if len(fields) <= furthest:
                raise DataError(
                    f"The line has {len(fields)} field{'s' * (len(fields) != 1)}, and a word and its tag are expected.",
                    where=where,
                    hint="Say which they are with data.reader.token and data.reader.tag, and what parts them with "
                    "data.reader.delimiter.",
                )
            tokens.append(fields[self.token].strip())
            tags.append(fields[self.tag].strip())
        return {"tokens": tokens, "tags": tags}


def _without_comments(sentence: list[Line]) -> list[Line]:
    kept = [line for line in sentence if not line.text.startswith(DOCUMENT)]
    while kept and kept[0].text.startswith("# "):
        kept = kept[1:]
    return kept
