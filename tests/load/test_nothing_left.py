"""After ``uninstrument()`` nothing of ours is left: no thread, file, socket, hook or object."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tools.bench import wire

import tokentrail
from tokentrail.call.observed_call import ObservedCall
from tokentrail.counting import ENCODINGS

FILES = Path("/proc/self/fd")


def _open_files():
    files = set()
    for each in FILES.iterdir():
        with suppress(OSError):  # the one that lists them
            files.add((each.name, os.readlink(each)))  # noqa: PTH115 - a socket is no path
    return files


def _use(client):
    client.chat.completions.create(**wire.CHAT)
    headers = {wire.LENGTH: "9"}
    list(client.chat.completions.create(**wire.CHAT, stream=True, extra_headers=headers))
    stream = client.chat.completions.create(**wire.CHAT, stream=True, extra_headers=headers)
    next(stream)
    stream.close()
    next(client.chat.completions.create(**wire.CHAT, stream=True, extra_headers=headers))


@pytest.mark.skipif(not FILES.exists(), reason="only Linux shows the files of a process here")
@pytest.mark.settings(
    capture_content="SPAN_AND_EVENT", count_verification_ratio=1.0, preload_encodings="o200k_base"
)
def test_no_thread_file_or_socket_is_left(trail):
    """Nor is one opened while calls are recorded: all of ours is memory and one thread.

    What is closed meanwhile is of tests before this one: a collection finds their event loops.
    """
    client, _ = wire.clients()
    _use(client)
    tokentrail.uninstrument()
    files, threads = _open_files(), set(threading.enumerate())
    for _ in range(3):
        trail.instrument(capture_content="SPAN_AND_EVENT", count_verification_ratio=1.0)
        _use(client)
        gc.collect()
        assert _open_files() <= files
        begun = time.monotonic()
        tokentrail.uninstrument()
        assert time.monotonic() - begun < 2 * 5  # two seconds, on a busy machine
        assert set(threading.enumerate()) <= threads
    assert _open_files() <= files


@pytest.mark.settings(count_timeout=0.1)
def test_a_worker_that_waits_is_joined_all_the_same(trail, monkeypatch):
    """An encoding that is never built keeps a call waiting, and nobody else."""
    monkeypatch.setattr(ENCODINGS, "get", lambda name: None)
    monkeypatch.setattr(ENCODINGS, "failed", lambda name: False)
    monkeypatch.setattr(ENCODINGS, "start", lambda *args: None)
    client, _ = wire.clients()
    _use(client)
    gc.collect()
    tokentrail.uninstrument()
    assert "tokentrail" not in [thread.name for thread in threading.enumerate()]
    assert len(trail.spans.at_once()) == 4
    sources = [s.attributes["tokentrail.usage.output.source"] for s in trail.spans.at_once()]
    assert "approximated" in sources


def test_no_call_is_kept(trail):
    """Not even one that was dropped when its ``instrument()`` was over."""
    client, _ = wire.clients()
    for _ in range(3):
        trail.instrument()
        _use(client)
    tokentrail.uninstrument()
    gc.collect()
    assert tokentrail.flush(10)
    assert len(trail.spans.at_once()) == 12
    gc.collect()
    assert [each for each in gc.get_objects() if type(each) is ObservedCall] == []
    assert "tokentrail" not in [thread.name for thread in threading.enumerate()]


def test_no_hook_is_left(trail, monkeypatch):
    """Of the interpreter's: exit, trace, profile, exceptions, garbage."""
    client, _ = wire.clients()
    tokentrail.uninstrument()
    at_exit, before = _exit_hooks(monkeypatch), _hooks()
    for _ in range(3):
        trail.instrument()
        _use(client)
        gc.collect()
        assert at_exit
        tokentrail.uninstrument()
        assert at_exit == []
    assert _hooks() == before


def _exit_hooks(monkeypatch):
    """Return what is registered from now on, and not taken back."""
    hooks, register, unregister = [], atexit.register, atexit.unregister

    def add(hook, *args):
        hooks.append(hook)
        return register(hook, *args)

    def take_back(hook):
        hooks[:] = [each for each in hooks if each != hook]
        unregister(hook)

    monkeypatch.setattr(atexit, "register", add)
    monkeypatch.setattr(atexit, "unregister", take_back)
    return hooks


def _hooks():
    interpreter = (sys.gettrace(), sys.getprofile(), sys.excepthook, sys.unraisablehook)
    return interpreter, threading.excepthook, tuple(gc.callbacks)
