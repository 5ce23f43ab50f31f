"""What leaves examples out of a source, or changes what they say: the question `data/filter`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from luthier.contracts.examples import Example
    from luthier.data.records import Tally


class Filter(Protocol):
    """Decide about one example after another; several stand in a row behind a source (`data=filtered`)."""

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """Those that stay, in their order, each as it is or as a new one.

        What is left out or changed is counted in `tally.counts`, by a name for each reason. It is called once for
        each reading and gives the same each time; nothing but what deciding needs is held.
        """
