"""Each answer once, as a tiny twin: two steps of a random network, or what its question has instead of a training."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.config.option_file import Option
from luthier.config.signatures import signature
from luthier.errors import LuthierError, RecipeError, ResourceError
from luthier.fetch.extras import is_installed
from luthier.plugins.blame import culprit
from luthier.plugins.error_text import error_text
from luthier.workflows.plugin_check.subject import Finding, Subject

if TYPE_CHECKING:
    from luthier.config.catalog import Catalog, CatalogAnswer
    from luthier.config.compose import Composer, Composition

CHECK = "twins"
TINY = ("debug=tiny", "trainer.precision=fp32", "name=twin")
READ = 16  # examples of a source
MOST_WAYS = 3
"""Answers around a nested one that are tried, one after another: the first of them may ask for another kind of part."""
BUILT_ALONE = {"data/format", "data/reader", "data/filter", "data/splits"}
"""What reads data of its own kind, which a twin has not: it is built, and its author's tests give it rows."""
NOTHING_TO_RUN = {"pipeline", "debug", "advice", "."}


def check(subject: Subject, composer: Composer, words: Sequence[str], say: Callable[[str], None]) -> Iterator[Finding]:
    """Carry out a twin of each answer; `words` are settings that some of them need (`model.path=…`).

    `say` is told of each before it is tried, as one may take a minute.
    """
    answers = [answer for answer in subject.answers if answer.question not in NOTHING_TO_RUN]
    for number, answer in enumerate(answers, start=1):
        say(f"trying {answer} ({number} of {len(answers)}) …")
        yield _tried(answer, composer, words)


def _tried(answer: CatalogAnswer, composer: Composer, words: Sequence[str]) -> Finding:
    where = str(answer.file)
    try:
        if absent := _absent(answer, composer.catalog):
            message = f"{answer} needs {absent}, which is not installed."
            return Finding(CHECK, "skipped", message, where)
        given = [word for word in words if word.split(".")[0] == answer.question.split("/")[0]]
        said = StringIO()  # what a run tells its user is nobody's here
        with redirect_stdout(said), redirect_stderr(said), tempfile.TemporaryDirectory() as folder:
            return Finding(CHECK, "passed", f"{answer} {_carried_out(answer, composer, given, Path(folder))}.")
    except _LacksSettingError as error:
        hint = "Give it behind the name of the distribution." if error.where else ""
        return Finding(CHECK, "skipped", f"{answer} is not tried: {error.message}", where, hint)
    except ResourceError as error:
        return Finding(CHECK, "skipped", f"{answer} cannot be tried here: {error.message}", where, error.hint)
    except LuthierError as error:
        place = "" if error.where in {"", where} else f" ({error.where})"
        return Finding(CHECK, "failed", f"{answer} fails{place}: {error.message}", where, error.hint)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a part may raise anything, SystemExit too
        place = culprit(error)
        message = f"{answer} fails{f' in {place}' if place else ''}: {error_text(error)}."
        return Finding(CHECK, "failed", message, where)


class _LacksSettingError(LuthierError):
    """Something that only the user of a part knows."""


def _carried_out(answer: CatalogAnswer, composer: Composer, given: list[str], folder: Path) -> str:
    """What was done with it, for a sentence."""
    if answer.question in BUILT_ALONE:
        return _built_alone(answer, composer.catalog, given)
    if answer.question == "data":
        return _read(answer, composer, given)
    errors = list[Exception]()
    for number, asking in enumerate(islice(ways(answer, composer.catalog), MOST_WAYS)):
        try:
            _run(composer, [*asking, *given], folder / str(number))
            return f"ran as {' '.join(asking)}"
        except Exception as error:
            errors.append(error)
    if not errors:
        raise _LacksSettingError(f"no answer asks the question {answer.question!r}.")
    raise next((error for error in errors if not isinstance(error, _LacksSettingError)), errors[0])


def _run(composer: Composer, words: list[str], folder: Path) -> None:
    from luthier.records.folder import RunFolder
    from luthier.reporting.console import Console
    from luthier.workflows.job import run_of
    from luthier.workflows.run import CorePlugin

    composition = _composed(composer, [*TINY, *words, f"hydra.run.dir={folder}"])
    if not composer.plugins.hooks_of("luthier"):
        composer.plugins.register(CorePlugin(), "luthier")
    place = RunFolder(folder)
    place.create()
    composer.plugins.run(run_of(composition, place, composer.plugins, Console()))


