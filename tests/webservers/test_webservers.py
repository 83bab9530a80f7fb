"""The same stream inside web frameworks and under real servers: to its end, left, shut down."""

from __future__ import annotations

import signal
from dataclasses import dataclass

import pytest
from tests.frameworks import results
from tests.webservers.conftest import eventually

pytest.importorskip("uvicorn")
pytest.importorskip("gunicorn")

pytestmark = [pytest.mark.webservers, pytest.mark.timeout(180)]

UVICORN = ("--host", "127.0.0.1", "--port", "{port}", "--timeout-graceful-shutdown", "1")
GUNICORN = ("--bind", "127.0.0.1:{port}", "--workers", "2")
PATIENT, IMPATIENT = ("--graceful-timeout", "60"), ("--graceful-timeout", "5")
HOOKS = ("--config", "python:gunicorn_conf")
"""What an application of WSGI needs, which has no lifespan."""


@dataclass(frozen=True)
class Served:
    """An application and how it is served."""

    title: str
    command: tuple[str, ...]
    packages: tuple[str, ...]
    left: str
    """How a call ends whose client is gone in the middle."""
    waits: bool = False
    """Whether the server, when it is told to stop, lets a stream come to its end."""

    def __str__(self) -> str:
        return self.title


FASTAPI = Served(
    "FastAPI StreamingResponse, uvicorn",
    ("uvicorn", "fastapi_app:app", *UVICORN),
    ("fastapi", "uvicorn"),
    "cancelled",
)
FASTAPI_WORKERS = Served(
    "FastAPI StreamingResponse, uvicorn, two workers",
    ("uvicorn", "fastapi_app:app", *UVICORN, "--workers", "2"),
    ("fastapi", "uvicorn"),
    "cancelled",
)
STARLETTE = Served(
    "Starlette background task, uvicorn",
    ("uvicorn", "starlette_app:app", *UVICORN),
    ("starlette", "uvicorn"),
    "completed",
)
DJANGO = Served(
    "Django async view, uvicorn",
    ("uvicorn", "django_app:app", *UVICORN),
    ("Django", "uvicorn"),
    "cancelled",
)
FLASK = Served(
    "Flask generator, gunicorn sync workers",
    ("gunicorn", "flask_app:app", *GUNICORN, *HOOKS, *PATIENT),
    ("Flask", "gunicorn"),
    "closed_early",
    waits=True,
)
PRELOADED = Served(
    "Flask generator, gunicorn threaded workers, preload_app",
    ("gunicorn", "flask_app:app", *GUNICORN, *HOOKS, *PATIENT, "--threads", "2", "--preload"),
    ("Flask", "gunicorn"),
    "closed_early",
    waits=True,
)
GEVENT = Served(
    "Flask generator, gunicorn gevent workers",
    ("gunicorn", "flask_app:app", *GUNICORN, *HOOKS, *PATIENT, "--worker-class", "gevent"),
    ("Flask", "gunicorn", "gevent"),
    "closed_early",
    waits=True,
)
GUNICORN_ASGI = ("gunicorn", "fastapi_app:app", *GUNICORN, "--worker-class")
UVICORN_WORKER = Served(
    "FastAPI StreamingResponse, gunicorn with uvicorn_worker.UvicornWorker",
    (*GUNICORN_ASGI, "uvicorn_worker.UvicornWorker", *PATIENT),
    ("fastapi", "gunicorn", "uvicorn-worker"),
    "cancelled",
    waits=True,
)
ASGI_WORKER = Served(
    "FastAPI StreamingResponse, gunicorn asgi workers",
    (*GUNICORN_ASGI, "asgi", *PATIENT),
    ("fastapi", "gunicorn"),
    "cancelled",
    waits=True,
)
ALL = [
    FASTAPI,
    FASTAPI_WORKERS,
    STARLETTE,
    DJANGO,
    FLASK,
    PRELOADED,
    GEVENT,
    UVICORN_WORKER,
    ASGI_WORKER,
]


def _lines(answer, lines):
    return [answer.readline() for _ in range(lines)]


def _leave(answer):
    """Close the connection, as a browser does whose tab is closed."""
    answer.close()


def _tokens(call):
    attributes = call["attributes"]
    assert attributes["tokentrail.usage.output.source"] == "counted"
    assert attributes["gen_ai.usage.input_tokens"] == 13
    return attributes["gen_ai.usage.output_tokens"]


def _keep(served, what, call):
    told = f"counted; {call['attributes']['tokentrail.outcome'].replace('_', ' ')}"
    results.keep(f"{served}: {what}", [told], *served.packages)


