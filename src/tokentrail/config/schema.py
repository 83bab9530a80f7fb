"""The settings, each stated once: the fields of :class:`Settings` are the table.

Parsing, error texts, ``tokentrail doctor``, ``docs/settings.md`` and the docstring of
``instrument()`` follow from it; its signature is compared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tokentrail.config import parsing
from tokentrail.config.values import (
    DEFAULT_METRIC_ATTRIBUTES,
    INSTRUMENTED_APIS,
    METRIC_ATTRIBUTES,
    OPT_IN,
    REQUEST_ATTRIBUTES,
    CacheKey,
    ContentCapture,
    Cost,
    MetricNames,
    OnConflict,
    StreamUsage,
    TokenCounting,
    redact_everything,
)
from tokentrail.support.frozen import lean_dataclass

if TYPE_CHECKING:
    from tokentrail.cost import UserPrices

_T = TypeVar("_T")
_E = TypeVar("_E", bound=Enum)
_Parse = Callable[[object], Any]

_BY_NAME = "as text package.module:function"
_NAMES = "Collection[str] | str"


@lean_dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table."""

    name: str
    """The keyword of ``instrument()``."""
    accepts: str
    """Its annotation there, beside ``None``."""
    default: object
    variable: str
    """The environment variable."""
    allowed: str
    about: str
    parse: _Parse
    """Return the value for a keyword argument or an environment text, or raise ValueError."""
    fallback: object
    """The value used where the variable is wrong."""

    @property
    def default_text(self) -> str:
        """The default as a user writes it; ``none`` for nothing."""
        value = self.default
        if isinstance(value, Enum):
            text = str(value.value)
            return text if text in self.allowed else text.upper()
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, tuple):
            return ", ".join(value) or "none"
        return str(value) if isinstance(value, (str, float, int)) else "none"


_FACTS: Final[list[dict[str, Any]]] = []
"""What is stated of the fields of :class:`Settings`, in their order."""


def _setting(
    *,
    default: _T,
    accepts: str,
    allowed: str,
    about: str,
    parse: _Parse,
    variable: str | None = None,
) -> _T:
    facts = {
        "default": default,
        "accepts": accepts,
        "variable": variable,
        "allowed": allowed,
        "about": about,
        "parse": parse,
    }
    _FACTS.append(facts)
    return default


def _switch(*, default: bool, about: str) -> bool:
    return _setting(
        default=default, accepts="bool", allowed="true, false", about=about, parse=parsing.boolean
    )


def _choice(default: _E, about: str, variable: str | None = None) -> _E:
    kind = type(default)
    return _setting(
        default=default,
        accepts=f"{kind.__name__} | str",
        allowed=", ".join(member.value for member in kind),
        about=about,
        parse=parsing.choice(kind),
        variable=variable,
    )


