"""Mappings by every kind of key."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, Optional

from timber.kinds.benches import Kept
from timber.vocabulary import Grade, Grain


class Keyed(Kept):
    def __init__(
        self,
        *,
        grains: dict[Grain, float] = {Grain.FINE: 1.0},
        grades: Optional[Mapping[Grade, int]] = None,
        numbers: dict[int, str] = {},
        shares: dict[float, int] = {},
        names: dict[str, int] = {},
        words: dict[Literal["a", "b"], int] = {},
        flags: dict[bool, int] = {},
        anything: dict[Any, int] = {},
        bare: dict = {},
        counts: Counter[Grain] = Counter(),
        nested: dict[str, dict[Grain, list[Grain]]] = {},
        pairs: dict[tuple[int, int], int] = {},
    ) -> None:
        self.__dict__.update({name: value for name, value in locals().items() if name != "self"})


class KeyedAbove(Keyed):
    def __init__(self, **settings) -> None:
        super().__init__(**settings)
