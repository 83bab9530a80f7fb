"""Settings: one frozen object from keyword arguments and environment, read once.

A wrong keyword argument raises when ``instrument()`` is called, with the setting, the value and
what is allowed. A wrong environment value must not stop a program: it warns once and the default
holds. The table :data:`SETTINGS` is the one description of every setting; documentation is made
from it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from types import MappingProxyType
from typing import Any

from tokentrail import guard
from tokentrail.counting.models import resolve


class TokenCounting(str, Enum):
    """When tokens are counted here."""

    OFF = "off"
    SPAN = "span"
    MISSING = "missing"
    ALWAYS = "always"


class StreamUsage(str, Enum):
    """How the usage of a chat or completions stream is come by."""

    OBSERVE = "observe"
    REQUEST = "request"


class MetricNames(str, Enum):
    """The vocabulary of the conventional metrics."""

    RELEASED = "released"
    LATEST = "latest"
    BOTH = "both"


class OnConflict(str, Enum):
    """What becomes of a call that another instrumentation tells as well."""

    BOTH = "both"
    DEFER = "defer"


class ContentCapture(str, Enum):
    """Where content goes."""

    NO_CONTENT = "no_content"
    SPAN_ONLY = "span_only"
    EVENT_ONLY = "event_only"
    SPAN_AND_EVENT = "span_and_event"

    @property
    def on_spans(self) -> bool:
        """Whether spans bear content."""
        return self in {ContentCapture.SPAN_ONLY, ContentCapture.SPAN_AND_EVENT}

    @property
    def on_events(self) -> bool:
        """Whether log events bear content."""
        return self in {ContentCapture.EVENT_ONLY, ContentCapture.SPAN_AND_EVENT}


METRIC_ATTRIBUTES = {
    "server.address": True,
    "server.port": True,
    "gen_ai.response.model": True,
    "openai.response.service_tier": True,
    "openai.response.system_fingerprint": False,
}
"""The attributes of metrics that can be chosen, and whether they are there by default."""

REQUEST_ATTRIBUTES = ("metadata", "user", "safety_identifier")
"""Arguments of a call that say whose it is."""

DEFAULT_METRIC_ATTRIBUTES = tuple(name for name, there in METRIC_ATTRIBUTES.items() if there)

OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
"""The ecosystem's own switch; it speaks where ``metrics`` is not set."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a setting is called, means and allows."""

    name: str
    environ: str | None
    """The environment variable; ``None`` where no text can say it."""
    default: object
    allowed: str
    about: str
    parse: Callable[[object], Any]
    """Return the value for a keyword argument or an environment text, or raise ValueError."""


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "1": True, "false": False, "0": False}
    try:
        return words[str(value).strip().lower()]
    except KeyError:
        raise ValueError from None


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError  # noqa: TRY004 - one kind of refusal, worded by the caller
    number = float(value)
    if not math.isfinite(number) or not 0 <= number <= 60:  # noqa: PLR2004 - a minute
        raise ValueError
    return number


def _choice(kind: type[Enum]) -> Callable[[object], Enum]:
    def parse(value: object) -> Enum:
        return value if isinstance(value, kind) else kind(str(value).strip().lower())

    return parse


