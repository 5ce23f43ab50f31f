"""Documents of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from luthier.api import DataError
from luthier_retrieval.documents import Document, Documents
from luthier_retrieval.documents.reading import COLUMNS, ENDINGS, can_read, read


@dataclass(kw_only=True)
class Files(Documents):
    """A file, or all files below a folder that can be read: text, Markdown, HTML, PDF, and records as documents.

    `columns` says how the columns of records (JSON Lines, JSON, CSV, Parquet) are called that hold the `text`, the
    `title` and the `name`. Files and folders whose name starts with a dot are passed over; other files that cannot be
    read are counted.
    """

    path: str
    columns: dict[str, str] | None = None
    passed_over: list[str] = field(default_factory=list, init=False)

    def __iter__(self) -> Iterator[Document]:
        self.passed_over = []
        root = Path(self.path).expanduser()
        columns = {**COLUMNS, **(self.columns or {})}
        for file in self._files(root):
            if not can_read(file):
                self.passed_over.append(str(file.relative_to(root)))
                continue
            yield from read(file, file.name if file == root else file.relative_to(root).as_posix(), columns)

    @property
    def place(self) -> str:
        return f"{Path(self.path).expanduser().absolute()} {self.columns}"

    @property
    def warnings(self) -> list[str]:
        if not self.passed_over:
            return []
        named = ", ".join(self.passed_over[:3])
        return [f"{len(self.passed_over)} files below {self.path} are of a kind that is not read ({named})."]

    def _files(self, root: Path) -> list[Path]:
        if root.is_file() and can_read(root):
            return [root]
        if not root.is_dir():
            raise DataError(
                f"{self.path} is of a kind that is not read." if root.exists() else f"There is no {self.path}.",
                where="prompt.documents.path",
                hint=f"Name a folder, or a file that ends with {', '.join(ENDINGS)}.",
            )
        visible = (path for path in sorted(root.rglob("*")) if path.is_file())
        return [path for path in visible if not any(part.startswith(".") for part in path.relative_to(root).parts)]
