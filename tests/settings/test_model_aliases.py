"""``model_aliases`` says what a deployment, or a model that we do not know, really is."""

from __future__ import annotations

import pytest

from tokentrail.testing.payloads import Answer

GREEK = "Καλημέρα κόσμε, πώς είστε σήμερα;"
ROWS = [
    # asked, answered, models, encoding, kind of number
    ("dep", "", {"dep": "gpt-4o"}, "o200k_base", "counted"),
    ("dep", "", {"dep": "gpt-4"}, "cl100k_base", "counted"),
    ("dep", "", {"dep": "o200k_base"}, "o200k_base", "approximated"),
    ("dep", "", {"dep": "cl100k_base"}, "cl100k_base", "approximated"),
    ("dep", "odd", {"odd": "gpt-4"}, "cl100k_base", "counted"),
    ("dep", "gpt-4o", {"dep": "gpt-4"}, "cl100k_base", "counted"),
    ("gpt-4o", "gpt-4o", {"gpt-4o": "cl100k_base"}, "cl100k_base", "counted"),
    ("dep", "gpt-4", {"other": "gpt-4o"}, "cl100k_base", "counted"),
    ("dep", "", {"other": "gpt-4o"}, "o200k_base", "approximated"),
    ("dep", "", {"dep": "o3"}, "o200k_base", "visible"),
]


@pytest.mark.parametrize(("asked", "answered", "models", "encoding", "source"), ROWS)
@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("mode", ["sync"])
async def test_table(trail, ask, asked, answered, models, encoding, source, as_text):
    from tokentrail import count_tokens

    pairs = ",".join(f"{name}={model}" for name, model in models.items())
    trail.instrument(model_aliases=pairs if as_text else models)
    await ask(Answer((GREEK,), None, answered), stream=True, model=asked)
    attributes = trail.spans.attributes()
    tokens = count_tokens(GREEK, model="", encoding=encoding)
    name = {
        "counted": "gen_ai.usage.output_tokens",
        "approximated": "tokentrail.usage.approximated.output_tokens",
        "visible": "tokentrail.usage.visible.output_tokens",
    }[source]
    assert attributes["tokentrail.usage.output.source"] == source
    assert attributes["tokentrail.usage.encoding"] == encoding
    assert attributes[name] == tokens
    assert attributes["gen_ai.request.model"] == asked


def test_the_text_of_these_tests_distinguishes_the_encodings():
    from tokentrail import count_tokens

    encodings = ("cl100k_base", "o200k_base")
    assert len({count_tokens(GREEK, model="", encoding=name) for name in encodings}) == 2


@pytest.mark.settings(model_aliases={"my-deployment": "gpt-3.5-turbo-0613"})
async def test_a_deployment_that_azure_does_not_name_is_counted(trail, ask):
    """Azure's stream closed early at its first chunk has named no model yet."""
    await ask(
        Answer(("Hello there.",), None, "", azure=True),
        stream=True,
        kind="azure",
        model="my-deployment",
    )
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.request.model"] == "my-deployment"
    assert "gen_ai.response.model" not in attributes
    assert attributes["gen_ai.usage.input_tokens"] == 13
    assert attributes["tokentrail.usage.encoding"] == "cl100k_base"


@pytest.mark.settings(model_aliases={"dep": "o200k_base"})
async def test_an_encoding_does_not_say_that_a_model_does_not_think(trail, ask):
    """An alias may be an encoding alone: who answers is then still the answer's word."""
    await ask(Answer(("Hello there.",), None, "o3-2025-04-16"), stream=True, model="dep")
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.usage.output.source"] == "visible"
    assert "gen_ai.usage.output_tokens" not in attributes
