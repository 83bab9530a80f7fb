"""Make docs/accuracy.md: for every reference number, what was billed and what is counted.

    python tools/make_accuracy.py            write it
    python tools/make_accuracy.py --check    exit with 1 if it is not what would be written

The numbers stand in tests/counting/facts.py. They are counted on the way that a call goes: its
arguments are read by the shape of its API, and counted with the encoding known for the model.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from tests.counting.facts import FACTS, SCHEMAS, SOURCES, VISIBLE, Fact  # noqa: E402 - after the path

from tokentrail.apis.chat.adapter import ChatAdapter  # noqa: E402
from tokentrail.apis.embeddings.adapter import EmbeddingsAdapter  # noqa: E402
from tokentrail.apis.responses.adapter import ResponsesAdapter  # noqa: E402
from tokentrail.counting import ENCODINGS, InputTally, OutputTally  # noqa: E402
from tokentrail.model.records import Endpoint, Prompt, Source  # noqa: E402
from tokentrail.usage import resolve  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tokentrail.counting import Part

PAGE = ROOT / "docs" / "accuracy.md"
SHAPES = {"chat": ChatAdapter(), "responses": ResponsesAdapter(), "embeddings": EmbeddingsAdapter()}
NOWHERE = Endpoint("openai", None, None, "")

RULES = {
    "Messages of text": """\
OpenAI's own rule: 3 for the answer's start, 3 for each message, 1 for a name, and the tokens of
role, name and text.""",
    "Input of models that reason": """\
The same with 2 for the answer's start. Found by comparison.""",
    "Answers of text": """\
The tokens of the text. 1 more in the Responses API, 1 more where tools were declared and none was
called, 4 more where a schema was asked for: found by comparison.""",
    "Tool calls in an answer": """\
The tokens of name and arguments and 7 for a single call; of the arguments alone where the request
left no choice of the tool; 1 more in the Responses API. 12 and 8 for each of several calls: **a
guess**, from one recording, told as `approximated`.""",
    "Declarations of tools": """\
Rendered as TypeScript: found by experiment, here and by others. A property without a description
is often billed one less. In the Responses API 6 less for the same tools, unless a call is required.
`strict` changes nothing that is known.

Exact are texts, numbers, truth values, enums, arrays of texts and objects of all these, with
descriptions: the forms below. Of anything else no billed number is known: references (`$ref`,
which are resolved), unions (`anyOf`, `oneOf`, `allOf`, several types; written as `string | null`),
`const`, objects in objects, arrays of anything else, `title`, `default`, `format` and other
keywords, which are left out. Such declarations are **a guess**, told as `approximated`.""",
    "Tool calls and their results in a prompt": """\
The tokens of name and arguments and 6 for a single call, 4 in the Responses API; the result bears
the function's name in place of its role. 10 and 8 for each of several: **a guess**, from one
recording, told as `approximated`.""",
    "Function messages, function_call (of 2023)": """\
Found by hmarr.""",
    "Images": """\
By tiles or patches, as OpenAI's guide says, from the size in the header of a `data:` URL. Nothing
is fetched. Exact only with a `detail` that the request names (`high`, and `low` by tiles). **A
guess**, told as `approximated`: `detail` left out or `auto`, which is priced as `high`; images that
are shrunk because they have more than 1,536 patches; those of o1 and computer-use-preview; and
where size or price is not known.""",
    SCHEMAS: """\
Written as in OpenAI's open harmony format: **a guess**, from two schemas. Always told as
`approximated`.""",
    VISIBLE: """\
The tokens of the text. Thought is billed and not shown, so this is what could be seen of the
number.""",
}

HEAD = """\
# How good the counts are

Every reference number that we know: what the API billed, and what tokentrail counts for the same
call. Made by `python tools/make_accuracy.py`; a test fails when this page is not what it makes.

{summary}

`counted` and `visible` are exact as far as text goes: an encoding has no opinion. What is found by
experiment is what the server writes around it, and that may change without notice. So a share of
your own calls with reported usage (`calibration`, 1 %) is counted too, and the histogram
`tokentrail.usage.count_ratio` tells how close the counts came, per model: a new model that makes a
rule wrong shows there. It takes nothing from a program that needs no counting: a call is compared
only where the encoding of its model is built already, for a call that was counted or by
[`preload`](encodings.md). So where every call is plain, or every stream is asked for its usage,
there is nothing to see without `preload`. And only where the model is known: its name is of a
family that the table of models has, or `models` says what it is. What is `approximated` or
`visible` is not compared.

"""

