"""Parameters of a request are read each time anew."""

from __future__ import annotations

import pytest

from tokentrail.apis.chat.adapter import ChatAdapter
from tokentrail.apis.responses.adapter import ResponsesAdapter
from tokentrail.model.records import Endpoint

NOWHERE = Endpoint("openai", None, None, "")
SECRET = "what nobody shall keep"


def _read(shape, **arguments):
    return shape.parse_request(NOWHERE, {"model": "gpt-4o", **arguments}, prompt=False)


@pytest.mark.parametrize("other", [1.0, True, "1", None])
def test_what_is_equal_and_of_another_kind_is_another(other):
    shape = ChatAdapter()
    assert _read(shape, seed=1).seed == 1
    assert _read(shape, seed=other).seed is None


def test_content_is_read_each_time():
    shape = ResponsesAdapter()
    assert _read(shape, input="text").compacted is None
    assert _read(shape, input=[{"type": "compaction"}]).compacted is True
    assert _read(shape, input="text").compacted is None
    assert _read(shape, prompt={"id": "pmpt_1", "version": "2"}).prompt_name == "pmpt_1"
    assert _read(shape).prompt_name is None
