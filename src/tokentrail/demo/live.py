"""The demonstration with the user's own key: three cheap calls to a real endpoint."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import openai
from rich.console import Console

from tokentrail.cli import CommandError
from tokentrail.demo.run import Watch, play, title
from tokentrail.demo.scenes import API_VERSION, text_of, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from openai.types.chat import ChatCompletionChunk

MODEL = "gpt-4o-mini"
QUESTION = "Name three rivers, in one short line."
CALLS = 3
_ROUGH_TOKENS = 150
_TIMEOUT = 60.0

_Client = openai.OpenAI | openai.AzureOpenAI


@dataclass(frozen=True, slots=True)
class Target:
    """Where the calls go, and which variables said so."""

    connect: Callable[[], _Client]
    where: str
    model: str
    model_setting: str
    endpoint_setting: str
    key_setting: str


def run(model: str | None, *, consent: bool, environ: Mapping[str, str]) -> int:
    """Make the calls, once the user agreed, and show what was told; return the exit code."""
    target = find_target(model, environ)
    console = Console(highlight=False)
    console.print(
        f"{CALLS} calls to {target.model} at {target.where},"
        f" about {_ROUGH_TOKENS} tokens in all, paid by the key in {target.key_setting}.",
        markup=False,
    )
    if not consent:
        _ask()
    console.print(title(target.where))
    with target.connect() as client:

        def scenes(watch: Watch) -> None:
            try:
                _calls(client, target.model, watch)
            except openai.OpenAIError as error:
                raise CommandError(_explain(error, target)) from error

        play(console, scenes)
    return 0


def find_target(model: str | None, environ: Mapping[str, str]) -> Target:
    """Return what the environment names: Azure where it names an endpoint of Azure, else OpenAI.

    The variables of today's clients are read, and the three of the notebooks that this project
    started from: OPENAI_API_BASE, OPENAI_API_DEPLOY and OPENAI_API_KEY.
    """
    named = {name: value for name, value in environ.items() if value.strip()}
    if "AZURE_OPENAI_ENDPOINT" in named:
        return _azure(model, named, "AZURE_OPENAI_ENDPOINT")
    is_openais = "//api.openai.com" in named.get("OPENAI_API_BASE", "")
    if {"OPENAI_API_DEPLOY", "OPENAI_API_BASE"} <= named.keys() and not is_openais:
        return _azure(model, named, "OPENAI_API_BASE")
    return _openai(model or named.get("OPENAI_API_DEPLOY"), named)


def _openai(model: str | None, named: Mapping[str, str]) -> Target:
    endpoint = _first(named, "OPENAI_BASE_URL", "OPENAI_API_BASE")
    key = _key(named, "OPENAI_API_KEY")
    base_url = named[endpoint] if endpoint else "https://api.openai.com/v1"
    return Target(
        connect=lambda: openai.OpenAI(
            api_key=named[key], base_url=base_url, max_retries=0, timeout=_TIMEOUT
        ),
        where=base_url,
        model=model or MODEL,
        model_setting="--model",
        endpoint_setting=endpoint or "OPENAI_BASE_URL",
        key_setting=key,
    )


def _azure(model: str | None, named: Mapping[str, str], endpoint: str) -> Target:
    key = _key(named, "AZURE_OPENAI_API_KEY", "OPENAI_API_KEY")
    deployment = model or named.get("OPENAI_API_DEPLOY")
    if deployment is None:
        message = (
            f"{endpoint} names Azure, but no deployment is named:"
            " give its name with --model or in OPENAI_API_DEPLOY"
        )
        raise CommandError(message, code=2)
    return Target(
        connect=lambda: openai.AzureOpenAI(
            api_key=named[key],
            azure_endpoint=named[endpoint],
            api_version=named.get("OPENAI_API_VERSION", API_VERSION),
            max_retries=0,
            timeout=_TIMEOUT,
        ),
        where=named[endpoint],
        model=deployment,
        model_setting="--model" if model else "OPENAI_API_DEPLOY",
        endpoint_setting=endpoint,
        key_setting=key,
    )


def _key(named: Mapping[str, str], *names: str) -> str:
    found = _first(named, *names)
    if found is None:
        message = (
            f"no key: set {' or '.join(names)}, or leave --live out for the demo that needs none"
        )
        raise CommandError(message, code=2)
    return found


def _first(named: Mapping[str, str], *names: str) -> str | None:
    return next((name for name in names if name in named), None)


def _ask() -> None:
    if not sys.stdin.isatty():
        message = "nobody to ask, for this is no terminal: give --yes to spend without being asked"
        raise CommandError(message, code=2)
    if input("Go on? [y/N] ").strip().lower() not in {"y", "yes"}:
        message = "nothing was sent"
        raise CommandError(message)


def _calls(client: _Client, model: str, watch: Watch) -> None:
    said = user(QUESTION)
    with watch.scene("plain"):
        answer = client.chat.completions.create(model=model, messages=said)
        watch.add(answer.choices[0].message.content or "" if answer.choices else "")
    with watch.scene("stream with usage"):
        _read(
            client.chat.completions.create(
                model=model,
                messages=said,
                stream=True,
                stream_options={"include_usage": True},
            ),
            watch,
        )
    with watch.scene("stream"):
        _read(client.chat.completions.create(model=model, messages=said, stream=True), watch)


def _read(stream: Iterable[ChatCompletionChunk], watch: Watch) -> None:
    for chunk in stream:
        watch.add(text_of(chunk))


def _explain(error: openai.OpenAIError, target: Target) -> str:
    """Return what went wrong at the endpoint, the setting behind it and the mend."""
    where, key = target.where, target.key_setting
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return (
            f"{where} refuses the key in {key} ({error.status_code}):"
            f" set {key} to a key of this endpoint"
        )
    if isinstance(error, openai.NotFoundError):
        return (
            f"{where} does not know {target.model!r} ({error.status_code}): name a model"
            f" or deployment that it has with {target.model_setting},"
            f" or mend the address in {target.endpoint_setting}"
        )
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__ or error
        return f"cannot reach {where} ({cause}): mend the address in {target.endpoint_setting}"
    if isinstance(error, openai.APIStatusError):
        return f"{where} answers {error.status_code}: {error.message}"
    return f"the call to {where} failed: {type(error).__name__}: {error}"