@lean_dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force."""

    token_counting: TokenCounting = _choice(
        TokenCounting.MISSING,
        "When tokentrail counts tokens: never; if the server reported none, for spans only or for "
        "spans and metrics; or always, to compare counts with reports.",
    )
    model_aliases: Mapping[str, str] = _setting(
        default=MappingProxyType({}),
        accepts="Mapping[str, str] | str",
        allowed="name=model pairs separated by commas, or a mapping; the model is one whose "
        "encoding is known, or an encoding itself (cl100k_base, o200k_base)",
        about="The model that an Azure deployment or an unknown name stands for, for counting.",
        parse=parsing.model_aliases,
    )
    count_timeout: float = _setting(
        default=2.0,
        accepts="float",
        allowed="seconds from 0 to 60",
        about="How long a span may wait for its count before it ends with an estimate.",
        parse=parsing.seconds,
    )
    time_per_output_chunk: bool = _switch(
        default=False,
        about="Whether the gap before each chunk of a stream is recorded as a metric. It costs "
        "several times the other work for a chunk, in tokentrail's own thread.",
    )
    metric_names: MetricNames = _choice(
        MetricNames.RELEASED,
        "Names of the conventional metrics: the released ones, those of the next conventions, or "
        f"both. If it is not set, gen_ai_latest_experimental in {OPT_IN} means both.",
    )
    metric_attributes: tuple[str, ...] = _setting(
        default=DEFAULT_METRIC_ATTRIBUTES,
        accepts=_NAMES,
        allowed=f"names separated by commas, of: {', '.join(METRIC_ATTRIBUTES)}; or none",
        about="Attributes of metrics in addition to operation, provider and request model.",
        parse=parsing.metric_attributes,
    )
    internal_metrics: bool = _switch(
        default=True,
        about="Whether tokentrail records metrics about itself: queue size, internal errors, "
        "counts that were queued or estimated.",
    )
    stream_usage: StreamUsage = _choice(
        StreamUsage.OBSERVE,
        "Whether tokentrail asks the server for the usage of chat and completions streams "
        "(stream_options.include_usage) if your application does not; it sees no difference.",
    )
    count_verification_ratio: float = _setting(
        default=0.01,
        accepts="float",
        allowed="a share from 0 to 1",
        about="The share of calls with reported usage that are also counted, after they are "
        "recorded, to show how good the counts are (tokentrail.usage.count_ratio).",
        parse=parsing.ratio,
    )
    calibration: bool = _switch(
        default=True,
        about="Whether tokentrail learns from reported usage how many tokens the server adds to "
        "the input of similar calls, so that it knows the input of such a call without a report "
        "(calibrated). It takes at most 2 % of one core, in tokentrail's own thread, and only if "
        "an encoding is built already.",
    )
    explain: float = _setting(
        default=0.0,
        accepts="float | str",
        allowed="off, all, or a share of conversations from 0 to 1",
        about="Whether spans and metrics show the parts of the input, what the prompt cache could "
        "have served and why it did not, and repeated requests: for all conversations, or for a "
        "share of them. Done in tokentrail's own thread; needs token counting.",
        parse=parsing.share,
    )
    preload_encodings: tuple[str, ...] = _setting(
        default=(),
        accepts="Sequence[str] | str",
        allowed="o200k_base, cl100k_base, or models whose encoding is known, separated by commas",
        about="Encodings that instrument() builds before it returns; forked workers share them.",
        parse=parsing.encodings,
    )
    capture_content: ContentCapture = _setting(
        default=ContentCapture.NO_CONTENT,
        accepts="ContentCapture | str",
        allowed="NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT",
        about="Where the messages, instructions, answers and tools of a call are recorded: "
        "nowhere, on its span, in its log event, or on both.",
        parse=parsing.choice(ContentCapture),
        variable="OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    )
    emit_event: bool | None = _setting(
        default=None,
        accepts="bool",
        allowed="true, false",
        about="Whether each inference is also emitted as a log event, with all attributes of its "
        "span. If it is not set, this happens only if content goes to events. False also switches "
        "off the event of a failure.",
        parse=parsing.boolean,
        variable="OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
    )
    redact: Callable[[str, str], str | None] | None = _setting(
        default=None,
        accepts="Callable[[str, str], str | None] | str",
        allowed="a function of (kind, text) that returns the text to keep, or None; " + _BY_NAME,
        about="A function that is called with the kind and the text of all content before it is "
        "recorded; its result is recorded instead. If the variable names a function that does not "
        "exist, no content is recorded at all. It may run in tokentrail's own thread.",
        parse=parsing.function,
    )
    content_max_chars: int | None = _setting(
        default=None,
        accepts="int",
        allowed="a number of characters from 1",
        about="How much of each text is recorded; the JSON around it stays valid.",
        parse=parsing.length,
    )
    capture_binary: bool = _switch(
        default=False,
        about="Whether images, audio and files in messages are recorded with their bytes, not only "
        "their size, and their addresses with the query string, which may have a signature.",
    )
    capture_tool_schemas: bool = _switch(
        default=False,
        about="Whether tool definitions are recorded with description and parameters, not only "
        "their name.",
    )
    on_conflict: OnConflict = _choice(
        OnConflict.BOTH,
        "What happens to calls that another instrumentation records too, if the two cannot share "
        "a span: both record them, with a warning (both); or only the other one does, and its span "
        "gets our attributes (defer).",
    )
    custom_metric_attributes: tuple[str, ...] = _setting(
        default=(),
        accepts=_NAMES,
        allowed="names separated by commas, without blanks, that are not the metrics' own",
        about="Your own attributes (tokentrail.attributes(), baggage_keys, request_attributes) "
        "that metrics have too. Choose those with few values. Spans have all of them.",
        parse=parsing.custom_metric_attributes,
    )
    baggage_keys: tuple[str, ...] = _setting(
        default=(),
        accepts=_NAMES,
        allowed="names separated by commas, without blanks",
        about="Entries of OpenTelemetry's Baggage that become attributes of spans.",
        parse=parsing.names,
    )
    request_attributes: tuple[str, ...] = _setting(
        default=(),
        accepts=_NAMES,
        allowed="names separated by commas, of: " + ", ".join(REQUEST_ATTRIBUTES),
        about="Arguments of a call that become attributes of its span: "
        "tokentrail.request.metadata.<key>, tokentrail.request.user and "
        "tokentrail.request.safety_identifier.",
        parse=parsing.request_attributes,
    )
    instrumented_apis: tuple[str, ...] = _setting(
        default=INSTRUMENTED_APIS,
        accepts=_NAMES,
        allowed="names separated by commas, of: " + ", ".join(INSTRUMENTED_APIS),
        about="The APIs to record; methods of other APIs are not patched.",
        parse=parsing.instrumented_apis,
    )
    request_hook: Callable[[Any, dict[str, Any]], object] | None = _setting(
        default=None,
        accepts="Callable[[Span, dict[str, Any]], object] | str",
        allowed="a function of (span, arguments); " + _BY_NAME,
        about="A function that is called before each call, with its span and a copy of its "
        "keyword arguments.",
        parse=parsing.function,
    )
    response_hook: Callable[[Any, Any], object] | None = _setting(
        default=None,
        accepts="Callable[[Span, Any], object] | str",
        allowed="a function of (span, answer); " + _BY_NAME,
        about="A function that is called with the span and the answer that your application gets: "
        "an object, or a stream that is not read yet.",
        parse=parsing.function,
    )
    cost: Cost = _choice(
        Cost.OFF,
        "Which spans have tokentrail.cost.amount: those of calls with reported tokens, or also "
        "those with counted tokens. Needs tokentrail[cost], unless you set your own prices.",
    )
    prices: UserPrices | None = _setting(
        default=None,
        accepts="Mapping[str, Any] | str | PathLike[str]",
        allowed="a JSON file, or a mapping: for each model input, output, cache_read, cache_write, "
        "cache_write_1h, cache_write_12h, audio_input, image_input, reasoning, audio_output, "
        "image_output, image_cache_read, audio_cache_read, web_search, file_search, audio_hour, "
        "characters, in USD per million tokens (searches: per thousand requests)",
        about="Your own prices, used before the published ones.",
        parse=parsing.prices,
    )
    cost_attributes: tuple[str, ...] = _setting(
        default=(),
        accepts=_NAMES,
        allowed="names separated by commas, without blanks",
        about="More names of span attributes for the amount of the cost, which a backend reads: "
        "gen_ai.usage.cost, operation.cost, llm.cost.total.",
        parse=parsing.names,
    )
    capture_cache_key: CacheKey = _choice(
        CacheKey.OFF,
        "Whether spans have the prompt_cache_key of a request: no (off), the beginning of its "
        "SHA-256 (hash), or the key itself (plain).",
    )
    capture_account: bool = _switch(
        default=False,
        about="Whether spans have the organization and the project that the headers of the answer "
        "name. Keys are never recorded.",
    )
    fetched_usage_metrics: bool = _switch(
        default=False,
        about="Whether metrics also have the usage of finished batches, and of background "
        "responses that another process began, once for each. Set it only if one process fetches "
        "all of them. Without it, only the span of the first fetch has this usage.",
    )
    disabled: bool = _switch(
        default=False, about="Whether tokentrail is switched off: instrument() then does nothing."
    )

    @property
    def withhold(self) -> bool:
        """Whether no content may be recorded because the function that redacts it is missing."""
        return self.redact is redact_everything


def _row(name: str, facts: dict[str, Any]) -> Setting:
    facts["variable"] = facts["variable"] or f"TOKENTRAIL_{name.upper()}"
    return Setting(name=name, fallback=_SAFER.get(name, facts["default"]), **facts)


_SAFER: Final = {"redact": redact_everything}
"""The value used for a wrong variable, if the default would record more than the user wanted."""


SETTINGS: tuple[Setting, ...] = tuple(map(_row, Settings.__match_args__, _FACTS))
"""All settings, in the order of the keywords of ``instrument()``."""
