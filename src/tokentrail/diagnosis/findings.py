"""What is installed and set here, and what is wrong with it."""

from __future__ import annotations

import importlib
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, cast

from tokentrail.config import (
    COMPLETION_HOOK,
    SETTINGS,
    declarative,
    describe_unknown,
    display_value,
    read_environment,
    unknown_variables,
)
from tokentrail.counting import ENCODINGS
from tokentrail.counting.encodings import RECIPES
from tokentrail.patching import install, methods
from tokentrail.runtime import runtime
from tokentrail.telemetry import coexistence, completion_hook
from tokentrail.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

REQUIRED: Final = (
    "openai",
    "opentelemetry-api",
    "opentelemetry-instrumentation",
    "tiktoken",
    "wrapt",
)
OPTIONAL: Final = (
    "opentelemetry-sdk",
    "opentelemetry-distro",
    declarative.PACKAGE,
    "opentelemetry-util-genai",
    "genai-prices",
)
PEERS: Final = {
    "opentelemetry-instrumentation-genai-openai": coexistence.OFFICIAL.module,
    "opentelemetry-instrumentation-openai-v2": "opentelemetry.instrumentation.openai_v2",
    "opentelemetry-instrumentation-openai": "opentelemetry.instrumentation.openai",
    "openinference-instrumentation-openai": "openinference.instrumentation.openai",
    "openlit": "openlit.instrumentation.openai",
    "logfire": "logfire",
    "langfuse": "langfuse.openai",
}
"""Other instrumentations: their distribution, and the module that shows each is active."""
JOINED: Final = "opentelemetry-instrumentation-genai-openai"
"""The one that does not conflict: both together record each call once."""
BROKEN: Final = "opentelemetry-instrumentation-openai-v2"
"""What ``opentelemetry-bootstrap`` installs for openai; beside openai 3 it cannot be imported."""


@dataclass(frozen=True, slots=True)
class SettingFound:
    """A setting, and where its value comes from."""

    name: str
    value: object
    source: str
    """The environment variable, ``OTEL_CONFIG_FILE`` for what its file has, or "default"."""
    variable: str
    allowed: str
    refused: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MethodFound:
    """A method of the client: patched, available, left out, absent in this release, or missing."""

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was found."""

    settings: tuple[SettingFound, ...]
    completion_hook: str | None
    """The hook named by OpenTelemetry's own variable, which is not a setting of ours."""
    versions: Mapping[str, str | None]
    methods: tuple[MethodFound, ...]
    other_instrumentations: Mapping[str, str]
    providers: Mapping[str, str]
    encodings: Mapping[str, str]
    notes: tuple[str, ...]
    """Remarks that are no problems."""
    problems: tuple[str, ...]
    """Problems."""

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)


def examine(environ: Mapping[str, str]) -> Findings:
    """Examine this interpreter and ``environ``; imports openai."""
    section = declarative.read_section(environ)
    settings = tuple(_settings(environ, section))
    versions = dict(_versions())
    methods = (
        tuple(_methods(_instrumented_apis(settings))) if versions["openai"] is not None else ()
    )
    peers = dict(_other_instrumentations())
    encodings = {name: _encoding(name) for name in RECIPES}
    return Findings(
        settings=settings,
        completion_hook=environ.get(COMPLETION_HOOK) or None,
        versions=versions,
        methods=methods,
        other_instrumentations=peers,
        providers=dict(_providers()),
        encodings=encodings,
        notes=tuple(_notes(peers)),
        problems=(
            *_misnamed(environ, section, settings),
            *_problems(settings, versions, methods, encodings),
        ),
    )


def _settings(environ: Mapping[str, str], section: Mapping[str, object]) -> Iterator[SettingFound]:
    for setting in SETTINGS:
        given = section.get(setting.name)
        if given is None:
            read = read_environment(setting, environ)
        else:
            read = declarative.read_option(setting, given)
        used = read.variable if read.refused is None else None
        yield SettingFound(
            name=setting.name,
            value=_written(read.value),
            source=used or "default",
            variable=setting.variable,
            allowed=setting.allowed,
            refused=read.refused,
            reason=read.reason,
        )


