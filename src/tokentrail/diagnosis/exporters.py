"""Where telemetry of this process goes: the exporters of providers, and missing ones."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TIMEOUT: Final = 3.0
"""Seconds within which an endpoint must accept a connection."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SIGNALS: Final = ("traces", "metrics", "logs")
_PACKAGES: Final = {
    "otlp_proto_grpc": "opentelemetry-exporter-otlp-proto-grpc",
    "otlp_proto_http": "opentelemetry-exporter-otlp-proto-http",
}
_PROTOCOLS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}


@dataclass(frozen=True, slots=True)
class Destination:
    """An exporter, with its address if it has one."""

    name: str
    address: str | None = None

    def __str__(self) -> str:
        return self.address or self.name


def of_tracer(tracer: Any) -> tuple[Destination, ...]:
    """Return where the spans of a tracer go."""
    tracer = getattr(tracer, "_tracer", tracer)  # the tracer of a provider set later
    processor = getattr(tracer, "span_processor", None)
    return tuple(dict.fromkeys(_of_processor(processor)))


def of_meter_provider(provider: Any) -> tuple[Destination, ...]:
    """Return where the metrics of a provider go."""
    provider = getattr(provider, "_real_meter_provider", None) or provider
    config = getattr(provider, "_sdk_config", None)
    readers = getattr(provider, "_metric_readers", None) or getattr(config, "metric_readers", None)
    found = (getattr(reader, "_exporter", None) or reader for reader in readers or ())
    return tuple(dict.fromkeys(_destination(each) for each in found))


def _of_processor(processor: Any) -> Iterator[Destination]:
    inner = getattr(processor, "_span_processors", None)
    if inner is not None:
        for each in inner:
            yield from _of_processor(each)
        return
    batch = getattr(processor, "_batch_processor", None)
    exporter = getattr(processor, "span_exporter", None) or getattr(batch, "_exporter", None)
    if exporter is not None:
        yield _destination(exporter)
    elif processor is not None and type(processor).__name__ != "RowWriter":
        yield Destination(type(processor).__name__)


def _destination(exporter: Any) -> Destination:
    kind = type(exporter).__name__
    if kind.startswith("Console"):
        return Destination("the console")
    address = getattr(exporter, "_endpoint", None)
    return Destination(kind, address if isinstance(address, str) else None)


def missing_exporter(environ: Mapping[str, str]) -> str | None:
    """Return the exporter that ``opentelemetry-instrument`` would not find, with its package."""
    for signal in _SIGNALS:
        names = environ.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp")
        for name in filter(None, (name.strip() for name in names.split(","))):
            entry = _entry_point(signal, name, environ)
            group = f"opentelemetry_{signal}_exporter"
            if entry != "none" and entry not in {point.name for point in entry_points(group=group)}:
                package = _PACKAGES.get(entry)
                hint = f": pip install {package}" if package else ""
                return f"no exporter {entry} for {signal} is installed{hint}"
    return None


def _entry_point(signal: str, name: str, environ: Mapping[str, str]) -> str:
    if name != "otlp":
        return name
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL") or environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"
    )
    return _PROTOCOLS.get(protocol.strip(), name)


def refuses(destination: Destination) -> str | None:
    """Return ``host:port`` if nothing accepts a connection there, else ``None``."""
    if destination.address is None:
        return None
    address = destination.address
    parts = urlsplit(address if "//" in address else f"//{address}")
    host = parts.hostname
    try:
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return address
    if host is None or port is None:
        return None
    try:
        with socket.create_connection((host, port), TIMEOUT):
            return None
    except OSError:
        return f"{host}:{port}"
