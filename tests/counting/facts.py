"""What is known to have been billed: every reference number, as the call that it was billed for.

The one place where reference numbers stand. The tests count each of them, and
``tools/make_accuracy.py`` prints them all in ``docs/accuracy.md``. A number is here because
somebody published what the API billed; none was made up to fit. Where a text is not public, a
stand-in of the same length is marked as such.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass, field, replace
from typing import Any

SOURCES = {
    "cookbook": "OpenAI's cookbook, How to count tokens with tiktoken",
    "helper": "pamelafox/openai-messages-token-helper, counts that its tests compare with the API",
    "hmarr": "hmarr/openai-chat-tokens, tests/token-counts.test.ts (gpt-3.5-turbo of 2023)",
    "otel": "recordings in the tests of opentelemetry-python-contrib",
    "pydantic": "recordings in the tests of pydantic/pydantic-ai",
    "guide": "OpenAI's guide to images",
    "forum": "examples in OpenAI's forum: threads 1262691, 1281361, 1357218, 1271170, 1344907",
    "notebook": "the notebooks that this project started from, on Azure",
}


@dataclass(frozen=True)
class Fact:
    """What was billed for one direction of one call."""

    category: str
    what: str
    model: str
    billed: int
    source: str
    request: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] | None = None
    """The answer, where the number is that of the output."""
    api: str = "chat"
    beside: int = 0
    """Tokens billed beside what is counted: the text that stood with an image."""
    counted: int | None = None
    """What was counted, where the text is not public and cannot be counted here."""
    error: int = 0
    """Counted minus billed, as it is known to be."""
    note: str = ""
    guess: bool = False
    """The rule is a guess, and so the count is told as approximated."""


def _guess(fact: Fact) -> Fact:
    """Return a fact whose rule has no evidence enough: its count is told as approximated."""
    return replace(fact, guess=True)


def said(role: str, content: str | None, **more: Any) -> dict[str, Any]:
    """Return a message."""
    return {"role": role, "content": content, **more}


def function(name: str, description: str | None = None, **parameters: Any) -> dict[str, Any]:
    """Return the declaration of a function."""
    declared: dict[str, Any] = {"name": name}
    if description is not None:
        declared["description"] = description
    if parameters:
        declared["parameters"] = {"type": "object", **parameters}
    return declared


def tool(*declared: Any, **parameters: Any) -> dict[str, Any]:
    """Return a declaration as chat completions take it."""
    return {"type": "function", "function": function(*declared, **parameters)}


def called(name: str, arguments: str) -> dict[str, Any]:
    """Return a tool call as it stands in a message."""
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}


def answers(*messages: dict[str, Any]) -> dict[str, Any]:
    """Return a chat completion with these choices."""
    return {"choices": [{"index": i, "message": message} for i, message in enumerate(messages)]}


def text(content: str) -> dict[str, Any]:
    """Return a chat completion that says this."""
    return answers(said("assistant", content))


def calls(*made: tuple[str, str]) -> dict[str, Any]:
    """Return a chat completion that calls tools."""
    return answers(said("assistant", None, tool_calls=[called(*one) for one in made]))


def output(*items: dict[str, Any]) -> dict[str, Any]:
    """Return what the Responses API answers."""
    return {"output": list(items), "status": "completed"}


def output_text(content: str) -> dict[str, Any]:
    """Return a message in it."""
    return {"type": "message", "content": [{"type": "output_text", "text": content}]}


def output_call(name: str, arguments: str) -> dict[str, Any]:
    """Return a call in it."""
    return {"type": "function_call", "name": name, "arguments": arguments}


def image(width: int, height: int, detail: str) -> dict[str, Any]:
    """Return a request with the header of a PNG of this size and no text."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02"
    url = f"data:image/png;base64,{base64.b64encode(head).decode()}"
    part = {"type": "image_url", "image_url": {"url": url, "detail": detail}}
    return {"messages": [{"role": "user", "content": [part]}]}


# Messages ----------------------------------------------------------------------------------------

