"""`make stack`: what it says of what is missing, and that nothing is left of it at Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest
from tests.dashboards.shipped import ROOT
from tests.waiting import wait_until
from tools.stack.engines import SHOWN
from tools.stack.fleet import free_ports

STACK = [sys.executable, "-m", "stack"]


def _variables(engines, **more):
    ports = {name: str(port) for name, port in free_ports().items()}
    path = {"PYTHONPATH": str(ROOT / "tools"), "STACK_ENGINES": str(engines)}
    return {**os.environ, **ports, **path, **more}


def _printed(variables, *arguments):
    done = subprocess.run(
        [*STACK, *arguments], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    return done.stderr


def _program(folder, name, script):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    (folder / name).chmod(0o755)


def test_without_go_it_says_where_go_is_from(tmp_path):
    said = _printed(_variables(tmp_path / "engines", PATH=str(tmp_path)), "--build", "collector")
    assert "there is no go here" in said


def test_of_a_build_that_fails_it_shows_the_end_and_keeps_nothing(tmp_path):
    _program(tmp_path / "bin", "go", "echo cannot find a module >&2; exit 1")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    said = _printed(_variables(tmp_path / "engines", PATH=path), "--build", "collector")
    assert "collector could not be built" in said
    assert "cannot find a module" in said
    assert not (tmp_path / "engines" / "collector").exists()


def test_what_is_built_is_built_once_until_its_pins_change(tmp_path):
    counted = tmp_path / "builds"
    script = f'echo built >> {counted}\nwhile [ "$1" != -o ]; do shift; done\necho > "$2"'
    _program(tmp_path / "bin", "go", script)
    engines = tmp_path / "engines"
    variables = _variables(engines, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    stamp = engines / "collector.pins"
    for builds, pins in ((1, None), (1, None), (2, "older ones")):
        if pins:
            stamp.write_text(pins, "utf-8")
        subprocess.run([*STACK, "--build", "collector"], env=variables, check=True)
        assert len(counted.read_text("utf-8").splitlines()) == builds
    assert stamp.read_text("utf-8") != "older ones"


def test_of_a_port_that_is_taken_it_names_the_variable(tmp_path):
    for name in SHOWN:
        _program(tmp_path, name, "sleep 60")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = _printed(_variables(tmp_path, JAEGER_PORT=str(port)))
    assert f"port {port} is taken" in said
    assert "JAEGER_PORT=" in said


def test_of_a_program_that_ends_it_shows_the_end(tmp_path):
    for name in SHOWN:
        _program(tmp_path, name, "echo no such setting; exit 3")
    said = _printed(_variables(tmp_path))
    assert "prometheus ended (3)" in said
    assert "no such setting" in said


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_shows_the_tokens_of_your_program_and_stops_everything_at_ctrl_c(engines, tmp_path):
    program = f"{sys.executable} {ROOT / 'examples/observability/app.py'} --pause 0.1"
    variables = _variables(engines.absolute(), APP=program)
    with (tmp_path / "said").open("w", encoding="utf-8") as output:
        running = subprocess.Popen(STACK, env=variables, stdout=output, stderr=output)
    said = (tmp_path / "said").read_text
    try:
        wait_until(lambda: "counted" in said("utf-8"), "tokens are shown", patience=120)
    finally:
        running.send_signal(signal.SIGINT)
        code = running.wait(60)
    assert code == 0, said("utf-8")
    for name in ("OTLP_HTTP_PORT", "JAEGER_PORT", "PROMETHEUS_PORT"):
        assert f"127.0.0.1:{variables[name]}" in said("utf-8")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(variables[name])), timeout=5)
