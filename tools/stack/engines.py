"""The programs of the stack, built once from their Go modules into a folder that is kept.

The modules are pinned by ``go.mod`` and ``go.sum`` under ``examples/observability/engines``. A
program is built anew when its pins change.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
PINS = ROOT / "examples" / "observability" / "engines"
_PROMETHEUS = "github.com/prometheus/prometheus/cmd"
_STATIC = "remove_all_sd"
"""Without the discovery of targets in clouds, whose clients are most of what is compiled."""
_VICTORIA = "github.com/VictoriaMetrics/VictoriaMetrics/app"
_TOLD = 12
"""Lines of a build's output that are shown when it fails."""


class StackError(Exception):
    """Something is missing or broken, and the message says what to do."""


@dataclass(frozen=True)
class Engine:
    """A program: its name, the folder of its pins, the package that is built, and build tags."""

    name: str
    pins: str
    package: str
    tags: str = ""


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("collector", "collector", "."),
        Engine("jaeger", "jaeger", "github.com/jaegertracing/jaeger/cmd/jaeger"),
        Engine("prometheus", "prometheus", f"{_PROMETHEUS}/prometheus", _STATIC),
        Engine("promtool", "prometheus", f"{_PROMETHEUS}/promtool", _STATIC),
        Engine("victoria-metrics", "victoriametrics", f"{_VICTORIA}/victoria-metrics"),
        Engine("vmalert", "victoriametrics", f"{_VICTORIA}/vmalert"),
    )
}
SHOWN = ("collector", "jaeger", "prometheus")
"""What ``make stack`` starts; the others are for the tests."""


def build(names: Iterable[str], folder: Path) -> None:
    """Have these programs in ``folder``: built if they are not, or if their pins changed."""
    missing = [
        engine for engine in map(ENGINES.__getitem__, names) if not _is_there(engine, folder)
    ]
    if not missing:
        return
    if shutil.which("go") is None:
        message = (
            "the engines are built with Go, and there is no go here: see https://go.dev/doc/install"
        )
        raise StackError(message)
    folder.mkdir(parents=True, exist_ok=True)
    for engine in missing:
        _build(engine, folder)


def _is_there(engine: Engine, folder: Path) -> bool:
    """Whether it was built of these pins; a program that nothing was built for is the user's."""
    stamp = folder / f"{engine.name}.pins"
    current = not stamp.exists() or stamp.read_text("utf-8") == _fingerprint(engine)
    return (folder / engine.name).exists() and current


def _fingerprint(engine: Engine) -> str:
    """Return what changes when the program would be another."""
    pins = PINS / engine.pins
    digest = hashlib.sha256(f"{engine.package} {engine.tags}".encode())
    for path in sorted([pins / "go.mod", pins / "go.sum", *pins.glob("*.go")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _build(engine: Engine, folder: Path) -> None:
    made, log = folder / f"{engine.name}.new", folder / f"{engine.name}.log"
    command = ["go", "build", "-v", "-buildvcs=false", f"-tags={engine.tags}"]
    command += ["-o", str(made.absolute()), engine.package]
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command,
            cwd=PINS / engine.pins,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "GOWORK": "off"},
        )
        try:
            _show_progress(engine, process, log)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if process.returncode:
        lines = log.read_text("utf-8").splitlines()[-_TOLD:]
        message = "\n".join([f"{engine.name} could not be built; the end of {log}:", *lines])
        raise StackError(message)
    (folder / engine.name).unlink(missing_ok=True)  # never beside pins that are not its own
    (folder / f"{engine.name}.pins").write_text(_fingerprint(engine), "utf-8")
    made.replace(folder / engine.name)


def _show_progress(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    """Say how far it is, in place on a terminal and else twice a minute, until it has ended."""
    begun, in_place = time.monotonic(), sys.stderr.isatty()
    pause = 1.0 if in_place else 30.0
    while True:
        lines = log.read_text("utf-8").splitlines()
        fetched = sum(line.startswith("go: downloading") for line in lines)
        compiled = sum("/" in line and not line.startswith("go:") for line in lines)
        said = (
            f"building {engine.name}: {fetched} modules fetched, {compiled} packages compiled,"
            f" {time.monotonic() - begun:.0f} s"
        )
        print(f"\r{said}" if in_place else said, end="" if in_place else "\n", file=sys.stderr)
        try:
            process.wait(pause)
        except subprocess.TimeoutExpired:
            continue
        if in_place:
            print(file=sys.stderr)
        return