def _composed(composer: Composer, words: list[str]) -> Composition:
    """The recipe, with single examples as rows where it takes no blocks of several."""
    refusals = list[RecipeError]()
    for more in ([], ["batch.packing=false"]):
        try:
            return composer.compose([*words, *more])
        except RecipeError as error:
            refusals.append(error)
    with suppress(RecipeError):
        composer.compose([*words, *more], complete=False)
        raise _LacksSettingError(refusals[0].message, where=refusals[0].where or "it")
    raise refusals[0]


def _read(answer: CatalogAnswer, composer: Composer, given: list[str]) -> str:
    from luthier.workflows.parts import part

    composition = _composed(composer, [str(answer), *given])
    source = part(composition.config, composition.trust, "data")
    return f"gives {len(list(islice(iter(source), READ)))} examples"


def _built_alone(answer: CatalogAnswer, catalog: Catalog, given: list[str]) -> str:
    from luthier.config.instantiate import instantiate

    option = Option.read(answer, catalog)
    values: dict[str, Any] = {name: setting.value for name, setting in option.written.items()}
    values = {name: value for name, value in values.items() if name not in option.nested}
    values |= {word.partition("=")[0].rpartition(".")[2]: word.partition("=")[2] for word in given}
    lacking = [name for name, value in values.items() if value == "???"]
    if lacking:
        path = f"{answer.question.replace('/', '.')}.{lacking[0]}"
        raise _LacksSettingError(f"{path} must be given.", where=path)
    instantiate({"_target_": option.target, **values})
    return "is built"


def _absent(answer: CatalogAnswer, catalog: Catalog) -> str:
    """The packages that the answer needs alone, and that are not installed."""
    target = Option.read(answer, catalog).target if answer.is_part else ""
    needs = signature(target).needs if target else {}
    return ", ".join(package for package in needs if not is_installed(package))


def ways(answer: CatalogAnswer, catalog: Catalog, inside: frozenset[str] = frozenset()) -> Iterator[list[str]]:
    """The words that give an answer to its question, each with an answer around it that asks the question.

    Those come first of which the question is a part, and whose own answer to it takes the same parts.
    """
    if "/" not in answer.question:
        yield [str(answer)]
        return
    around = answer.question.rpartition("/")[0]

    def is_unusual(one: tuple[CatalogAnswer, str, CatalogAnswer | None]) -> tuple[bool, bool]:
        return one[0].question != around, _parts(one[2]) != _parts(answer)

    for asking, key, usual in sorted(_askers(answer.question, catalog), key=is_unusual):
        path = asking.question.replace("/", ".")
        if "." in key:
            word = f"+{answer.question}@{path}.{key.rpartition('.')[0]}.twin={answer.name}"
        elif f"{asking.question}/{key}" == answer.question:
            word = str(answer)
        else:
            word = f"{answer.question}@{path}.{key}={answer.name}"
        if usual is not None and asking.question not in inside:
            outside = ways(asking, catalog, inside | {answer.question})
            yield from ([*outer, word] for outer in outside)


def _askers(question: str, catalog: Catalog) -> Iterator[tuple[CatalogAnswer, str, CatalogAnswer | None]]:
    """The answers that ask a question, under which key, and what answers it there; each kind of asking once."""
    seen = set[tuple[str, str]]()
    for answer in catalog:
        try:
            nested = Option.read(answer, catalog).nested if answer.is_part else {}
        except LuthierError:
            continue
        for key, (asked, name) in nested.items():
            asking = (answer.question, answer.name if "." in key else name)  # entries of a mapping are alike
            if asked == question != answer.question and asking not in seen:
                seen.add(asking)
                yield answer, key, catalog.answers.get((asked, name))


def _parts(answer: CatalogAnswer | None) -> tuple[str, ...]:
    try:
        return signature(answer.targets[0]).parts if answer and answer.targets else ()
    except LuthierError:
        return ()
