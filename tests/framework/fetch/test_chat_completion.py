"""Chat completions over a real connection to a server in this process."""

from __future__ import annotations

import httpx
import pytest

from luthier.errors import ResourceError
from luthier.fetch.chat_completion import ChatCompletion, chat_completions
from tests.chat_server import answer, chat_server

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "Well?"}], "n": 2}


def complete(url: str, **settings):
    with httpx.Client(timeout=10) as client:
        return chat_completions(client, url, REQUEST, **{"tries": 1, **settings})


def test_each_choice_is_a_completion_with_its_finish_reason():
    response = {
        "choices": [
            {"message": {"content": "Yes."}, "finish_reason": "stop"},
            {"message": {"content": None}, "finish_reason": "length"},
        ]
    }
    with chat_server(response) as server:
        found = complete(server.url, key="secret")
    assert found == [
        ChatCompletion("Yes.", "stop", [], []),
        ChatCompletion("", "length", [], []),
    ]
    assert server.requests == [{**REQUEST, "key": "Bearer secret", "path": "/v1/chat/completions"}]


def test_log_probabilities_are_by_the_bytes_of_tokens():
    content = [
        {
            "token": "�", "bytes": [195], "logprob": -0.5,
            "top_logprobs": [{"token": "�", "bytes": [195], "logprob": -0.5}, {"token": "a", "logprob": -1.5}],
        },
        {"token": "ä", "bytes": None, "logprob": -0.25},
    ]  # fmt: skip
    with chat_server({"choices": [{"message": {"content": "é"}, "logprobs": {"content": content}}]}) as server:
        (found,) = complete(server.url)
    assert found.tokens == [b"\xc3", "ä".encode()]
    assert found.top_logprobs == [[(b"\xc3", -0.5), (b"a", -1.5)], [("ä".encode(), -0.25)]]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"error": "no"}, "the response has no 'choices'"),
        ({"choices": []}, "the response has no choices"),
        ({"choices": [{"text": "a"}]}, "the response has no 'message'"),
        ({"choices": [{"message": "a"}]}, "attribute"),
        ([1], "list indices"),
        (None, "subscriptable"),
    ],
)
def test_a_response_that_is_no_chat_completion_is_refused_with_the_reason(response, reason):
    with chat_server(response) as server, pytest.raises(ResourceError, match=reason) as refused:
        complete(server.url, where="method.teacher.url", hint="Is it up?", resumable=True)
    assert refused.value.message.startswith(f"m at {server.url.rstrip('/')} gave no chat completion: ")
    assert (refused.value.where, refused.value.hint, refused.value.resumable) == (
        "method.teacher.url",
        "Is it up?",
        True,
    )


def test_an_error_status_and_a_missing_server_are_resource_errors():
    with chat_server(answer("never read"), status=401) as server, pytest.raises(ResourceError, match="401"):
        complete(server.url, tries=3)
    assert len(server.requests) == 1, "a refusal is not tried again"
    with pytest.raises(ResourceError, match="gave no chat completion"):
        complete(server.url)
