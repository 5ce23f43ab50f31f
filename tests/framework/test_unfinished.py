"""`resume=auto` without a name: which run goes on."""

from __future__ import annotations

from pathlib import Path

from tests.command import luthier

RECIPE = ("debug=tiny", "stages=[fit]", "trainer.checkpoint_every=1")


def test_resume_auto_goes_on_with_the_newest_unfinished_run_of_the_same_recipe(tmp_path: Path) -> None:
    first = luthier(*RECIPE, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (run,) = (tmp_path / "runs").iterdir()
    (run / "record.json").unlink()  # as if it had been killed before its end

    again = luthier(*RECIPE, "resume=auto", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run.name]
    assert (run / "record.json").is_file()

    other = luthier(*RECIPE, "resume=auto", "seed=5", cwd=tmp_path)
    assert other.returncode == 0, other.stderr
    assert len(list((tmp_path / "runs").iterdir())) == 2, "another recipe is another run"
