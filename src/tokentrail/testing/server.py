"""An HTTP server on loopback that answers by scripts: plain bodies, or event streams.

It knows HTTP and server-sent events, but not OpenAI: ``respond`` turns each recorded :class:`Call`
into a reply, and :mod:`tokentrail.testing.model` has one that behaves like a model. Standard
library only.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tokentrail.testing.listener import Listener
from tokentrail.testing.replies import (
    Call,
    Cut,
    Drop,
    Event,
    JsonObject,
    Plain,
    Raw,
    Reply,
    Step,
    Stream,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = [
    "Call",
    "Cut",
    "Drop",
    "Event",
    "JsonObject",
    "Plain",
    "Raw",
    "Reply",
    "Server",
    "Step",
    "Stream",
    "Wait",
]


class Server:
    """Answers on a free port of 127.0.0.1 from ``start()`` (or ``with``) to ``close()``.

    After ``close()`` none of its threads and sockets is left. An exception of ``respond`` is
    answered with status 500 and kept in ``failures``; one in a stream's steps cuts the stream.
    """

    def __init__(self, respond: Callable[[Call], Reply], port: int = 0) -> None:
        self.calls: list[Call] = []
        self.failures: list[Exception] = []
        self._respond = respond
        self._port = port
        self._http: Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``."""
        if self._http is None:
            message = "the server is not running: use it in a with statement, or call start()"
            raise RuntimeError(message)
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def base_url(self) -> str:
        """The base URL for OpenAI's client."""
        return f"{self.url}/v1"

    def start(self) -> None:
        """Listen, and answer in background threads."""
        self._http = Listener(self._port, self._reply, self.failures)
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.01,), name="tokentrail-server", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening, cut open connections, and wait for the threads."""
        if self._http is None or self._thread is None:
            return
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._http.hang_up()
        self._http = self._thread = None

    def _reply(self, call: Call) -> Reply:
        self.calls.append(call)
        try:
            return self._respond(call)
        except Exception as failure:  # noqa: BLE001 - the caller's script: recorded, not hidden
            self.failures.append(failure)
            return Plain({"error": {"message": repr(failure), "type": "server_error"}}, 500)

    def __enter__(self) -> Server:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()
