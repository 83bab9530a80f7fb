"""The script server itself, seen through sockets: what it sends, and what it leaves behind."""

import http.client
import itertools
import json
import socket
import threading
import time

import pytest

from tokentrail.testing.server import Call, Cut, Drop, Event, Plain, Raw, Server, Stream, Wait


@pytest.fixture
def connect():
    """Give connections that the test need not close."""
    opened = []

    def connect(server: Server) -> http.client.HTTPConnection:
        host, _, port = server.url.removeprefix("http://").partition(":")
        opened.append(http.client.HTTPConnection(host, int(port), timeout=5))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


def _post(connection, body=None, path="/v1/x?a=1&b="):
    connection.request("POST", path, json.dumps(body or {}), {"X-Thing": "Y"})
    return connection.getresponse()


def test_a_call_is_recorded_as_it_was_sent(connect):
    with Server(lambda call: Plain({"path": call.path})) as server:
        answer = _post(connect(server), {"model": "m"})
        assert json.loads(answer.read()) == {"path": "/v1/x"}
    (call,) = server.calls
    assert (call.method, call.path, call.query) == ("POST", "/v1/x", {"a": "1", "b": ""})
    assert call.headers["x-thing"] == "Y"
    assert call.body == {"model": "m"}
    assert call.wait()
    assert not call.hung_up


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff"])
def test_a_body_that_is_no_json_object_is_empty(connect, content):
    with Server(lambda call: Plain(call.content)) as server:
        connection = connect(server)
        connection.request("POST", "/", content)
        assert connection.getresponse().read() == content
    assert server.calls[0].body == {}


def test_bytes_status_and_headers_are_sent_as_given(connect):
    reply = Plain(b"\x00\x01", 418, {"content-type": "audio/mpeg", "x-request-id": "req_1"})
    with Server(lambda _: reply) as server:
        answer = _post(connect(server))
        assert (answer.status, answer.read()) == (418, b"\x00\x01")
        assert answer.headers["content-type"] == "audio/mpeg"
        assert answer.headers["x-request-id"] == "req_1"


def test_one_connection_serves_many_calls_and_streams(connect):
    def respond(call: Call):
        return Stream([Event("a"), Event("b")]) if call.body.get("stream") else Plain({})

    with Server(respond) as server:
        connection = connect(server)
        for stream in (False, True, False, True, True):
            answer = _post(connection, {"stream": stream})
            assert answer.read() == (b"data: a\n\ndata: b\n\n" if stream else b"{}")
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("tokentrail-connection") == 1
        connection.close()


@pytest.mark.parametrize(
    ("step", "sent"),
    [
        (Event({"a": [1, None]}), b'data: {"a":[1,null]}\n\n'),
        (Event({"a": "é"}), 'data: {"a":"é"}\n\n'.encode()),
        (Event({"a": "\ud800"}), b'data: {"a":"\\ud800"}\n\n'),
        (Event("x\ny"), b"data: x\ndata: y\n\n"),
        (Event({}, "error"), b"event: error\ndata: {}\n\n"),
        (Raw(b": comment\n\n"), b": comment\n\n"),
        (Raw(b""), b""),
        (Wait(0.0), b""),
    ],
)
def test_a_step_goes_over_the_wire(connect, step, sent):
    with Server(lambda _: Stream([step])) as server:
        answer = _post(connect(server))
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.read() == sent


def test_a_wait_holds_the_next_event_back(connect):
    with Server(lambda _: Stream([Event("a"), Wait(0.1), Event("b")], wait=0.1)) as server:
        began = time.monotonic()
        answer = _post(connect(server))
        headers_at = time.monotonic() - began
        assert answer.read() == b"data: a\n\ndata: b\n\n"
        assert headers_at >= 0.1
        assert time.monotonic() - began >= 0.2


def test_a_cut_ends_the_body_in_its_middle(connect):
    with Server(lambda _: Stream([Event("a"), Cut(), Event("b")])) as server:
        answer = _post(connect(server))
        with pytest.raises(http.client.IncompleteRead) as cut:
            answer.read()
        assert cut.value.partial == b"data: a\n\n"
    assert not server.calls[0].hung_up


def test_a_reset_is_one(connect):
    with Server(lambda _: Stream([Cut(reset=True)])) as server, pytest.raises(ConnectionResetError):
        _post(connect(server)).read()


def test_a_dropped_call_has_no_answer(connect):
    with (
        Server(lambda _: Drop(wait=0.01)) as server,
        pytest.raises(http.client.RemoteDisconnected),
    ):
        _post(connect(server))


@pytest.mark.parametrize("waiting", [True, False], ids=["while-waiting", "while-sending"])
def test_a_client_that_hangs_up_is_seen_and_an_endless_stream_ends(connect, waiting):
    closed = threading.Event()

    def endless():
        try:
            for number in itertools.count():
                yield Event({"number": number, "filler": "x" * 4096})
                yield Wait(0.005 if waiting else 0)
        finally:
            closed.set()

    with Server(lambda _: Stream(endless())) as server:
        connection = connect(server)
        answer = _post(connection)
        answer.read(5000)
        answer.close()
        connection.close()
        (call,) = server.calls
        assert call.wait()
        assert call.hung_up
        assert closed.wait(1)
    assert server.failures == []


def test_an_error_of_a_responder_is_shown_and_kept(connect):
    def respond(_: Call):
        raise ZeroDivisionError

    with Server(respond) as server:
        answer = _post(connect(server))
        assert answer.status == 500
        assert "ZeroDivisionError" in answer.read().decode()
    assert [type(failure) for failure in server.failures] == [ZeroDivisionError]


def test_steps_that_fail_cut_the_stream_and_are_kept(connect):
    def steps():
        yield Event("a")
        raise ZeroDivisionError

    with Server(lambda _: Stream(steps())) as server, pytest.raises(http.client.IncompleteRead):
        _post(connect(server)).read()
    assert [type(failure) for failure in server.failures] == [ZeroDivisionError]


def test_nothing_is_left_after_close(connect):
    steps = [Event("a"), Wait(60)]
    before = set(threading.enumerate())
    began = time.monotonic()
    with Server(lambda call: Stream(steps) if call.body else Plain({})) as server:
        idle, streaming = connect(server), connect(server)
        _post(idle).read()
        _post(streaming, {"stream": True}).read(5)
        port = int(server.url.rpartition(":")[2])
    assert set(threading.enumerate()) == before
    assert time.monotonic() - began < 2
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_it_listens_on_loopback_only_and_on_the_port_asked_for():
    with Server(lambda _: Plain({})) as server:
        port = int(server.url.rpartition(":")[2])
    with Server(lambda _: Plain({}), port=port) as server:
        assert server.base_url == f"http://127.0.0.1:{port}/v1"


def test_a_server_that_does_not_run_says_so():
    with pytest.raises(RuntimeError, match="with statement"):
        _ = Server(lambda _: Plain({})).url
    Server(lambda _: Plain({})).close()


def test_it_is_silent(connect, capfd):
    with Server(lambda _: Drop()) as server, pytest.raises(http.client.RemoteDisconnected):
        _post(connect(server))
    assert capfd.readouterr() == ("", "")
