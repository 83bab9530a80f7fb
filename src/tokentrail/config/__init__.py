"""Settings: one frozen object from keyword arguments and environment, read once.

A wrong keyword argument raises when ``instrument()`` is called, with the setting, the value and
what is allowed. A wrong environment value must not stop a program: it warns once and the default
holds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tokentrail.config.parsing import FunctionError
from tokentrail.config.schema import SETTINGS, Setting
from tokentrail.config.values import (
    DEFAULT_METRIC_ATTRIBUTES,
    INSTRUMENTED_APIS,
    OPT_IN,
    ContentCapture,
    Cost,
    MetricNames,
    OnConflict,
    StreamUsage,
    TokenCounting,
    redact_everything,
)
from tokentrail.cost.user_prices import PricesError, UserPrices
from tokentrail.support import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "INSTRUMENTED_APIS",
    "OPT_IN",
    "SETTINGS",
    "ContentCapture",
    "Cost",
    "EnvironmentValue",
    "MetricNames",
    "OnConflict",
    "Setting",
    "Settings",
    "StreamUsage",
    "TokenCounting",
    "display_value",
    "read_environment",
    "read_settings",
]


_DISABLED = next(setting for setting in SETTINGS if setting.name == "disabled")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force."""

    token_counting: TokenCounting = TokenCounting.MISSING
    model_aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    count_timeout: float = 2.0
    time_per_output_chunk: bool = False
    metric_names: MetricNames = MetricNames.RELEASED
    metric_attributes: tuple[str, ...] = DEFAULT_METRIC_ATTRIBUTES
    internal_metrics: bool = True
    stream_usage: StreamUsage = StreamUsage.OBSERVE
    count_verification_ratio: float = 0.01
    preload_encodings: tuple[str, ...] = ()
    capture_content: ContentCapture = ContentCapture.NO_CONTENT
    emit_event: bool | None = None
    redact: Callable[[str, str], str | None] | None = None
    content_max_chars: int | None = None
    capture_binary: bool = False
    capture_tool_schemas: bool = False
    on_conflict: OnConflict = OnConflict.BOTH
    custom_metric_attributes: tuple[str, ...] = ()
    baggage_keys: tuple[str, ...] = ()
    request_attributes: tuple[str, ...] = ()
    instrumented_apis: tuple[str, ...] = INSTRUMENTED_APIS
    request_hook: Callable[[Any, dict[str, Any]], object] | None = None
    response_hook: Callable[[Any, Any], object] | None = None
    cost: Cost = Cost.OFF
    prices: UserPrices = field(default_factory=UserPrices)
    disabled: bool = False

    @property
    def withhold(self) -> bool:
        """Whether content is told to nobody, since what was to redact it is missing."""
        return self.redact is redact_everything


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
    if _value(_DISABLED, arguments.get("disabled"), environ):
        # Nothing is imported that a variable names.
        arguments, environ = {**arguments, "disabled": True}, {}
    values = {s.name: _value(s, arguments.get(s.name), environ) for s in SETTINGS}
    settings = Settings(**values)
    if settings.withhold:
        return replace(settings, capture_content=ContentCapture.NO_CONTENT)
    return settings


def _value(setting: Setting, argument: object, environ: Mapping[str, str]) -> Any:  # noqa: ANN401
    if argument is not None:
        try:
            return setting.parse(argument)
        except ValueError as error:
            named = f"{setting.name}={argument!r}"
            message = f"{named} is not allowed{_reason(error)}; allowed: {setting.allowed}"
            raise ValueError(message) from None
    read = read_environment(setting, environ)
    if read.refused is not None:
        guard.warn_once(
            setting.environ,
            "%s=%r is not allowed%s; allowed: %s. %s",
            setting.environ,
            read.refused,
            read.reason,
            setting.allowed,
            _instead(setting),
        )
    return read.value


@dataclass(frozen=True, slots=True)
class EnvironmentValue:
    """What the environment makes of a setting."""

    value: object
    variable: str | None = None
    """The variable it comes from; ``None`` for the default."""
    refused: str | None = None
    """What a variable says that is not allowed: ``value`` holds instead."""
    reason: str = ""
    """Why, where more can be said than what is allowed."""


def read_environment(setting: Setting, environ: Mapping[str, str]) -> EnvironmentValue:
    """Return what ``environ``, or else the default, says."""
    variable = setting.environ
    text = environ.get(variable, "")
    if setting.name == "metric_names" and not text.strip():
        opted = map(str.strip, environ.get(OPT_IN, "").split(","))
        variable, text = OPT_IN, "both" if "gen_ai_latest_experimental" in opted else ""
    if not text.strip():
        return EnvironmentValue(setting.default)
    try:
        return EnvironmentValue(setting.parse(text), variable)
    except ValueError as error:
        instead = setting.default if setting.instead is None else setting.instead
        return EnvironmentValue(instead, variable, text, _reason(error))


def _reason(error: ValueError) -> str:
    return f" ({error})" if isinstance(error, (FunctionError, PricesError)) else ""


def _instead(setting: Setting) -> str:
    if setting.instead is redact_everything:
        return "No content is told."
    return f"The default ({display_value(setting.default)}) holds."


def display_value(value: object) -> object:
    """Return a value of a setting as people write it."""
    if isinstance(value, UserPrices):
        return str(value) or None
    if value is redact_everything:
        return "nothing is kept: no content is told"
    if callable(value):
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}:{named.__qualname__}"
    return value.value if isinstance(value, Enum) else value


assert tuple(f.name for f in fields(Settings)) == tuple(s.name for s in SETTINGS)  # noqa: S101
