"""What is kept of requests, so that those that are alike are read once."""

from __future__ import annotations

import pytest

from tokentrail.apis.chat import adapter as chat
from tokentrail.apis.chat.adapter import ChatAdapter
from tokentrail.apis.completions import adapter as completions
from tokentrail.apis.media import MediaAdapter
from tokentrail.apis.parameters import MAX_REQUESTS, Parameters
from tokentrail.apis.realtime import adapter as realtime
from tokentrail.apis.responses import adapter as responses
from tokentrail.apis.responses.adapter import ResponsesAdapter
from tokentrail.model.records import Endpoint
from tokentrail.patching.methods import all_methods
from tokentrail.patching.raw_requests import PATHS

NOWHERE = Endpoint("openai", None, None, "")
SECRET = "what nobody shall keep"


def _read(shape, **arguments):
    return shape.parse_request(NOWHERE, {"model": "gpt-4o", **arguments}, prompt=False)


def test_requests_that_ask_the_same_are_one():
    shape = ChatAdapter()
    first = _read(shape, temperature=0.5, messages=[{"role": "user", "content": SECRET}])
    assert _read(shape, temperature=0.5, messages=[]) is first
    assert _read(shape, temperature=0.6) is not first


@pytest.mark.parametrize("other", [1.0, True, "1", None])
def test_what_is_equal_and_of_another_kind_is_another(other):
    shape = ChatAdapter()
    assert _read(shape, seed=1).seed == 1
    assert _read(shape, seed=other).seed is None


def test_only_so_many_are_kept():
    shape = ChatAdapter()
    for seed in range(3 * MAX_REQUESTS):
        assert _read(shape, seed=seed).seed == seed
    assert len(chat._PARAMETERS._requests) <= MAX_REQUESTS


def test_ids_take_no_place_of_what_is_asked_again():
    shape = ResponsesAdapter()
    first = _read(shape, temperature=0.25)
    for number in range(2 * MAX_REQUESTS):
        assert _read(shape, conversation=f"conv_{number}").conversation_id == f"conv_{number}"
    assert _read(shape, temperature=0.25) is first


def _shapes():
    return {
        id(shape): shape for shape in (*PATHS.values(), *(row.adapter for row in all_methods()))
    }


def test_nothing_that_is_said_is_kept():
    """Of no argument that holds it, whatever its kind."""
    said = ("input", "prompt", "messages", "instructions", "tools", "suffix", "metadata", "user")
    for shape in _shapes().values():
        if hasattr(shape, "request"):
            for name in said:
                for value in (SECRET, [SECRET], {"id": SECRET}):
                    shape.parse_request(NOWHERE, {"model": "gpt-4o", name: value}, prompt=False)
    readers = [module._PARAMETERS for module in (chat, completions, realtime, responses)]
    readers += [s.parameters for s in _shapes().values() if isinstance(s, MediaAdapter)]
    for reader in readers:
        assert type(reader) is Parameters
        assert SECRET not in repr(reader._requests)
    assert any(reader._requests for reader in readers)


def test_what_is_said_is_read_each_time():
    shape = ResponsesAdapter()
    assert _read(shape, input="text").compacted is None
    assert _read(shape, input=[{"type": "compaction"}]).compacted is True
    assert _read(shape, input="text").compacted is None
    assert _read(shape, prompt={"id": "pmpt_1", "version": "2"}).prompt_name == "pmpt_1"
    assert _read(shape).prompt_name is None
