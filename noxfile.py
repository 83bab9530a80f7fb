"""The matrix: the suite against a built wheel, on every supported release of what it stands on.

``nox`` runs all of it, ``nox -s oldest surface`` what CI runs beside ``make test``. An interpreter
that is not on this machine is left out.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import nox

if TYPE_CHECKING:
    from collections.abc import Sequence

nox.needs_version = ">= 2025.5"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["oldest", "newest", "tests", "wrapt"]

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
NEWEST = os.environ.get("NEWEST_PYTHON", "3.15")
BEFORE = os.environ.get("PYTHON_BEFORE", "3.14")
"""The newest and the one before it, or their paths: tools/newer_python.sh gets them where the
system has none."""

OPENAI = {
    "1.40": ("openai == 1.40.8", "httpx < 0.28"),  # it gives httpx an argument that 0.28 dropped
    "1": ("openai == 1.109.1",),
    "2": ("openai == 2.54.0",),
    "3.0": ("openai == 3.0.0",),
    "newest": ("openai < 4",),
}
"""The releases of openai that are supported by name: the first, the last of each major, today's."""

OLDEST = (
    *OPENAI["1.40"],
    "genai-prices == 0.1.13",
    "opentelemetry-api == 1.30.0",
    "opentelemetry-sdk == 1.30.0",
    "opentelemetry-instrumentation == 0.51b0",
    "rich == 13.7.*",
    "tiktoken == 0.7.0",
    "wrapt == 1.14.*",
)
"""The floors that pyproject.toml states, all at once."""

INTEROP = (
    "opentelemetry-instrumentation-genai-openai",
    "opentelemetry-instrumentation-genai-langchain",
    "opentelemetry-util-genai[upload]",
    "opentelemetry-configuration",
    "opentelemetry-instrumentation-aws-lambda",
    "langchain",
    "langchain-openai",
    "gevent",
)
"""The official instrumentations of the client, of a framework and of AWS Lambda; the framework;
what reads OpenTelemetry's configuration file; gevent."""

FRAMEWORKS = {
    "agents": ("openai-agents",),
    "autogen": ("autogen-ext[openai]",),
    "crewai": ("crewai",),
    "dspy": ("dspy",),
    "haystack": ("haystack-ai",),
    "instructor": ("instructor",),
    "langchain": ("langchain-openai",),
    "litellm": ("litellm",),
    "llama_index": ("llama-index-llms-openai",),
    "pydantic_ai": ("pydantic-ai-slim[openai]",),
    "semantic_kernel": ("semantic-kernel",),
    "smolagents": ("smolagents[openai]",),
}
"""What calls the client in its own ways, by the name of its tests; each brings its own openai."""

WEBSERVERS = (
    "django",
    "fastapi",
    "flask",
    "gevent",
    "gunicorn",
    "opentelemetry-instrumentation-django",
    "opentelemetry-instrumentation-fastapi",
    "opentelemetry-instrumentation-flask",
    "opentelemetry-instrumentation-starlette",
    "starlette",
    "uvicorn",
    "uvicorn-worker",
)


@functools.cache
def present() -> tuple[str, ...]:
    """Return the supported interpreters that start here; a name on the path may be a mere shim."""
    return tuple(version for version in PYTHONS if _starts(f"python{version}"))


def _starts(name: str) -> bool:
    program = shutil.which(name)
    if program is None:
        return False
    return subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0


@functools.cache
def _wheelhouse() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tokentrail-wheel-")


