"""The settings: what they are (``schema``), what they can be (``values``), how they are read."""

from __future__ import annotations

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
    COMPLETION_HOOK,
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
    "COMPLETION_HOOK",
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
    "describe_unknown",
    "display_value",
    "read_arguments",
    "read_environment",
    "read_settings",
    "unknown_variables",
]
