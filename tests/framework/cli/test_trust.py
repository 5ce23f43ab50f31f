"""A recipe is data: whatever it names, nothing of it runs (exit 6) unless an installed option file names it too."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from luthier.errors import Refused

CANARY = """
from pathlib import Path
Path({marker!r}).write_text("imported")
def run(*args, **kwargs):
    Path({marker!r}).write_text("called")
class Handler:
    def __init__(self, *args, **kwargs): run()
"""


@pytest.fixture
def marker(tmp_path_factory, monkeypatch):
    """A file that exists as soon as the module `canary` is imported or called."""
    folder = tmp_path_factory.mktemp("canary")
    file = folder / "marker"
    (folder / "canary.py").write_text(CANARY.format(marker=str(file)))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("CANARY", str(file))
    sys.modules.pop("canary", None)
    return file


def recipe(body: str, defaults: str = "") -> str:
    return f"# @package _global_\n# Hostile.\n{defaults}\n{body}\n"


CODE = [
    # what Hydra's own block-list of 1.3.8 lets through
    "asyncio.create_subprocess_shell",
    "asyncio.create_subprocess_exec",
    "jinja2.Template.render",
    "jinja2.Environment.from_string",
    "torch.hub.load",
    "transformers.AutoConfig.from_pretrained",
    "pip._internal.cli.main.main",
    "builtins.open",
    "pathlib.Path.write_text",
    "shutil.copy",
    "tarfile.open",
    "sqlite3.connect",
    "urllib.request.urlretrieve",
    "omegaconf.OmegaConf.load",
    "site.execsitecustomize",
    "os._exit",
    # what it knows
    "os.system",
    "posix.system",
    "logging.os.system",
    "subprocess.run",
    "subprocess.Popen",
    "builtins.exec",
    "builtins.eval",
    "builtins.__import__",
    "runpy.run_path",
    "importlib.import_module",
    "pickle.loads",
    "yaml.unsafe_load",
    "ctypes.CDLL",
    "pty.spawn",
    "os.execv",
    "timeit.timeit",
    "functools.partial",
    "hydra.utils.call",
    "hydra.utils.instantiate",
    "hydra.utils.get_method",
    "numpy.load",
    "torch.load",
    "canary.run",
    # what only looks like ours
    "luthier.config.instantiate.instantiate",
    "luthier.fetch.archives.members",
    "luthier_adapters.lora",
    "luthier_adapters.lora.Lora.__init__",
    "luthier_adapters.lora.os.system",
    "luthier.training.tracking.notracking",
    "luthier.training.tracking.finish",
    "luthier.training.tracking.NoTracking ",
    "luthier.training..tracking.NoTracking",
]


@pytest.mark.parametrize("target", CODE)
def test_no_code_that_a_recipe_names_runs(target, luthier, write, marker):
    write("recipes/recipe/evil.yaml", recipe(f"tracking: {{_target_: {target!r}, command: touch {marker}}}"))
    end = luthier("recipe=evil", "--json")
    assert end.code == 6, end.err
    assert end.error["kind"] == "safety"
    assert not marker.exists()


PLACES = {
    "at the top": "evil: {_target_: canary.run}",
    "deep in a setting": "optimizer: {schedule: {warmup: {_target_: canary.run}}}",
    "in a list": "stages: [fit, {_target_: canary.run}]",
    "in a list of lists": "evaluation: {task: {labels: [[{_target_: canary.run}]]}}",
    "in a mapping of sources": "data: {sources: {a: {_target_: canary.run}}}",
    "among metrics": "evaluation: {task: {metrics: {mine: {_target_: canary.run}}}}",
    "behind an alias": "seed: 1\nscore: &evil {_target_: canary.run}\ntrainer: {clip: *evil}",
    "behind a merge key": "score: &evil {_target_: canary.run}\ntrainer: {<<: *evil}",
    "by interpolation": "score: canary.run\ntracking: {_target_: '${score}'}",
    "by half an interpolation": "score: run\ntracking: {_target_: 'canary.${score}'}",
    "by relative interpolation": "tracking: {what: canary.run, _target_: '${.what}'}",
    "as a whole interpolated part": "score: {_target_: canary.run}\ntracking: ${score}",
    "as a partial": "tracking: {_target_: canary.run, _partial_: true}",
    "as a list": "tracking: {_target_: [canary.run]}",
    "as a mapping": "tracking: {_target_: {a: canary.run}}",
    "as a number": "tracking: {_target_: 7}",
    "as nothing": "tracking: {_target_: null}",
    "with arguments of its own": "tracking: {_args_: [1]}",
    "with its own way to convert": "tracking: {_convert_: object}",
    "without recursion": "model: {_recursive_: false}",
    "behind another underscore": "model: {_mode_: x}",
    "reading a secret": "name: ${oc.env:HOME}",
    "reading a secret deep inside": "model: {chat_template: '${oc.env:CANARY}'}",
    "reading a secret in a list": "evaluation: {task: {labels: ['${oc.env:CANARY}']}}",
    "reading a secret through another resolver": "score: '${oc.decode:${oc.env:CANARY}}'",
    "reading a secret with a default": "score: '${oc.env:CANARY,none}'",
    "as a YAML object": "score: !!python/object/apply:canary.run []",
    "as a YAML name": "score: !!python/name:canary.run",
    "as a YAML module": "score: !!python/module:canary",
    "as a YAML object of nobody's": "score: !canary {a: 1}",
    "in Hydra's callbacks": "hydra: {callbacks: {evil: {_target_: canary.run}}}",
    "in Hydra's launcher": "hydra: {launcher: {_target_: canary.run}}",
    "in Hydra's sweeper": "hydra: {sweeper: {_target_: canary.run}}",
    "deep in Hydra's sweeper": "hydra: {sweeper: {params: {x: {_target_: canary.run}}}}",
    "in Hydra's logging": "hydra: {job_logging: {handlers: {evil: {class: canary.Handler}}, root: {handlers: [evil]}}}",
    "as a log factory": "hydra: {job_logging: {handlers: {evil: {(): canary.Handler}}, root: {handlers: [evil]}}}",
    "as a log formatter": "hydra: {job_logging: {formatters: {simple: {(): canary.Handler}}}}",
    "as a log filter": "hydra: {job_logging: {filters: {evil: {(): canary.Handler}}}}",
    "as a log stream": "hydra: {hydra_logging: {handlers: {console: {stream: 'ext://canary.run'}}}}",
    "as an environment variable": "hydra: {job: {env_set: {LD_PRELOAD: /tmp/evil.so}}}",
    "copying the environment": "hydra: {job: {env_copy: [HOME]}}",
    "as Hydra's folder": "hydra: {run: {dir: /tmp/luthier-evil}}",
    "as Hydra's sweep folder": "hydra: {sweep: {dir: /tmp/luthier-evil}}",
    "as Hydra's mode": "hydra: {mode: MULTIRUN}",
    "as Hydra's working folder": "hydra: {job: {chdir: true}}",
    "sweeping over Hydra": "hydra: {sweeper: {params: {hydra.launcher._target_: canary.run}}}",
    "sweeping over a forced Hydra": "hydra: {sweeper: {params: {+hydra.callbacks.x._target_: canary.run}}}",
    "sweeping over flags": "hydra: {sweeper: {params: {--trust: canary.run}}}",
    "sweeping by interpolation": "score: canary.run\nhydra: {sweeper: {params: {lr: '${score}'}}}",
    "as all of Hydra": "evil: {callbacks: {evil: {_target_: canary.run}}}\nhydra: ${evil}",
    "as all of the sweeper": "evil: {_target_: canary.run}\nhydra: {sweeper: '${evil}'}",
    "out of the run folder": "name: ../../evil",
    "at the root of the disk": "name: /tmp/luthier-evil",
    "as a device": "name: con",
}


@pytest.mark.parametrize("how", PLACES)
def test_wherever_a_recipe_hides_code_it_is_refused(how, luthier, write, marker):
    write("recipes/recipe/evil.yaml", recipe(PLACES[how], "defaults: [override /evaluation/task: classification]"))
    end = luthier("recipe=evil", "--json")
    assert end.code == 6, end.err
    assert not marker.exists()
    assert not os.path.exists("/tmp/luthier-evil")


WORDS = {
    "a changed target": ["tracking._target_=canary.run"],
    "an added part": ["+evil._target_=canary.run"],
    "a forced part": ["++tracking._target_=canary.run"],
    "an added mapping": ["+evil={_target_: canary.run}"],
    "a part given as a mapping": ["tracking={_target_: canary.run}"],
    "a source in a mapping": ["data=mixture", "data.sources={a: {_target_: canary.run}}"],
    "a target in a list": ["++evaluation.task.labels=[{_target_: canary.run}]"],
    "an interpolated target": ["score=canary.run", "tracking._target_=${score}"],
    "a swept target": ["-m", "tracking._target_=canary.run,os.system"],
    "the second of swept recipes": ["-m", "recipe=good,evil"],
    "a callback of Hydra": ["+hydra.callbacks.evil._target_=canary.run"],
    "a callback of Hydra in a sweep": ["-m", "seed=1,2", "+hydra.callbacks.evil._target_=canary.run"],
    "callbacks by interpolation": ["++hydra.callbacks=${tracking}"],
    "a launcher": ["-m", "seed=1,2", "hydra.launcher._target_=canary.run"],
    "a sweeper": ["-m", "seed=1,2", "hydra.sweeper._target_=canary.run"],
    "a launcher of this folder": ["-m", "seed=1,2", "hydra/launcher=evil"],
    "logging of this folder": ["hydra/job_logging=evil"],
    "a log handler": ["hydra.job_logging.handlers.file.class=canary.Handler"],
    "a log factory": ["+hydra.job_logging.handlers.evil.factory=canary.Handler"],
    "a log stream": ["hydra.hydra_logging.handlers.console.stream=ext://canary.run"],
    "an environment variable": ["+hydra.job.env_set.LD_PRELOAD=/tmp/evil.so"],
    "a search path": ["hydra.searchpath=[pkg://canary]"],
    "an added search path": ["+hydra.searchpath=[pkg://canary]"],
    "another folder": ["--config-path", "/tmp"],
    "another file": ["--config-name", "evil"],
    "a pickle to run again": ["--experimental-rerun", "evil.pickle"],
    "an option file of this folder": ["data=evil"],
    "a source of this folder": ["data=mixture", "+data@data.sources.a=evil"],
    "a file outside": ["data=../../data/evil"],
    "a file by its path": ["data=/etc/evil"],
    "a name with a zero byte": ["name='a\0b'"],
    "a name as long as a book": [f"name={'a' * 4096}"],
    "an encoded name": ["name=%2e%2e"],
}


@pytest.mark.parametrize("what", WORDS)
def test_a_command_line_that_was_copied_runs_no_code_either(what, luthier, write, marker):
    write("recipes/recipe/good.yaml", recipe("seed: 1"))
    write("recipes/recipe/evil.yaml", recipe("hydra: {job_logging: {handlers: {file: {class: canary.Handler}}}}"))
    write("recipes/data/evil.yaml", "# Mine.\n_target_: canary.run\n")
    write("recipes/hydra/launcher/evil.yaml", "_target_: canary.run\n")
    write("recipes/hydra/job_logging/evil.yaml", "version: 1\nhandlers: {x: {class: canary.Handler}}\n")
    write("evil.pickle", "").write_bytes(pickle.dumps(_Bomb(str(marker))))
    end = luthier(*WORDS[what], "--json")
    assert end.code == 6, end.err
    assert not marker.exists()
    assert not os.path.exists("runs")
    assert not os.path.exists("sweeps")


class _Bomb:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize(
    "argv",
    [
        ["--cfg", "all", "--resolve"],
        ["--cfg", "hydra"],
        ["--info", "all"],
        ["--info", "searchpath"],
        ["-m"],
        ["--cfg", "job", "--json"],
    ],
)
def test_looking_at_a_hostile_recipe_runs_nothing(argv, luthier, write, marker):
    write("recipes/recipe/evil.yaml", recipe("hydra: {job_logging: {handlers: {file: {class: canary.Handler}}}}"))
    end = luthier("recipe=evil", *argv)
    assert end.code == 6, end.out
    assert not marker.exists()


def test_code_of_this_folder_runs_only_where_the_command_line_vouches_for_it(luthier, write, marker):
    write("recipes/tracking/mine.yaml", "# Mine.\n_target_: canary.Handler\n")
    assert luthier("tracking=mine", "--cfg", "job").code == 6
    assert luthier("tracking=mine", "--cfg", "job", "--trust", "canary").code == 6
    assert luthier("tracking=mine", "--cfg", "job", "--trust", "canary.Handler").code == 0
    assert not marker.exists(), "even then nothing is imported before it is built"


def test_a_recipe_cannot_vouch_for_its_own_code(luthier, write, marker):
    write("recipes/recipe/evil.yaml", recipe("trust: [canary.run]\ntracking: {_target_: canary.run}"))
    assert luthier("recipe=evil").code == 6
    assert not marker.exists()


def test_an_init_file_among_recipes_is_not_imported(luthier, write, marker):
    write("recipes/__init__.py", "import canary")
    write("recipes/recipe/__init__.py", "import canary")
    write("recipes/recipe/mine.yaml", recipe("seed: 3"))
    assert luthier("recipe=mine", "--cfg", "job").code == 0
    assert not marker.exists()


def test_modules_of_the_working_folder_do_not_stand_in_for_libraries(here, write, marker):
    for name in ("yaml", "hydra", "torch", "json"):
        write(f"{name}.py", "import canary")
    write("recipes/recipe/mine.yaml", recipe("seed: 3"))
    argv = [str(Path(sys.executable).with_name("luthier")), "recipe=mine", "--cfg", "job", "--trust", "mine.Thing"]
    ended = subprocess.run(argv, cwd=here, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert not marker.exists()


def test_nor_do_they_in_a_process_that_luthier_starts(here, write, marker):
    """From Python 3.11 on; before that, Python always looks into the working folder first."""
    from luthier.training import child_processes

    if sys.version_info < (3, 11):
        assert child_processes.SAFE == []
        return
    for name in ("yaml", "hydra", "torch", "json", "luthier"):
        write(f"{name}.py", "import canary")
    argv = [
        word for word in child_processes.command([], ["--cfg", "job"], here / "run") if not word.startswith("hydra.")
    ]
    ended = subprocess.run(argv, cwd=here, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert not marker.exists()


def test_the_canary_would_tell(marker):
    import canary

    canary.run()
    assert marker.read_text() == "called"
    sys.modules.pop("canary")


BOMB = [f"a{n}: &a{n} [{', '.join(['*a' + str(n - 1)] * 9)}]" for n in range(1, 7)]
ARTIFACTS = {
    "naming code": "evil: {_target_: canary.run}",
    "naming code by interpolation": "evil: canary.run\nworse: {_target_: '${evil}'}",
    "reading a secret": "evil: '${oc.env:CANARY}'",
    "as a YAML object": "evil: !!python/object/apply:canary.run []",
    "unfolding without end": "\n".join(["a0: &a0 [x, x, x, x]", *BOMB]),
    "saying a thing twice": "seed: 1\nseed: 2",
}


@pytest.mark.parametrize("how", ARTIFACTS)
@pytest.mark.parametrize("verb", [["chat", "evil", "--message", "x"], ["evaluate", "evil"], ["export", "evil", "out"]])
def test_an_artifact_of_a_stranger_runs_no_code_either(how, verb, luthier, run, here, marker):
    from luthier.workflows import artifact_manifest

    shutil.copytree(run / "artifact", here / "evil")
    recipe, manifest = here / "evil" / "resolved.yaml", here / "evil" / "manifest.json"
    recipe.write_text(f"{recipe.read_text()}\n{ARTIFACTS[how]}\n")
    artifact_manifest.write(here / "evil", json.loads(manifest.read_text()))
    end = luthier(*verb, "--json")
    assert end.code == (2 if how == "saying a thing twice" else 6), end.err
    assert not marker.exists()


def test_a_sweeper_that_is_registered_later_is_known():
    from luthier.config.trust import refuse_hydra_code
    from luthier.workflows.sweeps.optuna_sweeper import TARGET, register

    store = ConfigStore.instance().repo["hydra"]
    before = store.pop("sweeper", {})
    try:
        with pytest.raises(Refused):
            refuse_hydra_code({"sweeper": {"_target_": TARGET}})
        register()
        refuse_hydra_code({"sweeper": {"_target_": TARGET}})
    finally:
        store["sweeper"] = {**store.get("sweeper", {}), **before}