def wheel(session: nox.Session) -> Path:
    """Return the wheel of this tree, built once for all sessions of a run."""
    folder = Path(_wheelhouse().name)
    if not any(folder.iterdir()):
        build = ("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), ".")
        session.run("python", "-m", *build)
    (built,) = folder.glob("*.whl")
    return built


EVERY = "not slow and not frameworks and not webservers"


def run_suite(
    session: nox.Session,
    *requirements: str,
    marked: str = EVERY,
    tests: Sequence[str] | None = None,
) -> None:
    """Run pytest in a new environment that holds the wheel and ``requirements``."""
    session.install("--quiet", f"{wheel(session)}[test]", *requirements)
    session.run("python", "-m", "pip", "check", silent=True)
    every = ("-m", marked)
    tests = session.posargs if tests is None else tests
    session.run("python", "-m", "pytest", *every, "-n", "3", "--dist", "loadfile", *tests)


def run_surface(session: nox.Session, *requirements: str, **env: str) -> None:
    """Run the tests of the surface in a new environment that holds what they need."""
    session.install("--quiet", f"{wheel(session)}[surface]", *requirements)
    session.run("python", "-m", "pip", "check", silent=True)
    pytest = ("python", "-m", "pytest", "-m", "surface", "tests/surface", "tests/websocket")
    apart = () if env else ("-n", "2", "--dist", "loadfile")  # what is written down is of one run
    session.run(*pytest, *apart, *session.posargs, env=env)


@nox.session
@nox.parametrize("openai", list(OPENAI))
def tests(session: nox.Session, openai: str) -> None:
    """Run the whole suite on each supported release of openai."""
    run_suite(session, *OPENAI[openai])


@nox.session
@nox.parametrize("openai", list(OPENAI))
def surface(session: nox.Session, openai: str) -> None:
    """Take a quick look at every way to call a model, on each supported release of openai."""
    run_surface(session, *OPENAI[openai])


@nox.session
@nox.parametrize("openai", list(OPENAI))
def methods(session: nox.Session, openai: str) -> None:
    """Write docs/supported-methods.md: what the surface of each release of openai records."""
    run_surface(session, *OPENAI[openai], SURFACE_RELEASE=openai)
    if openai == "newest":  # a new method may be in no other
        session.run("python", "tools/make_supported_methods.py")


@nox.session
@nox.parametrize("major", ["1", "2"])
def wrapt(session: nox.Session, major: str) -> None:
    """Run the whole suite on both majors of wrapt."""
    run_suite(session, f"wrapt == {major}.*")


@nox.session(python=next((v for v in present() if v in {"3.10", "3.11", "3.12"}), "3.10"))
def oldest(session: nox.Session) -> None:
    """Run the whole suite on the oldest of everything."""
    run_suite(session, *OLDEST)


@nox.session(python=list(present()))
def newest(session: nox.Session) -> None:
    """Run the whole suite on the newest of everything, on each interpreter."""
    run_suite(session, *OPENAI["newest"])


@nox.session(python=NEWEST, venv_backend="virtualenv")
def newest_python(session: nox.Session) -> None:
    """Run the suite on the newest Python, but for the tests that take long."""
    run_suite(session, *OPENAI["newest"], marked=f"{EVERY} and not thorough")


@nox.session(python=BEFORE, venv_backend="virtualenv")
def python_before(session: nox.Session) -> None:
    """Run what an interpreter changes most, on the one before: calls, threads, forks, exits."""
    folders = session.posargs or ["tests/calls", "tests/process"]
    marked = f"{EVERY} and not thorough"
    run_suite(session, *OPENAI["newest"], marked=marked, tests=folders)


@nox.session
def interop(session: nox.Session) -> None:
    """Run the tests beside the official instrumentations, with their real packages."""
    session.install("--quiet", f"{wheel(session)}[test]", *INTEROP)
    session.run("python", "-m", "pip", "check", silent=True)
    tests = (
        "tests/interop",
        "tests/content/test_completion_hook.py",
        "tests/examples/test_companion.py",
    )
    pytest = ("python", "-m", "pytest", *tests)
    session.run(*pytest, *session.posargs, env={"REQUIRE_INTEROP": "1"})


def run_on_top(session: nox.Session, name: str, tests: str, *requirements: str) -> None:
    """Run tests beside newest releases, and write down what was seen: docs/frameworks.md."""
    session.install("--quiet", "--upgrade", f"{wheel(session)}[surface]", *requirements)
    session.run("python", "-m", "pip", "check", silent=True)
    pytest = ("python", "-m", "pytest", "-m", "frameworks or webservers", tests)
    session.run(*pytest, *session.posargs, env={"FRAMEWORKS_SEEN": name})
    session.run("python", "tools/make_frameworks.py")


@nox.session
@nox.parametrize("framework", list(FRAMEWORKS))
def frameworks(session: nox.Session, framework: str) -> None:
    """Run the newest release of a framework, with the openai that it wants."""
    tests = f"tests/frameworks/test_{framework}.py"
    run_on_top(session, framework, tests, *FRAMEWORKS[framework])


@nox.session
def webservers(session: nox.Session) -> None:
    """Run streams inside real web servers."""
    run_on_top(session, "webservers", "tests/webservers", *WEBSERVERS)
