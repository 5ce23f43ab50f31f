"""Opening of data files, compressed or not, and the errors of files that cannot be read."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import IO

from luthier.errors import DataError

SIGNATURES = {
    b"\x1f\x8b": ("gzip-compressed", ".gz"),
    b"\x28\xb5\x2f\xfd": ("Zstandard-compressed", ".zst"),
    b"PAR1": ("a Parquet file", ".parquet"),
    b"PK\x03\x04": ("a zip archive", ".zip"),
    b"BZh": ("bzip2-compressed", ".bz2"),
    b"\xfd7zXZ": ("xz-compressed", ".xz"),
    b"\xff\xfe": ("UTF-16 text", ".utf16"),
    b"\xfe\xff": ("UTF-16 text", ".utf16"),
}
WAYS_OUT = {
    ".gz": "Give it the ending .gz, and it is read as it is.",
    ".zst": "Give it the ending .zst, and it is read as it is.",
    ".parquet": "Read it with data=parquet.",
    ".utf16": "Convert it: iconv -f UTF-16 -t UTF-8.",
}


def one_file(path: Path) -> list[Path]:
    """A list of `path`, if it is a non-empty file; else DataError."""
    if path.is_dir():
        raise DataError(
            f"{path} is a folder, not a file.", where=str(path), hint="Name a file in it, or read it all: data=folder."
        )
    if not path.exists():
        near = get_close_matches(path.name, (other.name for other in path.absolute().parent.glob("*")), n=3)
        hint = f"Near it are {', '.join(near)}." if near else "Paths count from the folder you started luthier in."
        raise DataError(f"There is no file {path}.", where=str(path), hint=hint)
    if not path.is_file():
        raise DataError(f"{path} is a device or a pipe, which cannot be read twice.", where=str(path))
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.", where=str(path), hint="Was it written to the end?")
    return [path]


@contextmanager
def opened(path: Path, name: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if its name ends in .gz or .zst.

    DataError if it cannot be opened, if its first bytes contradict its name, or if a compressed file is incomplete.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
        ending = path.suffix.lower()
        kind, belongs = next(((k, e) for magic, (k, e) in SIGNATURES.items() if head.startswith(magic)), ("plain", ""))
        if belongs != (ending if ending in {".gz", ".zst"} else ""):
            raise _misnamed(path, name, kind, belongs)
        with UNPACKERS.get(ending, _plain)(path) as stream:
            yield stream
    except (EOFError, zlib.error, OSError) as error:
        if ending in {".gz", ".zst"} and not isinstance(error, (PermissionError, FileNotFoundError)):
            raise DataError(
                f"{name} breaks off or is damaged: {error}.", where=name, hint="Copy or download it again."
            ) from error
        raise DataError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.", where=name) from error


def _misnamed(path: Path, name: str, kind: str, belongs: str) -> DataError:
    if not belongs:
        return DataError(
            f"{name} ends in {path.suffix}, but is not compressed in that way.",
            where=name,
            hint=f"Name it {path.stem}.",
        )
    return DataError(
        f"{name} is {kind}, not plain text.",
        where=name,
        hint=WAYS_OUT.get(belongs, "Unpack it first."),
    )


def _plain(path: Path) -> IO[bytes]:
    return path.open("rb")


def _gzip(path: Path) -> IO[bytes]:
    return io.BufferedReader(gzip.open(path, "rb"))


def _zstandard(path: Path) -> IO[bytes]:
    # pyarrow raises an error for an incomplete file; the zstandard package silently ends.
    import pyarrow  # type: ignore[import-untyped]

    return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd"), 1 << 20)


UNPACKERS: dict[str, Callable[[Path], IO[bytes]]] = {".gz": _gzip, ".zst": _zstandard}