def _written(value: object) -> object:
    value = display_value(value)
    if isinstance(value, tuple):
        return list(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return dict(value) if hasattr(value, "keys") else repr(value)  # type: ignore[call-overload]


def _versions() -> Iterator[tuple[str, str | None]]:
    yield "python", platform.python_version()
    yield "tokentrail", __version__
    for name in (*REQUIRED, *OPTIONAL):
        yield name, _version(name)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _instrumented_apis(settings: tuple[SettingFound, ...]) -> Collection[str]:
    """Return the APIs that are recorded: as instrumented here, or as they would be."""
    active = runtime.current()
    if active is not None:
        return active.settings.instrumented_apis
    return cast(
        "list[str]", next(found.value for found in settings if found.name == "instrumented_apis")
    )


def _methods(apis: Collection[str]) -> Iterator[MethodFound]:
    for row in (*methods.ROWS, *methods.CONNECTIONS):
        yield MethodFound(row.title, _state(row, apis))


def _state(row: methods.Method, apis: Collection[str]) -> str:
    for module in row.modules:
        try:
            owner = getattr(importlib.import_module(module), row.owner, None)
        except ImportError:
            continue
        if owner is not None and row.method in vars(owner):
            if install.is_patched(vars(owner)[row.method]):
                return "patched"
            return "found" if row.api in apis else "left out"
    return "absent" if row.optional else "missing"


def _other_instrumentations() -> Iterator[tuple[str, str]]:
    working = {other.module for other in coexistence.active_instrumentations()}
    for name, module in PEERS.items():
        if (installed := _version(name)) is not None:
            state = f"{installed}, {_state_of(name, module, working)}"
            joined = ", with tokentrail: each call is still recorded once"
            yield name, state + joined if name == JOINED else state


def _state_of(name: str, module: str, working: Collection[str]) -> str:
    if module in working:
        return "active"
    if name == BROKEN:
        try:
            importlib.import_module(module)
        except ImportError as error:
            return f"cannot be imported: {error}"
    return "installed"


def _providers() -> Iterator[tuple[str, str]]:
    from opentelemetry import _logs, metrics, trace

    yield "traces", _kind(trace.get_tracer_provider())
    yield "metrics", _kind(metrics.get_meter_provider())
    yield "logs", _kind(_logs.get_logger_provider())


def _kind(provider: object) -> str:
    kind = type(provider)
    if "Proxy" in kind.__name__ or "NoOp" in kind.__name__:
        return "none set"
    return f"{kind.__module__}.{kind.__qualname__}"


def _encoding(name: str) -> str:
    return "cannot be built" if ENCODINGS.load(name) is None else "built"


def _notes(peers: Mapping[str, str]) -> Iterator[str]:
    broken = {name for name, state in peers.items() if "cannot be imported" in state}
    for name in broken:
        yield f"{name} records nothing: it cannot be imported here. pip uninstall {name}"
    others = [name for name in peers if name not in {JOINED, *broken}]
    if others:
        yield (
            f"calls may be recorded twice, by {', '.join(others)} too: see TOKENTRAIL_ON_CONFLICT"
        )


def _misnamed(
    environ: Mapping[str, str],
    section: Mapping[str, object],
    settings: tuple[SettingFound, ...],
) -> Iterator[str]:
    """Yield each variable, and each option of a file, with a value that is not allowed."""
    for found in settings:
        if found.refused is not None:
            by_file = section.get(found.name) is not None
            name = f"{found.name} in {declarative.VARIABLE}" if by_file else found.variable
            complaint = f"{name}={found.refused!r} is not allowed{found.reason}"
            yield f"{complaint}; allowed: {found.allowed}"
    for name, nearest in unknown_variables(environ).items():
        yield describe_unknown(name, nearest)
    known = {"enabled", *(setting.name for setting in settings)}
    for name in sorted(section.keys() - known):
        yield declarative.describe_unknown_option(name)
    if environ.get(declarative.VARIABLE) and _version(declarative.PACKAGE) is None:
        yield f"{declarative.VARIABLE} is set: pip install {declarative.PACKAGE}"
    if (missing := completion_hook.missing_requirement(environ)) is not None:
        yield f"{COMPLETION_HOOK}={environ[COMPLETION_HOOK]!r}: {missing}"


def _problems(
    settings: tuple[SettingFound, ...],
    versions: Mapping[str, str | None],
    methods: tuple[MethodFound, ...],
    encodings: Mapping[str, str],
) -> Iterator[str]:
    for name in REQUIRED:
        if versions[name] is None:
            yield f"{name} is not installed"
    costs = next(found.value for found in settings if found.name == "cost")
    if costs != "off" and versions["genai-prices"] is None:
        yield "cost is on, and genai-prices is not installed: pip install 'tokentrail[cost]'"
    for method in methods:
        if method.state == "missing":
            yield f"this release of openai has no {method.name}"
    for name, state in encodings.items():
        if state != "built":
            yield f"the encoding {name} {state}: install tokentrail again"
