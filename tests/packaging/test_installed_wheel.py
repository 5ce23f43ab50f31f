"""What `pip install luthier` brings is enough: nothing of the checkout is needed, and no extra."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

from tests.hidden import of_extras

ROOT = Path(__file__).parents[2]


def run(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(installed / "venv" / "bin" / "luthier"), *words]
    return subprocess.run(
        command, cwd=installed, env=environment, capture_output=True, text=True, timeout=280, check=False
    )


def test_the_wheel_holds_every_option_file(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    expected = {
        path.split("/", 1)[1]
        for path in tracked
        if path.startswith(("framework/", "plugins/", "recipes/")) and (ROOT / path).is_file()
    }
    assert expected - inside == set()


def test_luthier_is_imported_from_the_wheel(installed: Path) -> None:
    python = installed / "venv" / "bin" / "python"
    command = [str(python), "-c", "import luthier, luthier_sft; print(luthier.__file__, luthier_sft.__file__)"]
    said = subprocess.run(command, cwd=installed, capture_output=True, text=True, check=True).stdout
    assert all(Path(place).is_relative_to(installed) for place in said.split())


def test_the_demo_runs_from_the_wheel_and_learns(installed: Path) -> None:
    done = run(installed, "demo", "hydra.run.dir=demo")
    assert done.returncode == 0, done.stderr
    record = json.loads((installed / "demo" / "record.json").read_text())
    accuracy = next(each for each in record["comparisons"] if each["name"] == "accuracy")
    assert accuracy["verdict"] == "better"
    assert (installed / "demo" / "report.html").stat().st_size < 300_000


def test_the_quickstart_recipe_composes_and_runs_from_the_wheel(installed: Path) -> None:
    assert "smollm2" in run(installed, "recipe=quickstart", "--cfg", "job").stdout
    done = run(installed, "recipe=quickstart", "debug=tiny", "hydra.run.dir=quickstart")
    assert done.returncode == 0, done.stderr


def test_every_answer_is_explained_without_any_extra(installed: Path) -> None:
    program = """
import contextlib, io, json, sys
from luthier.cli.main import main
from luthier.config.catalog import Catalog
from luthier.plugins.registry import Plugins
failed = {}
answers = [str(answer) for answer in Catalog.of(Plugins()) if answer.question != "."]
for answer in answers:
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main(["explain", answer])
        except SystemExit as end:
            code = end.code
    if code:
        failed[answer] = code
there = [name for name in HIDDEN if sys.modules[name] is not None]
print(json.dumps({"answers": len(answers), "failed": failed, "extras": there}))
""".replace("HIDDEN", repr(sorted(of_extras())))
    python = installed / "venv" / "bin" / "python"
    said = subprocess.run([str(python), "-c", program], cwd=installed, capture_output=True, text=True, check=True)
    found = json.loads(said.stdout.splitlines()[-1])
    assert found["answers"] > 200
    assert found["failed"] == {}
    assert found["extras"] == []
    assert run(installed, "recipes").returncode == 0


def test_what_an_extra_brings_is_missed_in_a_sentence(installed: Path) -> None:
    done = run(installed, "plan", "recipe=rag")
    assert done.returncode == 2
    assert "pip install 'luthier[retrieval]'" in done.stderr


def test_luthier_passes_the_check_that_it_offers_to_others(installed: Path) -> None:
    done = run(installed, "plugin-check", "luthier", "--no-twins", "--json")
    report = json.loads(done.stdout)
    assert [one for one in report["findings"] if one["state"] == "failed"] == []
    assert done.returncode == 0
    assert "skipped" not in report["counts"]
