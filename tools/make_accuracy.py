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
OpenAI's own rule: 3 for the answer's start, 3 for each message, 1 for a name, and the tokens of
role, name and text.""",
    "Input of models that reason": """\
The same with 2 for the answer's start, and 2 for each earlier answer of text.""",
    "Answers of text": """\
The tokens of the text. 1 more in the Responses API unless cut short, 1 more where tools were
declared and none was called, then 2 and the schema's name where one was asked for.""",
    "Tool calls in an answer": """\
7 for a single call, a dot and the name, and the arguments; the arguments alone where the request
left no choice of the tool; 1 more in the Responses API. Several calls are written as one of a
hidden tool, and counted as that.""",
    "Declarations of tools": """\
Rendered as TypeScript, without comments on one line, and a frame that each API and family of models
has. `strict` changes nothing that is known. The numbers of gpt-3.5-turbo are of 2023, when
declarations were written on several lines.""",
    "Tool calls and their results in a prompt": """\
A call is a message with a dot, the name, the arguments and a frame of 6, 4 in the Responses API;
the result has the function's name in place of its role. Several of one answer are one message.""",
    "Function messages, function_call (of 2023)": """\
Found by hmarr.""",
    "Images": """\
By tiles or patches, as OpenAI's guide says, from the size in the header of a `data:` URL. Nothing
is fetched: an image of unknown size is taken for one of 400 x 300 at its model's price. **A
guess**, recorded as `approximated`: images of unknown size; those that are shrunk because they have
more than 1,536 patches; those of o1, gpt-5.1 and computer-use-preview.""",
    SCHEMAS: """\
Written as in OpenAI's open harmony format, as minified JSON in ASCII, without what a strict schema
always says.""",
    VISIBLE: """\
The tokens of the text. Thought is billed and not shown, so this is what could be seen of the
number.""",
}

HEAD = """\
# How good the counts are

Every reference number that we know: what the API billed, and what tokentrail counts for the same
call. Made by `python tools/make_accuracy.py`; a test fails when this page is not what it makes.

{summary}

`counted` and `visible` are exact as far as text goes: an encoding has no opinion. What the server
writes around it is counted by rules, which stand [below](#the-rules-and-their-evidence) with what
speaks for each and against it; it may change without notice. So a share of your own calls with
reported usage (`count_verification_ratio`, 1 %) is counted too, and the histogram
`tokentrail.usage.count_ratio` shows how close the counts came, per model: a new model that makes a
rule wrong shows there. It takes nothing from a program that needs no counting: a call is compared
only where the encoding of its model is built already, for a call that was counted or by
[`preload_encodings`](preloading.md). So where every call is plain, or every stream is asked for its
usage, there is nothing to see without it. And only where the model is known: its name is of a
family that the table of models has, or `model_aliases` says what it is. What is `approximated` or
`visible` is not compared.

"""

CALIBRATION = """\
## Calibration

An application sends the same tools, schema and instructions again and again, and most of its calls
get a report. What the server adds to the text of such calls is a constant, whatever the rules say.
So reports teach, and the input of a call of the same kind that has none (closed early, cancelled, a
stream without usage) is its count and that constant: `calibrated`, as good as `counted` in
`gen_ai.usage.*`, metrics and cost. Input only: no constant stands for what a model says.

- Of one kind are calls of one provider, host, deployment, API and answering model, with the same
  tools, tool choice, format, effort, verbosity and `parallel_tool_calls`, with instructions or
  without, and with as many earlier turns of each kind. Of their content only a hash is kept.
- A kind is known once three reports of different length, at least 20 tokens apart, differ from the
  count by the same number. One that disagrees takes it back, and then fifty in a row have to agree.
  A retry of the same request counts once. Where two models answer by one name, an answer that names
  none is not calibrated.
- Where proven rules say the same, the number stays `counted`. Where they say otherwise, what was
  learned wins, and `tokentrail.internal.counts.corrected` counts it.
- Never what no constant stands for: `previous_response_id`, conversations, stored prompts, hosted
  and custom tools, `truncation="auto"`, reasoning items, compactions, files, images of unknown
  size, models whose encoding is guessed, anything that was not understood.
- Reported calls are counted for it until their kind is known, then as `count_verification_ratio`
  says, by tokentrail's own thread, and only where the encoding is built already. What it may take
  is bounded ([figures](performance.md#calibration)). `calibration=False` switches it off.

"""

EVIDENCE_HEAD = """\
## The rules and their evidence

Each count is made of parts, each by a rule. `python -m tools.rules EXCHANGES` replays recorded
exchanges with OpenAI and Azure, counts them on the way that a call goes, and compares with what was
billed: *for* are exchanges that used the rule and came out to the token, of so many projects and
months; *against* those that did not and of whose rules this one is most often wrong; *published*
the numbers of this page that it fits. A rule is proven by two projects and two months, or by three
published numbers, and at most one in a hundred against. A number is `counted` where each of its
rules is proven; one without makes it `approximated`.

"""

TAIL = """\
## What is not counted

- Audio, files that are no text, tools that are no functions: the rest is counted and recorded as
  `approximated`.
- `previous_response_id`, `conversation`, stored prompts, and tools that the server runs itself
  (web search): the server adds what the application never sent. The input is absent, not wrong.
- Thought that is not shown: see above. `stream_usage="request"` asks the server for it.
- The output of a legacy completion with `echo`: the prompt stands before it.
- Text that comes faster than it can be counted. It waits, up to 64 KB of memory for a call; what is
  more is counted without regard for words and recorded as `approximated`. Chunks of more than 16 KB
  are too heavy to be counted on the application's thread; a call that has some may hold 1 MB, so
  that they stay exact. Before the encoding is built, nothing can be counted at all.

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
