"""Use of hosted tools by a response, from its ``tool_usage``, else from its output items."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokentrail.apis.reported_usage import read_usage
from tokentrail.apis.values import fields, plain_str, sequence, telemetry_str, tokens
from tokentrail.model.records import Source, ToolUse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tokentrail.model.records import Reported

ITEMS: Final = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "computer_call": "computer_use",
    "mcp_call": "mcp",
    "image_generation_call": "image_generation",
    "shell_call": "shell",
}
"""Types of output items, with the name of the tool that each requests."""
_NO_SEARCHES: Final = frozenset({"open_page", "find_in_page", "find"})
"""Actions of a web search call other than a search; they are not billed."""


def used_tools(given: Mapping[str, object]) -> tuple[ToolUse, ...]:
    """Return each tool that a response reports as used."""
    output, usage = given.get("output"), given.get("tool_usage")
    counted = Counter(filter(None, map(tool_of, sequence(output)))) if output else Counter[str]()
    if not counted and usage is None:
        return ()
    reported = fields(usage)
    searches = tokens(fields(reported.get("web_search")).get("num_requests"))
    images = read_usage(_image_usage(fields(reported.get("image_gen"))))
    if images is not None and not images.input_tokens and not images.output_tokens:
        images = None
    if searches is not None:
        del counted["web_search"]
    uses = [] if not searches else [ToolUse("web_search", searches, Source.REPORTED)]
    if images is not None and "image_generation" not in counted:
        uses.append(_image_use(None, images, given))
    for name, number in counted.items():
        image = name == "image_generation"
        uses.append(_image_use(number, images, given) if image else ToolUse(name, number))
    return tuple(uses)


def counted_tools(names: Iterable[str]) -> tuple[ToolUse, ...]:
    """Return the tools whose items were seen, for a response that never arrived whole."""
    return tuple(ToolUse(name, number) for name, number in Counter(names).items())


def tool_of(item: object) -> str | None:
    """Return the name of the tool that an output item requests."""
    given = fields(item)
    name = ITEMS.get(plain_str(given.get("type")) or "")
    return None if name is None or _is_free(name, given) else name


def _is_free(name: str, given: Mapping[str, object]) -> bool:
    """Whether it was no search, made no image, or is to run on a machine of the application."""
    if name == "web_search":
        return fields(given.get("action")).get("type") in _NO_SEARCHES
    if name == "shell":
        return fields(given.get("environment")).get("type") != "container_reference"
    return name == "image_generation" and given.get("status") == "failed"


def _image_usage(usage: Mapping[str, object]) -> Mapping[str, object]:
    """Return the usage of images with the field names of other usages."""
    details = dict(fields(usage.get("input_tokens_details")))
    if "cached_tokens" in usage:
        details["cached_tokens"] = usage["cached_tokens"]
    return {**usage, "input_tokens_details": details}


def _image_use(number: int | None, images: Reported | None, given: Mapping[str, object]) -> ToolUse:
    if images is not None:
        cached = fields(
            fields(fields(given.get("tool_usage")).get("image_gen")).get("cached_tokens_details")
        )
        images = replace(
            images,
            text_cache_read_tokens=tokens(cached.get("cached_text_tokens")),
            image_cache_read_tokens=tokens(cached.get("cached_image_tokens")),
        )
    tools = map(fields, sequence(given.get("tools")))
    models = {telemetry_str(t.get("model")) for t in tools if t.get("type") == "image_generation"}
    model = models.pop() if len(models) == 1 else None
    return ToolUse("image_generation", number, tokens=images, model=model)
