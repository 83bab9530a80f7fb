"""The stand-in model's own texts: their pieces are their tokens, so what it bills is true."""

import json

import pytest

from tokentrail.testing.exchanges import EXCHANGES
from tokentrail.testing.payloads import pieces
from tokentrail.testing.sample import sample

TEXTS = [text for exchange in EXCHANGES for text in (exchange.question, exchange.answer)]


@pytest.mark.parametrize("text", [*TEXTS, '{"city":"Paris"}', "get_weather"])
@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_a_piece_is_a_token(encoding, name, text):
    tokens = encoding(name).encode_ordinary(text)
    assert [encoding(name).decode([token]) for token in tokens] == list(pieces(text))


@pytest.mark.parametrize("text", ["", "a", " ", "\n\n", "été, 12345! _x_ 世界\t🙂", "a  b\n"])
def test_pieces_joined_are_the_text(text):
    assert "".join(pieces(text)) == text


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (None, None),
        ({}, "word"),
        ({"type": "integer"}, 3),
        ({"type": "array"}, []),
        ({"type": "object"}, {}),
        ({"const": 7}, 7),
        ({"enum": ["b", "a"]}, "b"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        ({"$ref": "#/$defs/missing"}, "word"),
        ({"$defs": {"A": {"type": "number"}}, "$ref": "#/$defs/A"}, 0.5),
        ({"properties": {"x": {"type": "array", "items": {"type": "boolean"}}}}, {"x": [True]}),
    ],
)
def test_a_sample_fits_its_schema(schema, value):
    assert sample(schema) == value
    assert json.dumps(sample(schema))
