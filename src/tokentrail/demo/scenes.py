"""The calls of an ordinary application: none of its code knows tokentrail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import openai

from tokentrail.testing.exchanges import BIRDS, EXCHANGES, LAMP, NIGHT, SALT, TOWN, TURTLE, WEATHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

API_KEY = "no-key-is-needed"
API_VERSION = "2024-10-21"
DEPLOYMENT = "help"
DEPLOYED = "gpt-35-turbo"
BREAK_AFTER = 34
"""Pieces of text after which the stream is closed: half of the answer."""
AT_ONCE = 8

_WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city, now.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the calls go, and who watches the text arrive."""

    url: str
    show: Callable[[str], None]

    def client(self) -> openai.OpenAI:
        """Return a client of the embedded server, without proxies of the environment."""
        http = openai.DefaultHttpxClient(trust_env=False)
        return openai.OpenAI(api_key=API_KEY, base_url=f"{self.url}/v1", http_client=http)

    def azure(self) -> openai.AzureOpenAI:
        """Return an Azure client of it."""
        http = openai.DefaultHttpxClient(trust_env=False)
        return openai.AzureOpenAI(
            api_key=API_KEY, azure_endpoint=self.url, api_version=API_VERSION, http_client=http
        )

    def async_client(self) -> openai.AsyncOpenAI:
        """Return an async client of it."""
        http = openai.DefaultAsyncHttpxClient(trust_env=False)
        return openai.AsyncOpenAI(api_key=API_KEY, base_url=f"{self.url}/v1", http_client=http)


@dataclass(frozen=True, slots=True)
class Scene:
    """A kind of call, by the name of the application's span around it."""

    name: str
    play: Callable[[Stage], None]


def user(text: str) -> list[ChatCompletionMessageParam]:
    """Return a prompt of one message."""
    return [{"role": "user", "content": text}]


def read(stage: Stage, stream: Iterable[ChatCompletionChunk]) -> None:
    """Read a stream to its end."""
    for chunk in stream:
        stage.show(text_of(chunk))


def text_of(chunk: ChatCompletionChunk) -> str:
    """Return the text that a chunk adds to the first choice."""
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


def plain(stage: Stage) -> None:
    """Ask, and wait for the whole answer."""
    with stage.client() as client:
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=user(SALT.question))
        stage.show(answer.choices[0].message.content or "")


def stream_with_usage(stage: Stage) -> None:
    """Stream, and ask the server for usage: it comes in an additional last chunk."""
    with stage.client() as client:
        stream = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=user(LAMP.question),
            stream=True,
            stream_options={"include_usage": True},
        )
        read(stage, stream)


def stream(stage: Stage) -> None:
    """Stream as most programs do: the server reports no usage."""
    with stage.client() as client:
        read(
            stage,
            client.chat.completions.create(
                model="gpt-4.1", messages=user(BIRDS.question), stream=True
            ),
        )


def closed_early(stage: Stage) -> None:
    """Stop reading half way: even requested usage never arrives."""
    with (
        stage.client() as client,
        client.chat.completions.create(
            model="gpt-4o-mini",
            messages=user(TOWN.question),
            stream=True,
            stream_options={"include_usage": True},
        ) as chunks,
    ):
        seen = 0
        for chunk in chunks:
            text = text_of(chunk)
            stage.show(text)
            seen += bool(text)
            if seen == BREAK_AFTER:
                break


def tool_call(stage: Stage) -> None:
    """Offer a tool, and have it called."""
    with stage.client() as client:
        answer = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=user(WEATHER.question),
            tools=[_WEATHER_TOOL],  # type: ignore[list-item]  # a plain dictionary, as users write
        )
        for call in answer.choices[0].message.tool_calls or ():
            if call.type == "function":
                stage.show(f"{call.function.name}({call.function.arguments})")


def azure(stage: Stage) -> None:
    """Stream from a deployment on Azure; its name does not show the model."""
    with stage.azure() as client:
        read(
            stage,
            client.chat.completions.create(
                model=DEPLOYMENT, messages=user(NIGHT.question), stream=True
            ),
        )


def reasoning(stage: Stage) -> None:
    """Stream from a model that bills hidden reasoning."""
    with stage.client() as client:
        read(
            stage,
            client.chat.completions.create(
                model="o4-mini", messages=user(TURTLE.question), stream=True
            ),
        )


def unknown_model(stage: Stage) -> None:
    """Ask a model that does not exist."""
    with stage.client() as client:
        try:
            client.chat.completions.create(model="gpt-nought", messages=user(SALT.question))
        except openai.NotFoundError as error:
            stage.show(error.message)


def many_at_once(stage: Stage) -> None:
    """Stream several answers in one event loop; the first one is shown."""

    async def one(client: openai.AsyncOpenAI, number: int) -> None:
        question = EXCHANGES[number % len(EXCHANGES)].question
        chunks = await client.chat.completions.create(
            model="gpt-4o", messages=user(question), stream=True
        )
        async for chunk in chunks:
            if number == 0:
                stage.show(text_of(chunk))

    async def all_of_them() -> None:
        async with stage.async_client() as client:
            await asyncio.gather(*(one(client, number) for number in range(AT_ONCE)))

    asyncio.run(all_of_them())


SCENES = (
    Scene("plain", plain),
    Scene("stream with usage", stream_with_usage),
    Scene("stream", stream),
    Scene("stream, half read", closed_early),
    Scene("tool call", tool_call),
    Scene("stream from Azure", azure),
    Scene("reasoning stream", reasoning),
    Scene("unknown model", unknown_model),
    Scene(f"{AT_ONCE} async streams", many_at_once),
)
