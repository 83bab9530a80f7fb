"""``pytest -p tokentrail.pytest``: the same after a run of tests, and never by itself."""

import sys
from importlib.metadata import entry_points

import pytest

TESTS = """
def test_one():
    ask()
def test_two():
    list(ask("gpt-4.1", stream=True))
"""


@pytest.fixture
def suite(programs):
    """Run these tests with options, in a folder of their own."""

    def run(*options, code=0):
        (programs.folder / "pytest.ini").write_text("[pytest]\n")
        programs.write(TESTS, "test_mine.py")
        return programs.run(
            "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, code=code, bare=True
        ).stdout

    return run


@pytest.mark.thorough
def test_it_is_not_loaded_unless_asked_for(suite):
    assert "openai client" not in suite()
    assert not [e for e in entry_points(group="pytest11") if e.value.startswith("tokentrail")]
    assert "tokentrail.pytest" not in sys.modules


@pytest.mark.parametrize(
    "workers",
    [(), pytest.param(("-n", "2"), marks=pytest.mark.thorough)],
    ids=["one process", "workers"],
)
def test_the_calls_of_each_test_are_shown_after_the_run(suite, workers):
    said = suite("-p", "tokentrail.pytest", *workers)
    assert "calls of the openai client" in said
    lines = said.splitlines()
    one, two = (
        next(i for i, x in enumerate(lines) if x == f"test_mine.py::test_{n}")
        for n in ("one", "two")
    )
    assert lines[one + 1].split()[:2] == ["gpt-4o-mini", "completed"]
    assert lines[two + 1].split()[:2] == ["gpt-4.1", "completed"]
    assert any(line.startswith("all ") and line.split()[1:4] == ["2", "26", "26"] for line in lines)


@pytest.mark.thorough
def test_a_limit_fails_a_run_that_was_good(suite):
    options = ("-p", "tokentrail.pytest", "--tokentrail-max-tokens")
    assert "more than --tokentrail-max-tokens 51" in suite(*options, "51", code=9)
    assert "more than" not in suite(*options, "52")
