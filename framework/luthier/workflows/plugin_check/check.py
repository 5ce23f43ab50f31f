"""All checks of a distribution, one after another, from what is cheapest on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from luthier.workflows.plugin_check import loading, names, option_files, requirements, twins, wheel
from luthier.workflows.plugin_check.subject import Finding, Subject

if TYPE_CHECKING:
    from luthier.config.compose import Composer


def findings(
    subject: Subject,
    composer: Composer,
    *,
    verbs: frozenset[str],
    with_twins: bool,
    words: Sequence[str],
    say: Callable[[str], None],
) -> Iterator[Finding]:
    """What is found; `verbs` are luthier's own, `words` settings that twins need; `say` is told of what takes time."""
    yield from wheel.check_plugins(subject)
    yield from wheel.check_wheel(subject)
    yield from option_files.check(subject)
    yield from names.check_questions(subject)
    yield from names.check_collisions(subject, verbs)
    yield from requirements.check(subject)
    yield from loading.check(subject)
    if with_twins:
        yield from twins.check(subject, composer, words, say)
