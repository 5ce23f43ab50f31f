"""Types and constants that other modules use."""

import enum
import sys
from enum import Enum
from typing import Annotated, Literal, NewType, Optional, TypedDict, TypeVar, Union

from typing_extensions import TypeAlias, TypeAliasType

DEFAULT_RANK = 4 * 2
Mode = Literal["plain", "fancy"]
Count = NewType("Count", int)
Ratio = Annotated[float, "between 0 and 1"]
Size: TypeAlias = Union[int, Literal["auto"]]
Named = TypeAliasType("Named", Optional[str])
Number = TypeVar("Number", bound=int)


class Grain(Enum):
    FINE = "fine grain"
    COARSE = "coarse grain"


if sys.version_info >= (3, 11):
    from enum import StrEnum
else:

    class StrEnum(str, Enum):
        pass


class Wood(StrEnum):
    OAK = "oak"
    PINE = "pine"


class Grade(enum.IntEnum):
    LOW = enum.auto()
    HIGH = enum.auto()


Finish = Enum("Finish", ["OIL", "WAX"])


class Measures(TypedDict, total=False):
    length: float
    width: float


class Tolerant(Enum):
    """Knows its members by other words, too."""

    SHARP = 1
    BLUNT = 2

    @classmethod
    def _missing_(cls, value):
        return cls.SHARP if value == "razor" else None


Tree = Union["dict[str, Tree]", "list[Tree]", str, int, None]
