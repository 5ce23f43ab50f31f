"""Which code a recipe may name: exactly the targets that option files of installed plugins name, nothing by prefix.

A recipe is data. Hydra would call whatever a `_target_` names; so every name is checked after all interpolations are
resolved and before anything is imported, and what is built is the checked, plain copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from luthier.catalog import Catalog
from luthier.errors import Refused
from luthier.plugins import Plugins

ALLOWED_KEYS = {"_target_", "_partial_"}
LOG_HANDLERS = {"logging.StreamHandler", "logging.FileHandler", "logging.NullHandler"}
LOG_FORMATTERS = {"logging.Formatter", "colorlog.ColoredFormatter"}


def trusted_targets(catalog: Catalog, plugins: Plugins, vouched: Iterable[str] = ()) -> frozenset[str]:
    """The names in installed option files, those that plugins add, and those vouched for with `--trust`."""
    added = [name for _, names in plugins.ask("luthier_trusts") for name in names]
    return frozenset({*catalog.installed_targets(), *added, *vouched})


def refuse_untrusted(config: Any, trusted: frozenset[str], *, at: str = "") -> None:
    """Refuse (exit 6) any target not in `trusted` and any underscore key that could steer Hydra's instantiate."""
    for path, key, value in _walk(config, at):
        if key == "_target_" and value not in trusted:
            raise Refused(
                f"The recipe names {value!r} as code to call, which no installed option file names.",
                where=path,
                hint=f"Where it is your own, vouch for it on the command line with --trust {value}.",
            )
        if key.startswith("_") and key.endswith("_") and key not in ALLOWED_KEYS:
            raise Refused(f"The recipe uses the key {key!r}, which can steer what is called.", where=path)


def refuse_hydra_code(hydra: Any) -> None:
    """Refuse what Hydra's own section could run: foreign targets, log handler factories, environment variables."""
    refuse_untrusted(hydra, frozenset(_hydra_targets()), at="hydra")
    for path, key, value in _walk(hydra, "hydra"):
        in_logging = path.startswith(("hydra.job_logging.", "hydra.hydra_logging."))
        if in_logging and (key == "()" or (key in {"class", "factory"} and value not in LOG_HANDLERS | LOG_FORMATTERS)):
            if key == "()" and value in LOG_FORMATTERS:
                continue
            raise Refused(f"The recipe names {value!r} as code to call for logging.", where=path)
        if path.startswith("hydra.job.env_set."):
            raise Refused("The recipe sets an environment variable, which can load code into later processes.", where=path)


def _hydra_targets() -> Iterator[str]:
    from hydra.core.config_store import ConfigStore

    for _, key, value in _walk(ConfigStore.instance().repo.get("hydra", {}), ""):
        if key == "_target_":
            yield value


def _walk(node: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """(path, key, value) of every mapping entry below `node`, lists included; the path ends with the key."""
    from hydra.core.config_store import ConfigNode
    from omegaconf import OmegaConf

    if isinstance(node, ConfigNode):
        node = node.node
    if OmegaConf.is_config(node):
        node = OmegaConf.to_container(node, resolve=False)
    if isinstance(node, dict):
        for key, value in node.items():
            here = f"{path}.{key}".lstrip(".")
            yield here, str(key), value
            yield from _walk(value, here)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _walk(value, f"{path}[{index}]")
