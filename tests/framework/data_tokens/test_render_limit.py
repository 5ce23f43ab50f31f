"""A template whose loop one word of the data begins ends with the place of that record, within seconds."""

from __future__ import annotations

import threading
import time

import pytest

from luthier.data.encoding import render_limit
from luthier.data.encoding.render_limit import limited_rendering
from luthier.data.encoding.template import Template
from luthier.errors import DataError
from luthier_prompting.jinja_template import JinjaTemplate

LOOP = "".join(f"{{% for {name} in range(90000) %}}" for name in "abc") + "{% endfor %}" * 3
CHAT = (
    "{% for message in messages %}{% if 'spruce' in message['content'] %}" + LOOP + "{% endif %}"
    "{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(render_limit, "SECONDS", 0.5)


def test_a_chat_template_that_loops_for_one_word_is_ended_and_the_record_named():
    template, at = Template(CHAT, "model.chat_template", {}), time.monotonic()
    said = [{"role": "user", "content": "Is it maple?"}, {"role": "assistant", "content": "It is ebony."}]
    assert template.render(said) == "user: Is it maple?\nassistant: It is ebony.\n"
    said[1]["content"] = "It is spruce."
    with pytest.raises(DataError, match=r"model\.chat_template takes more than 0\.5 s") as caught:
        template.render(said, where="rows.jsonl:7")
    assert caught.value.where == "rows.jsonl:7"
    assert time.monotonic() - at < 60
    assert template.render(said[:1]) == "user: Is it maple?\n", "nothing is left for the next rendering"


def test_a_template_of_the_prompt_is_ended_as_well():
    template = JinjaTemplate("{% if 'spruce' in question %}" + LOOP + "{% endif %}{{ question }}")
    assert template({"question": "maple?"}) == "maple?"
    with pytest.raises(DataError, match=r"prompt\.template takes more than"):
        template({"question": "spruce?"}, where="rows.jsonl:7")


def test_each_thread_is_ended_for_itself():
    ended: list[str] = []

    def render(loops):
        try:
            with limited_rendering("It"):
                until = time.thread_time() + (30 if loops else 0.1)
                while time.thread_time() < until:
                    pass
        except DataError as error:
            ended.append(f"{loops} {error.message}")

    threads = [threading.Thread(target=render, args=(loops,)) for loops in (True, False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert ended == ["True It takes more than 0.5 s for this conversation."] * 2
