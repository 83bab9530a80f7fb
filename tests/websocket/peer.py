"""A server that speaks over WebSockets what a script says, in threads of its own."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

BYE, DROP = "bye", "drop"
"""Instead of an event: close the connection as one should, or have it break down."""

Said = dict[str, Any] | str | threading.Event


@dataclass
class Peer:
    """Greets a connection, then answers each event that asks for something with what is next.

    An answer is a list of events; a ``threading.Event`` among them is waited for.
    """

    answers: list[list[Said]] = field(default_factory=list)
    greeting: list[Said] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def __enter__(self) -> Peer:
        self._server = serve(self._serve, "127.0.0.1", 0)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.socket.getsockname()[1]

    @property
    def url(self) -> str:
        """Its address, as if it spoke HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What a client is given."""
        return f"{self.url}/v1"

    @property
    def websocket_base_url(self) -> str:
        """What it is given for its WebSockets."""
        return f"ws://127.0.0.1:{self.port}/v1"

    def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        with contextlib.suppress(ConnectionClosed):
            self._say(connection, self.greeting)
            for message in connection:
                event = json.loads(message)
                self.received.append(event)
                if event["type"] in {"response.create", "response.cancel"}:
                    self._say(connection, self.answers.pop(0))

    @staticmethod
    def _say(connection: ServerConnection, said: list[Said]) -> None:
        for each in said:
            if isinstance(each, threading.Event):
                assert each.wait(30)
            elif each == DROP:
                connection.socket.shutdown(socket.SHUT_RDWR)
                return
            elif each == BYE:
                connection.close()
            else:
                connection.send(json.dumps(each))