def _length(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError  # noqa: TRY004 - one kind of refusal, worded by the caller
    number = int(value)
    if number < 1:
        raise ValueError
    return number


def _function(value: object) -> object:
    if not callable(value):
        raise ValueError  # noqa: TRY004 - as above
    return value


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError  # noqa: TRY004 - as above
    number = float(value)
    if not 0 <= number <= 1:
        raise ValueError
    return number


_NAME = re.compile(r"[^\s,=]{1,255}")


def _names(value: object, known: Collection[str] | None = None) -> tuple[str, ...]:
    """Return names out of ``known``, or else any that a key of an attribute can be."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, (list, tuple, set, frozenset)):
        raise ValueError  # noqa: TRY004 - as above
    if not all(isinstance(name, str) for name in given):
        raise ValueError
    found = tuple(name.strip() for name in given if name.strip())
    if known is not None and not set(found) <= set(known):
        raise ValueError
    if not all(_NAME.fullmatch(name) for name in found):
        raise ValueError
    return found


def _metric_attributes(value: object) -> tuple[str, ...]:
    return _names(value, METRIC_ATTRIBUTES)


def _request_attributes(value: object) -> tuple[str, ...]:
    return _names(value, REQUEST_ATTRIBUTES)


def _encodings(value: object) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ValueError
    found = tuple(resolve(name.strip()) for name in names if name.strip())
    if None in found:
        raise ValueError
    return tuple(dict.fromkeys(name for name in found if name is not None))


def _models(value: object) -> Mapping[str, str]:
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if any(not equals for _, equals, _ in pairs):
            raise ValueError
        value = {name.strip(): model.strip() for name, _, model in pairs}
    if not isinstance(value, Mapping):
        raise ValueError  # noqa: TRY004 - one kind of refusal, worded by the caller
    if not all(isinstance(part, str) and part for item in value.items() for part in item):
        raise ValueError
    if not all(resolve(model) for model in value.values()):
        raise ValueError
    return MappingProxyType(dict(value))


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "token_counting",
        "TOKENTRAIL_TOKEN_COUNTING",
        TokenCounting.MISSING,
        "off, span, missing, always",
        "When tokens are counted here: never; on spans only; where the server reported none; "
        "or also beside a report, to compare the two.",
        _choice(TokenCounting),
    ),
    Setting(
        "models",
        "TOKENTRAIL_MODELS",
        MappingProxyType({}),
        "name=model pairs separated by commas, or a mapping; the model is one whose encoding is "
        "known, or an encoding itself (cl100k_base, o200k_base)",
        "What an Azure deployment or a model unknown to us really is, for counting.",
        _models,
    ),
    Setting(
        "flush_timeout",
        "TOKENTRAIL_FLUSH_TIMEOUT",
        2.0,
        "seconds from 0 to 60",
        "How long the end of a span may wait for its count.",
        _seconds,
    ),
    Setting(
        "time_per_output_chunk",
        "TOKENTRAIL_TIME_PER_OUTPUT_CHUNK",
        True,  # noqa: FBT003 - a value
        "true, false",
        "Whether the gap before each chunk of a stream is told as a metric.",
        _boolean,
    ),
    Setting(
        "metrics",
        "TOKENTRAIL_METRICS",
        MetricNames.RELEASED,
        "released, latest, both",
        "Names of the conventional metrics: those that dashboards know, those to come, or both. "
        f"Where it is not set, gen_ai_latest_experimental in {OPT_IN} means both.",
        _choice(MetricNames),
    ),
    Setting(
        "metric_attributes",
        "TOKENTRAIL_METRIC_ATTRIBUTES",
        DEFAULT_METRIC_ATTRIBUTES,
        "names separated by commas, of: " + ", ".join(METRIC_ATTRIBUTES),
        "Attributes that metrics bear beside operation, provider and request model.",
        _metric_attributes,
    ),
    Setting(
        "health",
        "TOKENTRAIL_HEALTH",
        True,  # noqa: FBT003 - a value
        "true, false",
        "Whether tokentrail tells of itself: queue size, swallowed errors, calls whose count had "
        "to wait or to be estimated.",
        _boolean,
    ),
    Setting(
        "stream_usage",
        "TOKENTRAIL_STREAM_USAGE",
        StreamUsage.OBSERVE,
        "observe, request",
        "Whether chat and completions streams are asked for the server's usage "
        "(stream_options.include_usage) where the application did not say; it sees no difference.",
        _choice(StreamUsage),
    ),
    Setting(
        "calibration",
        "TOKENTRAIL_CALIBRATION",
        0.01,
        "a share from 0 to 1",
        "The share of calls with reported usage that are counted too, after they are told, to "
        "tell how good the counts are (tokentrail.usage.count_ratio).",
        _share,
    ),
    Setting(
        "preload",
        "TOKENTRAIL_PRELOAD",
        (),
        "names of encodings or models, separated by commas",
        "Encodings built by instrument() itself, before the program goes on; forked workers share "
        "them.",
        _encodings,
    ),
    Setting(
        "capture_content",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        ContentCapture.NO_CONTENT,
        "NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT",
        "Where the messages, instructions, answers and tools of a call are told: nowhere, on its "
        "span, in its log event, or on both.",
        _choice(ContentCapture),
    ),
    Setting(
        "emit_event",
        "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
        None,
        "true, false",
        "Whether each inference is also told as a log event, with all that its span has. Where it "
        "is not set, only if content goes to events. False also silences the event of a failure.",
        _boolean,
    ),
    Setting(
        "redact",
        None,
        None,
        "a function of (kind, text) that returns the text to keep, or None",
        "Called for every text before it is told; what it returns is told instead.",
        _function,
    ),
    Setting(
        "content_limit",
        "TOKENTRAIL_CONTENT_LIMIT",
        None,
        "a number of characters from 1",
        "How much of each text is told; the JSON around it stays valid.",
        _length,
    ),
    Setting(
        "capture_binary",
        "TOKENTRAIL_CAPTURE_BINARY",
        False,  # noqa: FBT003 - a value
        "true, false",
        "Whether images, sound and files that stand in messages are told with their bytes, not "
        "only their size.",
        _boolean,
    ),
    Setting(
        "capture_tool_schemas",
        "TOKENTRAIL_CAPTURE_TOOL_SCHEMAS",
        False,  # noqa: FBT003 - a value
        "true, false",
        "Whether tool definitions are told with description and parameters, not only their name.",
        _boolean,
    ),
    Setting(
        "on_conflict",
        "TOKENTRAIL_ON_CONFLICT",
        OnConflict.BOTH,
        "both, defer",
        "What becomes of calls that another instrumentation tells as well, which cannot be joined: "
        "told by both, with a warning, or left to the other, whose span gains what we know.",
        _choice(OnConflict),
    ),
    Setting(
        "attributes_on_metrics",
        "TOKENTRAIL_ATTRIBUTES_ON_METRICS",
        (),
        "names separated by commas, without blanks",
        "Which of the application's own attributes (tokentrail.attributes(), baggage_keys, "
        "request_attributes) metrics bear: those of few values. Spans bear all.",
        _names,
    ),
    Setting(
        "baggage_keys",
        "TOKENTRAIL_BAGGAGE_KEYS",
        (),
        "names separated by commas, without blanks",
        "Entries of OpenTelemetry's Baggage that spans bear as attributes.",
        _names,
    ),
    Setting(
        "request_attributes",
        "TOKENTRAIL_REQUEST_ATTRIBUTES",
        (),
        "names separated by commas, of: " + ", ".join(REQUEST_ATTRIBUTES),
        "Arguments of a call that spans bear, as tokentrail.request.metadata.<key>, "
        "tokentrail.request.user and tokentrail.request.safety_identifier.",
        _request_attributes,
    ),
    Setting(
        "request_hook",
        None,
        None,
        "a function of (span, arguments)",
        "Called before each call with its span and a copy of its keyword arguments.",
        _function,
    ),
    Setting(
        "response_hook",
        None,
        None,
        "a function of (span, answer)",
        "Called with the span and what the application is about to get: an answer, or a stream "
        "that is not read yet.",
        _function,
    ),
    Setting(
        "disabled",
        "TOKENTRAIL_DISABLED",
        False,  # noqa: FBT003 - a value
        "true, false",
        "Whether instrument() leaves everything as it is.",
        _boolean,
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force."""

    token_counting: TokenCounting = TokenCounting.MISSING
    models: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    flush_timeout: float = 2.0
    time_per_output_chunk: bool = True
    metrics: MetricNames = MetricNames.RELEASED
    metric_attributes: tuple[str, ...] = DEFAULT_METRIC_ATTRIBUTES
    health: bool = True
    stream_usage: StreamUsage = StreamUsage.OBSERVE
    calibration: float = 0.01
    preload: tuple[str, ...] = ()
    capture_content: ContentCapture = ContentCapture.NO_CONTENT
    emit_event: bool | None = None
    redact: Callable[[str, str], str | None] | None = None
    content_limit: int | None = None
    capture_binary: bool = False
    capture_tool_schemas: bool = False
    on_conflict: OnConflict = OnConflict.BOTH
    attributes_on_metrics: tuple[str, ...] = ()
    baggage_keys: tuple[str, ...] = ()
    request_attributes: tuple[str, ...] = ()
    request_hook: Callable[[Any, dict[str, Any]], object] | None = None
    response_hook: Callable[[Any, Any], object] | None = None
    disabled: bool = False


def read_settings(
    arguments: Mapping[str, object], environ: Mapping[str, str] = os.environ
) -> Settings:
    """Return the settings: a keyword argument (not ``None``) over environment over default.

    Raises:
        TypeError: an argument has a name that is no setting.
        ValueError: an argument has a value that is not allowed.
    """
    known = {setting.name for setting in SETTINGS}
    for name in arguments:
        if name not in known:
            message = f"tokentrail has no setting {name!r}; there are: {', '.join(sorted(known))}"
            raise TypeError(message)
    values = {s.name: _value(s, arguments.get(s.name), environ) for s in SETTINGS}
    return Settings(**values)


def _value(setting: Setting, argument: object, environ: Mapping[str, str]) -> Any:  # noqa: ANN401
    if argument is not None:
        try:
            return setting.parse(argument)
        except ValueError:
            message = f"{setting.name}={argument!r} is not allowed; allowed: {setting.allowed}"
            raise ValueError(message) from None
    read = reading(setting, environ)
    if read.refused is not None:
        guard.warn_once(
            setting.environ or setting.name,
            "%s=%r is not allowed; allowed: %s. The default (%s) holds.",
            setting.environ,
            read.refused,
            setting.allowed,
            plain(setting.default),
        )
    return read.value


@dataclass(frozen=True, slots=True)
class Reading:
    """What the environment makes of a setting."""

    value: object
    variable: str | None = None
    """The variable it comes from; ``None`` for the default."""
    refused: str | None = None
    """What a variable says that is not allowed: the default holds."""


def reading(setting: Setting, environ: Mapping[str, str]) -> Reading:
    """Return what ``environ``, or else the default, says."""
    variable = setting.environ
    text = environ.get(variable, "") if variable is not None else ""
    if setting.name == "metrics" and not text.strip():
        opted = map(str.strip, environ.get(OPT_IN, "").split(","))
        variable, text = OPT_IN, "both" if "gen_ai_latest_experimental" in opted else ""
    if not text.strip():
        return Reading(setting.default)
    try:
        return Reading(setting.parse(text), variable)
    except ValueError:
        return Reading(setting.default, variable, text)


def plain(value: object) -> object:
    """Return a value of a setting as people write it."""
    return value.value if isinstance(value, Enum) else value


assert tuple(f.name for f in fields(Settings)) == tuple(s.name for s in SETTINGS)  # noqa: S101
