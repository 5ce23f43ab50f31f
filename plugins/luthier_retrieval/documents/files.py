"""Documents in local files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from luthier.api import DataError, local_path
from luthier_retrieval.documents import Document, Documents
from luthier_retrieval.documents.reading import (
    ENDINGS,
    ColumnRole,
    Columns,
    can_read,
    documents_of,
    unreadable_sentences,
)


@dataclass(kw_only=True)
class DocumentFiles(Documents):
    """Read a file, or all readable files below a folder: text, Markdown, HTML, PDF, and one document per record.

    `columns` maps `text`, `title` and `name` to the columns of the records (JSON Lines, JSON, CSV, Parquet) that hold
    them. Files and folders whose name starts with a dot are ignored; other files of an unsupported kind, files that
    cannot be read and records without text are counted. DataError where nothing can be read.
    """

    path: str
    columns: dict[ColumnRole, str] | None = None
    unsupported: list[str] = field(default_factory=list, init=False)
    unreadable: list[DataError] = field(default_factory=list, init=False)

    def __iter__(self) -> Iterator[Document]:
        self.unsupported, self.unreadable = [], []
        root, count = local_path(self.path), 0
        columns = Columns(self.columns)
        for file in self._files(root):
            if not can_read(file):
                self.unsupported.append(str(file.relative_to(root)))
                continue
            name = file.name if file == root else file.relative_to(root).as_posix()
            for document in documents_of(file, name, columns, self.unreadable):
                count += 1
                yield document
        columns.refuse_absent()
        if self.unreadable and not count:
            raise self.unreadable[0]

    @property
    def place(self) -> str:
        return f"{local_path(self.path).absolute()} {self.columns}"

    @property
    def warnings(self) -> list[str]:
        sentences = []
        if self.unsupported:
            examples = ", ".join(self.unsupported[:3])
            sentences.append(
                f"{len(self.unsupported)} files below {self.path} are of an unsupported kind ({examples})."
            )
        return [*sentences, *unreadable_sentences(self.unreadable, self.path)]

    def _files(self, root: Path) -> list[Path]:
        if root.is_file() and can_read(root):
            return [root]
        if not root.is_dir():
            raise DataError(
                f"{self.path} is of an unsupported kind." if root.exists() else f"There is no {self.path}.",
                where="prompt.documents.path",
                hint=f"Name a folder, or a file that ends with {', '.join(ENDINGS)}.",
            )
        visible = (path for path in sorted(root.rglob("*")) if path.is_file())
        return [path for path in visible if not any(part.startswith(".") for part in path.relative_to(root).parts)]
