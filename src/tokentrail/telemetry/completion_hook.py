"""The completion hook of opentelemetry-util-genai, which gets content in that package's types.

The user names the hook in ``OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK``. The hook "upload" stores
content with fsspec and puts references on the span and the event. Without the package or the
variable there is no hook.
"""

from __future__ import annotations

import base64
import os
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from tokentrail.config import COMPLETION_HOOK
from tokentrail.support import guard
from tokentrail.support.fork import IMPORTING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry._logs import LogRecord
    from opentelemetry.trace import Span

    from tokentrail.content import Content
    from tokentrail.content import parts as kinds

GROUP: Final = "opentelemetry_genai_completion_hook"
"""The group of entry points in which the hook is looked up by name."""
_UPLOAD: Final = "upload"
_PATH: Final = "OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH"
"""The hook of the package itself, and the variable that it needs."""


def load() -> Hook | None:
    """Return the hook that the environment names, or ``None``."""
    name = os.environ.get(COMPLETION_HOOK, "").strip()
    if not name:
        return None
    try:
        with IMPORTING:
            from opentelemetry.util.genai import (  # type: ignore[import-not-found, unused-ignore]
                completion_hook,
                types,
            )
    except ImportError:
        guard.warn_once(
            COMPLETION_HOOK,
            "%s=%r has no effect without opentelemetry-util-genai: pip install "
            "opentelemetry-util-genai.",
            COMPLETION_HOOK,
            name,
        )
        return None
    try:
        found = completion_hook.load_completion_hook()
        none = completion_hook._NoOpCompletionHook  # noqa: SLF001 - the only way
        # "upload" without a path is a no-op hook, inside a wrapper of the package.
        wrapped = getattr(found, "_wrapped", found)
        return None if isinstance(wrapped, none) else Hook(found, types)
    except Exception as error:  # noqa: BLE001 - foreign code; the program continues
        guard.internal_error("completion hook", error)
        return None


def missing_requirement(environ: Mapping[str, str]) -> str | None:
    """Return what the hook named in ``environ`` lacks; this loads nothing."""
    name = environ.get(COMPLETION_HOOK, "")
    if not name.strip():
        return None
    if not _is_there("opentelemetry.util.genai"):
        return "opentelemetry-util-genai is not installed"
    there = sorted(point.name for point in entry_points(group=GROUP))
    if name not in there:
        return f"no package has such an entry point of {GROUP}; there are: {', '.join(there)}"
    if name == _UPLOAD and not environ.get(_PATH):
        return f"{_PATH} is not set"
    if name == _UPLOAD and not _is_there("fsspec"):
        return "fsspec is not installed: pip install 'opentelemetry-util-genai[upload]'"
    return None


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # its parent package is missing
        return False


class Hook:
    """A hook, with the types of its arguments."""

    def __init__(self, hook: Any, types: Any) -> None:
        with IMPORTING:
            from tokentrail.content import parts as kinds

        self._hook = hook
        self._types = types
        self._parts: dict[type, Callable[[Any], object]] = {
            kinds.Text: lambda part: types.TextPart(part.content),
            kinds.Reasoning: lambda part: types.ReasoningPart(part.content),
            kinds.ToolCall: lambda part: types.ToolCallRequestPart(
                arguments=part.arguments, name=part.name, id=part.id
            ),
            kinds.ToolResponse: lambda part: types.ToolCallResponsePart(
                response=self._response(part.response), id=part.id
            ),
            kinds.Blob: lambda part: types.BlobPart(part.mime_type, part.modality, _bytes(part)),
            kinds.Uri: lambda part: types.UriPart(part.mime_type, part.modality, part.uri),
            kinds.File: lambda part: types.FilePart(part.mime_type, part.modality, part.file_id),
            kinds.ServerToolCall: lambda part: types.ServerToolCallPart(
                name=part.name, server_tool_call=dict(part.call), id=part.id
            ),
            kinds.ServerToolResponse: lambda part: types.ServerToolCallResponsePart(
                server_tool_call_response=dict(part.response), id=part.id
            ),
            kinds.Compaction: lambda part: types.CompactionPart(id=part.id),
        }

    def completed(self, content: Content, span: Span, record: LogRecord | None) -> None:
        """Give the hook the content, with the span and the event, which it may modify."""
        types = self._types
        self._hook.on_completion(
            inputs=[
                types.InputMessage(
                    role=message.role, parts=self._all(message.parts), name=message.name
                )
                for message in content.input
            ],
            outputs=[
                types.OutputMessage(
                    role=message.role, parts=self._all(message.parts), name=message.name
                )
                for message in content.output
            ],
            system_instruction=self._all(content.system),
            tool_definitions=[self._tool(tool) for tool in content.tools] or None,
            span=span,
            log_record=record,
        )

    def _all(self, parts: Iterable[kinds.Part]) -> list[object]:
        return [self._parts[type(part)](part) for part in parts]

    def _response(self, response: object) -> object:
        return self._all(response) if isinstance(response, tuple) else response

    def _tool(self, tool: kinds.Tool) -> object:
        if tool.type != "function":
            return self._types.GenericToolDefinition(name=tool.name, type=tool.type)
        return self._types.FunctionToolDefinition(
            name=tool.name, description=tool.description, parameters=tool.parameters
        )


def _bytes(part: kinds.Blob) -> bytes:
    """Return the bytes of a blob; empty if they were not kept or are not base64."""
    try:
        return base64.b64decode(part.content or "")
    except ValueError:
        return b""
