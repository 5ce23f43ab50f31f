"""Documents in local files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from luthier.api import DataError, local_path
from luthier_retrieval.documents import Document, Documents
from luthier_retrieval.documents.reading import COLUMNS, ENDINGS, can_read, read


@dataclass(kw_only=True)
class DocumentFiles(Documents):
    """Read a file, or all readable files below a folder: text, Markdown, HTML, PDF, and one document per record.

    `columns` maps `text`, `title` and `name` to the columns of the records (JSON Lines, JSON, CSV, Parquet) that hold
    them. Files and folders whose name starts with a dot are ignored; other files of an unsupported kind are counted.
    """

    path: str
    columns: dict[str, str] | None = None
    unsupported: list[str] = field(default_factory=list, init=False)

    def __iter__(self) -> Iterator[Document]:
        self.unsupported = []
        root = local_path(self.path)
        columns = {**COLUMNS, **(self.columns or {})}
        for file in self._files(root):
            if not can_read(file):
                self.unsupported.append(str(file.relative_to(root)))
                continue
            yield from read(file, file.name if file == root else file.relative_to(root).as_posix(), columns)

    @property
    def place(self) -> str:
        return f"{local_path(self.path).absolute()} {self.columns}"

    @property
    def warnings(self) -> list[str]:
        if not self.unsupported:
            return []
        examples = ", ".join(self.unsupported[:3])
        return [f"{len(self.unsupported)} files below {self.path} are of an unsupported kind ({examples})."]

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