MESSAGES = "Messages of text"
_JARGON = (
    "You are a helpful, pattern-following assistant that translates corporate jargon into plain"
    " English."
)
_SYNERGIES = "New synergies will help drive top-line growth."
COOKBOOK = [
    said("system", _JARGON),
    said("system", _SYNERGIES, name="example_user"),
    said("system", "Things working well together will increase revenue.", name="example_assistant"),
    said(
        "system",
        "Let's circle back when we have more bandwidth to touch base on opportunities for"
        " increased leverage.",
        name="example_user",
    ),
    said(
        "system",
        "Let's talk later when we're less busy about how to do better.",
        name="example_assistant",
    ),
    said(
        "user",
        "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    ),
]

SINGLE = [
    # message, billed by gpt-4 (cl100k_base) and by gpt-4o (o200k_base)
    (said("system", _JARGON), 25, 24),
    (said("system", "You are a bot."), 12, 12),
    (
        said(
            "system",
            "Assistant helps the company employees with their healthcare plan questions, and"
            " questions about the employee handbook. Be brief in your answers.",
        ),
        31,
        31,
    ),
    (said("system", "á"), 8, 8),
    (said("system", _SYNERGIES, name="example_user"), 20, 20),
    (said("user", "Hello, how are you?"), 13, 13),
    (said("user", "á"), 8, 8),
    (said("user", "What happens in a performance review?"), 14, 14),
    (said("user", "Is there a dress code?"), 13, 13),
    (said("user", "What does a Product Manager do?"), 14, 14),
    (
        said(
            "assistant",
            "During the performance review at Contoso Electronics, the supervisor will discuss the"
            " employee's performance over the past year and provide feedback on areas for"
            " improvement. They will also provide an opportunity for the employee to discuss their"
            " goals and objectives for the upcoming year. The review is a two-way dialogue between"
            " managers and employees, and employees will receive a written summary of their"
            " performance review which will include a rating of their performance, feedback, and"
            " goals and objectives for the upcoming year [employee_handbook-3.pdf].",
        ),
        106,
        106,
    ),
    (
        said(
            "assistant",
            "The supervisor will discuss the employee's performance and provide feedback on areas"
            " for improvement. They will also provide an opportunity for the employee to discuss"
            " their goals and objectives for the upcoming year. The review is a two-way dialogue"
            " between managers and employees, and employees will receive a written summary of"
            " their performance review which will include a rating of their performance, feedback,"
            " and goals for the upcoming year [employee_handbook-3.pdf].",
        ),
        91,
        91,
    ),
    (
        said(
            "assistant",
            "Yes, there is a dress code at Contoso Electronics. Look sharp!"
            " [employee_handbook-1.pdf]",
        ),
        30,
        30,
    ),
]

TEST = [said("user", "Say this is a test")]
FRANCE = [
    said("system", "You are a helpful assistant."),
    said("user", "What is the capital of France?"),
]


def _messages(what: str, model: str, billed: int, source: str, *messages: Any) -> Fact:
    return Fact(MESSAGES, what, model, billed, source, {"messages": list(messages)})


def _short(message: dict[str, Any]) -> str:
    shown = message["content"]
    return f"{message['role']}: {shown if len(shown) < 40 else shown[:36] + ' ...'}"


_MESSAGES = (
    _guess(
        _messages("the cookbook's six messages", "gpt-3.5-turbo-0301", 127, "cookbook", *COOKBOOK)
    ),
    *(
        _messages("the cookbook's six messages", model, billed, "cookbook", *COOKBOOK)
        for model, billed in (
            ("gpt-3.5-turbo", 129),
            ("gpt-4-0314", 129),
            ("gpt-4", 129),
            ("gpt-4o", 124),
            ("gpt-4o-mini", 124),
        )
    ),
    *(
        _messages(_short(message), model, billed, "helper", message)
        for message, older, newer in SINGLE
        for model, billed in (("gpt-4", older), ("gpt-4o", newer))
    ),
    _messages("user: hello", "gpt-3.5-turbo", 8, "hmarr", said("user", "hello")),
    _messages("user: hello world", "gpt-3.5-turbo", 9, "hmarr", said("user", "hello world")),
    _messages("system: hello:", "gpt-3.5-turbo", 9, "hmarr", said("system", "hello:")),
    _messages(
        "three short messages",
        "gpt-3.5-turbo",
        27,
        "hmarr",
        said("system", "# Important: you're the best robot"),
        said("user", "hello robot"),
        said("assistant", "hello world"),
    ),
    _messages("user: Say this is a test", "gpt-4o-mini", 12, "otel", *TEST),
    _messages("user: Say this is a test", "gpt-4", 12, "otel", *TEST),
    _messages(
        "user: Tell me about Solar system",
        "gpt-35-turbo",
        12,
        "notebook",
        said("user", "Tell me about Solar system"),
    ),
    _messages("system and user", "gpt-4o", 24, "pydantic", *FRANCE),
    _messages("user: hello", "gpt-4.5-preview", 8, "pydantic", said("user", "hello")),
    _messages(
        "assistant, then user",
        "gpt-4.1-mini",
        31,
        "pydantic",
        said("assistant", "Where do you want to go today?"),
        said("user", "Answer in 5 words only. Who is Tux?"),
    ),
    Fact(
        MESSAGES,
        "input and instructions (Responses API)",
        "gpt-4o-mini",
        22,
        "otel",
        {"input": "Say this is a test", "instructions": "You are a helpful assistant."},
        api="responses",
    ),
    Fact(
        MESSAGES,
        "instructions empty, March 2025 (Responses API)",
        "gpt-4o",
        32,
        "pydantic",
        {"input": [said("user", "What is the capital of France?")], "instructions": ""},
        api="responses",
        error=-14,
        note="not explained",
    ),
    Fact(
        MESSAGES,
        "instructions, an empty input: input_tokens.count (Responses API)",
        "gpt-4.1-mini",
        7,
        "pydantic",
        {"input": [said("user", "")], "instructions": "Follow the system instructions."},
        api="responses",
        error=9,
        note="not explained",
    ),
    Fact(
        MESSAGES,
        "one input of embeddings",
        "text-embedding-3-small",
        9,
        "otel",
        {"input": "This is a test for embeddings with encoding format"},
        api="embeddings",
    ),
)

# Models that reason ------------------------------------------------------------------------------

REASONING = "Input of models that reason"
_TRANSPOSE = (
    "\nWrite a bash script that takes a matrix represented as a string with\nformat"
    " '[1,2],[3,4],[5,6]' and prints the transpose in the same format.\n"
)


def _reasoning(what: str, model: str, billed: int, source: str, *messages: Any) -> Fact:
    return Fact(REASONING, what, model, billed, source, {"messages": list(messages)})


_REASONING = (
    _reasoning("user: hello", "o3-mini", 7, "pydantic", said("user", "hello")),
    _reasoning(
        "system and user",
        "o4-mini",
        22,
        "pydantic",
        said("system", "You are a helpful assistant."),
        said("user", "What's the capital of France?"),
    ),
    Fact(
        REASONING,
        "one message",
        "o4-mini",
        17,
        "forum",
        {"messages": [said("user", " a" * 11)]},
        note="a stand-in of 11 tokens for a text that is not public",
    ),
    Fact(
        REASONING,
        "one message (Responses API)",
        "gpt-5.4",
        44,
        "otel",
        {"input": [said("user", _TRANSPOSE)]},
        api="responses",
    ),
)

# Functions in messages, of old -------------------------------------------------------------------

LEGACY = "Function messages, function_call (of 2023)"


def _legacy(what: str, billed: int, *messages: Any) -> Fact:
    return Fact(LEGACY, what, "gpt-3.5-turbo", billed, "hmarr", {"messages": list(messages)})


_LEGACY = (
    _legacy(
        "a function's result, empty",
        15,
        said("user", "hello world"),
        said("function", "{}", name="do_stuff"),
    ),
    _legacy(
        "a function's result",
        28,
        said("user", "hello world"),
        said("function", '{"foo": "bar", "baz": 1.5}', name="do_stuff"),
    ),
    _legacy(
        "a function's result alone",
        24,
        said("function", '{"a": { "b" : { "c": false}}}', name="dance_the_tango"),
    ),
    *(
        _guess(
            _legacy(
                what,
                billed,
                said("assistant", "", function_call={"name": "do_stuff", "arguments": arguments}),
            )
        )
        for what, billed, arguments in (
            ("a call", 26, '{"foo": "bar", "baz": 1.5}'),
            ("a call, spaced otherwise", 25, '{"foo":"bar", "baz":\n\n 1.5}'),
        )
    ),
)

# Declarations of tools ---------------------------------------------------------------------------

TOOLS = "Declarations of tools"
_STRING = {"type": "string"}
_SEARCH = "Retrieve sources from the Azure AI Search index"
_QUERY = {
    "type": "string",
    "description": "Query string to retrieve documents from azure search eg: 'Health care plan'",
}
_DEMO = ("data_demonstration", "This is the main function description")
_TWO_INSIDE = {
    "string_2a": {"type": "string", "enum": ["Happy", "Sad"]},
    "string_2b": {"type": "string", "description": "Description in a second object is lost"},
}
_NAMED = {"type": "function", "function": {"name": "search_sources"}}


def _nested(**inside: Any) -> dict[str, Any]:
    about = "The object data type as a property"
    return {"object_1": {"type": "object", "description": about, "properties": inside}}


def _helper(what: str, billed: int, choice: Any, *tools: Any, error: int = 0) -> Fact:
    request = {
        "messages": [said("system", "You are a bot.")],
        "tools": list(tools),
        "tool_choice": choice,
    }
    return Fact(TOOLS, what, "gpt-4", billed, "helper", request, error=error)


def _hmarr(what: str, billed: int, declared: Any, *, error: int = 0, **more: Any) -> Fact:
    request = {"messages": [said("user", "hello")], "functions": [declared], **more}
    return Fact(TOOLS, what, "gpt-3.5-turbo", billed, "hmarr", request, error=error)


def _asked(
    what: str, model: str, billed: int, source: str, tools: Any, *messages: Any, error: int = 0
) -> Fact:
    request = {"messages": list(messages), "tools": tools}
    return Fact(TOOLS, what, model, billed, source, request, error=error)


LIFE = said("user", "What is the meaning of life?")
LIFE_TOOLS = [{"type": "function", **function("get_meaning_of_life", properties={})}]
WEATHER = [
    said("system", "You're a helpful assistant."),
    said("user", "What's the weather in Seattle and San Francisco today?"),
]
_BOSTON = {"type": "string", "description": "The city and state, e.g. Boston, MA"}
_WEATHER_TOOL = (
    "get_current_weather",
    "Get the current weather in a given location",
)
WEATHER_TOOLS = [tool(*_WEATHER_TOOL, properties={"location": _BOSTON}, required=["location"])]
COUNTRY = said("user", "What is the largest city in the user country?")
COUNTRY_TOOL = tool("get_user_country", "", properties={})
_CITY = {"city": _STRING, "country": _STRING}
FINAL_TOOL = tool(
    "final_result",
    "The final response which ends this conversation",
    properties=_CITY,
    required=["city", "country"],
)
TOKYO = [
    said("system", "You are a helpful assistant."),
    said("user", "What is the temperature in Tokyo?"),
]
TOKYO_TOOLS = [tool("get_temperature", "", properties={"city": _STRING}, required=["city"])]
CAPITAL_TOOLS = [tool("get_capital", "", properties={"country": _STRING}, required=["country"])]
UK = said("user", "What is the capital of the UK? Use the tool, then answer.")
_COOKBOOK_WEATHER = {
    "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
    "unit": {
        "type": "string",
        "description": "The unit of temperature to return",
        "enum": ["celsius", "fahrenheit"],
    },
}

_TOOLS = (
    _helper("no parameters", 42, "auto", tool("search_sources", _SEARCH)),
    _helper("no parameters, named choice", 51, _NAMED, tool("search_sources", _SEARCH)),
    *(
        _helper(
            what,
            billed,
            choice,
            tool(
                "search_sources",
                _SEARCH,
                properties={"search_query": query},
                required=["search_query"],
            ),
            error=error,
        )
        for what, billed, choice, query, error in (
            ("a described string", 66, "auto", _QUERY, 0),
            ("a described string, named choice", 75, _NAMED, _QUERY, 0),
            ("a string", 49, "auto", _STRING, 0),
        )
    ),
    *(
        _helper(what, billed, "none", tool(*_DEMO, properties=properties, **more), error=error)
        for what, billed, properties, more, error in (
            (
                "an enum of integers",
                54,
                {"integer_enum": {"type": "integer", "enum": [-1, 1]}},
                {},
                0,
            ),
            ("an object", 65, _nested(string1=_STRING), {"required": ["object_1"]}, 0),
            ("an object, described", 89, _nested(**_TWO_INSIDE), {"required": ["object_1"]}, 0),
            (
                "an object and a string",
                103,
                {
                    **_nested(**_TWO_INSIDE),
                    "string_1": {
                        "type": "string",
                        "description": "Not required gets a question mark",
                    },
                },
                {"required": ["object_1"]},
                0,
            ),
        )
    ),
    _helper(
        "three properties, an enum",
        86,
        "none",
        tool(
            "summarize_order",
            "Summarize the customer order request",
            properties={
                "product_name": {
                    "type": "string",
                    "description": "Product name ordered by customer",
                },
                "quantity": {"type": "integer", "description": "Quantity ordered by customer"},
                "unit": {
                    "type": "string",
                    "enum": ["meals", "days"],
                    "description": "unit of measurement of the customer order",
                },
            },
            required=["product_name", "quantity", "unit"],
        ),
    ),
    _helper(
        "an array",
        59,
        "none",
        tool(
            "get_coordinates",
            "Get the latitude and longitude of multiple mailing addresses",
            properties={
                "addresses": {
                    "type": "array",
                    "description": "The mailing addresses to be located",
                    "items": _STRING,
                }
            },
            required=["addresses"],
        ),
    ),
    _helper(
        "a property without a type",
        59,
        "none",
        tool(
            "get_no_type",
            "Get the no type value",
            properties={"no_type_value": {"description": "The no type value to be returned"}},
            required=["no_type_value"],
        ),
    ),
    _hmarr("no parameters", 31, function("foo", properties={})),
    _hmarr(
        "no parameters, function_call none",
        32,
        function("foo", properties={}),
        function_call="none",
    ),
    _guess(
        _hmarr(
            "no parameters, named function_call",
            36,
            function("foo", properties={}),
            function_call={"name": "foo"},
        )
    ),
    _hmarr("a description", 36, function("foo", "Do a foo", properties={})),
    _hmarr(
        "a string",
        49,
        function("bing_bong", "Do a bing bong", properties={"foo": _STRING}),
        error=-1,
    ),
    _hmarr(
        "a string and a number",
        57,
        function(
            "bing_bong",
            "Do a bing bong",
            properties={
                "foo": _STRING,
                "bar": {"type": "number", "description": "A number"},
            },
        ),
    ),
    _hmarr(
        "an object with an enum",
        68,
        function(
            "bing_bong",
            "Do a bing bong",
            properties={
                "foo": {
                    "type": "object",
                    "properties": {
                        "bar": {"type": "string", "enum": ["a", "b", "c"]},
                        "baz": {"type": "boolean"},
                    },
                }
            },
        ),
        error=-3,
    ),
    *(
        Fact(
            TOOLS,
            what,
            "gpt-3.5-turbo",
            billed,
            "hmarr",
            {"messages": messages, "functions": [function("do_stuff", properties={})]},
        )
        for what, billed, messages in (
            (
                "with two system messages",
                40,
                [said("system", "Hello:"), said("system", "Hello"), said("user", "Hi there")],
            ),
            ("with a system message", 35, [said("system", "Hello"), said("user", "Hi there")]),
        )
    ),
    *(
        _asked(
            "the cookbook's weather",
            model,
            billed,
            "cookbook",
            [tool(*_WEATHER_TOOL, properties=_COOKBOOK_WEATHER, required=["location"])],
            said(
                "system",
                "You are a helpful assistant that can answer to questions about the weather.",
            ),
            said("user", "What's the weather like in San Francisco?"),
        )
        for model, billed in (
            ("gpt-3.5-turbo", 105),
            ("gpt-4", 105),
            ("gpt-4o", 101),
            ("gpt-4o-mini", 101),
        )
    ),
    _asked("get_current_weather", "gpt-4o-mini", 75, "otel", WEATHER_TOOLS, *WEATHER),
    _asked("get_user_country", "gpt-4o", 42, "pydantic", [COUNTRY_TOOL], COUNTRY),
    _asked(
        "get_user_country and final_result",
        "gpt-4o",
        68,
        "pydantic",
        [COUNTRY_TOOL, FINAL_TOOL],
        COUNTRY,
    ),
    _asked(
        "get_temperature, strict",
        "gpt-4.1-mini",
        50,
        "pydantic",
        TOKYO_TOOLS,
        *TOKYO,
    ),
    _asked("get_capital, strict", "gpt-4o-mini", 53, "pydantic", CAPITAL_TOOLS, UK),
    Fact(
        TOOLS,
        "get_weather: input_tokens.count (Responses API)",
        "gpt-4.1-mini",
        51,
        "pydantic",
        {
            "input": [said("user", "What is the weather in Paris?")],
            "tool_choice": "required",
            "tools": [
                {
                    "type": "function",
                    **function(
                        "get_weather",
                        "Get the weather for a location",
                        properties={"location": _STRING},
                    ),
                }
            ],
        },
        api="responses",
        guess=True,
    ),
    Fact(
        TOOLS,
        "get_current_weather, named choice, strict (Responses API)",
        "gpt-4o-mini",
        72,
        "otel",
        {
            "input": "What's the weather in Seattle right now?",
            "tools": [
                {
                    "type": "function",
                    **function(
                        *_WEATHER_TOOL, properties={"location": _BOSTON}, required=["location"]
                    ),
                }
            ],
            "tool_choice": {"type": "function", "name": "get_current_weather"},
        },
        api="responses",
        guess=True,
    ),
    Fact(
        TOOLS,
        "get_current_time, described, no parameters (Responses API)",
        "gpt-4o-mini",
        36,
        "otel",
        {
            "input": "What time is it?",
            "tools": [
                {
                    "type": "function",
                    **function("get_current_time", "Get the current time", properties={}),
                }
            ],
        },
        api="responses",
        guess=True,
    ),
    Fact(
        TOOLS,
        "get_meaning_of_life (Responses API)",
        "gpt-4.1",
        36,
        "pydantic",
        {"input": [LIFE], "tools": LIFE_TOOLS},
        api="responses",
        guess=True,
    ),
    Fact(
        TOOLS,
        "final_result, two properties (Responses API)",
        "gpt-4o",
        66,
        "pydantic",
        {
            "input": [said("user", "Give me the name and age of Brazil, Argentina, and Chile.")],
            "tool_choice": "required",
            "tools": [
                {
                    "type": "function",
                    **function(
                        "final_result",
                        "The final response which ends this conversation",
                        properties={"age": {"type": "integer"}, "name": _STRING},
                        required=["name", "age"],
                    ),
                }
            ],
        },
        api="responses",
        error=-3,
        guess=True,
    ),
    Fact(
        TOOLS,
        "get_capital, instructions empty, March 2025 (Responses API)",
        "gpt-4o",
        256,
        "pydantic",
        {
            "input": [said("user", "What is the capital of PotatoLand?")],
            "instructions": "",
            "tools": [
                {
                    "type": "function",
                    **function(
                        "get_capital", properties={"country": _STRING}, required=["country"]
                    ),
                }
            ],
        },
        api="responses",
        error=-212,
        guess=True,
        note="not explained",
    ),
)

# Tool calls in a prompt --------------------------------------------------------------------------

HISTORY = "Tool calls and their results in a prompt"


def _did(calls_made: list[tuple[str, str]], *results: str) -> list[dict[str, Any]]:
    made = [called(*one) for one in calls_made]
    return [
        said("assistant", None, tool_calls=made),
        *(said("tool", result, tool_call_id="c") for result in results),
    ]


_TWO_CALLS = [
    ("get_current_weather", '{"location": "Seattle, WA"}'),
    ("get_current_weather", '{"location": "San Francisco, CA"}'),
]
_CAPITAL_TOOL = [
    tool(
        "get_capital",
        "Get the capital of a country.",
        properties={"country": {"type": "string", "description": "The country name."}},
        required=["country"],
    )
]
_PARIS = [
    said("user", "What is the capital of France?"),
    *_did([("get_capital", '{"country":"France"}')], "Paris"),
    said("assistant", "The capital of France is Paris."),
    said("user", "What is the capital of England?"),
]


def _history(
    what: str, model: str, billed: int, tools: Any, *messages: Any, error: int = 0
) -> Fact:
    return Fact(
        HISTORY,
        what,
        model,
        billed,
        "pydantic",
        {"messages": list(messages), "tools": tools},
        error=error,
    )


_HISTORY = (
    Fact(
        HISTORY,
        "two parallel calls",
        "gpt-4o-mini",
        99,
        "otel",
        {
            "messages": [
                *WEATHER,
                *_did(_TWO_CALLS, "50 degrees and raining", "70 degrees and sunny"),
            ]
        },
    ),
    _history(
        "get_user_country",
        "gpt-4o",
        63,
        [COUNTRY_TOOL],
        COUNTRY,
        *_did([("get_user_country", "{}")], "Mexico"),
    ),
    _history(
        "get_user_country, final_result declared",
        "gpt-4o",
        89,
        [COUNTRY_TOOL, FINAL_TOOL],
        COUNTRY,
        *_did([("get_user_country", "{}")], "Mexico"),
    ),
    _history(
        "get_temperature",
        "gpt-4.1-mini",
        75,
        TOKYO_TOOLS,
        *TOKYO,
        *_did([("get_temperature", '{"city":"Tokyo"}')], "20.0"),
    ),
    _history(
        "get_capital",
        "gpt-4o-mini",
        78,
        CAPITAL_TOOLS,
        UK,
        *_did([("get_capital", '{"country":"UK"}')], "London"),
    ),
    Fact(
        HISTORY,
        "get_meaning_of_life (Responses API)",
        "gpt-4.1",
        61,
        "pydantic",
        {
            "input": [
                LIFE,
                {
                    "type": "function_call",
                    "name": "get_meaning_of_life",
                    "arguments": "{}",
                    "call_id": "c",
                },
                {"type": "function_call_output", "call_id": "c", "output": "42"},
            ],
            "tools": LIFE_TOOLS,
        },
        api="responses",
        guess=True,
    ),
    _history("one call, then a question", "gpt-4o-mini", 104, _CAPITAL_TOOL, *_PARIS),
    _history(
        "two calls in turn",
        "gpt-4o-mini",
        129,
        _CAPITAL_TOOL,
        *_PARIS,
        *_did([("get_capital", '{"country":"England"}')], "London"),
    ),
)

# Schemas -----------------------------------------------------------------------------------------

SCHEMAS = "Schemas of structured outputs"


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "additionalProperties": False,
        "properties": properties,
        "required": list(properties),
        "type": "object",
    }


