"""Sequences whose examples are made when they are indexed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import overload

from luthier.contracts.examples import Example


class LazyExamples(Sequence[Example]):
    """Inherit it and define `example` and `__len__`; indexing makes a new example each time."""

    @abstractmethod
    def example(self, number: int) -> Example:
        """The example number `number`, from 0."""

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self.example(number) for number in range(*index.indices(len(self)))]
        return self.example(range(len(self))[index])


class MappedExamples(LazyExamples):
    """The examples of a sequence as a function maps them."""

    def __init__(self, examples: Sequence[Example], function: Callable[[Example], Example]) -> None:
        self.examples, self.function = examples, function

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[Example]:
        return map(self.function, self.examples)

    def example(self, number: int) -> Example:
        return self.function(self.examples[number])
