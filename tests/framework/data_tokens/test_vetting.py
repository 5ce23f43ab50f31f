"""Templates from strangers."""

from __future__ import annotations

import time

import pytest

from luthier.data.encoding import template_check
from luthier.errors import Refused
from luthier.fetch import cache
from luthier.models.templates import template
from tests.framework.data_tokens.tiny_tokens import SMOLLM2


@pytest.mark.parametrize(
    "bomb",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ ('a' * 2 * 10**9) | length }}",
        "{{ 'a' * 3000000 }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('touch marker') }}",
        "a" * 10_000_000,
    ],
)
def test_a_hostile_template_is_refused_within_its_limits(bomb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begun = time.process_time()
    with pytest.raises(Refused):
        template_check.check_template(bomb, "The chat template of a stranger")
    assert time.process_time() - begun < 1  # the work is the child's
    assert not (tmp_path / "marker").exists()


def test_a_template_is_tried_once_and_luthiers_own_never(monkeypatch):
    template_check.check_template(SMOLLM2, "The chat template of SmolLM2")
    assert any(cache.cache_folder("templates").iterdir())
    monkeypatch.setattr(template_check, "_fault", lambda *_: pytest.fail("checked again"))
    template_check.check_template(SMOLLM2, "The chat template of SmolLM2")
    template_check.check_template(template("chatml"), "The chat template of luthier")


def test_a_refused_template_stays_refused():
    for _ in range(2):
        with pytest.raises(Refused):
            template_check.check_template("{{ 'b' * 3000000 }}", "The chat template of a stranger")
