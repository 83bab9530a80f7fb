"""Which of the server's own tools a call used, whichever part of it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.model.records import Source, ToolUse

if TYPE_CHECKING:
    from tokentrail.model.records import Request, Response


def tools_of(request: Request, response: Response | None) -> tuple[ToolUse, ...]:
    """Return each tool once: from the answer, its usage, or else from what was asked for.

    A chat request with ``web_search_options`` has the server search once before it answers.
    """
    if response is None or response.unanswered:
        return ()
    reported = response.reported
    searches = None if reported is None else reported.web_searches
    tools = response.tools
    if searches is not None:
        others = tuple(tool for tool in tools if tool.name != "web_search")
        return (*others, ToolUse("web_search", searches, Source.REPORTED)) if searches else others
    if request.searches_web and not tools:
        return (ToolUse("web_search", 1),)
    return tools
