"""Make docs/accuracy.md: for every reference number, what was billed and what is counted.

    python tools/make_accuracy.py            write it
    python tools/make_accuracy.py --check    exit with 1 if it is not what would be written

The numbers are in tests/counting/facts.py. They are counted as those of a call are: the adapter of
the API reads the arguments, and the encoding of the model counts them.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from tests.counting.facts import FACTS, SCHEMAS, SOURCES, VISIBLE, Fact
from tools.rules import table as rule_table

from tokentrail.apis.chat.adapter import ChatAdapter
from tokentrail.apis.embeddings.adapter import EmbeddingsAdapter
from tokentrail.apis.responses.adapter import ResponsesAdapter
from tokentrail.counting import ENCODINGS, InputTally, OutputTally
from tokentrail.counting.evidence import EVIDENCE
from tokentrail.model.records import Endpoint, Prompt, Source
from tokentrail.usage import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tokentrail.counting import Part

PAGE = ROOT / "docs" / "accuracy.md"
SHAPES = {"chat": ChatAdapter(), "responses": ResponsesAdapter(), "embeddings": EmbeddingsAdapter()}
NOWHERE = Endpoint("openai", None, None, "")

RULES = {
    "Messages of text": """\
OpenAI's published rule: 3 tokens for the start of the answer, 3 for each message, 1 for a name, and
the tokens of role, name and text.""",
    "Input of models that reason": """\
As above, with 2 tokens for the start of the answer and 2 for each earlier answer of text.""",
    "Answers of text": """\
The tokens of the text. The Responses API adds 1, unless the answer was cut short. If tools were
declared, an answer of text adds 1; if a schema was requested too, it adds 2 and the schema's
name.""",
    "Tool calls in an answer": """\
A single call: 7 tokens, a dot and the name, and the arguments. If the request names the tool, only
the arguments. The Responses API adds 1. The model writes parallel calls as one call of a hidden
tool, and they are counted as that call.""",
    "Declarations of tools": """\
The server renders tools as TypeScript, on one line and without comments, and adds a constant that
depends on the API and the family of models. `strict` made no difference in any recorded call. The
numbers of gpt-3.5-turbo are from 2023, when declarations were written on several lines.""",
    "Tool calls and their results in a prompt": """\
A call is a message with a dot, the name, the arguments, and 6 more tokens (4 in the Responses API).
A result has the function's name in place of a role. Parallel calls are one message.""",
    "Function messages, function_call (of 2023)": """\
Published by hmarr.""",
    "Images": """\
Counted in tiles or patches, as OpenAI's guide describes, from the size in the header of a `data:`
URL. tokentrail never fetches an image: one of unknown size counts as 400 x 300. **A guess**,
recorded as `approximated`: images of unknown size, images that are shrunk because they have more
than 1,536 patches, and images for o1, gpt-5.1 and computer-use-preview.""",
    SCHEMAS: """\
Written as in OpenAI's open harmony format: minified ASCII JSON, without the keywords that every
strict schema has.""",
    VISIBLE: """\
The tokens of the text. Reasoning is billed and not shown, so this is the visible part of the
output.""",
}

HEAD = """\
# How good the counts are

All the reference numbers we know: what the API billed, and what tokentrail counts for the same
call. `python tools/make_accuracy.py` makes this page, and a test fails if it is out of date.

{summary}

Counting text is exact, because the encodings are public. The tokens that the server adds around the
text are not published, and may change without notice. They are counted by
[rules](#the-rules-and-their-evidence), with the evidence for and against each. To notice a change,
tokentrail also counts a share of your calls with reported usage (`count_verification_ratio`, 1 %).
The histogram `tokentrail.usage.count_ratio` shows how close the counts came, by model.

A call is verified only if that costs your program nothing extra:

- The encoding of its model is built already, by an earlier count or by
  [`preload_encodings`](preloading.md). A program whose calls all have reported usage builds none,
  so it sees no ratios unless it preloads.
- The model is known: its name belongs to a family in the table of models, or `model_aliases` names
  one.
- The count would be `counted`. Numbers that are `approximated` or `visible` are not compared.

"""

