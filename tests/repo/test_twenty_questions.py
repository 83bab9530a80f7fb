"""Twenty questions of a newcomer each lead by one search to a right answer.

The search is ``grep -rin WORDS docs README.md``, of which nobody reads more than 20 lines. grep
takes the files in the order of the disk: here it is by name, forwards and backwards.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = 20
BOTH = "Are reasoning tokens and the prompt cache recorded?"
REASONING = {"faq.md": BOTH, "telemetry.md": "`gen_ai.usage.reasoning.output_tokens`"}
CACHE = {"faq.md": BOTH, "telemetry.md": "`gen_ai.usage.cache_read.input_tokens`"}
OFF = "`TOKENTRAIL_DISABLED=true`"
QUESTIONS = {
    "sampling": (
        "sample",
        {
            "troubleshooting.md": "for every call, sampled or",
            "scaling.md": "exact at any sampling rate",
        },
    ),
    "AWS Lambda": ("lambda", {"lambda.md": "flush in the handler"}),
    "Celery": ("celery", {"celery.md": "create the providers in the"}),
    "Django or FastAPI": ("fastapi", {"web-servers.md": "StreamingResponse"}),
    "cost per tenant": ("tenant", {"whose-call-it-is.md": "custom_metric_attributes"}),
    "hiding personal data": ("redact", {"content.md": "redact"}),
    "time to first token": ("first token", {"faq.md": "`gen_ai.response.time_to_first_chunk`"}),
    "retries": ("retry", {"faq.md": "`tokentrail.retries` is their number"}),
    "vLLM": ("vllm", {"compatible-servers.md": "| vLLM | on request |"}),
    "unit tests": ("in-memory", {"testing.md": "InMemorySpanExporter"}),
    "Datadog": ("datadog", {"vendors.md": "dd-api-key"}),
    "Grafana Cloud": ("grafana cloud", {"vendors.md": "the address ends in `/otlp`"}),
    "why nothing is exported": ("not exported", {"troubleshooting.md": "doctor --connect"}),
    "why input differs from the bill": ("bill", {"reconcile.md": "tokentrail reconcile"}),
    "what visible means": ("visible", {"accuracy.md": "lower bound", "faq.md": "a lower bound"}),
    "reasoning tokens": ("reasoning", {**REASONING, "accuracy.md": "reasoning"}),
    "prompt cache": ("cache", {**CACHE, "explain.md": "`instructions_changed` | a date"}),
    "turning it off": ("disable", {"troubleshooting.md": OFF, "faq.md": OFF}),
    "memory and CPU": ("overhead", {"performance.md": "The overhead in CPU time and memory"}),
    "upgrading openai": ("upgrade", {"upgrading.md": "1.40 to 3.x"}),
}
"""By question: what is searched for, and the pages that answer, with words of their answers."""


def grep(words, *, backwards):
    """Yield ``path:text`` of each line with the words, as grep does."""
    pages = sorted(path for path in (ROOT / "docs").rglob("*") if path.is_file())
    for path in [*(reversed(pages) if backwards else pages), ROOT / "README.md"]:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if words in line.lower():
                yield f"{path.relative_to(ROOT)}:{line}"


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("question", list(QUESTIONS))
def test_one_search_leads_to_the_answer(question, backwards):
    words, answers = QUESTIONS[question]
    for page, answer in answers.items():
        assert answer in (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = list(islice(grep(words, backwards=backwards), LINES))
    assert any(page in line for line in found for page in answers), "\n".join(
        line[:150] for line in found
    )
