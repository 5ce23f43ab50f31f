"""The contract of filters, which leave out or change examples of a source (`data/filter`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from luthier.contracts.examples import Example
    from luthier.data.records import Tally


class Filter(Protocol):
    """Filters a stream of examples; several are applied in sequence to a source (`data=filtered`)."""

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """The examples that pass, in their order, each unchanged or as a new one.

        Omissions and changes are counted in `tally.counts`, under a name for each reason. It is called once per reading
        and yields the same examples each time; it holds in memory only what its decisions need.
        """
