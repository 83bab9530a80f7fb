"""The user's own prices: a file or a mapping, by the rules of settings."""

from __future__ import annotations

import json
import logging
from decimal import Decimal

import pytest

from tokentrail.config import Cost, read_settings
from tokentrail.cost import Rate
from tokentrail.support import guard

CONTRACT = {
    "gpt-4o": {"input": 2, "output": 8.5, "service_tiers": {"flex": {"input": 1, "output": 4}}},
    "mine": {"input": 0.1},
}


@pytest.fixture
def file(tmp_path):
    """Return what writes a file of prices."""

    def file(content):
        path = tmp_path / "prices.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return path

    return file


def test_a_file_and_a_mapping_say_the_same(file):
    path = file(CONTRACT)
    for given in (CONTRACT, path, str(path), f" {path} "):
        own = read_settings({"prices": given}, {}).prices
        assert own.models == ("gpt-4o", "mine")
        assert own.rates("gpt-4o", None).output == Rate(Decimal("8.5"))
        assert own.rates("gpt-4o", "flex").input == Rate(Decimal(1))
        assert own.rates("gpt-4o", "priority") is None
        assert own.rates("mine", None).output is None
    assert str(own) == str(path)


def test_the_environment_says_it_too(file):
    said = {"TOKENTRAIL_COST": "Counted", "TOKENTRAIL_PRICES": str(file(CONTRACT))}
    settings = read_settings({}, said)
    assert settings.cost is Cost.COUNTED
    assert settings.prices.knows("mine")
    assert read_settings({}, {}).cost is Cost.OFF
    assert read_settings({}, {}).prices is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "it is not JSON: "),
        ([], 'write {"model": {"input": 2.5, "output": 10}}'),
        ({"m": 3}, "'m': write "),
        ({"m": {"output": 3}}, "'m': the price of its input is missing"),
        ({"m": {"input": "3"}}, "'m': input is '3', not a number of USD per million tokens"),
        ({"m": {"input": -1}}, "'m': input is -1, not a number"),
        ({"m": {"input": True}}, "'m': input is True, not a number"),
        ('{"m": {"input": NaN}}', "'m': input is nan, not a number"),
        ('{"m": {"input": Infinity}}', "'m': input is inf, not a number"),
        ('{"m": {"input": 1, "output": 1e999}}', "'m': output is inf, not a number"),
        (
            {"m": {"input": 1, "cached": 2}},
            "'m': 'cached' is not a price; allowed are input,",
        ),
        ({"m": {"input": 1, "service_tiers": 2}}, "'m': write "),
        ({"m": {"input": 1, "service_tiers": {"flex": 2}}}, "'m, flex': the price of its input"),
    ],
)
def test_a_bad_file_says_what_is_wrong_with_it(file, content, why):
    with pytest.raises(ValueError, match=r"prices=.* is not allowed ") as raised:
        read_settings({"prices": str(file(content))}, {})
    assert why in str(raised.value)


def test_a_file_that_is_not_there_raises_and_in_the_environment_warns_once(caplog, monkeypatch):
    monkeypatch.setattr(guard, "_logged", set())
    with pytest.raises(
        ValueError, match=r"prices='/nought.json' is not allowed \(/nought.json: No such file"
    ):
        read_settings({"prices": "/nought.json"}, {})
    with pytest.raises(ValueError, match="neither the name of a file nor a mapping"):
        read_settings({"prices": 3}, {})
    with caplog.at_level(logging.WARNING, "tokentrail"):
        for _ in range(2):
            found = read_settings({}, {"TOKENTRAIL_PRICES": "/nought.json"})
            assert found.prices is None
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "TOKENTRAIL_PRICES='/nought.json' is not allowed (/nought.json: No such file or directory)"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n"gpt-4o": {"input": 1},\n"gpt-4": {\n"inn": 2}}', "line 3: 'gpt-4': the price of"),
        (
            '{\n"gpt-4o": {"input": 1,\n"outt": 2}}',
            "line 3: 'gpt-4o': 'outt' is not a price",
        ),
        (
            '{"a": {"input": 1, "service_tiers": {\n\n"flex": {"input": "x"}}}}',
            "line 3: 'a, flex': input is 'x'",
        ),
        ('{\n"a": }', "line 2: it is not JSON"),
    ],
)
def test_what_is_wrong_in_a_file_has_its_line(tmp_path, text, said):
    path = tmp_path / "prices.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match="is not allowed") as raised:
        read_settings({"prices": str(path)})
    assert f"({path}, {said}" in str(raised.value)
