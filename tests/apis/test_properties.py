"""What holds for every shape and every value: nothing raises, nothing is changed."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tokentrail.apis.chat.adapter import ChatAdapter
from tokentrail.apis.completions.adapter import CompletionsAdapter
from tokentrail.apis.embeddings.adapter import EmbeddingsAdapter
from tokentrail.apis.responses.adapter import CompactAdapter, FetchAdapter, ResponsesAdapter
from tokentrail.model.records import Endpoint, Response

if TYPE_CHECKING:
    from tokentrail.apis import ApiAdapter

ENDPOINT = Endpoint("openai", None, None, "")
_KEYS = """
id model service_tier system_fingerprint choices usage index delta message finish_reason
content refusal tool_calls function_call function custom name arguments input audio
transcript text type role image_url detail prompt_tokens completion_tokens input_tokens
output_tokens prompt_tokens_details input_tokens_details cached_tokens response output
item output_index content_index code error status incomplete_details reason conversation
format object summary json_schema schema effort version prompt messages instructions tools
tool_choice response_format modalities stop n best_of echo suffix dimensions stream
encoding_format starting_after response_id reasoning text_format
"""
_WORDS = """
function custom message function_call function_call_output reasoning text input_text
output_text refusal json_schema completed incomplete failed stop auto none audio
response.created response.completed response.failed response.output_item.added error
response.output_text.delta response.compaction item_reference
"""
_DECLARED = """
id model service_tier system_fingerprint choices usage index delta message finish_reason
type text response item output_index content_index code
"""
SHAPES: tuple[ApiAdapter, ...] = (
    ChatAdapter(), CompletionsAdapter(), ResponsesAdapter(), EmbeddingsAdapter(), FetchAdapter(),
    CompactAdapter(),
)  # fmt: skip
KEYS = st.sampled_from(_KEYS.split())
WORDS = st.sampled_from(_WORDS.split())
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-1, 3)
    | st.floats()
    | st.text(max_size=3)
    | WORDS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=25,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=8)


class Typed:
    """A sink that takes only what the protocol promises."""

    def add(self, kind: str, choice: int, item: int, text: str) -> None:
        """Refuse a piece of a wrong type, an empty one, and a mark that is none."""
        texts = {"text", "refusal", "tool_name", "tool_arguments", "reasoning", "summary"}
        assert kind in (texts if text else {"custom_call", "unknown"})
        assert type(choice) is type(item) is int
        assert type(text) is str

    def append_buffer(self, kind: str, choice: int, item: int) -> _Pieces:
        """Take what is left of a part as what is added."""
        self.add(kind, choice, item, "text")
        return _Pieces()


class _Pieces(list[str]):
    """Refuses what is no text."""

    def append(self, text: str) -> None:
        """Refuse a piece of a wrong type."""
        assert type(text) is str
        super().append(text)


DECLARED = frozenset(_DECLARED.split())
"""Fields that every version declares on chunks, choices and events: they are never extra."""


class Model(BaseModel, extra="allow"):
    """A model object that is built without validation, as the client builds its own."""

    @classmethod
    def holding(cls, given: dict[str, object]) -> Model:
        """Return a model with the declared ones of the given fields, and the others as extra."""
        declared = {key: value for key, value in given.items() if key in DECLARED}
        model = cls.__new__(cls)
        object.__setattr__(model, "__dict__", declared)
        object.__setattr__(model, "__pydantic_fields_set__", set(declared))
        extra = {key: value for key, value in given.items() if key not in DECLARED}
        object.__setattr__(model, "__pydantic_extra__", extra)
        object.__setattr__(model, "__pydantic_private__", None)
        return model


def modelled(value: object) -> object:
    """Return ``value`` with every dict as a model object."""
    if isinstance(value, dict):
        return Model.holding({key: modelled(item) for key, item in value.items()})
    return [modelled(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=100)
@given(arguments=OBJECTS)
def test_no_request_raises_or_is_changed(arguments: dict[str, Any]) -> None:
    """Whatever an application passes: the client is who refuses it."""
    before = copy.deepcopy(arguments)
    for shape in SHAPES:
        request = shape.parse_request(ENDPOINT, arguments)
        shape.parse_request(ENDPOINT, {key: modelled(value) for key, value in arguments.items()})
        assert isinstance(request.stream, bool)
        assert request.model is None or request.model
    assert repr(arguments) == repr(before)


@settings(max_examples=100)
@given(answers=st.lists(OBJECTS | VALUES, max_size=4))
@example(answers=[{"choices": {}, "output": {}, "detail": True}])
@example(answers=[{"id": {"usage": {"prompt_tokens": 0}}}])
def test_no_answer_and_no_chunk_raises(answers: list[object]) -> None:
    """Whatever a server sends, as dicts and as model objects, which read alike."""
    for shape in SHAPES:
        request = shape.parse_request(ENDPOINT, {})
        accumulators = [shape.stream_accumulator(request, Typed()) for _ in range(2)]
        for answer in answers:
            read = shape.parse_response(answer, Typed())
            assert isinstance(read, Response)
            assert shape.parse_response(modelled(answer), None) == read
            for accumulator, chunk in zip(accumulators, (answer, modelled(answer)), strict=True):
                accumulator.add(chunk)
        read, again = (accumulator.response() for accumulator in accumulators)
        # Which are not looked for in model objects that bear one more piece of content.
        others = dict.fromkeys(("id", "model", "service_tier", "system_fingerprint"))
        assert replace(read, **others) == replace(again, **others)
        assert read.finish_reasons is None or all(read.finish_reasons)
