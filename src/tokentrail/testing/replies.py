"""What a script server receives and answers: calls, whole bodies, steps of a stream."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

JsonObject = Mapping[str, object]


@dataclass(slots=True)
class Call:
    """One request as it was received, and how it ended."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    content: bytes
    body: JsonObject
    """The JSON object that was sent; empty without one."""
    hung_up: bool = False
    """The client closed the connection before the last step of its answer was sent."""
    ended: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set when the server is done with the call."""

    def wait(self, timeout: float = 5.0) -> bool:
        """Return whether the server was done with this call within ``timeout`` seconds."""
        return self.ended.wait(timeout)


@dataclass(frozen=True, slots=True)
class Plain:
    """A whole answer: JSON, or ``bytes`` unchanged. It is sent after ``wait`` seconds."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event: a JSON object, or text that is sent unchanged."""

    data: JsonObject | str
    name: str | None = None

    def encode(self) -> bytes:
        """Return the event as on the wire."""
        text = self.data if isinstance(self.data, str) else as_json(self.data)
        lines = "".join(f"data: {line}\n" for line in text.split("\n"))
        head = f"event: {self.name}\n" if self.name else ""
        return f"{head}{lines}\n".encode()


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes of a stream's body, sent unchanged."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause between two events; it ends early when the client hangs up."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends here, in the middle of the body; ``reset``: with a TCP reset."""

    reset: bool = False


Step = Event | Raw | Wait | Cut


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer sent step by step. Its headers are sent after ``wait`` seconds."""

    steps: Iterable[Step]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Drop:
    """No answer at all: the connection is closed, after ``wait`` seconds, before any header."""

    wait: float = 0.0


Reply = Plain | Stream | Drop


def as_json(value: object) -> str:
    """Return JSON without spaces; escapes only for what UTF-8 cannot encode."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    # UTF-8 cannot encode a lone surrogate, an escape can
    return text if _encodable(text) else json.dumps(value, separators=(",", ":"))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
