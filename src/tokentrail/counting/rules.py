"""The rules by which tokens are counted: what each says, for which models and APIs, since when.

Every count is a sum of parts, each counted by a rule. A count is trusted if every rule in it has
evidence: recorded exchanges from at least two projects and two months that match to the token, at
most one in a hundred that contradicts it, and hardly any that is far off for another reason; or
published numbers that somebody compared with the API. The figures are in
`tokentrail.counting.evidence`, which `python -m tools.rules EXCHANGES --write` makes.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tokentrail.counting.evidence import EVIDENCE, Evidence
from tokentrail.support.frozen import lean_dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROJECTS = _MONTHS = 2
_PUBLISHED = 3
"""How many published numbers are enough evidence."""
_CONTRADICTED = 100
"""One in so many exchanges may contradict a rule."""
_FAR_OFF = 4
"""If one in so many is more than a tenth off, something is billed that no rule covers."""


class RuleId(str, Enum):
    """The name of a rule, as it is printed and exported."""

    __hash__ = str.__hash__  # str's own: Enum's is Python code, not C

    BARE_TEXT = "input.text"
    BARE_EMPTY = "input.text.empty"
    BARE_IDS = "input.token_ids"
    MESSAGES = "input.messages"
    MESSAGES_OLDEST = "input.messages.gpt-3.5-turbo-0301"
    MESSAGES_REASONING = "input.messages.reasoning"
    MESSAGES_OSS = "input.messages.gpt-oss"
    MESSAGES_EARLY = "input.messages.early"
    MESSAGES_MARCH = "input.messages.responses.march_2025"
    ASSISTANT_REASONING = "input.assistant.reasoning"
    ASSISTANT_O = "input.assistant.o"
    TEXT_PARTS = "input.text_parts"
    NAME = "input.name"
    FUNCTION_MESSAGE = "input.function_message"
    FUNCTION_CALL = "input.function_call"

    TOOLS_CHAT = "input.tools.chat"
    TOOLS_RESPONSES = "input.tools.responses"
    TOOLS_CHAT_GPT_5 = "input.tools.chat.gpt-5"
    TOOLS_RESPONSES_REASONING = "input.tools.responses.reasoning"
    TOOLS_CHAT_O = "input.tools.chat.o"
    TOOLS_UNDESCRIBED = "input.tools.undescribed.reasoning"
    DECLARATION = "input.declaration"
    DECLARED_LINES = "input.declaration.lines"
    DECLARED_TITLE = "input.declaration.title"
    DECLARED_DEFAULT = "input.declaration.default"
    DECLARED_ENUM = "input.declaration.enum"
    DECLARED_ARRAY = "input.declaration.array"
    DECLARED_OBJECT = "input.declaration.object"
    DECLARED_NESTED = "input.declaration.nested"
    DECLARED_UNION = "input.declaration.union"
    DECLARED_REFERENCE = "input.declaration.reference"
    DECLARED_OTHERWISE = "input.declaration.other_keyword"
    CHOICE_NONE = "input.tool_choice.none"
    CHOICE_REQUIRED = "input.tool_choice.required"
    CHOICE_REQUIRED_RESPONSES = "input.tool_choice.required.responses"
    CHOICE_REQUIRED_GPT_4 = "input.tool_choice.required.gpt-4"
    CHOICE_ALLOWED = "input.tool_choice.allowed"
    CHOICE_NAMED = "input.tool_choice.named"
    CHOICE_FUNCTION = "input.tool_choice.function"
    CHOICE_REASONING = "input.tool_choice.reasoning"

    CALL_CHAT = "input.call.chat"
    CALL_RESPONSES = "input.call.responses"
    CALL_COMPLETED = "input.call.responses.completed"
    CALL_COMPLETED_AGAIN = "input.call.responses.completed.several"
    CALL_COMPLETED_SCHEMA = "input.call.responses.completed.schema"
    CALL_CHAT_GPT_5 = "input.call.chat.gpt-5"
    CALL_RESPONSES_GPT_5 = "input.call.responses.gpt-5"
    CALL_RESPONSES_GPT_5_4 = "input.call.responses.gpt-5.4"
    CALL_REASONING_SPACED = "input.call.spaced.reasoning"
    CALL_O = "input.call.o"
    CALL_BESIDE_TEXT = "input.call.beside_text"
    CALLS_CHAT = "input.calls.chat"
    CALLS_RESPONSES = "input.calls.responses"
    CALLS_CHAT_REASONING = "input.calls.chat.reasoning"
    CALLS_RESPONSES_REASONING = "input.calls.responses.reasoning"
    CALLS_ESCAPED = "input.calls.not_ascii"
    RESULT_ALONE = "input.result_without_call"

    SCHEMA_CHAT = "input.schema.chat"
    SCHEMA_RESPONSES = "input.schema.responses"
    SCHEMA_CHAT_REASONING = "input.schema.chat.reasoning"
    SCHEMA_RESPONSES_REASONING = "input.schema.responses.reasoning"
    SCHEMA_BESIDE_TOOLS = "input.schema.beside_tools"
    SCHEMA_ANSWERED = "input.schema.answered"
    SCHEMA_UNION = "input.schema.union"
    SCHEMA_LEFT_OUT = "input.schema.left_out"
    SCHEMA_ESCAPED = "input.schema.not_ascii"
    SCHEMA_CLASS = "input.schema.class"
    SCHEMA_OTHERWISE = "input.schema.other_keyword"

    IMAGE_TILES_LOW = "input.image.tiles.low"
    IMAGE_TILES = "input.image.tiles"
    IMAGE_TILES_AUTO = "input.image.tiles.auto"
    IMAGE_PATCHES = "input.image.patches"
    IMAGE_PATCHES_FRACTION = "input.image.patches.fraction"
    IMAGE_PATCHES_SHRUNK = "input.image.patches.shrunk"
    IMAGE_UNPROVEN = "input.image.unproven"
    IMAGE_UNSIZED = "input.image.unsized"
    FILE_TEXT = "input.file.text"
    REASONING_DROPPED = "input.reasoning.earlier_turn"
    REASONING_SEALED = "input.reasoning.sealed"
    COMPACTION = "input.compaction"
    NOT_READ = "input.not_read"

    ANSWER = "output.text"
    ANSWER_RESPONSES = "output.text.responses"
    ANSWER_ITEM = "output.item.responses"
    ANSWER_BESIDE_TOOLS = "output.text.beside_tools"
    ANSWER_BESIDE_HOSTED = "output.text.beside_hosted_tools"
    ANSWER_SCHEMA = "output.schema.beside_tools"
    ANSWER_SCHEMA_REASONING = "output.schema.reasoning"
    ANSWER_REFUSAL = "output.refusal"
    ANSWER_CHOICES = "output.choices"
    ANSWER_STOPS = "output.stop_sequences"
    ANSWER_STOPS_INLINE = "output.stop_sequences.inline"
    ANSWER_STOPS_GPT_4 = "output.stop_sequences.gpt-4"
    ANSWER_CALL = "output.call"
    ANSWER_CALL_GPT_4 = "output.call.gpt-4"
    ANSWER_CALL_GPT_4_FORCED = "output.call.gpt-4.required"
    ANSWER_CALL_NAMED = "output.call.named"
    ANSWER_CALL_FUNCTION = "output.call.function"
    ANSWER_CALL_BESIDE_HOSTED = "output.call.beside_hosted_tools"
    ANSWER_CALL_ALLOWED = "output.call.allowed"
    ANSWER_CALLS_CHAT = "output.calls.chat"
    ANSWER_CALLS_RESPONSES = "output.calls.responses"
    ANSWER_CALLS_EARLY = "output.calls.responses.early"
    ANSWER_CALLS_LONG = "output.calls.long"
    ANSWER_CALL_WRAPPED = "output.call.wrapped"
    ANSWER_TEXT_AND_CALL = "output.text_and_call"
    ANSWER_END_AZURE = "output.end.azure"
    ANSWER_END_2025 = "output.end.2025"
    ANSWER_END_UNSURE = "output.end.unsure"
    ANSWER_HEADER = "output.header.no_thought"
    ANSWER_THOUGHT = "output.thought"
    ANSWER_CUSTOM = "output.custom_call"
    ANSWER_COMPLETION = "output.completion"
    ANSWER_NOT_READ = "output.not_read"


class Part(NamedTuple):
    """Tokens of a count, and the rule they are counted by."""

    rule: RuleId
    tokens: int


@lean_dataclass(frozen=True, slots=True)
class Rule:
    """A rule: what it says, and which models and APIs it applies to."""

    id: RuleId
    models: str
    says: str


_TEXT = "models whose encoding is known"
_PLAIN = "models that do not reason"
_REASON = "models that reason"
_GPT_5 = "gpt-5 and later"
_O = "o1, o3, o4"

RULES = tuple(
    Rule(*row)
    for row in (
        (RuleId.BARE_TEXT, _TEXT, "a text by itself (completions, embeddings): its tokens"),
        (RuleId.BARE_EMPTY, _TEXT, "an empty text: nothing"),
        (RuleId.BARE_IDS, _TEXT, "token ids: their number"),
        (RuleId.MESSAGES, _PLAIN, "3 for the answer's start, 3 for a message, role and text"),
        (RuleId.MESSAGES_OLDEST, "gpt-3.5-turbo-0301", "4 for a message, -1 for a name"),
        (RuleId.MESSAGES_REASONING, _REASON, "as others, but 2 for the answer's start"),
        (RuleId.MESSAGES_OSS, "gpt-oss", "as others that reason, and 64 for a system message"),
        (RuleId.MESSAGES_EARLY, "o1-mini, o1-preview, computer-use", "as those that do not reason"),
        (RuleId.MESSAGES_MARCH, "Responses, March 2025", "18 more; with tools 216, until 27 March"),
        (RuleId.ASSISTANT_REASONING, _GPT_5, "an earlier answer of text: 2"),
        (RuleId.ASSISTANT_O, _O, "an earlier answer of text: 2"),
        (RuleId.TEXT_PARTS, _TEXT, "several text parts of a message are joined, then encoded"),
        (RuleId.NAME, _TEXT, "the name's tokens and 1; nothing if it equals the role"),
        (RuleId.FUNCTION_MESSAGE, _PLAIN, "a message of the role function: -2 (of 2023)"),
        (RuleId.FUNCTION_CALL, _PLAIN, "function_call in a message: 3, name, arguments (of 2023)"),
        (
            RuleId.TOOLS_CHAT,
            _PLAIN,
            (
                "chat: 5; and 4 for a system message if there is none, else"
                " a blank line after its text"
            ),
        ),
        (RuleId.TOOLS_RESPONSES, _PLAIN, "Responses: 3"),
        (RuleId.TOOLS_CHAT_GPT_5, _GPT_5, "chat: 91; blank lines around a system message's text"),
        (RuleId.TOOLS_RESPONSES_REASONING, _REASON, "Responses: 9"),
        (RuleId.TOOLS_CHAT_O, _O, "chat: 10"),
        (RuleId.TOOLS_UNDESCRIBED, _REASON, "-1 if no tool has a description"),
        (RuleId.DECLARATION, _TEXT, "declarations as TypeScript, on one line without comments"),
        (RuleId.DECLARED_LINES, _TEXT, "a description of several lines: a comment each, stripped"),
        (RuleId.DECLARED_TITLE, _TEXT, "a title: a comment above the description"),
        (RuleId.DECLARED_DEFAULT, _TEXT, "a default: a comment after the property"),
        (RuleId.DECLARED_ENUM, _TEXT, "an enum or const: its values"),
        (RuleId.DECLARED_ARRAY, _TEXT, "an array: the type of its items and []"),
        (RuleId.DECLARED_OBJECT, _TEXT, "an object as a property"),
        (RuleId.DECLARED_NESTED, _TEXT, "an object in an array or an object"),
        (RuleId.DECLARED_UNION, _TEXT, "anyOf, oneOf, allOf, several types"),
        (RuleId.DECLARED_REFERENCE, _TEXT, "$ref: what it refers to"),
        (RuleId.DECLARED_OTHERWISE, _TEXT, "other keywords: left out"),
        (RuleId.CHOICE_NONE, _PLAIN, "tool_choice none: 1"),
        (RuleId.CHOICE_REQUIRED, _TEXT, "tool_choice required: nothing"),
        (RuleId.CHOICE_REQUIRED_RESPONSES, _PLAIN, "Responses, tool_choice required: 6"),
        (RuleId.CHOICE_REQUIRED_GPT_4, "gpt-4", "tool_choice required: nothing"),
        (RuleId.CHOICE_ALLOWED, _TEXT, "allowed tools: nothing"),
        (RuleId.CHOICE_NAMED, _PLAIN, "a tool named by tool_choice: 7, a dot and its name"),
        (RuleId.CHOICE_FUNCTION, _PLAIN, "a function named by function_call: 4 and its name"),
        (RuleId.CHOICE_REASONING, _REASON, "tool_choice none, or a tool's name: nothing"),
        (
            RuleId.CALL_CHAT,
            _PLAIN,
            (
                "chat, a call: 6 and a message with a dot, the name, and the arguments"
                " as JSON without blanks; its result has the name in place of a role"
            ),
        ),
        (
            RuleId.CALL_RESPONSES,
            _PLAIN,
            "Responses, a call: the same with 4, arguments as they are",
        ),
        (RuleId.CALL_COMPLETED, _PLAIN, "Responses, one call with status completed: 3"),
        (RuleId.CALL_COMPLETED_AGAIN, _PLAIN, "Responses, such calls one after the other: 3 each"),
        (
            RuleId.CALL_COMPLETED_SCHEMA,
            _PLAIN,
            "Responses, such calls with a schema requested: 3 each",
        ),
        (RuleId.CALL_CHAT_GPT_5, _GPT_5, "chat, a call: as other models, with 12"),
        (RuleId.CALL_RESPONSES_GPT_5, "gpt-5 to gpt-5.3", "Responses, a call: 10"),
        (RuleId.CALL_RESPONSES_GPT_5_4, "gpt-5.4 and later", "Responses, a call: 13"),
        (RuleId.CALL_REASONING_SPACED, _REASON, "Responses: blanks in arguments are left out"),
        (RuleId.CALL_O, _O, "a call: 12 in chat, 7 in Responses"),
        (RuleId.CALL_BESIDE_TEXT, _PLAIN, "chat, text beside calls: a message of its own"),
        (
            RuleId.CALLS_CHAT,
            _PLAIN,
            (
                "chat, several calls at once: 13 and the JSON of one call of"
                " multi_tool_use.parallel; the results are one list in JSON"
            ),
        ),
        (RuleId.CALLS_RESPONSES, _PLAIN, "Responses, several calls at once: each by itself"),
        (RuleId.CALLS_CHAT_REASONING, _REASON, "chat, several calls at once: the same with 26"),
        (
            RuleId.CALLS_RESPONSES_REASONING,
            _REASON,
            ("Responses, several calls at once: as in chat, with 8 and 11 for each"),
        ),
        (RuleId.CALLS_ESCAPED, _TEXT, "several calls at once, not ASCII: not escaped"),
        (RuleId.RESULT_ALONE, _TEXT, "a result without its call: has the role as name"),
        (
            RuleId.SCHEMA_CHAT,
            _PLAIN,
            (
                "chat: a system message (see tools) with the schema in JSON;"
                " 2 and its name for the answer's start"
            ),
        ),
        (RuleId.SCHEMA_RESPONSES, _PLAIN, "Responses: the schema in JSON and 1"),
        (RuleId.SCHEMA_CHAT_REASONING, _REASON, "chat: the schema in JSON and 4"),
        (RuleId.SCHEMA_RESPONSES_REASONING, _REASON, "Responses: the schema in JSON"),
        (RuleId.SCHEMA_BESIDE_TOOLS, _TEXT, "chat, a schema and tools: 1, without the name"),
        (RuleId.SCHEMA_ANSWERED, _TEXT, "chat, an earlier answer of text: 2 and the schema's name"),
        (RuleId.SCHEMA_UNION, _TEXT, "anyOf: written as it is"),
        (RuleId.SCHEMA_LEFT_OUT, _TEXT, "default, minimum, maximum, minItems, maxItems: left out"),
        (RuleId.SCHEMA_ESCAPED, _TEXT, "a schema that is not ASCII: escaped"),
        (RuleId.SCHEMA_CLASS, _TEXT, "a class in place of a schema: its JSON schema"),
        (RuleId.SCHEMA_OTHERWISE, _TEXT, "other keywords: written as they are"),
        (RuleId.IMAGE_TILES_LOW, "models priced by tiles", "detail low: the base"),
        (RuleId.IMAGE_TILES, "models priced by tiles", "detail high: base and tiles"),
        (RuleId.IMAGE_TILES_AUTO, "models priced by tiles", "detail auto or none: as high"),
        (RuleId.IMAGE_PATCHES, "models priced by patches", "1 and patches times a factor"),
        (
            RuleId.IMAGE_PATCHES_FRACTION,
            "models priced by patches",
            "the same, if that has a fraction below 0.5",
        ),
        (
            RuleId.IMAGE_PATCHES_SHRUNK,
            "models priced by patches",
            "more than 1,536 patches: the image is shrunk",
        ),
        (RuleId.IMAGE_UNPROVEN, "o1, computer-use, gpt-5.1, gpt-5.5 and later, unknown", "a guess"),
        (RuleId.IMAGE_UNSIZED, "all", "an image of unknown size: as one of 400 x 300"),
        (RuleId.FILE_TEXT, "all", "a file of text: its text"),
        (RuleId.REASONING_DROPPED, _REASON, "Responses, reasoning before the last user message: 0"),
        (RuleId.REASONING_SEALED, _REASON, "Responses, other reasoning: by its encrypted length"),
        (RuleId.COMPACTION, "all", "Responses, a compaction: by its encrypted length"),
        (RuleId.NOT_READ, "all", "a part that was not understood: nothing"),
        (RuleId.ANSWER, _TEXT, "chat: the text's tokens"),
        (RuleId.ANSWER_RESPONSES, _TEXT, "Responses: the text's tokens"),
        (RuleId.ANSWER_ITEM, _TEXT, "Responses: 1 for a message or a call that is not cut short"),
        (RuleId.ANSWER_BESIDE_TOOLS, _PLAIN, "a text, with tools declared: 1"),
        (RuleId.ANSWER_BESIDE_HOSTED, _PLAIN, "a text, with the server's own tools: 1"),
        (
            RuleId.ANSWER_SCHEMA,
            _PLAIN,
            ("a text, with a schema requested and tools declared: 2 and the schema's name"),
        ),
        (RuleId.ANSWER_SCHEMA_REASONING, _REASON, "a text, with a schema requested: the same"),
        (RuleId.ANSWER_REFUSAL, _PLAIN, "a refusal: its text and 1"),
        (RuleId.ANSWER_CHOICES, _PLAIN, "several choices: each as one"),
        (
            RuleId.ANSWER_STOPS,
            _PLAIN,
            ("a text, with stop sequences that begin a line: as without them"),
        ),
        (RuleId.ANSWER_STOPS_INLINE, _PLAIN, "a text, with other stop sequences: the same"),
        (RuleId.ANSWER_STOPS_GPT_4, "gpt-4", "a text, with any stop sequences: the same"),
        (RuleId.ANSWER_CALL, _TEXT, "a call: 7, a dot and the name, arguments"),
        (RuleId.ANSWER_CALL_GPT_4, "gpt-4", "a call: 4, a dot and the name, arguments"),
        (
            RuleId.ANSWER_CALL_GPT_4_FORCED,
            "gpt-4",
            "a required call of the only tool: 4, arguments",
        ),
        (RuleId.ANSWER_CALL_NAMED, _PLAIN, "a call of a named tool: its arguments"),
        (RuleId.ANSWER_CALL_FUNCTION, _PLAIN, "function_call: as a call (of 2023)"),
        (
            RuleId.ANSWER_CALL_BESIDE_HOSTED,
            _TEXT,
            ("a call, with the server's own tools: as without them"),
        ),
        (RuleId.ANSWER_CALL_ALLOWED, _TEXT, "a required call of allowed tools: as a call"),
        (
            RuleId.ANSWER_CALLS_CHAT,
            _PLAIN,
            ("chat, several calls: 10 and the JSON of multi_tool_use.parallel, without blanks"),
        ),
        (
            RuleId.ANSWER_CALLS_RESPONSES,
            _PLAIN,
            ("Responses, several calls, since October 2025: 10 and that JSON"),
        ),
        (
            RuleId.ANSWER_CALLS_EARLY,
            _PLAIN,
            "Responses, several calls, before that: 9 and that JSON",
        ),
        (RuleId.ANSWER_CALLS_LONG, _PLAIN, "several long calls: 16 and 6 for each"),
        (
            RuleId.ANSWER_CALL_WRAPPED,
            _PLAIN,
            ("chat, a single call with blanks in its JSON: written as several"),
        ),
        (RuleId.ANSWER_TEXT_AND_CALL, _PLAIN, "a text before a call: 2 in chat, 1 in Responses"),
        (RuleId.ANSWER_END_AZURE, "Azure, since October 2025", "1 for an answer not cut short"),
        (RuleId.ANSWER_END_2025, "chat, January to May 2025", "1 for an answer not cut short"),
        (RuleId.ANSWER_END_UNSURE, "both", "with stop sequences: 1 on Azure, else 0"),
        (RuleId.ANSWER_HEADER, "gpt-5.1 and later, effort none", "3 for the answer's start"),
        (RuleId.ANSWER_THOUGHT, _REASON, "reasoning that is not shown: nothing"),
        (RuleId.ANSWER_CUSTOM, "all", "a custom tool's call: as a function's"),
        (RuleId.ANSWER_COMPLETION, _TEXT, "completions: the text's tokens"),
        (RuleId.ANSWER_NOT_READ, "all", "a part that was not understood: nothing"),
    )
)
"""All rules. Input first, in the order of a request, then output."""

NOT_UNDERSTOOD = frozenset({RuleId.NOT_READ, RuleId.ANSWER_NOT_READ, RuleId.SCHEMA_CLASS})
"""Rules that are never trusted, whatever the evidence: they leave part of the text out."""


def evidence_of(rule: RuleId) -> Evidence:
    """Return the evidence for a rule; an empty one if it was never tried."""
    return EVIDENCE.get(rule.value, Evidence())


@cache
def is_proven(rule: RuleId) -> bool:
    """Return whether there is enough evidence to trust a count by this rule."""
    return proves(rule, evidence_of(rule))


def proves(rule: RuleId, found: Evidence) -> bool:
    """Return whether this evidence is enough to trust a rule."""
    if rule in NOT_UNDERSTOOD:
        return False
    if found.contradicting * _CONTRADICTED > found.supporting + found.published:
        return False
    if found.off * _FAR_OFF > found.used:
        return False
    replayed = found.projects >= _PROJECTS and found.months >= _MONTHS
    return replayed or found.published >= _PUBLISHED


def all_proven(rules: Iterable[RuleId]) -> bool:
    """Return whether every one of these rules is proven."""
    return all(map(is_proven, rules))
