"""The demonstration with the user's own key: three cheap calls to a real endpoint."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import openai
from rich.console import Console

from tokentrail.demo.error import DemoError
from tokentrail.demo.run import SceneWatch, play, title
from tokentrail.demo.scenes import text_of, user
from tokentrail.demo.target import find_target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    from tokentrail.demo.target import Client, Target

QUESTION = "Name three rivers, in one short line."
CALLS = 3
LIMIT = 500
"""Limit of an answer's tokens: a reasoning model fails if it has to stop while reasoning."""
_PROMPT = 20
_USUAL = 150
_SHORT = 200


class _ForeignAnswerError(Exception):
    """The answer is not a chat completion."""


def run(model: str | None, *, consent: bool, environ: Mapping[str, str]) -> int:
    """Make the calls, once the user agreed, and show what was recorded; return the exit code."""
    target = find_target(model, environ)
    console = Console(highlight=False)
    with _connected(target) as client:
        console.print(_offer(target), markup=False)
        if not consent:
            _ask()
        console.print(title(target.where))

        def scenes(watch: SceneWatch) -> None:
            try:
                _calls(client, target.model, watch)
            except Exception as error:  # an endpoint may cause any error, also of httpx and json
                raise DemoError(_explain(error, target)) from error

        play(console, scenes)
    return 0


def _connected(target: Target) -> Client:
    try:
        return target.connect()
    except Exception as error:  # errors about addresses have no common class
        message = (
            f"no client can be made for {target.where} ({type(error).__name__}: {error}):"
            f" fix the address in {target.endpoint_setting}"
        )
        raise DemoError(message, code=2) from error


def _offer(target: Target) -> str:
    return (
        f"{CALLS} calls to {target.model} at {target.where}, usually about {_USUAL} tokens in"
        f" all and {CALLS * (_PROMPT + LIMIT):,} at most ({LIMIT} for an answer),"
        f" paid by the key in {target.key_setting}."
    )


def _ask() -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        message = "no terminal to ask on: add --yes to make the calls without asking"
        raise DemoError(message, code=2)
    try:
        agreed = input("Go on? [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:  # Ctrl-D is not an answer, and leaves the line open
        print()
        agreed = False
    if not agreed:
        message = "nothing was sent"
        raise DemoError(message)


def _calls(client: Client, model: str, watch: SceneWatch) -> None:
    limit = _plain(client, model, watch)
    messages = user(QUESTION)
    with watch.scene("stream with usage"):
        _read(
            client.chat.completions.create(
                model=model,
                messages=messages,
                stream=True,
                stream_options={"include_usage": True},
                extra_body=limit,
            ),
            watch,
        )
    with watch.scene("stream"):
        _read(
            client.chat.completions.create(
                model=model, messages=messages, stream=True, extra_body=limit
            ),
            watch,
        )


def _plain(client: Client, model: str, watch: SceneWatch) -> dict[str, int]:
    """Make the first call; return the limit under the name that the endpoint accepts.

    Reasoning models accept only the newer name, and some servers only the older one: those are
    called again, and the refused call is recorded as well.
    """
    newer, older = {"max_completion_tokens": LIMIT}, {"max_tokens": LIMIT}
    try:
        with watch.scene("plain"):
            watch.add(_answer(client, model, newer))
    except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
        if "max_completion_tokens" not in f"{error.message} {error.body}":
            raise
    else:
        return newer
    with watch.scene("plain, again"):
        watch.add(_answer(client, model, older))
    return older


def _answer(client: Client, model: str, limit: dict[str, int]) -> str:
    # In extra_body, since openai 1.40 has no argument of the newer name.
    answer: ChatCompletion | str = client.chat.completions.create(
        model=model, messages=user(QUESTION), extra_body=limit
    )
    # A page of HTML is returned as text.
    if isinstance(answer, str) or not answer.choices:
        raise _ForeignAnswerError
    return answer.choices[0].message.content or ""


def _read(stream: Iterable[ChatCompletionChunk], watch: SceneWatch) -> None:
    for chunk in stream:
        watch.add(text_of(chunk))


def _explain(error: Exception, target: Target) -> str:
    """Return what failed at the endpoint, the setting that causes it and how to fix it."""
    where, mend = target.where, f"fix the address in {target.endpoint_setting}"
    if isinstance(error, _ForeignAnswerError | json.JSONDecodeError):
        return f"{where} answers, but not as an OpenAI API does: {mend}"
    if _is_unsendable(error):  # the error may quote the header, and keys stand in headers
        return (
            "a header cannot be sent: OPENAI_ORG_ID, OPENAI_PROJECT_ID or another variable of the"
            " client holds a line break, or a character beyond ASCII"
        )
    if isinstance(error, openai.APIConnectionError):
        return f"cannot reach {where} ({error.__cause__ or error}): {mend}"
    if isinstance(error, openai.APIStatusError):
        return _explain_status(error, target, mend)
    return f"the call to {where} failed: {type(error).__name__}: {error}"


def _is_unsendable(error: Exception) -> bool:
    refused = {"LocalProtocolError", "UnicodeEncodeError"}
    return not refused.isdisjoint({type(error).__name__, type(error.__cause__).__name__})


def _explain_status(error: openai.APIStatusError, target: Target, mend: str) -> str:
    where, key = target.where, target.key_setting
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return (
            f"{where} refuses the key in {key} ({error.status_code}):"
            f" set {key} to a key of this endpoint"
        )
    if isinstance(error, openai.NotFoundError):
        return (
            f"{where} does not know {target.model!r} ({error.status_code}): name a model"
            f" or deployment that it has with {target.model_setting}, or {mend}"
        )
    return f"{where} answers {error.status_code}: {_message_of(error)}"


def _message_of(error: openai.APIStatusError) -> str:
    """Return the message of an error's body, shortened; of a page of HTML, its beginning."""
    body = error.body
    reported = body.get("message") or body if isinstance(body, Mapping) else body
    words = " ".join(str(reported or error.message).split())
    return words if len(words) <= _SHORT else f"{words[:_SHORT]} ..."
