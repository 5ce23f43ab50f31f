"""A teacher behind a real HTTP server: sampled once, its answers and top-k log-probabilities are trained on."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from luthier.contracts.batch import Row
from luthier.contracts.sampling import Sampling
from luthier.data.collate import collate
from luthier.errors import RecipeError, ResourceError
from luthier.models.random import Random
from luthier_distillation.endpoint import Endpoint, Reply
from luthier_distillation.offline_teacher import OfflineTeacher
from luthier_distillation.student_teacher_inputs import encode
from luthier_distillation.top_k_alignment import cache_replies
from tests.command import luthier

ANSWER = ["May", "be", " it", " is", "."]


class Handler(BaseHTTPRequestHandler):
    requests: list[dict[str, Any]] = []  # noqa: RUF012 - a list of its own for each server
    busy = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if type(self).busy:
            type(self).busy -= 1
            self.send_error(503)
            return
        type(self).requests.append({**body, "key": self.headers.get("Authorization"), "path": self.path})
        logprobs = [
            {"token": each, "bytes": list(each.encode()), "logprob": math.log(0.6),
             "top_logprobs": [{"token": each, "bytes": list(each.encode()), "logprob": math.log(0.6)},
                              {"token": "!", "bytes": [33], "logprob": math.log(0.3)}]}
            for each in ANSWER
        ]  # fmt: skip
        choice: dict[str, Any] = {"finish_reason": "stop", "message": {"role": "assistant", "content": "".join(ANSWER)}}
        if body.get("logprobs"):
            choice["logprobs"] = {"content": logprobs}
        answer = json.dumps({"choices": [choice] * body["n"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[Handler]]]:
    handler = type("Fresh", (Handler,), {"requests": [], "busy": 0})
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}/v1", handler
    running.shutdown()
    running.server_close()


def test_a_busy_server_is_sent_the_request_again_with_the_key_of_the_environment(
    server: tuple[str, type[Handler]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, handler = server
    monkeypatch.setattr("luthier.fetch.endpoint.time.sleep", lambda seconds: None)
    monkeypatch.setenv("TEACHER_KEY", "abc")
    handler.busy = 1
    teacher = Endpoint(url=url + "/", name="large", secret="TEACHER_KEY", top=2)
    ((reply,),) = teacher.replies([[{"role": "user", "content": "Is it?"}]], Sampling(9, 0.5))
    assert reply.text == "Maybe it is."
    assert reply.finish == "stop"
    assert reply.likely[0] == [(b"May".hex(), math.log(0.6)), (b"!".hex(), math.log(0.3))]
    (request,) = handler.requests
    assert request["path"] == "/v1/chat/completions"
    assert request["key"] == "Bearer abc"
    assert (request["model"], request["max_tokens"], request["temperature"], request["top_logprobs"]) == (
        "large",
        9,
        0.5,
        2,
    )
    handler.busy = 9
    with pytest.raises(ResourceError, match="503"):
        Endpoint(url=url, name="large", tries=2).replies([[]], Sampling())
    monkeypatch.delenv("TEACHER_KEY")
    with pytest.raises(RecipeError, match="TEACHER_KEY"):
        teacher.replies([[]], Sampling())
    with pytest.raises(RecipeError, match="has no weights here"):
        teacher.network()


def test_distributions_are_known_where_both_begin_a_token(student: Random, tmp_path: Path) -> None:
    example = {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "".join(ANSWER)}]}
    own = encode(example, student.tokenizer, allows_unanswered=False)
    likely = [[(each.encode().hex(), math.log(0.6)), (b"!".hex(), math.log(0.3))] for each in ANSWER]
    reply = Reply("".join(ANSWER), "stop", [each.encode().hex() for each in ANSWER], likely)
    facts = cache_replies(tmp_path, [(own, reply)], student.tokenizer, {"name": "large"}, top=2, vocab_size=400)
    offline = OfflineTeacher(str(tmp_path))
    offline.check(student.tokenizer)
    batch = collate([[Row((own,))]])
    positions = torch.from_numpy(np.flatnonzero(own.weights) - 1)
    distributions, known = offline(batch, positions)
    assert 1 <= len(known) == facts["known"] <= len(ANSWER)
    p = distributions(slice(None), 1.0, 400).exp()
    exclamation = student.tokenizer("!", add_special_tokens=False)["input_ids"][0]
    assert p[:, exclamation] == pytest.approx(0.3, abs=1e-3)
    assert p.sum(-1) == pytest.approx(1.0, abs=1e-3)


def test_a_student_learns_the_distributions_of_an_endpoint(server: tuple[str, type[Handler]], tmp_path: Path) -> None:
    url, handler = server
    recipe = ("method=distill", "debug=tiny", "method/sequences=teacher", "model@method.teacher=endpoint",
              f"method.teacher.url={url}", "method.teacher.name=large", "method.teacher.top=2")  # fmt: skip
    done = luthier("ask-teacher", "answers", *recipe, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["answers"] == len(handler.requests) == facts["prompts"]
    assert facts["known"] > 0
    again = luthier("ask-teacher", "answers", *recipe, "--format", "bedrock", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert len(handler.requests) == facts["prompts"], "no prompt is sent twice"
    line = json.loads((tmp_path / "answers/answers.bedrock.jsonl").read_text().splitlines()[0])
    assert line["schemaVersion"] == "bedrock-conversation-2024"
    assert line["messages"][-1] == {"role": "assistant", "content": [{"text": "Maybe it is."}]}
    learned = luthier(
        "method=distill", "method.offline_teacher=answers", "model=tiny", "data=jsonl",
        "data.file=answers/answers.jsonl", "batch.size=2", "batch.micro=1", "batch.length=256", "trainer.max_steps=2",
        "hydra.run.dir=run", cwd=tmp_path,
    )  # fmt: skip
    assert learned.returncode == 0, learned.stderr
    record = json.loads((tmp_path / "run/record.json").read_text())
    assert "large, offline" in record["method"]["Teacher"]
    assert "no distribution for the others" in record["method"]["Tokens compared"]