TAIL = """\
## What is not counted

- Files, audio, images of unknown size or price, tools that are no functions: the rest is counted
  and told as `approximated`.
- `previous_response_id`, `conversation`, stored prompts, and tools that the server runs itself
  (web search): the server adds what the application never sent. The input is absent, not wrong.
- Thought that is not shown: see above. `stream_usage="request"` has the server tell it.
- The output of a legacy completion with `echo`: the prompt stands before it.
- Text that comes faster than it can be counted. It waits, up to 64 KB of memory for a call; what is
  more is counted without regard for words and told as `approximated`. Chunks of more than 16 KB are
  too heavy to be counted on the application's thread, and so that they stay exact, a call that has
  some may hold 1 MB. Before the encoding is built, nothing can be counted at all.

## Where the numbers are from

{sources}
"""


@dataclass(frozen=True)
class Counted:
    """What a fact's call is counted."""

    tokens: int
    source: Source | None
    parts: tuple[Part, ...] = ()

    def error(self, fact: Fact) -> int:
        """Return how much too many."""
        return self.tokens - fact.billed


def count(fact: Fact) -> Counted:
    """Count the call of a fact as if it had just been made, without a report."""
    if fact.counted is not None:
        return Counted(fact.counted, None)
    shape = SHAPES[fact.api]
    request = shape.parse_request(NOWHERE, {"model": fact.model, **fact.request})
    model = resolve.identify(fact.model, None, None, {})
    encoding = ENCODINGS.load(model.encoding)
    prompt = request.prompt or Prompt()
    output = fact.answer is not None
    tally: InputTally | OutputTally
    if output:
        tally = OutputTally()
        response = shape.parse_response(fact.answer, tally)
        tally.surcharges = resolve.surcharges(request, prompt, response, model)
        steps = tally.steps(encoding)
    else:
        tally = InputTally(prompt)
        steps = tally.steps(encoding, model.name)
    for _ in steps:
        pass
    found = resolve.to_count(request, model, tally, output=output)
    tokens = tally.tokens + fact.beside
    if fact.category == "Images":
        tokens -= _frame(fact)
    return Counted(tokens, found.source if found else None, tally.parts)


def published() -> Counter[str]:
    """Return how many published numbers each rule fits."""
    found: Counter[str] = Counter()
    for fact in FACTS:
        counted = count(fact)
        if counted.tokens == fact.billed:
            found.update({part.rule.value for part in counted.parts})
    return found


def _frame(fact: Fact) -> int:
    """Return what the message around an image costs: the facts are of the image, or with text."""
    request = ChatAdapter().parse_request(NOWHERE, {"messages": [{"role": "user", "content": ""}]})
    tally = InputTally(request.prompt or Prompt())
    for _ in tally.steps(ENCODINGS.load("o200k_base"), fact.model):
        pass
    return tally.tokens


def categories() -> dict[str, list[Fact]]:
    """Return the facts by category, in their order."""
    found: dict[str, list[Fact]] = {}
    for fact in FACTS:
        found.setdefault(fact.category, []).append(fact)
    return found


def summary() -> Iterator[str]:
    """Yield the table of categories."""
    yield "| category | numbers | exact | worst error |"
    yield "| --- | ---: | ---: | ---: |"
    for category, facts in categories().items():
        errors = [count(fact).error(fact) for fact in facts]
        worst = max(errors, key=abs)
        yield f"| {category} | {len(facts)} | {errors.count(0)} | {worst:+d} |".replace("+0", "0")


def table(facts: Iterable[Fact]) -> Iterator[str]:
    """Yield the rows of one category."""
    yield "| call | model | billed | counted | error | told as | from |"
    yield "| --- | --- | ---: | ---: | ---: | --- | --- |"
    for fact in facts:
        counted = count(fact)
        error = counted.error(fact)
        note = f" ({fact.note})" if fact.note else ""
        source = counted.source.value if counted.source else "visible" if error else "counted"
        yield (
            f"| {_escaped(fact.what)}{note} | {fact.model} | {fact.billed} | {counted.tokens} |"
            f" {f'{error:+d}' if error else 'exact'} | {source} | {fact.source} |"
        )


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def page() -> str:
    """Return the whole page."""
    parts = [HEAD.format(summary="\n".join(summary()))]
    for category, facts in categories().items():
        parts.append(f"## {category}\n\n{RULES[category]}\n\n" + "\n".join(table(facts)) + "\n\n")
    sources = "\n".join(f"- **{name}**: {about}." for name, about in SOURCES.items())
    return "".join([*parts, TAIL.format(sources=sources)])


def main() -> int:
    """Write the page, or compare it; return the exit status."""
    made = page()
    if "--check" in sys.argv[1:]:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == made
        if not same:
            print(f"{PAGE.name} is stale: run python tools/make_accuracy.py")
        return 0 if same else 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
