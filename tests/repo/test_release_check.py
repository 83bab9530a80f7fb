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
def test_a_version_without_a_heading_in_the_changelog_is_refused(changelog, complaint):
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


@pytest.fixture
def facts(tmp_path):
    """Return what makes a wheel with these files of its own folder."""

    def facts(tag="py3-none-any", **files):
        path = tmp_path / f"tokentrail-0.2.0-{tag}.whl"
        with ZipFile(path, "w") as made:
            for name, text in files.items():
                made.writestr(f"tokentrail-0.2.0.dist-info/{name.replace('__', '/')}", text)
        return path

    return facts


PURE = "Root-Is-Purelib: true\nTag: py3-none-any\n"


def test_a_wheel_for_every_platform_is_pure(facts):
    release_check.check_pure(facts(WHEEL=PURE))


@pytest.mark.parametrize(
    ("tag", "wheel", "complaint"),
    [
        ("cp311-cp311-linux_x86_64", PURE, "is not py3-none-any"),
        ("py3-none-any", PURE.replace("true", "false"), "is not pure"),
        ("py3-none-any", PURE.replace("none-any", "none-linux_x86_64"), "has other tags"),
    ],
)
def test_one_for_some_is_refused(facts, tag, wheel, complaint):
    with pytest.raises(NotReadyError, match=complaint):
        release_check.check_pure(facts(tag, WHEEL=wheel))


LICENSED = (
    "License-Expression: Apache-2.0 AND MIT\nLicense-File: LICENSE\nLicense-File: b/LICENSE\n"
)


def test_each_licence_has_its_text(facts):
    texts = {"licenses__LICENSE": "", "licenses__b__LICENSE": ""}
    release_check.check_licences(facts(METADATA=LICENSED, **texts))


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        (LICENSED, "lacks b/LICENSE"),
        (LICENSED.replace("Apache-2.0 AND ", ""), "has the licence MIT"),
        (LICENSED.replace("License-File: b/LICENSE\n", ""), "has the files"),
    ],
)
def test_a_licence_without_its_text_is_refused(facts, metadata, complaint):
    with pytest.raises(NotReadyError, match=complaint):
        release_check.check_licences(facts(METADATA=metadata, licenses__LICENSE=""))
