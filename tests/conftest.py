"""What every test may ask for: telemetry in memory, a trail, a driver, and no way out.

Tests run in strict mode: an error of our own is raised instead of logged. Nothing of the
developer's environment takes part, and nothing leaves this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import os
import signal
import socket
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.shared import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from tokentrail.testing.server import Server

FOREIGN = ("OPENAI_", "AZURE_OPENAI_", "OTEL_", "TOKENTRAIL_")


# At import, which comes before that of any other conftest and of anything of ours.
for _name in [name for name in os.environ if name.startswith(FOREIGN)]:
    del os.environ[_name]
os.environ["TOKENTRAIL_STRICT"] = "1"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost,::1"
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell has it so for what runs aside
    signal.signal(signal.SIGINT, signal.default_int_handler)  # and programs of tests inherit it

with contextlib.suppress(ImportError):  # only where there are such tests
    from hypothesis import HealthCheck, settings

    # A busy machine is no fault of what is tested.
    settings.register_profile(
        "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("patient")


MANY = 10_000
"""So many objects that outlive a test take the collector 10 ms each time it is asked to look."""


def pytest_configure(config: pytest.Config) -> None:
    """In CI, give a test that fails one more try; the summary names those that needed it (R).

    It has some 20,000 cases on two busy cores, some of them with signals, collectors and forks.
    """
    if os.environ.get("CI") and config.pluginmanager.hasplugin("rerunfailures"):
        config.option.reruns = config.option.reruns or 1


def pytest_collection_finish() -> None:
    """Freeze what was collected: else each of the hundreds of collections here takes 0.3 s."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish() -> None:
    """Freeze what tests leave for good: modules, and the schemas that pydantic makes when asked."""
    if len(gc.get_objects(2)) > MANY:
        gc.collect()
        gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out a test of what is not beside the checkout."""
    for marker in item.iter_markers("outside"):
        (path,) = marker.args
        if not (OUTSIDE / path).exists():
            pytest.skip(f"{path} is not beside the checkout")


# No way out --------------------------------------------------------------------------------------


def _is_loopback(host: object) -> bool:
    if host is None or host in ("", "localhost", b"localhost"):
        return True
    with contextlib.suppress(ValueError):
        return ip_address(host.decode() if isinstance(host, bytes) else str(host)).is_loopback
    return False


def _require_loopback(host: object) -> None:
    # Failed is no Exception, so no client turns it into an error of its own and tries again.
    if not _is_loopback(host):
        pytest.fail(f"a test reached for {host!r}: only this machine may be called")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch):
    """Let sockets connect, and names resolve, to this machine only."""
    getaddrinfo = socket.getaddrinfo

    def resolve(host, *args, **kwargs):
        _require_loopback(host)
        return getaddrinfo(host, *args, **kwargs)

    def guarded(connect):
        def guard(self, address):
            if self.family != getattr(socket, "AF_UNIX", None):
                _require_loopback(address[0])
            return connect(self, address)

        return guard

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))


# Telemetry in memory -----------------------------------------------------------------------------

RESOURCE = Resource.create()
"""That of every provider here: a provider of its own would detect it anew, in threads."""


def _flush() -> None:
    import tokentrail

    assert tokentrail.flush(10.0), "what ended was not told within 10 s"


@dataclass
class Spans:
    """The spans that were exported; asking waits for those still with the worker."""

    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    provider: TracerProvider = field(default_factory=lambda: TracerProvider(resource=RESOURCE))

    def __post_init__(self) -> None:
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def all(self) -> tuple[ReadableSpan, ...]:
        """Return the spans in the order in which they ended."""
        _flush()
        return self.at_once()

    def at_once(self) -> tuple[ReadableSpan, ...]:
        """Return the spans that are told by now, without waiting."""
        return self.exporter.get_finished_spans()

    def one(self) -> ReadableSpan:
        """Return the only span."""
        spans = self.all()
        assert len(spans) == 1, f"one span was expected, not {[span.name for span in spans]}"
        return spans[0]

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of the only span."""
        return dict(self.one().attributes or {})

    def clear(self) -> None:
        """Forget the spans so far."""
        _flush()
        self.exporter.clear()


