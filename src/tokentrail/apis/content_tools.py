"""Reads tool definitions: the tools that a request declares for the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.apis.values import fields, nonempty_str, plain_str, sequence
from tokentrail.content.parts import Tool
from tokentrail.content.values import plain

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_tools(tools: object, *, schemas: bool) -> tuple[Tool, ...]:
    """Read chat's ``tools``, the flat tools of responses, or the legacy ``functions``.

    ``schemas``: include description and parameters, which the conventions omit by default.
    """
    found = (_tool(fields(tool), schemas=schemas) for tool in sequence(tools))
    return tuple(tool for tool in found if tool is not None)


def _tool(tool: Mapping[str, object], *, schemas: bool) -> Tool | None:
    kind = nonempty_str(tool.get("type")) or (
        "function" if nonempty_str(tool.get("name")) else None
    )
    if kind is None:
        return None
    given = fields(tool.get(kind)) or tool
    name = nonempty_str(given.get("name")) or nonempty_str(given.get("server_label")) or kind
    if not schemas:
        return Tool(kind, name)
    parameters = given.get("parameters")
    return Tool(
        kind,
        name,
        plain_str(given.get("description")),
        None if parameters is None else plain(parameters),
    )