CALIBRATION = """\
## Calibration

An application sends the same tools, schema and instructions again and again, and most of its calls
have reported usage. The server adds a constant number of tokens to such calls, whatever the rules
say. tokentrail learns this constant from the reports. It then adds it to the count of similar calls
without a report (closed early, cancelled, a stream without usage), and records their input as
`calibrated`. In `gen_ai.usage.*`, metrics and cost it is used like a `counted` number. Only input
is calibrated: answers have no such constant.

- **Which calls are similar.** They have the same provider, host, deployment, API and answering
  model; the same tools, tool choice, format, effort, verbosity and `parallel_tool_calls`; with or
  without instructions; and the same number of earlier turns of each kind. tokentrail keeps only a
  hash of their content.
- **When the constant is known.** After three reports of different length, at least 20 tokens
  apart, that differ from the count by the same number. If one report disagrees, the constant is
  withdrawn until fifty reports in a row agree. A retry of the same request counts once. If two
  models answer under one name, an answer that names no model is not calibrated.
- **Which number is recorded.** If proven rules give the same number, it stays `counted`. If they
  differ, the learned constant is used, and `tokentrail.internal.counts.corrected` counts the case.
- **What is never calibrated.** Calls with `previous_response_id`, conversations, stored prompts,
  hosted or custom tools, `truncation="auto"`, reasoning items, compactions, files or images of
  unknown size. Calls of models with a guessed encoding. Requests that tokentrail did not fully
  understand.
- **What it costs.** Reported calls are counted until their kind is known, then at the rate of
  `count_verification_ratio`. This happens on tokentrail's own thread, and only if the encoding is
  built already. The cost is bounded ([figures](performance.md#calibration)). `calibration=False`
  switches it off.

"""

EVIDENCE_HEAD = """\
## The rules and their evidence

A count is a sum of parts, and each part follows a rule. `python -m tools.rules EXCHANGES` replays
recorded exchanges with OpenAI and Azure, counts them as a call would be counted, and compares the
result with what was billed. Its columns:

- *right*: exchanges that used the rule and were counted to the token.
- *wrong*: wrong counts that are blamed on this rule. Of the rules that an exchange used, the one
  with the highest share of wrong counts is blamed.
- *projects*, *months*: how many of each the right exchanges come from.
- *published*: numbers on this page that the rule fits.
- *off*: exchanges whose count was more than a tenth off, of all that used the rule.

A rule is proven (*known*) by two projects and two months, or by three published numbers, with at
most one exchange in a hundred against it. A number is `counted` if each of its rules is proven;
otherwise it is `approximated`.

"""

TAIL = """\
## What is not counted

- Audio, files that are not text, and tools that are not functions. The rest of the call is counted
  and recorded as `approximated`.
- The input of calls with `previous_response_id`, `conversation` or a stored prompt, or with tools
  that the server runs itself (web search): the server adds input that the application never sent,
  so the input is absent.
- Hidden reasoning, see above. `stream_usage="request"` asks the server for its usage.
- The output of a legacy completion with `echo`, which begins with the prompt.
- Text that arrives faster than it can be counted. Up to 64 KB per call wait in memory. Text beyond
  that is counted without regard to word boundaries, and recorded as `approximated`. Chunks of more
  than 16 KB are too heavy for the application's thread: a call with such chunks may hold 1 MB, so
  that its count stays exact. Until the encoding is built, nothing can be counted.

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
    yield "| call | model | billed | counted | error | recorded as | from |"
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
    rules = "\n".join(rule_table(EVIDENCE))
    tail = TAIL.format(sources=sources)
    return "".join([*parts, CALIBRATION, EVIDENCE_HEAD, rules, "\n\n", tail])


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
