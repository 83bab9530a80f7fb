"""A peer that speaks, a connection to it, and the APIs that this release of openai has."""

from __future__ import annotations

import contextlib
from importlib.util import find_spec

import pytest
from tests.websocket.apis import APIS
from tests.websocket.peer import Peer

collect_ignore = [] if find_spec("hypothesis") else ["test_adapters.py"]
"""The surface of a release is looked at without it."""


def _has(api):
    import openai

    found = openai.OpenAI(api_key="none")
    with contextlib.closing(found):
        for name in [*api.path.split("."), "connect"]:
            found = getattr(found, name, None)
    return found is not None


@pytest.fixture(params=APIS, ids=lambda api: api.path)
def api(request):
    """Run the test once for each API."""
    if not _has(request.param):
        pytest.skip(f"this openai has no {request.param.path}.connect")
    return request.param


@pytest.fixture
def peer(api):
    """Give a server of the API, which has yet to be told what to answer."""
    with Peer(greeting=api.greeting()) as peer:
        yield peer


@pytest.fixture
def client(peer, driver):
    """Give a client of the server."""
    return driver.client(peer, websocket_base_url=peer.websocket_base_url)
