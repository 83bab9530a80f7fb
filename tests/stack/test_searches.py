"""What the example's README says one finds in Jaeger."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit

from tests.dashboards.shipped import ROOT

STACK = ROOT / "examples" / "observability"
ROW = re.compile(r"\| [^|]+ \| `([^`]+)` \| \[open\]\(([^)]+)\) \|")


def searches():
    """Return the tags of each search of the README, and the address that opens it."""
    page = (STACK / "README.md").read_text("utf-8")
    return [(dict(t.split("=") for t in tags.split()), url) for tags, url in ROW.findall(page)]


def test_each_search_of_the_readme_opens_what_it_says():
    found = searches()
    assert len(found) == 7
    for tags, url in found:
        asked = parse_qs(urlsplit(url).query)
        assert json.loads(asked["tags"][0]) == tags
        assert asked["service"] == ["demo"]
