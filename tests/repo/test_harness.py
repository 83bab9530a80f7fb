"""The fixtures that every other test leans on."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from tokentrail.support import guard
from tokentrail.testing.server import Plain, Server

BLOCKED = pytest.raises(pytest.fail.Exception, match="only this machine may be called")

ELSEWHERE = "192.0.2.1"  # kept for documentation: nobody has this address


def test_a_connection_elsewhere_fails_the_test():
    with socket.socket() as outside, BLOCKED:
        outside.connect((ELSEWHERE, 80))


def test_a_name_elsewhere_is_not_even_looked_up():
    with BLOCKED:
        socket.create_connection(("elsewhere.invalid", 80))


async def test_an_async_connection_elsewhere_fails_the_test():
    with BLOCKED:
        await asyncio.open_connection(ELSEWHERE, 80)


def test_this_machine_can_be_called():
    with Server(lambda call: Plain({})) as server:
        host, port = server.url.removeprefix("http://").split(":")
        socket.create_connection((host, int(port)), timeout=5).close()


async def test_a_client_does_not_turn_the_failure_into_its_own(driver):
    """It may come in a group, since anyio tries addresses in tasks."""
    with Server(lambda call: Plain({})) as server:
        client = driver.client(server, base_url=f"http://{ELSEWHERE}/v1", max_retries=2)
        with pytest.raises(BaseException, match=r"only this machine|TaskGroup") as caught:
            await driver.call(client.models.list)
    raised = getattr(caught.value, "exceptions", (caught.value,))
    assert all(isinstance(error, pytest.fail.Exception) for error in raised)


def test_our_own_errors_are_raised():
    assert guard.strict
    assert os.environ["TOKENTRAIL_STRICT"] == "1"
