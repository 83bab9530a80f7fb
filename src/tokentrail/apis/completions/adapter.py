"""Legacy completions: requests, answers and streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.choices import CONTENT_SHOWN, NOTHING, accumulator, read_answer
from tokentrail.apis.inputs import read_inputs
from tokentrail.apis.parameters import SAMPLED
from tokentrail.apis.values import Parameters, integer, nonempty_str
from tokentrail.model.operations import COMPLETIONS
from tokentrail.model.records import Prompt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.apis.choices import ChunkAccumulator
    from tokentrail.model.records import Endpoint, Request, Response, TextSink


_PARAMETERS = Parameters(*SAMPLED)


class CompletionsAdapter:
    """``completions.create``.

    With ``echo`` the text repeats the prompt, which is not billed as output. With ``best_of`` all
    candidates are billed but only ``n`` are returned. Either makes a count of the text a guess. A
    stream that ends early expects ``n`` choices, not ``n`` for each of several prompts.
    """

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the keyword arguments of a call; a ``suffix`` is input too."""
        shown, billed = integer(arguments.get("n")), integer(arguments.get("best_of"))
        return _PARAMETERS.read(
            arguments,
            operation=COMPLETIONS.name,
            api=COMPLETIONS.api,
            endpoint=endpoint,
            prompt=_prompt(arguments) if prompt else None,
            inexact_output=arguments.get("echo") is True or (billed or 1) > (shown or 1),
            unknowable_output=arguments.get("echo") is True,
        )

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read a ``Completion``."""
        return read_answer(answer, _TEXTS, sink)

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> ChunkAccumulator:
        """Return an empty accumulator of streamed ``Completion`` objects."""
        return accumulator(request, _TEXTS, sink)


def _prompt(arguments: Mapping[str, object]) -> Prompt:
    texts, token_ids, unread = read_inputs(arguments.get("prompt"))
    suffix = nonempty_str(arguments.get("suffix"))
    return Prompt(
        texts=texts if suffix is None else (*texts, suffix),
        token_ids=token_ids,
        incomplete=unread,
    )


class _TextReader:
    """Reads the choices of completions, which have the same form in chunks and plain answers."""

    def feed(self, choice: Mapping[str, object], index: int, sink: TextSink) -> None:
        """Give the text of a choice to ``sink``."""
        text = choice.get("text")
        if text and type(text) is str:
            sink.add("text", index, 0, text)
        elif text or choice.get("message") or choice.get("delta"):
            sink.add("unknown", index, 0, "")

    def shows(self, choice: Mapping[str, object]) -> int:
        """Return what a choice contains."""
        return CONTENT_SHOWN if choice.get("text") else NOTHING


_TEXTS: Final = _TextReader()
