"""A recipe that is read back says what to install where the distribution of a part is absent or another version."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from luthier.errors import PluginError, Refused
from luthier.plugins.registry import Plugins
from luthier.workflows.origins import origins, recipe_read_back
from tests.framework.plugins.conftest import distribution

__all__ = ["distribution"]

ANSWER = {
    "adaptation/mine": "# Mine.\n_target_: acme_parts.Mine\n",
    "tracking/mine": "# Mine.\n_target_: acme_parts.T\n",
}
PARTS = {"adaptation": {"_target_": "acme_parts.Mine"}, "tracking": {"_target_": "acme_parts.T"}}


@pytest.fixture
def written(distribution, tmp_path):
    """A stored recipe with a part and a tracker of acme-parts 0.3.1, and a function that reads it back."""
    site = distribution("acme-parts", version="0.3.1", answers=ANSWER)

    def read(**parts: str):
        chosen = {name: PARTS[name] for name in parts or PARTS}
        file = Path(tmp_path / "resolved.yaml")
        file.write_text(yaml.safe_dump(chosen))
        came_from = {node["_target_"]: {"distribution": "acme-parts", "version": "0.3.1"} for node in chosen.values()}
        return lambda **spare: recipe_read_back(file, Plugins(), (), came_from, owner=tmp_path, **spare)

    return site, read


def test_a_recipe_whose_plugin_is_there_is_read_as_it_is(written):
    assert written[1]()() == PARTS
    assert origins(PARTS)["acme_parts.T"] == {"distribution": "acme-parts", "version": "0.3.1"}


def test_a_part_whose_plugin_is_absent_says_what_to_install(written):
    site, read = written
    shutil.rmtree(site / "acme_parts-0.3.1.dist-info")
    with pytest.raises(PluginError, match=r"acme-parts 0\.3\.1 \(acme_parts\.Mine, .*not installed here") as refused:
        read()()
    assert refused.value.hint == "pip install acme-parts==0.3.1"


def test_a_part_that_another_version_does_not_have_says_both_versions(written, distribution):
    site, read = written
    shutil.rmtree(site / "acme_parts-0.3.1.dist-info")
    shutil.rmtree(site / "acme_parts")
    distribution("acme-parts", version="0.4", answers={"tracking/mine": ANSWER["tracking/mine"]})
    with pytest.raises(PluginError) as refused:
        read()()
    assert "of acme-parts 0.3.1 (acme_parts.Mine), and 0.4 is installed here, which does not have" in str(refused.value)


def test_a_tracker_that_is_absent_is_needed_by_nobody(written):
    site, read = written
    shutil.rmtree(site / "acme_parts-0.3.1.dist-info")
    assert read(tracking="")() == {"tracking": {"_target_": "luthier.training.tracking.NoTracking"}}


def test_what_nobody_brought_is_refused_as_before(written, tmp_path):
    file = tmp_path / "resolved.yaml"
    file.write_text("tracking: {_target_: os.system}\n")
    with pytest.raises(Refused):
        recipe_read_back(file, Plugins(), (), {}, owner=tmp_path)


def test_what_is_not_used_may_be_absent_and_what_must_be_given_has_a_stand_in(written):
    site, read = written
    shutil.rmtree(site / "acme_parts-0.3.1.dist-info")
    assert read(adaptation="")(spare=("adaptation",)) == {"adaptation": {}}
    with pytest.raises(PluginError):
        read(adaptation="")(spare=("tracking", "trainer.strategy"))
