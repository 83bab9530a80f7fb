"""What ``make release-check`` refuses; that a whole release passes is what it is run for."""

from __future__ import annotations

from zipfile import ZipFile

import pytest
from tools import release_check
from tools.release_check import NotReadyError

READY = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-11-26\n\n### Added\n\n- It.\n"


def test_a_version_with_its_own_heading_may_be_released():
    release_check.check_changelog(READY, "0.2.0")


@pytest.mark.parametrize(
    ("changelog", "complaint"),
    [
        ("# Changelog\n\n## [Unreleased]\n\n- It.\n", "has no heading"),
        (READY.replace("0.2.0", "0.2.1"), "has no heading"),
        (READY.replace("0.2.0", "0x2.0"), "has no heading"),
        (READY.replace(" - 2026-11-26", ""), "has no heading"),
        (READY.replace("\n- It.\n", "\n## [0.1.0] - 2026-11-01\n\n- That.\n"), "says nothing"),
    ],
    ids=["only unreleased", "another's", "nearly", "no day", "nothing under it"],
)
def test_a_version_that_the_changelog_does_not_tell_of_is_refused(changelog, complaint):
    with pytest.raises(NotReadyError, match=complaint):
        release_check.check_changelog(changelog, "0.2.0")


@pytest.fixture
def wheel(tmp_path):
    """Return what makes a wheel with a description, or without."""

    def wheel(description):
        path = tmp_path / "tokentrail-0.2.0-py3-none-any.whl"
        with ZipFile(path, "w") as made:
            head = "Metadata-Version: 2.4\nName: tokentrail\n\n"
            made.writestr("tokentrail-0.2.0.dist-info/METADATA", head + description)
        return path

    return wheel


def test_a_description_may_lead_to_the_web(wheel):
    release_check.check_description(wheel("# tokentrail\n\nSee [this](https://example.org/).\n"))


@pytest.mark.parametrize(
    ("description", "complaint"),
    [
        ("# tokentrail\n\n[how](docs/content.md)", "leads to docs/content.md"),
        ("# tokentrail\n\n![seen](docs/images/demo.svg)", "leads to docs/images/demo.svg"),
        ("", "has no description"),
    ],
)
def test_a_description_that_leads_nowhere_is_refused(wheel, description, complaint):
    with pytest.raises(NotReadyError, match=complaint):
        release_check.check_description(wheel(description))
