"""The documents in a file, by its ending."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from luthier.api import TABLE_ENDINGS, DataError, no_column, reader_for
from luthier_retrieval.documents import Document
from luthier_retrieval.documents.kinds import needed

ColumnRole = Literal["text", "title", "name"]
COLUMNS: Mapping[ColumnRole, str] = {"text": "text", "title": "title", "name": "id"}
"""The default names of the columns of records."""


class Columns:
    """The columns of records that hold the text, the title and the name of a document, where `given` names others."""

    def __init__(self, given: Mapping[ColumnRole, str] | None) -> None:
        self.given, self.names = dict(given or {}), {**COLUMNS, **(given or {})}
        self.present: dict[str, None] = {}

    def values(self, row: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        """Text, title and name of a record; None for what it does not have."""
        self.present.update(dict.fromkeys(row))
        return row.get(self.names["text"]), row.get(self.names["title"]), row.get(self.names["name"])

    def refuse_absent(self) -> None:
        """DataError where a column that was given is in none of the records, after all were read."""
        for column in self.given.values() if self.present else ():
            if column not in self.present:
                raise no_column(column, self.present, setting="prompt.documents.columns", who="no record has")


def _plain(path: Path) -> Document:
    return Document("", _decoded(path))


def _markdown(path: Path) -> Document:
    return Document("", _decoded(path), markdown=True)


def _html(path: Path) -> Document:
    """A page as Markdown, without scripts, styles and navigation."""
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    page = BeautifulSoup(_decoded(path), "html.parser")
    title = page.title.get_text(" ", strip=True) if page.title else ""
    for part in page(["head", "script", "style", "noscript", "template", "nav"]):
        part.decompose()
    text = MarkdownConverter(heading_style="ATX", strip=["img"]).convert_soup(page)
    return Document("", text.strip(), title, markdown=True)


def _pdf(path: Path) -> Document:
    """The text of each page below a heading with its number, so that an answer can cite the page."""
    from pypdf import PdfReader

    try:
        reader = PdfReader(path)
        pages = [page.extract_text() for page in reader.pages]
        title = str(reader.metadata.title or "" if reader.metadata else "")
    except Exception as error:  # a damaged file can make any part of the library fail
        raise DataError(f"The PDF cannot be read: {type(error).__name__}: {error}.", where=str(path)) from error
    numbered = (f"## Page {number}\n\n{text.strip()}" for number, text in enumerate(pages, 1) if text.strip())
    return Document("", "\n\n".join(numbered), title, markdown=True)


FILES: Mapping[str, Callable[[Path], Document]] = {
    ".txt": _plain, ".text": _plain, ".rst": _plain, ".md": _markdown, ".markdown": _markdown,
    ".html": _html, ".htm": _html, ".pdf": _pdf,
}  # fmt: skip
ENDINGS = (*FILES, *TABLE_ENDINGS)


def can_read(path: Path) -> bool:
    """Whether the ending of a file is supported."""
    return path.suffix.lower() in FILES or reader_for(path) is not None


def documents_of(path: Path, name: str, columns: Columns, unreadable: list[DataError]) -> Iterator[Document]:
    """The documents of a file that can be read; the faults of the others, or of the file, are added to `unreadable`."""
    try:
        for found in read(path, name, columns):
            if isinstance(found, DataError):
                unreadable.append(found)
            else:
                yield found
    except DataError as fault:
        unreadable.append(fault)


def unreadable_sentences(faults: Sequence[DataError], place: str) -> list[str]:
    """A warning that counts what could not be read, with the first three faults; an empty list where all could be."""
    if not faults:
        return []
    examples = "; ".join(f"{fault.where}: {fault.message}" if fault.where else fault.message for fault in faults[:3])
    return [f"{len(faults)} files or records of {place} cannot be read and are not searched ({examples})."]


def read(path: Path, name: str, columns: Columns) -> Iterator[Document | DataError]:
    """The document in a text file, or one for each record of a table; in its place the fault of one without text.

    DataError where the file as a whole cannot be read.
    """
    if (reading := FILES.get(path.suffix.lower())) is not None:
        needed(path)
        document = reading(path)
        yield Document(name, document.text, document.title, document.markdown)
        return
    reader = reader_for(path)
    assert reader is not None, "callers check `can_read` first"
    for record in reader[1].records(path, name):
        if record.row is None:
            yield record.fault or DataError("The row cannot be read.", where=record.where)
            continue
        text, title, identifier = columns.values(record.row)
        if not isinstance(text, str):
            columns_present = ", ".join(map(str, record.row))
            hint = f"It has {columns_present}; 'prompt.documents.columns={{text: …}}' names the right one."
            yield DataError(f"A record has no text in {columns.names['text']!r}.", where=record.where, hint=hint)
            continue
        name_of_record = record.where if identifier is None else str(identifier)
        yield Document(name_of_record, text, str(title or ""), markdown=True)


def _decoded(path: Path) -> str:
    """The UTF-8 text of a file; DataError for another encoding, since no encoding is guessed."""
    try:
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise DataError(f"The document cannot be read: {error.strerror or error}.", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"The document is not UTF-8: byte {error.start} cannot be read.",
            where=str(path),
            hint="Save it as UTF-8.",
        ) from error