@dataclass
class Metrics:
    """The metrics as a reader collects them, since the test began."""

    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)
    provider: MeterProvider = field(init=False)

    def __post_init__(self) -> None:
        self.provider = MeterProvider(metric_readers=[self.reader], resource=RESOURCE)

    def names(self) -> set[str]:
        """Return the names of the metrics that have a point."""
        return {metric.name for metric in self._collect() if metric.data.data_points}

    def points(self, name: str, **attributes: Any) -> list[Any]:
        """Return the points of a metric; ``gen_ai_token_type="input"`` picks by attribute."""
        points = [p for m in self._collect() if m.name == name for p in m.data.data_points]
        return [p for p in points if attributes.items() <= _underscored(p.attributes).items()]

    def one(self, name: str, **attributes: Any) -> Any:
        """Return the only such point of a metric."""
        points = self.points(name, **attributes)
        assert len(points) == 1, f"one point of {name} was expected, not {points}"
        return points[0]

    def _collect(self) -> list[Any]:
        _flush()
        collected = self.reader.get_metrics_data()
        if collected is None:
            return []
        scopes = [
            scope for resource in collected.resource_metrics for scope in resource.scope_metrics
        ]
        return [metric for scope in scopes for metric in scope.metrics]


_LogExporter: Any = getattr(log_export, "InMemoryLogRecordExporter", None) or getattr(
    log_export, "InMemoryLogExporter", None
)
"""The name of today, or the one before."""


@dataclass
class Logs:
    """The log records that were exported."""

    exporter: Any = field(default_factory=_LogExporter)
    provider: LoggerProvider = field(
        default_factory=lambda: LoggerProvider(RESOURCE, shutdown_on_exit=False)
    )

    def __post_init__(self) -> None:
        self.provider.add_log_record_processor(log_export.SimpleLogRecordProcessor(self.exporter))

    def all(self) -> list[Any]:
        """Return the records in the order in which they were emitted."""
        _flush()
        return [exported.log_record for exported in self.exporter.get_finished_logs()]

    def events(self, name: str) -> list[Any]:
        """Return the records of one kind of event, whose short name is the end of its name."""
        return [record for record in self.all() if (_event_name(record) or "").endswith(name)]

    def one(self, name: str) -> Any:
        """Return the only such record."""
        events = self.events(name)
        assert len(events) == 1, f"one event was expected, not {list(map(_event_name, self.all()))}"
        return events[0]


def _event_name(record: Any) -> str | None:
    return getattr(record, "event_name", None) or record.attributes.get("event.name")


def _underscored(attributes: Any) -> dict[str, Any]:
    return {key.replace(".", "_"): value for key, value in attributes.items()}


@pytest.fixture
def spans() -> Iterator[Spans]:
    """Give a tracer provider that exports into memory."""
    spans = Spans()
    yield spans
    spans.provider.shutdown()


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    """Give a meter provider that is read in memory."""
    metrics = Metrics()
    yield metrics
    metrics.provider.shutdown()


@pytest.fixture
def logs() -> Iterator[Logs]:
    """Give a logger provider that exports into memory."""
    logs = Logs()
    yield logs
    logs.provider.shutdown()


@dataclass(frozen=True)
class Trail:
    """An instrumented process and what it tells."""

    spans: Spans
    metrics: Metrics
    logs: Logs

    def instrument(self, **settings: Any) -> None:
        """Instrument (anew) with these settings; of metrics, all that there are are told.

        Which openai is installed is read once by the programs that tests start: it takes as long
        as all the rest. A busy machine is given time to build an encoding.
        """
        import tokentrail

        tokentrail.uninstrument()
        patient = {"time_per_output_chunk": True, "skip_dep_check": True, "count_timeout": 20}
        settings = {**patient, **settings}
        tokentrail.instrument(
            tracer_provider=self.spans.provider,
            meter_provider=self.metrics.provider,
            logger_provider=self.logs.provider,
            **settings,
        )


@pytest.fixture
def trail(request, spans, metrics, logs) -> Iterator[Trail]:
    """Instrument with the settings of ``@pytest.mark.settings(...)``, and undo it afterwards."""
    import tokentrail

    marker = request.node.get_closest_marker("settings")
    trail = Trail(spans, metrics, logs)
    trail.instrument(**(marker.kwargs if marker else {}))
    yield trail
    tokentrail.uninstrument()


