"""The settings: what they are (``schema``), what they can be (``values``), how they are read."""

from __future__ import annotations

from tokentrail.config import declarative
from tokentrail.config.declarative import configuration, is_switched_off, read_section
from tokentrail.config.environment import (
    EnvironmentValue,
    display_value,
    read_arguments,
    read_environment,
    read_settings,
)
from tokentrail.config.schema import SETTINGS, Setting, Settings
from tokentrail.config.unknown import describe_unknown, unknown_variables
from tokentrail.config.values import (
    INSTRUMENTED_APIS,
    OPT_IN,
    CacheKey,
    ContentCapture,
    Cost,
    MetricNames,
    OnConflict,
    StreamUsage,
    TokenCounting,
)

__all__ = [
    "INSTRUMENTED_APIS",
    "OPT_IN",
    "SETTINGS",
    "CacheKey",
    "ContentCapture",
    "Cost",
    "EnvironmentValue",
    "MetricNames",
    "OnConflict",
    "Setting",
    "Settings",
    "StreamUsage",
    "TokenCounting",
    "configuration",
    "declarative",
    "describe_unknown",
    "display_value",
    "is_switched_off",
    "read_arguments",
    "read_environment",
    "read_section",
    "read_settings",
    "unknown_variables",
]