@pytest.mark.parametrize("served", ALL, ids=str)
def test_read_to_its_end(serve, served):
    """Under the span of its request, in whichever worker."""
    web = serve(*served.command)
    for count in range(1, 5):
        said = web.get().read()
        call = web.call(count)
        assert call["attributes"]["tokentrail.outcome"] == "completed"
        assert served is STARLETTE or _tokens(call) == said.count(b"\n")
        assert web.above(call)["kind"] == "SERVER"
    _keep(served, "read to its end", call)


@pytest.mark.parametrize("served", ALL, ids=str)
def test_the_client_is_gone_in_the_middle(serve, served, talker):
    """The call ends with the tokens until then, and the model is hung up on."""
    web = serve(*served.command)
    answer = web.get("?endless=true")
    said = _lines(answer, 5)
    _leave(answer)
    if served is STARLETTE:  # it reads on for itself
        eventually(lambda: talker.sent > len(said), "word")
        talker.finish.set()
    call = web.call()
    assert call["attributes"]["tokentrail.outcome"] == served.left
    assert len(said) <= _tokens(call) <= talker.sent
    assert web.above(call)["kind"] == "SERVER"
    assert talker.server.calls[0].wait(30)
    _keep(served, "client gone", call)


@pytest.mark.parametrize("served", ALL, ids=str)
def test_it_is_asked_to_stop_in_the_middle(serve, served, talker):
    """The call is told: uvicorn cancels it after a second, gunicorn waits for it to end."""
    web = serve(*served.command)
    answer = web.get("?endless=true")
    said = _lines(answer, 5)
    if served is STARLETTE:
        eventually(lambda: talker.sent > len(said), "word")
    web.stop(signal.SIGTERM)
    if served.waits:
        eventually(lambda: "Handling signal: term" in web.log.read_text(), "signal")
        talker.finish.set()
    web.await_end()
    call = web.call()
    endings = {"completed"} if served.waits else {"cancelled", "closed_early"}
    assert call["attributes"]["tokentrail.outcome"] in endings
    assert len(said) <= _tokens(call) <= talker.sent
    assert call["parent"] is not None  # the request's own span may end too late to be exported
    told = "completed" if served.waits else "cancelled or closed early"
    results.keep(f"{served}: SIGTERM in the middle", [f"counted; {told}"], *served.packages)
    answer.close()


PLAIN = Served(
    "FastAPI StreamingResponse of a plain generator, uvicorn",
    ("uvicorn", "fastapi_plain_app:app", *UVICORN),
    ("fastapi", "uvicorn"),
    "closed_early",
)


def test_a_plain_generator_is_not_closed_when_the_client_is_gone(serve, talker):
    """Starlette drops it, so the model talks on until the collector comes, or the server stops.

    In this application no collector comes.
    """
    web = serve(*PLAIN.command)
    answer = web.get("?endless=true")
    said = _lines(answer, 5)
    _leave(answer)
    eventually(lambda: talker.sent > len(said) + 40, "word that nobody reads")
    sent = talker.sent
    web.stop(signal.SIGTERM)
    call = web.call()
    assert call["attributes"]["tokentrail.outcome"] == PLAIN.left
    assert len(said) <= _tokens(call) < sent
    _keep(PLAIN, "client gone, then SIGTERM", call)


@pytest.mark.parametrize("served", [FLASK, UVICORN_WORKER], ids=str)
def test_past_the_graceful_timeout_what_is_open_is_lost(serve, served, talker):
    """The worker is killed: what was exported before is all there is."""
    web = serve(*served.command, *IMPATIENT)
    web.get().read()
    before = web.call()
    answer = web.get("?endless=true")
    _lines(answer, 5)
    web.stop(signal.SIGTERM)
    web.await_end()
    assert web.calls() == [before]
    results.keep(f"{served}: past graceful_timeout", ["lost"], *served.packages)
    answer.close()


def test_a_worker_that_is_less_patient_than_gunicorn_loses_nothing(serve, talker):
    """The stream is cancelled, and the lifespan tells it, before gunicorn kills."""
    web = serve(*GUNICORN_ASGI, "impatient.ImpatientWorker", *IMPATIENT)
    answer = web.get("?endless=true")
    said = _lines(answer, 5)
    web.stop(signal.SIGTERM)
    web.await_end()
    call = web.call()
    assert call["attributes"]["tokentrail.outcome"] in {"cancelled", "closed_early"}
    assert len(said) <= _tokens(call) <= talker.sent
    told = ["counted; cancelled or closed early"]
    title = "FastAPI StreamingResponse, gunicorn with a worker of timeout_graceful_shutdown"
    results.keep(f"{title}: SIGTERM in the middle", told, *UVICORN_WORKER.packages)
    answer.close()
