"""The page of compatible servers has each client and host by which a provider is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokentrail.apis.reported_usage import TOP
from tokentrail.model.endpoint import CLIENTS, HOSTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compatible-servers.md"


@pytest.mark.parametrize(("host", "provider"), HOSTS)
def test_each_host_is_in_the_table(host, provider):
    assert f"| `{host}` and below | `{provider}` |" in PAGE.read_text("utf-8")


def test_each_client_and_each_name_is_on_the_page():
    page = PAGE.read_text("utf-8")
    shown = {name for name in CLIENTS if not name.startswith("Base")}
    cached = {name for name, field in TOP.items() if field == "cache_read_tokens"}
    assert [name for name in shown | cached if f"`{name}`" not in page] == []
