"""A configuration file of OpenTelemetry (``OTEL_CONFIG_FILE``): what it has for tokentrail.

The package opentelemetry-configuration reads the file, and calls ``instrument()`` with what stands
under ``instrumentation/development``, ``python``, ``tokentrail``.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import make_dataclass
from enum import Enum
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from tokentrail.config.environment import EnvironmentValue, read_value, warn_of_refused
from tokentrail.config.schema import SETTINGS, Setting
from tokentrail.config.unknown import describe_unknown, nearest_of
from tokentrail.config.values import ContentCapture
from tokentrail.support import guard

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "OTEL_CONFIG_FILE"
PACKAGE: Final = "opentelemetry-configuration"
_ENTRY_POINT: Final = "tokentrail"
_IN_YAML: Final[Mapping[str, object]] = {
    "bool": bool | None,
    "float": float | None,
    "float | str": float | str | bool | None,  # `off` is false in YAML
    "int": int | None,
    "Collection[str] | str": list[str] | str | None,
    "Sequence[str] | str": list[str] | str | None,
    "Mapping[str, str] | str": dict[str, str] | str | None,
    "Mapping[str, Any] | str | PathLike[str]": dict[str, Any] | str | None,
}
"""What a file can have for a setting, by what ``instrument()`` accepts; else it is text."""


class _Options:
    """Reads the options of a file as variables are read: what is wrong is warned of, once."""

    def __init__(self, **options: object) -> None:
        known = {setting.name for setting in SETTINGS}
        for name in options.keys() - known:
            guard.warn_once(f"{VARIABLE} {name}", "%s.", describe_unknown_option(name))
        for setting in SETTINGS:
            value = options.get(setting.name)
            setattr(self, setting.name, None if value is None else _value(setting, value))
        given = vars(self)
        if given["capture_content"] is ContentCapture.EVENT_ONLY and given["emit_event"] is False:
            self.capture_content = ContentCapture.NO_CONTENT  # it would be recorded nowhere
            guard.warn_once(
                f"{VARIABLE} emit_event",
                "%s: capture_content: event_only contradicts emit_event: false, so no content is "
                "recorded. Leave emit_event out, or use span_only.",
                VARIABLE,
            )


def _annotation(setting: Setting) -> object:
    if isinstance(setting.default, Enum):
        return str | bool | None
    return _IN_YAML.get(setting.accepts, str | None)


@cache
def configuration() -> type:
    """Return the class of the settings as a configuration file has them."""
    return make_dataclass(
        "Configuration",
        [(setting.name, _annotation(setting), None) for setting in SETTINGS],
        bases=(_Options,),
        init=False,
        namespace={
            "__module__": __name__,
            "__doc__": "The settings as a configuration file has them; ``None`` is not set there.",
        },
    )


def read_option(setting: Setting, value: object) -> EnvironmentValue:
    """Return the setting that a file's value means; for a wrong value, its fallback."""
    return read_value(setting, value, VARIABLE)


def _value(setting: Setting, value: object) -> object:
    read = read_option(setting, value)
    if read.refused is not None:
        warn_of_refused(setting, f"{setting.name} in {VARIABLE}", read)
    return read.value


def describe_unknown_option(name: str) -> str:
    """Return a sentence on an option that no setting has."""
    near = nearest_of(name, [setting.name for setting in SETTINGS])
    return describe_unknown(f"{name} in {VARIABLE}", near)


def read_section(environ: Mapping[str, str]) -> Mapping[str, object]:
    """Return tokentrail's section of the file that ``environ`` names; empty without a file.

    Empty, too, without opentelemetry-configuration or if it cannot read the file.
    """
    path = environ.get(VARIABLE)
    instrumentation = None
    if path:
        with suppress(Exception):  # it is the SDK's to report, which reads the same file
            package = import_module(PACKAGE.replace("-", "."))
            instrumentation = package.load_config_file(path).instrumentation_development
    python = getattr(instrumentation, "python", None) or {}
    return python.get(_ENTRY_POINT) or {}


def is_switched_off(section: Mapping[str, object]) -> bool:
    """Whether a file's section for tokentrail has ``enabled: false``, or ``disabled: true``."""
    disabled = next(setting for setting in SETTINGS if setting.name == "disabled")
    given = section.get("disabled")
    return section.get("enabled", True) is False or (
        given is not None and read_option(disabled, given).value is True
    )