# One body for sync and async ---------------------------------------------------------------------

CLIENTS = {
    ("sync", "openai"): openai.OpenAI,
    ("async", "openai"): openai.AsyncOpenAI,
    ("sync", "azure"): openai.AzureOpenAI,
    ("async", "azure"): openai.AsyncAzureOpenAI,
}
HTTP = {"sync": openai.DefaultHttpxClient, "async": openai.DefaultAsyncHttpxClient}


@dataclass
class Driver:
    """Uses a sync or an async client in the way native to it, from one async test body.

    The sync client blocks the test's loop; the server answers in threads of its own.
    """

    mode: str
    _clients: list[Any] = field(default_factory=list)
    _closing: set[asyncio.Future[None]] = field(default_factory=set)

    def client(self, server: Server, kind: str = "openai", **options: Any) -> Any:
        """Return a client of ``server`` that tries once; it is closed after the test."""
        where = {"base_url": server.base_url}
        if kind == "azure":
            where = {"azure_endpoint": server.url, "api_version": "2024-10-21"}
            if "base_url" in options:
                del where["azure_endpoint"]
        settings = {"api_key": "no-secret", "max_retries": 0, "timeout": 10.0, **where, **options}
        if "http_client" not in settings:
            # Nothing is encrypted here, and to load the certificates takes 50 ms each time.
            settings["http_client"] = HTTP[self.mode](verify=False, timeout=settings["timeout"])
        client = CLIENTS[self.mode, kind](**settings)
        self._clients.append(client)
        return client

    async def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Return what ``function`` returns, awaited where it must be."""
        return await _awaited(function(*args, **kwargs))

    async def next(self, stream: Any) -> Any:
        """Return the next chunk; StopAsyncIteration after the last, in both modes."""
        if self.mode == "async":
            return await stream.__anext__()
        try:
            return next(stream)
        except StopIteration:
            raise StopAsyncIteration from None

    async def take(self, stream: Any, count: int) -> list[Any]:
        """Return the first ``count`` chunks, then break out of the loop."""
        chunks = []
        if self.mode == "async":
            async for chunk in stream:
                chunks.append(chunk)
                if len(chunks) == count:
                    break
        else:
            for chunk in stream:
                chunks.append(chunk)
                if len(chunks) == count:
                    break
        return chunks

    async def read(self, stream: Any) -> list[Any]:
        """Return all chunks that are left, read by a loop."""
        if self.mode == "async":
            return [chunk async for chunk in stream]
        return list(stream)

    async def close(self, closable: Any) -> None:
        """Close a stream or a client.

        The client's generators below an async stream stay open and refer to it: they are closed
        once the test awaits again. The collector, at work in another thread, sometimes raises
        "async generator already executing" in there (so it does without tokentrail).
        """
        await _awaited(closable.close())
        generator = getattr(closable, "_iterator", None)
        if hasattr(generator, "aclose"):
            self._closing.add(asyncio.ensure_future(_finish(generator)))

    @contextlib.asynccontextmanager
    async def within(self, manager: Any) -> AsyncIterator[Any]:
        """Enter by ``async with`` or by ``with``, as the mode has it."""
        if self.mode == "async":
            async with manager as entered:
                yield entered
        else:
            with manager as entered:
                yield entered

    async def close_all(self) -> None:
        """Close every client that was made."""
        await asyncio.gather(*self._closing)
        for client in self._clients:
            await self.close(client)


async def _finish(generator: Any) -> None:
    with contextlib.suppress(RuntimeError):  # another task is at its next chunk
        await generator.aclose()


async def _awaited(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


@pytest.fixture(params=["sync", "async"])
def mode(request) -> str:
    """Run the test once for each kind of client."""
    return request.param


@pytest.fixture(params=["openai", "azure"])
def kind(request) -> str:
    """Run the test once for OpenAI and once for Azure."""
    return request.param


@pytest.fixture
async def driver(mode) -> AsyncIterator[Driver]:
    """Give the driver of the mode."""
    driver = Driver(mode)
    yield driver
    await driver.close_all()
