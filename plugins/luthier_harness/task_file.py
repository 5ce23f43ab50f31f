"""Task files of lm-evaluation-harness: read as data, and refused where they would run code or reach for the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from luthier.api import RecipeError, local_path

LOCAL = ("json", "csv", "parquet", "text", "arrow")
"""What a `dataset_path` may say: readers of local files."""
REFUSED = {
    "include": "takes another file in: write what it says into this one",
    "custom_dataset": "is code",
    "class": "is code",
    "unsafe_code": "runs what a model writes",
    "group": "is a group: give a folder of task files",
    "data_dir": "is no list of files: name them in dataset_kwargs.data_files",
}
WHERE = "evaluation.task.path"


def task_configs(path: str) -> dict[str, dict[str, Any]]:
    """The settings of each task, by name, of a file or of the files of a folder; RecipeError for what is refused."""
    place = local_path(path)
    files = sorted([*place.glob("*.yaml"), *place.glob("*.yml")]) if place.is_dir() else [place]
    if not files or not files[0].is_file():
        raise RecipeError(f"{path} holds no task file (.yaml).", where=WHERE)
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        config = _read(file)
        if config["task"] in found:
            raise RecipeError(f"Two task files are called {config['task']!r}.", where=str(file))
        found[config["task"]] = config
    return found


def _read(file: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.constructor.ConstructorError as error:
        raise _refused(file, f"holds {error.problem}: code is not run from a task file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _refused(file, f"cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(config, dict) or not isinstance(config.get("task"), str):
        raise _refused(file, "does not say `task:` and a name")
    for key, why in REFUSED.items():
        if config.get(key):
            raise _refused(file, f"says `{key}`, which {why}")
    if any(metric.get("hf_evaluate") for metric in config.get("metric_list") or () if isinstance(metric, dict)):
        raise _refused(file, "says `hf_evaluate`, which loads code from a hub")
    if config.get("dataset_path") not in LOCAL:
        raise _refused(
            file,
            f"takes its data from {config.get('dataset_path')!r}; local files are read by dataset_path "
            f"{', '.join(LOCAL)} with dataset_kwargs.data_files",
        )
    config["dataset_kwargs"] = {"data_files": _data_files(file, config)}
    return config


def _data_files(file: Path, config: dict[str, Any]) -> Any:
    """The data files as absolute paths, sought beside the task file."""
    more = dict(config.get("dataset_kwargs") or {})
    named = more.pop("data_files", None)
    if not named or more:
        raise _refused(file, "must name its data by dataset_kwargs.data_files, and nothing else there")
    if isinstance(named, dict):
        return {split: _absolute(file, one) for split, one in named.items()}
    return _absolute(file, named)


def _absolute(file: Path, named: Any) -> Any:
    if isinstance(named, list):
        return [_absolute(file, one) for one in named]
    place = file.parent / local_path(str(named))
    if "://" in str(named) or not place.is_file():
        raise _refused(file, f"names the data file {str(named)!r}, which is not there ({place})")
    return str(place.resolve())


def _refused(file: Path, why: str) -> RecipeError:
    return RecipeError(f"{file.name} {why}.", where=str(file))