def _kind(name: str, **properties: Any) -> dict[str, Any]:
    return {
        "additionalProperties": False,
        "properties": {
            "data": _object(**properties),
            "kind": {"const": name, "type": "string"},
        },
        "required": ["kind", "data"],
        "type": "object",
    }


def _format(name: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    form = {"name": name, "schema": schema, "strict": True, **more}
    return {"type": "json_schema", "json_schema": form}


ONE_SCHEMA = _format(
    "CityLocation",
    _object(city=_STRING, country=_STRING),
    description="A city and its country.",
)
TWO_SCHEMAS = _format(
    "final_result",
    _object(
        result={
            "anyOf": [
                _kind("CityLocation", city=_STRING, country=_STRING),
                _kind("CountryLanguage", country=_STRING, language=_STRING),
            ]
        }
    ),
)

_FLAT_TOOLS = [{"type": "function", **function("get_user_country", properties={})}]
_FLAT_HISTORY = [
    {"type": "function_call", "name": "get_user_country", "arguments": "{}", "call_id": "c"},
    {"type": "function_call_output", "call_id": "c", "output": "Mexico"},
]


def _schema(
    what: str, billed: int, schema: dict[str, Any], error: int, history: bool, api: str
) -> Fact:
    flat = {"type": "json_schema", **schema["json_schema"]}
    did = _did([("get_user_country", "{}")], "Mexico") if history else []
    requests = {
        "chat": {
            "messages": [COUNTRY, *did],
            "tools": [COUNTRY_TOOL],
            "response_format": schema,
        },
        "responses": {
            "input": [COUNTRY, *(_FLAT_HISTORY if history else [])],
            "tools": _FLAT_TOOLS,
            "text": {"format": flat},
        },
    }
    about = f"{what}, {'after a tool call' if history else 'a tool declared'}"
    name = f"{about} (Responses API)" if api == "responses" else about
    return Fact(
        SCHEMAS,
        name,
        "gpt-4o",
        billed,
        "pydantic",
        requests[api],
        api=api,
        error=error,
        guess=api == "responses" or error != 0,
    )


_SCHEMAS = tuple(
    _schema(what, billed, schema, error, history, api)
    for what, schema, error, numbers in (
        ("two properties", ONE_SCHEMA, 0, (79, 100, 73, 92)),
        ("a choice of two objects", TWO_SCHEMAS, 1, (148, 169, 142, 161)),
    )
    for billed, (api, history) in zip(
        numbers,
        (("chat", False), ("chat", True), ("responses", False), ("responses", True)),
        strict=True,
    )
)

# Answers -----------------------------------------------------------------------------------------

ANSWERS = "Answers of text"
_TOOLS_DECLARED = {"tools": [COUNTRY_TOOL]}
_JSON_CITY = '{"city":"Mexico City","country":"Mexico"}'
_JSON_KIND = '{"result":{"kind":"CityLocation","data":{"city":"Mexico City","country":"Mexico"}}}'
_MEANING = (
    "The meaning of life, according to Douglas Adams' famous novel \"The Hitchhiker's Guide to the"
    ' Galaxy," is 42. This has become a humorous and philosophical answer, often cited in popular'
    " culture. If you're looking for a deeper or different perspective, feel free to ask!"
)


def _answer(
    what: str, model: str, billed: int, source: str, answer: Any, request: Any = None, **more: Any
) -> Fact:
    return Fact(ANSWERS, what, model, billed, source, request or {}, answer, **more)


def _response(what: str, model: str, billed: int, source: str, answer: Any, **request: Any) -> Fact:
    return Fact(ANSWERS, what, model, billed, source, request, output(answer), api="responses")


_ANSWERS = (
    _answer("one sentence, streamed", "gpt-4", 5, "otel", text("This is a test.")),
    _answer(
        "two sentences, streamed",
        "gpt-4o-mini",
        12,
        "otel",
        text("This is a test. How can I assist you further?"),
    ),
    _answer(
        "two choices",
        "gpt-4o-mini",
        24,
        "otel",
        answers(*[said("assistant", "This is a test. How can I assist you further?")] * 2),
    ),
    _answer(
        "after tool calls, none declared",
        "gpt-4o-mini",
        25,
        "otel",
        text(
            "Today, the weather in Seattle is 50 degrees and raining, while in San Francisco, it's"
            " 70 degrees and sunny."
        ),
    ),
    _answer(
        "2,430 characters, streamed or not",
        "gpt-35-turbo",
        366,
        "notebook",
        None,
        counted=366,
        note="the text stands with the recordings, not here",
    ),
    _answer("July 2025", "gpt-4o", 7, "pydantic", text("The capital of France is Paris.")),
    _answer(
        "August 2025",
        "gpt-4o",
        30,
        "pydantic",
        text(
            "Hello! I'm just a computer program, so I don't have feelings, but I'm here and ready"
            " to help you. How can I assist you today?"
        ),
    ),
    _answer("June 2026", "gpt-4o-mini", 9, "pydantic", text("Hello! How can I assist you today?")),
    _answer("November 2025", "gpt-4.1-mini", 9, "pydantic", text("Tux is Linux’s penguin mascot.")),
    *(
        _answer(
            "March and April 2025",
            model,
            billed,
            "pydantic",
            text(content),
            error=-1,
            note="recorded in those weeks only",
        )
        for model, billed, content in (
            ("gpt-4.5-preview", 10, "Hello! How can I help you today?"),
            ("gpt-4o", 10, "Hello! How can I assist you today?"),
            ("gpt-4o", 8, "The capital of France is Paris."),
        )
    ),
    *(
        _answer("tools declared", model, billed, "pydantic", text(content), _TOOLS_DECLARED)
        for model, billed, content in (
            ("gpt-4o", 10, "The largest city in Mexico is Mexico City."),
            ("gpt-4.1-mini", 14, "The temperature in Tokyo is currently 20.0 degrees Celsius."),
            ("gpt-4o-mini", 8, "The capital of England is London."),
            ("gpt-4o-mini", 9, "The capital of the UK is London."),
            ("gpt-4o", 11, _JSON_CITY),
            ("gpt-4o", 21, _JSON_KIND),
        )
    ),
    *(
        _answer(
            "tools declared, schema",
            "gpt-4o",
            billed,
            "pydantic",
            text(content),
            {**_TOOLS_DECLARED, "response_format": schema},
        )
        for billed, content, schema in ((15, _JSON_CITY, ONE_SCHEMA), (25, _JSON_KIND, TWO_SCHEMAS))
    ),
    _response("Responses API", "gpt-4o-mini", 6, "otel", output_text("This is a test.")),
    _response(
        "Responses API", "gpt-4o", 8, "pydantic", output_text("The capital of France is Paris.")
    ),
    *(
        _response(
            "Responses API, tools declared",
            model,
            billed,
            "pydantic",
            output_text(content),
            tools=[{"type": "function", "name": "f"}],
        )
        for model, billed, content in (
            ("gpt-4o", 11, "The capital of PotatoLand is Potato City."),
            ("gpt-4.1", 59, _MEANING),
        )
    ),
    *(
        _response(
            "Responses API, tools declared, schema",
            "gpt-4o",
            billed,
            "pydantic",
            output_text(content),
            tools=[{"type": "function", "name": "f"}],
            text={"format": {"type": "json_schema", **schema["json_schema"]}},
        )
        for billed, content, schema in ((16, _JSON_CITY, ONE_SCHEMA), (26, _JSON_KIND, TWO_SCHEMAS))
    ),
)

# Tool calls in an answer -------------------------------------------------------------------------

CALLS = "Tool calls in an answer"


def _made(
    what: str,
    model: str,
    billed: int,
    source: str,
    *made: tuple[str, str],
    error: int = 0,
    note: str = "",
    guess: bool = False,
) -> Fact:
    request = {"tools": [COUNTRY_TOOL]}
    return Fact(
        CALLS,
        what,
        model,
        billed,
        source,
        request,
        calls(*made),
        error=error,
        note=note,
        guess=guess,
    )


def _item(what: str, model: str, billed: int, source: str, item: Any, **request: Any) -> Fact:
    return Fact(CALLS, what, model, billed, source, request, output(item), api="responses")


_CALLS = (
    _made("get_capital", "gpt-4o-mini", 15, "pydantic", ("get_capital", '{"country":"England"}')),
    _made(
        "get_capital, streamed", "gpt-4o-mini", 15, "pydantic", ("get_capital", '{"country":"UK"}')
    ),
    _made("get_user_country", "gpt-4o", 11, "pydantic", ("get_user_country", "{}")),
    _made(
        "get_temperature", "gpt-4.1-mini", 14, "pydantic", ("get_temperature", '{"city":"Tokyo"}')
    ),
    _made("two parallel calls", "gpt-4o-mini", 51, "otel", *_TWO_CALLS),
    _made(
        "final_result, written as parallel calls are",
        "gpt-4o",
        35,
        "pydantic",
        ("final_result", '{"city": "Mexico City", "country": "Mexico"}'),
    ),
    _item(
        "Responses API",
        "gpt-4o-mini",
        12,
        "otel",
        output_call("get_current_time", "{}"),
    ),
    _item("Responses API", "gpt-4o", 12, "pydantic", output_call("get_user_country", "{}")),
    _item("Responses API", "gpt-4.1", 15, "pydantic", output_call("get_meaning_of_life", "{}")),
    Fact(
        CALLS,
        "Responses API",
        "gpt-4o",
        18,
        "pydantic",
        {},
        output(output_call("get_capital", '{"country":"PotatoLand"}')),
        api="responses",
    ),
    _item(
        "Responses API, required, the only tool",
        "gpt-4o",
        10,
        "pydantic",
        output_call("final_result", '{"name":"Brazil","age":522}'),
        tools=[{"type": "function", **function("final_result")}],
        tool_choice="required",
    ),
    _item(
        "Responses API, named choice",
        "gpt-4o-mini",
        8,
        "otel",
        output_call("get_current_weather", '{"location":"Seattle, WA"}'),
        tools=[{"type": "function", **function("get_current_weather")}],
        tool_choice={"type": "function", "name": "get_current_weather"},
    ),
)

# Answers of models that reason -------------------------------------------------------------------

VISIBLE = "Answers of models that reason (a lower bound: recorded as visible, never as the output)"

_VISIBLE = (
    Fact(
        VISIBLE,
        "64 of them reported as reasoning",
        "o3-mini",
        87,
        "pydantic",
        {},
        text("Hello there! How can I help you today?"),
        error=-77,
    ),
    Fact(
        VISIBLE,
        "none reported as reasoning",
        "o4-mini",
        25,
        "pydantic",
        {},
        text("The capital of France is Paris."),
        error=-18,
    ),
    Fact(
        VISIBLE,
        "192 of them reported as reasoning",
        "o4-mini",
        214,
        "forum",
        counted=4,
        error=-210,
    ),
    Fact(VISIBLE, "minimal effort", "gpt-5", 508, "forum", counted=499, error=-9),
)

# Images ------------------------------------------------------------------------------------------

IMAGES = "Images"


def _image(
    model: str,
    size: tuple[int, int],
    detail: str,
    billed: int,
    source: str,
    beside: int = 0,
    error: int = 0,
    note: str = "",
    *,
    guess: bool = False,
) -> Fact:
    what = f"{size[0]} x {size[1]}, {detail}"
    return Fact(
        IMAGES,
        what,
        model,
        billed,
        source,
        image(*size, detail),
        beside=beside,
        error=error,
        note=note,
        guess=guess,
    )


_LITTLE = (128, 64)
_INFERRED = "the text's share is inferred"

_IMAGES = (
    _image("gpt-4o", (1024, 1024), "high", 765, "guide"),
    _image("gpt-4o", (2048, 4096), "high", 1105, "guide"),
    _image("gpt-4o", (2048, 4096), "low", 85, "guide"),
    _image("gpt-4o", _LITTLE, "low", 97, "forum", 12),
    _image("gpt-4o", _LITTLE, "high", 267, "forum", 12),
    _image("gpt-4o", (2049, 513), "high", 1445, "forum", note="8 tiles, inferred"),
    _image("gpt-4o", (2050, 513), "high", 765, "forum", note="4 tiles, inferred"),
    _image("gpt-4o-mini", _LITTLE, "low", 2845, "forum", 12),
    _image("gpt-4o-mini", _LITTLE, "high", 8512, "forum", 12),
    _image("o3", _LITTLE, "low", 86, "forum", 11),
    _image("o3", _LITTLE, "high", 236, "forum", 11),
    _image("o1", _LITTLE, "low", 22, "forum", 11, 64, "not explained", guess=True),
    _image("o1", _LITTLE, "high", 44, "forum", 11, 192, "not explained", guess=True),
    _image("gpt-5", (512, 513), "low", 87, "forum", 17, note=_INFERRED),
    _image("gpt-5", (512, 513), "high", 367, "forum", 17, note=_INFERRED),
    _image("gpt-4.1-mini", _LITTLE, "high", 26, "forum", 12),
    _image("gpt-4.1-nano", _LITTLE, "high", 33, "forum", 12),
    _image("o4-mini", _LITTLE, "high", 26, "forum", 11),
    _image("gpt-4.1-mini", (1800, 2400), "high", 2362, "forum", 9, note=_INFERRED, guess=True),
    _image("gpt-4.1-mini", (4000, 1474), "high", 2488, "forum", error=-140, guess=True),
)

FACTS = (
    *_MESSAGES,
    *_REASONING,
    *_ANSWERS,
    *_CALLS,
    *_TOOLS,
    *_HISTORY,
    *_LEGACY,
    *_IMAGES,
    *_SCHEMAS,
    *_VISIBLE,
)
"""In the order in which they are printed."""
