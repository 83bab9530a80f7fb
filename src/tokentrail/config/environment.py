"""How settings are read: from a keyword, else from the environment, else the default.

A wrong keyword raises when ``instrument()`` is called, with the setting, the value and what is
allowed. A wrong variable must not stop a program: it warns once, and the default is used.
"""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING, Any

from tokentrail import cost
from tokentrail.config.parsing import FunctionError
from tokentrail.config.schema import SETTINGS, Setting, Settings
from tokentrail.config.unknown import describe_unknown, unknown_variables
from tokentrail.config.values import OPT_IN, ContentCapture, redact_everything
from tokentrail.support import guard
from tokentrail.support.frozen import lean_dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


_DISABLED = next(setting for setting in SETTINGS if setting.name == "disabled")


def read_settings(
    arguments: Mapping[str, object], environ: Mapping[str, str] = os.environ
) -> Settings:
    """Return the settings: a keyword argument (not ``None``) over environment over default.

    Raises:
        TypeError: an argument is not a setting.
        ValueError: an argument has a value that is not allowed.
    """
    _require_known(arguments)
    if _value(_DISABLED, arguments.get("disabled"), environ):
        # Nothing is imported that a variable names.
        arguments, environ = {**arguments, "disabled": True}, {}
    for name, nearest in unknown_variables(environ).items():
        guard.warn_once(name, "%s.", describe_unknown(name, nearest))
    values = {s.name: _value(s, arguments.get(s.name), environ) for s in SETTINGS}
    settings = Settings(**values)
    _require_place_for_content(settings, arguments)
    if settings.withhold:
        return Settings(**{**values, "capture_content": ContentCapture.NO_CONTENT})
    return settings


def _require_place_for_content(settings: Settings, arguments: Mapping[str, object]) -> None:
    """Refuse to send content only to events if no events are emitted."""
    if (
        settings.capture_content is not ContentCapture.EVENT_ONLY
        or settings.emit_event is not False
    ):
        return
    message = (
        "capture_content=EVENT_ONLY contradicts emit_event=False: content would be recorded"
        " nowhere; leave emit_event out, or use SPAN_ONLY"
    )
    if arguments.get("capture_content") is not None or arguments.get("emit_event") is not None:
        raise ValueError(message)
    guard.warn_once("emit_event", "%s.", message)


def read_arguments(arguments: Mapping[str, object]) -> dict[str, object]:
    """Return the values of the keyword arguments alone; those that are ``None`` are left out.

    Raises: as :func:`read_settings`.
    """
    _require_known(arguments)
    return {
        s.name: _value(s, arguments[s.name], {})
        for s in SETTINGS
        if arguments.get(s.name) is not None
    }


def _require_known(arguments: Mapping[str, object]) -> None:
    known = sorted(setting.name for setting in SETTINGS)
    for name in arguments:
        if name not in known:
            from tokentrail.config.unknown import hint, nearest_of

            near = hint(nearest_of(name, known))
            message = f"tokentrail has no setting {name!r}{near}; there are: {', '.join(known)}"
            raise TypeError(message)


def _value(setting: Setting, argument: object, environ: Mapping[str, str]) -> Any:
    if argument is not None:
        try:
            return setting.parse(argument)
        except ValueError as error:
            named = f"{setting.name}={argument!r}"
            message = f"{named} is not allowed{_reason(error)}; allowed: {setting.allowed}"
            raise ValueError(message) from None
    read = read_environment(setting, environ)
    if read.refused is not None:
        warn_of_refused(setting, setting.variable, read)
    return read.value


def warn_of_refused(setting: Setting, name: str, read: EnvironmentValue) -> None:
    """Warn once of a value that is not allowed, by the ``name`` that the user knows it by."""
    guard.warn_once(
        name,
        "%s=%r is not allowed%s; allowed: %s. %s",
        name,
        read.refused,
        read.reason,
        setting.allowed,
        _instead(setting),
    )


@lean_dataclass(frozen=True, slots=True)
class EnvironmentValue:
    """The value of a setting in the environment, or in a file that it names."""

    value: object
    variable: str | None = None
    """The variable it comes from; ``None`` for the default."""
    refused: str | None = None
    """The value of a variable that is not allowed; ``value`` is used instead."""
    reason: str = ""
    """Why it is not allowed, if the list of allowed values does not show it."""


def read_environment(setting: Setting, environ: Mapping[str, str]) -> EnvironmentValue:
    """Return what ``environ``, or else the default, says."""
    variable = setting.variable
    text = environ.get(variable, "")
    if setting.name == "metric_names" and not text.strip():
        opted = map(str.strip, environ.get(OPT_IN, "").split(","))
        variable, text = OPT_IN, "both" if "gen_ai_latest_experimental" in opted else ""
    if not text.strip():
        return EnvironmentValue(setting.default)
    return read_value(setting, text, variable)


def read_value(setting: Setting, value: object, variable: str) -> EnvironmentValue:
    """Return what a value that comes from ``variable`` means; of a wrong one, the fallback."""
    try:
        return EnvironmentValue(setting.parse(value), variable)
    except ValueError as error:
        return EnvironmentValue(setting.fallback, variable, str(value), _reason(error))


def _reason(error: ValueError) -> str:
    return f" ({error})" if isinstance(error, (FunctionError, cost.PricesError)) else ""


def _instead(setting: Setting) -> str:
    if setting.fallback is redact_everything:
        return "No content is recorded."
    return f"The default ({setting.default_text}) is used."


def display_value(value: object) -> object:
    """Return a value of a setting as a user writes it."""
    if isinstance(value, cost.UserPrices):
        return str(value) or None
    if value is redact_everything:
        return "no content is recorded"
    if callable(value):
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}:{named.__qualname__}"
    return value.value if isinstance(value, Enum) else value
