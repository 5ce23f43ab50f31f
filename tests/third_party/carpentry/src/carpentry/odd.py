"""Ways of making a constructor, defaults and types that are rare but valid."""

import datetime
import decimal
import enum
import fractions
import functools
import http
import math
from dataclasses import dataclass
from typing import Literal, Optional, Union, overload

import attrs
from pydantic import BaseModel, Field

from timber.kinds.benches import Kept
from timber.vocabulary import Grain


class Defaults(Kept):
    def __init__(
        self,
        *,
        raw: bytes = b"",
        rest: object = ...,
        sets: dict = {"a": {1, 2}},
        pairs: dict = {(1, 2): 3},
        most: float = math.inf,
        few: list[float] = [math.nan, 1.0],
        number: complex = 1j,
        members: dict[Grain, list[Grain]] = {Grain.FINE: [Grain.COARSE]},
        positive: int = +1,
        only: Literal[b"x"] = b"x",
    ) -> None:
        self.__dict__.update({name: value for name, value in locals().items() if name != "self"})


class Standard(Kept):
    def __init__(
        self,
        *,
        day: datetime.date = None,
        span: Optional[datetime.timedelta] = None,
        price: decimal.Decimal = None,
        share: fractions.Fraction = None,
        raw: bytes = b"",
        kind: type = int,
        status: http.HTTPStatus = http.HTTPStatus.OK,
    ) -> None:
        self.__dict__.update({name: value for name, value in locals().items() if name != "self"})


class Rate(float, enum.Enum):
    LOW = 1.0
    HIGH = 2.0


class Rated(Kept):
    def __init__(self, *, rate: Rate = Rate.LOW) -> None:
        self.rate = rate


class Written(Kept):
    def __init__(
        self,
        *,
        one: Literal[None, "x"] = None,
        two: Literal[True, False, "auto"] = True,
        three: Literal["1", "null"] = "1",
    ) -> None:
        self.one, self.two, self.three = one, two, three


class AsData(Kept):
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(cls)


class Subclassed(AsData):
    rank: int = 8


class SetsInit(type):
    def __new__(mcs, name, bases, namespace):
        def __init__(self, *, rank: int = 8):
            self.rank = rank

        return super().__new__(mcs, name, bases, {**namespace, "__init__": __init__})


class FromMeta(Kept, metaclass=SetsInit):
    pass


def as_data(cls):
    dataclass(cls)
    return cls


@as_data
class InPlace(Kept):
    rank: int = 8


def renamed(function):
    @functools.wraps(function)
    def wrapper(*args, **settings):
        if "old" in settings:
            settings["rank"] = settings.pop("old")
        settings.setdefault("needed", 1)
        return function(*args, **settings)

    return wrapper


class Wrapped(Kept):
    @renamed
    def __init__(self, *, needed: int, rank: int = 8) -> None:
        self.rank, self.needed = rank, needed


@renamed
def wrapped(*, needed: int, rank: int = 8):
    return [rank]


class Registry(type):
    known: list = []

    def __new__(mcs, name, bases, namespace):
        made = super().__new__(mcs, name, bases, namespace)
        mcs.known.append(made)
        return made


class Counted(Kept, metaclass=Registry):
    """The metaclass only counts it: a typo is refused before anything is imported."""

    def __init__(self, *, rank: int = 8) -> None:
        self.rank = rank


class Overloaded(Kept):
    @overload
    def __init__(self, *, rank: int) -> None: ...
    @overload
    def __init__(self, *, rank: str) -> None: ...
    def __init__(self, *, rank: Union[int, str] = 8) -> None:
        self.rank = rank


class Step:
    """A descriptor."""

    def __set_name__(self, owner, name):
        self.name = f"_{name}"

    def __get__(self, instance, owner):
        return 8 if instance is None else getattr(instance, self.name, 8)

    def __set__(self, instance, value):
        setattr(instance, self.name, value)


@dataclass
class Described(Kept):
    rank: int = Step()


@attrs.define
class Converted:
    rank: int = attrs.field(default=8, converter=int)
    grain: Grain = attrs.field(default="FINE", converter=lambda name: Grain[name])


class Model(BaseModel):
    grain: Grain = Field(default=Grain.FINE, alias="figure")


@functools.singledispatch
def single(part=None, *, grain: Grain = Grain.FINE):
    return [grain]


class Signed(Kept):
    def __init__(self, **settings) -> None:
        self.__dict__.update({"grain": Grain.FINE, **settings})


import inspect  # noqa: E402

Signed.__signature__ = inspect.Signature(
    [inspect.Parameter("grain", inspect.Parameter.KEYWORD_ONLY, default=Grain.FINE, annotation=Grain)]
)
