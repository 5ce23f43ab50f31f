"""Option files: that they are read, name a target that exists, and agree with its signature."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from luthier.config.bounds import refuse_unbounded_file
from luthier.config.command_line import reads_as_text
from luthier.config.names import refuse_bad_name
from luthier.config.option_file import Option
from luthier.config.settings import REQUIRED, MissingSettingError, Setting, Signature
from luthier.config.signatures import signature
from luthier.config.type_hints import is_enum, member
from luthier.config.type_words import written
from luthier.errors import LuthierError, PluginError
from luthier.plugins.renamed import current_target
from luthier.workflows.plugin_check.subject import Finding, Subject

if TYPE_CHECKING:
    from luthier.config.catalog import CatalogAnswer

CHECK = "option files"


def check(subject: Subject) -> Iterator[Finding]:
    """A finding for each fault, and one that counts the files without any."""
    faulty, read = set[Path](), list[tuple[Option, Signature]]()
    for answer in subject.answers:
        try:
            read += _read(answer, subject)
        except LuthierError as error:
            faulty.add(answer.file)
            yield Finding(CHECK, "failed", error.message, error.where or str(answer.file), error.hint)
    wrong = [fault for option, known in read for fault in _against(option, known)]
    wrong += [fault for fault in _defaults(read) if fault.where not in {one.where for one in wrong}]
    yield from wrong
    faulty |= {Path(fault.where.rpartition(":")[0]) for fault in wrong}
    for folder in subject.folders:
        for file in sorted(folder.rglob("*.yml")):
            yield Finding(
                CHECK, "failed", "An option file that ends in .yml is not read.", str(file), "End it in .yaml."
            )
    good = len({answer.file for answer in subject.answers} - faulty)
    if good:
        yield Finding(CHECK, "passed", f"{good} of {len(subject.answers)} are read and agree with their signatures.")


def _read(answer: CatalogAnswer, subject: Subject) -> list[tuple[Option, Signature]]:
    """The file with the signature of its target; nothing of files that have none, such as recipes."""
    import yaml
    from omegaconf import OmegaConf

    from luthier.config.loader import refuse_keys

    refuse_unbounded_file(answer.file)
    tree = answer.tree
    if tree is not None and not isinstance(tree, yaml.MappingNode):
        raise answer.fault("is no mapping of settings")
    try:
        refuse_bad_name(answer.name)
        said = OmegaConf.create(answer.text)  # as Hydra reads it, which takes no key twice
    except yaml.YAMLError as error:
        raise answer.not_yaml(error) from error
    if not reads_as_text(answer.name):
        raise answer.fault("cannot be chosen: the command line and recipes read its name as another value")
    if not answer.headline:
        raise answer.fault("does not say in a comment at its top what it is")
    if not answer.is_part:
        return []
    option = Option.read(answer, subject.catalog)
    if not option.target:
        raise answer.fault("names no _target_, neither itself nor the answer of its question that it starts from")
    answer.refuse_target(option.target)
    refuse_keys(answer, OmegaConf.to_container(said, resolve=False))
    try:
        return [(option, signature(option.target))]
    except LuthierError as error:
        place = f" ({error.where})" if error.where else ""
        message = f"{error.message.rstrip('.')}{place}."
        raise PluginError(message, where=str(answer.file), hint=error.hint) from error


def _against(option: Option, known: Signature) -> Iterator[Finding]:
    """Settings that the target does not have, and values that are not of its types."""
    nested = {key.partition(".")[0] for key in option.nested}
    for name, said in option.written.items():
        if name in nested:
            continue
        for error in known.check({name: said.value}, at=option.answer.question.replace("/", ".")):
            if not isinstance(error, MissingSettingError):
                yield Finding(CHECK, "failed", error.message, f"{said.file}:{said.line}", error.hint)


def _defaults(read: list[tuple[Option, Signature]]) -> Iterator[Finding]:
    """Of several files for one target one has the defaults of its signature; the others say what they change."""
    by_target = defaultdict[str, list[tuple[Option, Signature]]](list)
    for option, known in read:
        by_target[current_target(option.target)].append((option, known))
    for target, several in by_target.items():
        of_package = [option.answer.place for option, _ in several if _ships(option, target)]
        differing = [list(_differing(option, known)) for option, known in several]
        if of_package and [] not in differing:
            yield from min(differing, key=len)


def _ships(option: Option, target: str) -> bool:
    """Whether the file and its target are of one package, so that this file is where its defaults stand."""
    package = option.answer.place.removeprefix("pkg://").partition(".")[0]
    return target.partition(".")[0] in {package, *({"luthier"} if package == "luthier_recipes" else ())}


def _differing(option: Option, known: Signature) -> Iterator[Finding]:
    nested = {key.partition(".")[0] for key in option.nested}
    for name, said in option.written.items():
        setting = known.settings.get(name)
        if setting is None or name in nested or setting.default == REQUIRED:
            continue
        if same(said.value, setting.default) or _is_the_member(said.value, setting):
            continue
        message = (
            f"{option.answer} has {name}: {written(said.value)}, and the signature of {known.name} "
            f"({known.file.name}:{known.line}) has the default {written(setting.default)}."
        )
        yield Finding(CHECK, "failed", message, f"{said.file}:{said.line}", "Write the same default in both.")


def _is_the_member(said: object, setting: Setting) -> bool:
    """Whether both are one member of an Enum, which a file may write by its value and a signature has by its name."""
    kinds = [kind for kind in (setting.type, *get_args(setting.type)) if is_enum(kind)]
    return any((one := member(said, kind)) is not None and one is member(setting.default, kind) for kind in kinds)


def same(said: object, default: object) -> bool:
    """Equal, where YAML reads 1e-8 as text and null stands for an empty collection."""
    if isinstance(default, float) and isinstance(said, str):
        try:
            return float(said) == default
        except ValueError:
            return False
    if isinstance(default, float) and type(said) is int:
        return said == default
    return (said == default and type(said) is type(default)) or (said in ({}, []) and default is None)
