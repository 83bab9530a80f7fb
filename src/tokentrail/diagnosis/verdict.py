"""The verdict: whether calls made here are exported, and if not, why not; or unknown."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from tokentrail.config import (
    SETTINGS,
    declarative,
    read_environment,
)
from tokentrail.diagnosis import exporters
from tokentrail.runtime import runtime
from tokentrail.telemetry import coexistence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokentrail.diagnosis.exporters import Destination
    from tokentrail.diagnosis.findings import Findings

_DISTRO: Final = "opentelemetry-distro"
_OUTSIDE: Final = """\
opentelemetry-instrument tokentrail doctor   if your program starts like this
print(tokentrail.doctor())                   in a program that instruments in code
tokentrail run app.py                        shows its calls, and exports nothing"""


class State(str, Enum):
    """What the verdict is."""

    EXPORTED = "exported"
    NOT_EXPORTED = "not exported"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why nothing is exported, in a few words, and what to do."""

    why: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict and its evidence."""

    state: State
    reason: Reason | None
    destinations: tuple[Destination, ...]
    problems: tuple[str, ...]
    """Problems that do not prevent exports, the most serious first."""
    notes: tuple[str, ...]
    findings: Findings

    @property
    def exit_code(self) -> int:
        """0: exported, no problem; 1: not exported, or a problem; 2: unknown."""
        if self.state is State.UNKNOWN:
            return 2
        return 0 if self.state is State.EXPORTED and not self.problems else 1

    @property
    def headline(self) -> str:
        """The verdict in one sentence, with its reason and the most serious problem."""
        if self.state is State.UNKNOWN:
            sentence = "unknown: nothing is instrumented in this process"
        elif self.reason is not None:
            return f"calls made here are not exported: {self.reason.why}"
        else:
            sentence = (
                f"calls made here are exported to {' and '.join(map(str, self.destinations))}"
            )
        if not self.problems:
            return sentence
        first, more = self.problems[0], len(self.problems) - 1
        return f"{sentence}; but {first}" + (f", and {more} more" if more else "")

    @property
    def remedy(self) -> str:
        """What to do next; empty if there is nothing to do."""
        if self.state is State.UNKNOWN:
            return _OUTSIDE
        return self.reason.remedy if self.reason is not None else ""

    def as_json(self) -> dict[str, Any]:
        """Return all of it in values that JSON has."""
        return {
            "verdict": self.headline,
            "state": self.state.value,
            "remedy": self.remedy,
            "exit_code": self.exit_code,
            "destinations": [str(each) for each in self.destinations],
            **self.findings.as_json(),
            "problems": list(self.problems),
            "notes": list(self.notes),
        }


def judge(findings: Findings, environ: Mapping[str, str], *, connect: bool) -> Verdict:
    """Return the verdict on this process; ``connect``: ask who is at the endpoints."""
    active = runtime.current()
    destinations = _destinations(active) if active is not None else ()
    reason = next(_obstacles(findings, environ), None)
    if reason is None and active is not None:
        reason = next(_lost(active, destinations, environ, connect=connect), None)
    if reason is not None:
        state = State.NOT_EXPORTED
    else:
        state = State.EXPORTED if active is not None else State.UNKNOWN
    return Verdict(
        state=state,
        reason=reason,
        destinations=destinations,
        problems=(*_conflicts(), *findings.problems),
        notes=tuple(_notes(findings, destinations, connect=connect)),
        findings=findings,
    )


def _obstacles(findings: Findings, environ: Mapping[str, str]) -> Iterator[Reason]:
    """Yield reasons why no call can be exported, however the program starts."""
    openai = findings.versions.get("openai")
    if openai is None:
        yield Reason("openai is not installed", "pip install 'tokentrail[instruments]'")
    elif not _is_supported(openai):
        yield Reason(
            f"openai {openai} is not supported", "it takes 1.40 or newer, before 4: pip install it"
        )
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield Reason("OTEL_SDK_DISABLED=true", "unset it")
    disabled = next(setting for setting in SETTINGS if setting.name == "disabled")
    if read_environment(disabled, environ).value:
        yield Reason(f"{disabled.variable}={environ[disabled.variable]}", "unset it")
    if runtime.current() is None and declarative.is_switched_off(declarative.read_section(environ)):
        yield Reason(f"the file of {declarative.VARIABLE} has it off", "enabled: true there")
    names = environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    if {"tokentrail", "*"} & {name.strip() for name in names.split(",")}:
        yield Reason("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS has it", f"it is {names!r}")
    if runtime.current() is None and _is_under_instrument():
        yield from _not_configured(findings, environ)


def _not_configured(findings: Findings, environ: Mapping[str, str]) -> Iterator[Reason]:
    """Yield reasons why ``opentelemetry-instrument`` did not activate tokentrail."""
    by_file = environ.get(declarative.VARIABLE)
    missing = None if by_file else exporters.missing_exporter(environ)
    if findings.versions.get(_DISTRO) is not None and missing is not None:
        why, _, install = missing.partition(": ")
        yield Reason(why, install or "the SDK could not be set up, so nothing is instrumented")
    else:
        yield Reason("opentelemetry-instrument failed", "its own message above says why")


def _lost(
    active: runtime.Runtime,
    destinations: tuple[Destination, ...],
    environ: Mapping[str, str],
    *,
    connect: bool,
) -> Iterator[Reason]:
    """Yield reasons why telemetry of this process is not exported."""
    tracer = active.emitter.tracer
    if not destinations:
        yield _no_exporter(tracer, environ)
    sampler = getattr(getattr(tracer, "_tracer", tracer), "sampler", None)
    if sampler is not None and sampler.get_description() == "AlwaysOffSampler":
        yield Reason("the sampler drops every span", "OTEL_TRACES_SAMPLER, or the provider's own")
    if connect:
        refused = [exporters.refuses(destination) for destination in destinations]
        if destinations and all(refused):
            yield Reason(
                f"nothing answers at {' or '.join(filter(None, dict.fromkeys(refused)))}",
                "start a Collector there, or set OTEL_EXPORTER_OTLP_ENDPOINT",
            )


def _no_exporter(tracer: object, environ: Mapping[str, str]) -> Reason:
    if hasattr(getattr(tracer, "_tracer", tracer), "span_processor"):
        by_file = environ.get(declarative.VARIABLE)
        if environ.get("OTEL_TRACES_EXPORTER") == "none" and not by_file:
            return Reason("OTEL_TRACES_EXPORTER=none", "name one: otlp, or console")
        return Reason(
            "the tracer provider has no exporter",
            "provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))",
        )
    if _is_under_instrument():
        return Reason(f"{_DISTRO} is not installed", f"it sets a provider: pip install {_DISTRO}")
    return Reason(
        "no tracer provider is set",
        "trace.set_tracer_provider(provider), or instrument(tracer_provider=provider)",
    )


def _destinations(active: runtime.Runtime) -> tuple[Destination, ...]:
    traces = exporters.of_tracer(active.emitter.tracer)
    metrics = exporters.of_meter_provider(active.emitter.meter_provider)
    return tuple(dict.fromkeys((*traces, *metrics)))


def _conflicts() -> Iterator[str]:
    others = [other.title for other in coexistence.in_conflict(None)]
    if others:
        yield f"each call is recorded twice: {' and '.join(others)} is active too"


def _notes(
    findings: Findings, destinations: tuple[Destination, ...], *, connect: bool
) -> Iterator[str]:
    yield from findings.notes
    if not connect and any(destination.address for destination in destinations):
        yield "the endpoint was not checked: run tokentrail doctor --connect"


def _is_under_instrument() -> bool:
    """Whether ``opentelemetry-instrument`` started this process."""
    path = getattr(sys.modules.get("sitecustomize"), "__file__", None) or ""
    return "auto_instrumentation" in path


def _is_supported(version: str) -> bool:
    parts = [int(part) if part.isdecimal() else 0 for part in version.split(".")[:2]]
    return (1, 40) <= tuple(parts) < (4,)
