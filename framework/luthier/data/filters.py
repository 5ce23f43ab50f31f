"""The contract of filters, which leave out or change examples of a source (`data/filter`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from luthier.contracts.examples import Example
    from luthier.data.records import Tally


class Filter(Protocol):
    """Filters a stream of examples; several are applied in sequence to a source (`data=filtered`).

    - *Given*: the examples of a source, one at a time, each with `where` and `split`, and the tally of the reading.
    - *Returns*: an iterator over the examples that pass, in their order; one that is changed is a new dictionary.
    - *Called*: once for each reading of `data=filtered`, in the order of `data.filters`.
    - *Ranks*: on every rank, unless the reading is cached.
    - *Raises*: RecipeError of the constructor for settings that cannot be; DataError for an example that it cannot
      judge.
    - *Resume*: nothing: it filters again, and must pass the same examples.
    - *Nested*: a keyword-only parameter filled by an answer of `data/filter/NAME/`.
    """

    def __call__(self, examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
        """The examples that pass, in their order, each unchanged or as a new one.

        Omissions and changes are counted in `tally.counts`, under a name for each reason. It is called once per reading
        and yields the same examples each time; it holds in memory only what its decisions need.
        """
