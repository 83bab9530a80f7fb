"""Who is called: provider, address and port, read from the client that makes the call."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from tokentrail.model.records import Endpoint
from tokentrail.support.bounded import BoundedCache

AZURE = "azure.ai.openai"
BEDROCK = "aws.bedrock"
OPENAI = "openai"

CLIENTS = {
    "AzureOpenAI": AZURE,
    "AsyncAzureOpenAI": AZURE,
    "BaseAzureClient": AZURE,
    "BedrockOpenAI": BEDROCK,
    "AsyncBedrockOpenAI": BEDROCK,
}
"""Clients of openai that are for one provider, whatever their host."""

HOSTS: tuple[tuple[str, str], ...] = (
    ("openai.azure.com", AZURE),
    ("services.ai.azure.com", AZURE),
    ("cognitiveservices.azure.com", AZURE),
    ("models.ai.azure.com", "azure.ai.inference"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.moonshot.ai", "moonshot_ai"),
    ("api.moonshot.cn", "moonshot_ai"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.anthropic.com", "anthropic"),
    ("ml.cloud.ibm.com", "ibm.watsonx.ai"),
)
"""Host suffixes and the conventions' well-known value of ``gen_ai.provider.name``."""

_BEDROCK = re.compile(r"(.+\.)?bedrock[\w-]*\.(.+\.amazonaws\.com(\.cn)?|[\w-]+\.api\.aws)")
"""The service name comes before region and suffix; other hosts of amazonaws.com are not Bedrock."""

_DEFAULT_PORTS = {"https": 443, "http": 80, "wss": 443, "ws": 80}


_BY_URL: BoundedCache[tuple[int, type, str], tuple[object, Endpoint]] = BoundedCache(64)
"""The endpoints of the last URLs of clients. A client keeps its URL, which cannot be modified, so
it is found by its identity."""


def endpoint_of(client: object) -> Endpoint:
    """Return the endpoint of an openai client of any version and kind.

    The provider comes from the class of the client, then from the host, else it is ``openai``.
    The URL is read by its parts only, so httpx and httpx2 are alike.
    """
    kind: Any = type(client)
    version = getattr(client, "_api_version", "")
    url = getattr(client, "_base_url" if _keeps_url(kind) else "base_url", None)
    key = (id(url), kind, version if type(version) is str else "")
    known = _BY_URL.get(key)
    if known is not None and known[0] is url:  # nearly always: its parts take 5 us to read
        return known[1]
    host = getattr(url, "host", None)
    port = getattr(url, "port", None)
    scheme = getattr(url, "scheme", None)
    endpoint = _endpoint(
        kind.__mro__,
        host if isinstance(host, str) else "",
        port if isinstance(port, int) else None,
        scheme if isinstance(scheme, str) else "",
        f"{getattr(url, 'path', '')}?{version}",
    )
    _BY_URL.keep(key, (url, endpoint))
    return endpoint


@lru_cache(maxsize=64)
def _keeps_url(kind: type) -> bool:
    """Whether ``base_url`` is openai's own: it returns ``_base_url``, after an import (1 us)."""
    found = (vars(base).get("base_url") for base in kind.__mro__)
    read = getattr(next(filter(None, found), None), "fget", None)
    return getattr(read, "__module__", None) in {"openai._client", "openai._base_client"}


def socket_endpoint_of(client: object) -> Endpoint:
    """Return where the WebSocket connections of a client go."""
    given = getattr(client, "websocket_base_url", None)
    if given is None:
        return endpoint_of(client)
    url = urlsplit(str(given))
    return _endpoint(type(client).__mro__, url.hostname or "", url.port, url.scheme, url.path)


def endpoint_at(url: str, client: object) -> Endpoint:
    """Return the endpoint of an absolute URL that a client calls: the host is the URL's own."""
    parts, own = urlsplit(url), endpoint_of(client)
    at = _endpoint((), parts.hostname or "", parts.port, parts.scheme, parts.path)
    return own if (at.address, at.port) == (own.address, own.port) else at


@lru_cache(maxsize=256)
def _endpoint(
    classes: tuple[type, ...], host: str, port: int | None, scheme: str, path: str
) -> Endpoint:
    """Return the endpoint of these parts; ``host`` is in lower case, as any URL has it."""
    return Endpoint(
        provider=_provider(classes, host),
        address=host or None,
        port=(port or _DEFAULT_PORTS.get(scheme)) if host else None,
        key=f"{scheme}://{host}:{port}{path}",
    )


def _provider(classes: tuple[type, ...], host: str) -> str:
    for base in classes:
        if base.__name__ in CLIENTS:
            return CLIENTS[base.__name__]
    for suffix, provider in HOSTS:
        if host == suffix or host.endswith(("." + suffix, "-" + suffix)):
            return provider
    return BEDROCK if _BEDROCK.fullmatch(host) else OPENAI
