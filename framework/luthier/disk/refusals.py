"""A disk that is full, over its quota, read-only or broken: found in any error, and said with what is free."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from luthier.errors import LuthierError, ResourceError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
PASSING = {errno.EIO, errno.EROFS, errno.EACCES, errno.EBUSY, errno.ESTALE}
REFUSED = FULL | {errno.EIO, errno.EROFS, errno.EACCES}
_NUMBER = re.compile(r"\b(?:os error|code:|\[?errno) ?(\d+)", re.IGNORECASE)
_IN_WORDS = {
    os.strerror(number).lower(): number
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES)
}
_OF_LIBRARIES = re.compile(r"safetensors|arrow|torch|datasets|tokenizers|pandas|rust", re.IGNORECASE)
_OF_TORCH = re.compile(r"PytorchStreamWriter failed|inline_container.*unexpected pos|iostream error")
"""What torch, which has no number for it, says of a write that the system did not take."""


def refused_by_the_disk(error: BaseException | None) -> OSError | None:
    """The refusal of the system behind an error, as an OSError; None where the error is about something else.

    Libraries wrap it, or carry it in their text: safetensors ("No space left on device (os error 28)"), pyarrow
    ("[Errno 28] …"), torch.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in REFUSED:
            return error
        if (number := _number_in(error)) in REFUSED:
            return OSError(number, os.strerror(number or 0))
        error = error.__cause__ or error.__context__
    return None


def _number_in(error: BaseException) -> int | None:
    text = str(error)
    if isinstance(error, RuntimeError) and _OF_TORCH.search(text):
        return errno.EFBIG if _largest_file() is not None else errno.ENOSPC
    if isinstance(error, LuthierError) or not _OF_LIBRARIES.search(type(error).__module__):
        return None
    if (found := _NUMBER.search(text)) and int(found[1]) in REFUSED:
        return int(found[1])
    return next((number for words, number in _IN_WORDS.items() if words in text.lower()), None)


def refusal(
    who: str, place: Path | None, error: OSError, *, need: int = 0, left: str = "", resumable: bool = False
) -> ResourceError:
    """The sentence on what could not be written: what it needs, what is free, what is left; exit code 5."""
    named = isinstance(error.filename, str | bytes | os.PathLike)
    path = Path(os.fsdecode(error.filename)) if named else place
    left = f"; {left}" if left else ""
    again = ", and go on with resume=auto" if resumable else ", and run the command again"
    if error.errno in FULL:
        message = f"{who} needs {_needed(need, error.errno)}, and {_free(path or place)} free{left}."
        hint = f"Free some space, or write to another disk{again}."
    else:
        message = f"{who} cannot be written: {error.strerror or error}; {_free(path or place)} free{left}."
        hint = f"Make {path or 'the folder'} writable{again}." if path else "Make its folder writable."
    return ResourceError(message, where=str(path or place or ""), hint=hint, resumable=resumable)


@contextmanager
def the_disk_may_refuse(
    who: str, place: Path, *, need: int = 0, left: str = "", resumable: bool = False
) -> Iterator[None]:
    """Turn the refusals of the disk into a ResourceError that names what was being written."""
    try:
        yield
    except LuthierError:
        raise
    except Exception as error:
        if (refused := refused_by_the_disk(error)) is None:
            raise
        raise refusal(who, place, refused, need=need, left=left, resumable=resumable) from error


def _needed(need: int, number: int | None) -> str:
    if number == errno.EFBIG and (limit := _largest_file()) is not None:
        return f"a file larger than the {_size(limit)} that one may have here"
    if number == errno.EDQUOT:
        return f"{_size(need)}, more than the quota leaves" if need else "more than the quota leaves"
    return _size(need) if need else "more than is left"


def _free(place: Path | None) -> str:
    around = (place or Path()).absolute()
    try:
        free = shutil.disk_usage(next(one for one in (around, *around.parents) if one.is_dir())).free
    except (OSError, StopIteration):
        return "an unknown number of bytes are"
    return f"{_size(free)} are"


def _size(number: int) -> str:
    return f"{number / 1e6:.1f} MB"


def _largest_file() -> int | None:
    if os.name != "posix":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return None if limit == resource.RLIM_INFINITY else limit
