"""Extraction of single files from untrusted archives."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterable
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from luthier.errors import RecipeError, Refused, ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterator


def extract(archive: Path, inner: str, folder: Path) -> None:
    """Write the file `inner` of a zip or tar archive into `folder`, under its last name alone.

    The path inside determines which file is read, never where it is written. Refused for absolute paths and `..` (also
    in the archive's own names), for links and for devices; RecipeError if there is no such file; ResourceError if the
    archive is damaged.
    """
    path = _inside(inner, archive)
    opener = _zip_member if zipfile.is_zipfile(archive) else _tar_member
    try:
        with opener(archive, inner) as source, (folder / path.name).open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise ResourceError(f"{archive.name} cannot be unpacked: {error}.", hint="Fetch it again.") from error


def inside(archive: Path, folder: str) -> list[str]:
    """The paths of the files directly in a folder of an archive; RecipeError if there is none."""
    names = _names(archive)
    files = [name for name in names if name.rpartition("/")[0] == folder.rstrip("/")]
    if not files:
        raise _missing(archive, f"{folder}/", {name.rpartition("/")[0] for name in names})
    return files


def configurations_below(archive: Path, folder: str) -> list[PurePosixPath]:
    """The paths of the files `config.json` one folder further down, as from the folder; Refused for unsafe ones."""
    start = PurePosixPath(folder.rstrip("/"))
    paths = (_inside(name, archive) for name in _names(archive) if name.endswith("/config.json"))
    return [path.relative_to(start) for path in paths if path.parent.parent == start]


def _names(archive: Path) -> list[str]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            return [name for name in file.namelist() if not name.endswith("/")]
    with tarfile.open(archive) as tar:
        return [info.name for info in tar.getmembers() if not info.isdir()]


def _inside(inner: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(inner)
    unsafe = path.is_absolute() or ".." in path.parts or "\\" in inner or "\0" in inner or ":" in inner
    if unsafe or not path.name:
        raise Refused(
            f"The path {inner!r} does not stay inside {archive.name}.",
            hint="Name a file of the archive by its relative path.",
        )
    return path


@contextmanager
def _zip_member(archive: Path, inner: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(archive) as file:
        if inner not in file.namelist():
            raise _missing(archive, inner, file.namelist())
        info = file.getinfo(inner)
        mode = info.external_attr >> 16  # zero where no Unix permissions were stored
        if info.is_dir() or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
            raise _not_a_file(archive, inner)
        with file.open(info) as source:
            yield source


@contextmanager
def _tar_member(archive: Path, inner: str) -> Iterator[IO[bytes]]:
    with tarfile.open(archive) as file:
        try:
            info = file.getmember(inner)
        except KeyError:
            raise _missing(archive, inner, file.getnames()) from None
        source = file.extractfile(info) if info.isreg() else None
        if source is None:
            raise _not_a_file(archive, inner)
        with source:
            yield source


def _missing(archive: Path, inner: str, names: Iterable[str]) -> RecipeError:
    near = get_close_matches(inner, names, n=3, cutoff=0.4)
    return RecipeError(
        f"{archive.name} holds no file {inner!r}.", hint=f"Near it are {', '.join(near)}." if near else ""
    )


def _not_a_file(archive: Path, inner: str) -> Refused:
    return Refused(f"{inner!r} in {archive.name} is a link, a folder or a device.", hint="Only plain files are read.")
