"""Where ``demo --live`` calls: read from the environment and checked before anything is sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import openai

from tokentrail.demo.error import DemoError
from tokentrail.demo.scenes import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Client = openai.OpenAI | openai.AzureOpenAI

MODEL = "gpt-4o-mini"
_OPENAI = "https://api.openai.com/v1"
_ENDPOINTS = ("AZURE_OPENAI_ENDPOINT", "OPENAI_BASE_URL", "OPENAI_API_BASE")
_AZURE = re.compile(r".+\.(openai|services\.ai|cognitiveservices)\.azure\.(com|us|cn)")
_V1 = "/openai/v1"
"""Azure's path for the plain client, with a deployment's name as the model."""
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where the calls go, and which variables name it. The key itself is not part of it."""

    connect: Callable[[], Client]
    where: str
    """The address as it may be shown: without a password."""
    model: str
    model_setting: str
    endpoint_setting: str
    key_setting: str


def find_target(model: str | None, environ: Mapping[str, str]) -> Target:
    """Return the target that the environment names.

    It reads the variables of today's clients, and the three of the notebooks that this project
    started from: OPENAI_API_BASE, OPENAI_API_DEPLOY and OPENAI_API_KEY. The target is Azure if
    AZURE_OPENAI_ENDPOINT names it, if the host is one of Azure's, or if OPENAI_API_TYPE is azure.

    Raises DemoError if something is missing or cannot be sent.
    """
    # A line break from a file does not belong to the value, and is an error in a header.
    named = {name: stripped for name, value in environ.items() if (stripped := value.strip())}
    endpoint = _first(named, *_ENDPOINTS)
    address = _address(named, endpoint)
    azure = endpoint == "AZURE_OPENAI_ENDPOINT" or _is_azure(address, named)
    key = _key(named, endpoint, azure=azure)
    base = address.geturl()
    plain = not azure or address.path.rstrip("/").endswith(_V1)
    version = named.get("OPENAI_API_VERSION", API_VERSION)
    return Target(
        connect=lambda: _plain(base, named[key]) if plain else _azure(base, named[key], version),
        where=_shown(address),
        model=_model(model or named.get("OPENAI_API_DEPLOY"), endpoint, azure=azure),
        model_setting="OPENAI_API_DEPLOY" if not model and azure else "--model",
        endpoint_setting=endpoint or "OPENAI_BASE_URL",
        key_setting=key,
    )


def _plain(base: str, key: str) -> Client:
    return openai.OpenAI(api_key=key, base_url=base, max_retries=0, timeout=_TIMEOUT)


def _azure(base: str, key: str, version: str) -> Client:
    return openai.AzureOpenAI(
        api_key=key, azure_endpoint=base, api_version=version, max_retries=0, timeout=_TIMEOUT
    )


def _address(named: Mapping[str, str], endpoint: str | None) -> SplitResult:
    if endpoint is None and named.get("OPENAI_API_TYPE") == "azure":
        message = (
            "OPENAI_API_TYPE says azure, but no endpoint is named:"
            " give its address in AZURE_OPENAI_ENDPOINT or OPENAI_API_BASE"
        )
        raise DemoError(message, code=2)
    base = named[endpoint] if endpoint else _OPENAI
    address = _split(base)
    if address is None or address.scheme not in {"http", "https"} or not address.hostname:
        message = f"{endpoint} holds no address: write it as https://HOST/v1 or http://HOST:PORT/v1"
        raise DemoError(message, code=2)
    return address


def _split(base: str) -> SplitResult | None:
    try:
        address = urlsplit(base)
        _ = address.port
    except ValueError:  # an unclosed bracket, a port that is not a number
        return None
    return address


def _shown(address: SplitResult) -> str:
    host = address.netloc.rpartition("@")[2]
    return address._replace(netloc=host, query="", fragment="").geturl()


def _is_azure(address: SplitResult, named: Mapping[str, str]) -> bool:
    is_its_host = _AZURE.fullmatch(address.hostname or "") is not None
    return is_its_host or named.get("OPENAI_API_TYPE") == "azure"


def _model(name: str | None, endpoint: str | None, *, azure: bool) -> str:
    if name is None and azure:
        message = (
            f"{endpoint} names Azure, but no deployment is named:"
            " give its name with --model or in OPENAI_API_DEPLOY"
        )
        raise DemoError(message, code=2)
    return name or MODEL


def _key(named: Mapping[str, str], endpoint: str | None, *, azure: bool) -> str:
    """Return the variable that holds the key: of the same family as the endpoint's, if it can."""
    names = ["OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"] if azure else ["OPENAI_API_KEY"]
    if endpoint == "AZURE_OPENAI_ENDPOINT":
        names.reverse()
    found = _first(named, *names)
    if found is None:
        message = (
            f"no key: set {' or '.join(names)}, or leave --live out for the demo that needs none"
        )
        raise DemoError(message, code=2)
    if not (named[found].isascii() and named[found].isprintable()):
        message = (
            f"the key in {found} holds a character that no key has, a typographic quote or a"
            f" line break perhaps: set {found} to the key alone"
        )
        raise DemoError(message, code=2)
    return found


def _first(named: Mapping[str, str], *names: str) -> str | None:
    return next((name for name in names if name in named), None)
