"""Which code a recipe may name: exactly the targets that option files of installed plugins name, nothing by prefix.

A recipe is data. Hydra would call whatever a `_target_` names; so every name is checked after all interpolations are
resolved and before anything is imported, and what is built is the checked, plain copy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from luthier.config.catalog import Catalog
from luthier.errors import Refused
from luthier.plugins.registry import Plugins
from luthier.plugins.renamed import current_target

ALLOWED_KEYS = {"_target_", "_partial_"}
LOG_CLASSES = {
    "logging.StreamHandler",
    "logging.FileHandler",
    "logging.NullHandler",
    "logging.Formatter",
    "colorlog.ColoredFormatter",
}
LOG_STREAMS = {"ext://sys.stdout", "ext://sys.stderr"}
WHOLE = ("callbacks", "launcher", "sweeper", "job_logging", "hydra_logging")


def trusted_targets(catalog: Catalog, plugins: Plugins, vouched: Iterable[str] = ()) -> frozenset[str]:
    """The names in installed option files, those that plugins add, and those vouched for with `--trust`."""
    added = [name for _, names in plugins.ask("luthier_trusts") for name in names]
    return frozenset(map(current_target, (*catalog.installed_targets(), *added, *vouched)))


def refuse_untrusted(config: Any, trusted: frozenset[str], *, at: str = "") -> None:
    """Refuse (exit 6) any target not in `trusted` and any underscore key that could steer Hydra's instantiate."""
    for path, key, value in _walk(config, at):
        if key == "_target_" and not (isinstance(value, str) and value in trusted):
            raise Refused(
                f"The recipe names {value!r} as code to call, which no installed option file names.",
                where=path,
                hint=f"Where it is your own, vouch for it on the command line with --trust {value}.",
            )
        if key.startswith("_") and key.endswith("_") and key not in ALLOWED_KEYS:
            raise Refused(f"The recipe uses the key {key!r}, which can steer what is called.", where=path)


def refuse_hydra_code(hydra: Any) -> None:
    """Refuse what Hydra's own section could run: foreign targets, log factories, environment variables."""
    refuse_untrusted(hydra, _hydra_targets(), at="hydra")
    for path, key, value in _walk(hydra, "hydra"):
        section, _, rest = path.partition(".")[2].partition(".")
        if not rest and section in WHOLE and isinstance(value, str):
            raise Refused(f"The recipe fills {path} with {value!r}, which is known only when it is called.", where=path)
        if section in {"job_logging", "hydra_logging"} and _is_log_code(key, value):
            raise Refused(f"The recipe names {value!r} as code for logging.", where=path)
        if section == "job" and rest in {"env_set", "env_copy"} and value:
            raise Refused(
                "The recipe sets an environment variable, which can load code into later processes.", where=path
            )


def _is_log_code(key: str, value: Any) -> bool:
    if key in {"()", "class", "factory"}:
        return not (isinstance(value, str) and value in LOG_CLASSES)
    return isinstance(value, str) and value.startswith(("ext://", "cfg://")) and value not in LOG_STREAMS


def refuse_hydra_settings(config: Any, *, where: str) -> None:
    """Refuse Hydra settings in a recipe outside an installed package, except the sweeper's."""
    settings = _plain(config).get("hydra")
    if settings is None:
        return
    other = [key for key in settings if key != "sweeper"] if isinstance(settings, dict) else [str(settings)]
    if other:
        raise Refused(
            f"The recipe sets {', '.join(other)} of Hydra; a recipe may only set hydra.sweeper.",
            where=where,
            hint="Set it on the command line.",
        )
    for path, key, value in _walk(settings, "hydra"):
        steers = key.lstrip("+~ ").startswith(("hydra", "-"))
        if steers or "${" in key or (isinstance(value, str) and "${" in value):
            raise Refused(f"The recipe sweeps over {key!r}, which is no setting of a recipe.", where=f"{where}: {path}")


def refuse_secrets(config: Any) -> None:
    """Refuse a look into the environment: what a recipe resolves to is written down, and secrets live there."""
    for path, text in _texts(config, ""):
        if re.search(r"\$\{\s*oc\.env\b", text):
            raise Refused(
                "The recipe reads an environment variable.",
                where=path,
                hint="Secrets come from the environment where they are used, never through a recipe.",
            )


def _texts(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield path, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        yield from _texts(value, f"{path}.{key}".lstrip("."))


def _hydra_targets() -> frozenset[str]:
    """The launchers and sweepers that are installed, as they name themselves to Hydra."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance().repo.get("hydra", {})
    return frozenset(str(value) for _, key, value in _walk(store, "") if key == "_target_")


def _plain(node: Any) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node


def _walk(node: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """(path, key, value) of every mapping entry below `node`, lists included; the path ends with the key."""
    node = _plain(getattr(node, "node", node) if type(node).__name__ == "ConfigNode" else node)
    if isinstance(node, dict):
        for key, value in node.items():
            here = f"{path}.{key}".lstrip(".")
            yield here, str(key), value
            yield from _walk(value, here)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _walk(value, f"{path}[{index}]")
