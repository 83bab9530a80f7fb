"""HTTP/1.1 on loopback: one thread per connection, kept alive between requests."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tokentrail.testing.replies import Call, Cut, Drop, Event, Raw, Reply, Stream, Wait, as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Listener(ThreadingHTTPServer):
    """Keeps its connections and their threads, so that none outlives it."""

    request_queue_size = 512

    def __init__(
        self, port: int, reply: Callable[[Call], Reply], failures: list[Exception]
    ) -> None:
        self.reply = reply
        self.failures = failures
        self._open: dict[threading.Thread, socket.socket] = {}
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking the resolver for a name, unlike HTTPServer: it may be slow."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a new connection in a thread of its own, and keep the thread."""
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="tokentrail-connection",
            daemon=True,
        )
        self._open[thread] = request
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection until it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.pop(threading.current_thread(), None)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; without a shutdown first if it is to be reset."""
        if request.fileno() >= 0 and _resets(request):
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing: clients that hang up are normal here."""

    def hang_up(self) -> None:
        """Cut the open connections and wait for their threads."""
        for thread, connection in list(self._open.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(5)


class _HungUp(Exception):
    """The client has closed the connection."""


class _Handler(BaseHTTPRequestHandler):
    """Reads requests from one connection and sends their replies."""

    server: Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        call = self._read()
        try:
            self._send(call, self.server.reply(call))
        except (_HungUp, OSError):
            self.close_connection = True
        finally:
            call.ended.set()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base class's names

    def _read(self) -> Call:
        parts = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(content)
        except ValueError:
            body = None
        return Call(
            method=self.command,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            content=content,
            body=body if isinstance(body, dict) else {},
        )

    def _send(self, call: Call, reply: Reply) -> None:
        if isinstance(reply, Stream):
            self._send_stream(call, reply)
            return
        self._pause(call, reply.wait)
        if isinstance(reply, Drop):
            self.close_connection = True
            return
        is_bytes = isinstance(reply.body, bytes)
        content = reply.body if isinstance(reply.body, bytes) else as_json(reply.body).encode()
        kind = "application/octet-stream" if is_bytes else "application/json"
        length = {"content-type": kind, "content-length": str(len(content))}
        self.connection.sendall(_head(reply.status, length, reply.headers) + content)

    def _send_stream(self, call: Call, stream: Stream) -> None:
        kind = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        self._pause(call, stream.wait)
        self.connection.sendall(_head(stream.status, kind, stream.headers))
        steps = iter(stream.steps)
        try:
            for step in steps:
                if isinstance(step, Cut):
                    self._cut(step)
                    return
                self._step(call, step)
        except _HungUp:
            raise
        except Exception as failure:
            self.server.failures.append(failure)
            raise _HungUp from failure
        finally:
            close = getattr(steps, "close", None)
            if close is not None:
                close()
        self.connection.sendall(b"0\r\n\r\n")

    def _step(self, call: Call, step: Event | Raw | Wait) -> None:
        if isinstance(step, Wait):
            self._pause(call, step.seconds)
            return
        content = step.content if isinstance(step, Raw) else step.encode()
        if content:  # an empty chunk would end the body
            try:
                self.connection.sendall(b"%x\r\n%b\r\n" % (len(content), content))
            except OSError as gone:
                call.hung_up = True
                raise _HungUp from gone

    def _pause(self, call: Call, seconds: float) -> None:
        """Wait and watch the connection: if it ends or breaks meanwhile, the client hung up."""
        if seconds <= 0:
            return
        self.connection.settimeout(seconds)
        try:
            gone = not self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            gone = False
        except OSError:
            gone = True
        finally:
            self.connection.settimeout(None)
        if gone:
            call.hung_up = True
            raise _HungUp

    def _cut(self, cut: Cut) -> None:
        if cut.reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
        """Log nothing."""


def _head(status: int, kind: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_phrase(status)}"]
    lines += [f"{name}: {value}" for name, value in {**kind, **headers}.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _resets(connection: socket.socket) -> bool:
    size = struct.calcsize("ii")
    linger = connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, size)
    return bool(struct.unpack("ii", linger)[0])
