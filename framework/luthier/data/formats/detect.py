"""Detection of the format of rows, and suggestions where they have none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from luthier.data.columns import renamed
from luthier.data.formats.alpaca import Alpaca
from luthier.data.formats.bedrock_conversation import BedrockConversation
from luthier.data.formats.bedrock_prompt import BedrockPrompt
from luthier.data.formats.bedrock_rft import BedrockRft
from luthier.data.formats.canonical import Canonical
from luthier.data.formats.classification import Classification
from luthier.data.formats.label_studio import LabelStudio
from luthier.data.formats.messages import Messages
from luthier.data.formats.multi_label import MultiLabel
from luthier.data.formats.of_plugins import DetectedFormat, formats_of_plugins
from luthier.data.formats.preference import Preference
from luthier.data.formats.prompt_completion import PromptCompletion
from luthier.data.formats.rated import Rated
from luthier.data.formats.sharegpt import ShareGPT
from luthier.data.formats.spans import Spans
from luthier.data.formats.tagged_tokens import TaggedTokens
from luthier.data.formats.text import Text
from luthier.errors import DataError
from luthier.errors.pasting import setting_to_paste

if TYPE_CHECKING:
    from luthier.data.formats.format import Format


class Detectable(Protocol):
    """The attributes of a format that can be suggested for rows of no known format.

    `keys` are sets of columns of which one must be complete; `synonyms` are other names of those columns.
    """

    @property
    def keys(self) -> Sequence[Sequence[str]]:
        """For example `(("prompt", "completion"),)`."""

    @property
    def synonyms(self) -> Mapping[str, Sequence[str]]:
        """For example `{"completion": ("answer", "response")}`."""

    def recognises(self, row: dict[str, Any]) -> str:
        """As in `Format`."""


KNOWN: tuple[Any, ...] = (  # the more specific first: where several recognise a row, the first is used
    Canonical(),
    BedrockConversation(),
    Preference(),
    BedrockRft(),
    Messages(),
    ShareGPT(),
    PromptCompletion(),
    Alpaca(),
    Classification(),
    MultiLabel(),
    Spans(),
    TaggedTokens(),
    LabelStudio(),
    Text(),
    BedrockPrompt(),
    Rated(),
)
LOOK_AT = 64


def known_formats() -> tuple[Any, ...]:
    """All formats that are detected: luthier's own first, then those of plugins with names that none has yet."""
    found: dict[str, Any] = {known.name: known for known in KNOWN}
    for one in formats_of_plugins():
        found.setdefault(one.name, one)
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Detected:
    """The detected format `name`, the reason as a sentence, and the share of the rows that have it.

    `name` is empty where no format fits; `rename` then maps columns so that the format `nearest` fits.
    """

    name: str
    reason: str
    confidence: float
    nearest: str = ""
    rename: dict[str, str] = field(default_factory=dict)

    @property
    def format(self) -> Format | None:
        """The format itself, with its own defaults."""
        found = next((known for known in known_formats() if known.name == self.name), None)
        return found.wrapped if isinstance(found, DetectedFormat) else found


def detect(rows: Iterable[dict[str, Any]]) -> Detected:
    """The format of most of the first 64 rows; of several, the more specific one."""
    sample = list(islice(rows, LOOK_AT))
    if not sample:
        return Detected("", "There is no row to look at.", 0.0)
    tries = [(known, [why for row in sample if (why := known.recognises(row))]) for known in known_formats()]
    best, reasons = max(tries, key=lambda found: len(found[1]))  # the first of equals
    if not reasons:
        return _none_fits(sample[0])
    share = len(reasons) / len(sample)
    among = "every row" if share == 1 else f"{len(reasons)} of the first {len(sample)} rows"
    return Detected(best.name, f"It is {best.name}, because in {among} {reasons[0]}.", share)


def unfit(row: dict[str, Any], wanted: Format, fault: DataError) -> DataError:
    """The error of a row that `wanted` cannot read, which suggests the format or the renaming that can."""
    other = detect([row])
    columns = f"The row has {'the keys ' + ', '.join(map(repr, row)) if row else 'no keys'}"
    if wanted.recognises(row) or any(set(keys) <= row.keys() for keys in getattr(wanted, "keys", ((),))):
        return fault
    if other.name:
        return DataError(
            f"{columns}; {wanted.name} expects {wanted.expects}.",
            hint=f"It looks like {other.name}; all rows of a file must have one format.",
        )
    return DataError(f"{columns}; {wanted.name} expects {wanted.expects}.", hint=fault.hint or _way_out(other))


def no_format(rows: Sequence[dict[str, Any]]) -> DataError:
    """The error of rows of no known format, which suggests a renaming."""
    found = detect(rows)
    return DataError(f"The rows are of no known format. {found.reason}", hint=_way_out(found))


def _way_out(found: Detected) -> str:
    if not found.rename:
        names = ", ".join(known.name for known in known_formats())
        return f"Known are {names}; 'data.rename={{yours: expected}}' maps columns."
    return f"Nearest is {found.nearest}: {setting_to_paste('data.rename', found.rename)} makes it fit."


def _none_fits(row: dict[str, Any]) -> Detected:
    reason = f"They have the columns {', '.join(map(repr, row)) or 'none'}."
    suggestible = [known for known in known_formats() if hasattr(known, "synonyms")]
    tries = [(known, renaming) for known in suggestible if (renaming := _renaming(row, known))]
    if not tries:
        return Detected("", reason, 0.0)
    known, rename = min(tries, key=lambda tried: (len(tried[1]), -len(_optional(row, tried[1], tried[0]))))
    return Detected("", reason, 0.0, known.name, {**rename, **_optional(row, rename, known)})


def _renaming(row: dict[str, Any], known: Detectable) -> dict[str, str]:
    """The renaming of columns with which the format recognises the row; empty if there is none."""
    for wanted in known.keys:
        rename: dict[str, str] = {}
        for key in [key for key in wanted if key not in row]:
            free = {str(column).lower(): column for column in row if column not in rename and column not in wanted}
            near = [word for word in (key, *known.synonyms.get(key, ())) if word in free]
            near = near or get_close_matches(key, free, n=1, cutoff=0.75)
            if not near:
                break
            rename[free[near[0]]] = key
        else:
            if known.recognises(renamed(row, rename)):
                return rename
    return {}


def _optional(row: dict[str, Any], rename: dict[str, str], known: Detectable) -> dict[str, str]:
    """The renaming of columns that the format reads where they are there, and that the row has under another name."""
    required = {key for keys in known.keys for key in keys}
    found: dict[str, str] = {}
    for key in known.synonyms.keys() - required - row.keys():
        free = [word for word in known.synonyms[key] if word in row and word not in required and word not in rename]
        found |= dict.fromkeys(free[:1], key)
    return found
