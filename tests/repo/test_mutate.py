"""``make mutate``: which mutants are drawn, what may be set aside, and how one is judged."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace

import pytest

pytest.importorskip("mutmut", reason="only the extra dev has it", exc_type=ImportError)

from tools.mutate import contexts, killers, measure, mutants, sample, scope
from tools.mutate.killers import Killed
from tools.mutate.measure import Measured
from tools.mutate.recording import spread
from tools.mutate.results import Result
from tools.mutate.run import Worker, in_stages

CODE = textwrap.dedent("""
    LIMIT = 3

    def is_full(count):
        if count >= LIMIT and count:
            note(count)
            return True
        return False
""")


def drawn_of(text, seed, size=None):
    return [mutant.key for mutant in sample.draw(mutants.population({"a.py": text}), seed, size)]


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(scope, "STORE", tmp_path / "store")
    monkeypatch.setattr(measure, "TEXTS", tmp_path / "store" / "texts")


def test_the_same_seed_draws_the_same_sample():
    assert drawn_of(CODE, 7, 5) == drawn_of(CODE, 7, 5)
    assert drawn_of(CODE, 7, 5) != drawn_of(CODE, 8, 5)


def test_mutants_stay_the_same_where_lines_and_modules_move():
    moved = mutants.population({"far/away.py": "# a line\n\n" + CODE})
    assert [m.key for m in moved] == [m.key for m in mutants.population({"a.py": CODE})]


def test_a_new_function_leaves_the_others_in_their_order():
    more = drawn_of(CODE + "\n\ndef other(count):\n    return count + 1\n", 7)
    known = drawn_of(CODE, 7)
    assert [key for key in more if key in known] == known


def test_each_mutant_is_another_text_that_can_be_compiled():
    source = mutants.Source(CODE)
    texts = [source.mutated(index) for index in range(len(source.sites()))]
    for text in texts:
        compile(text, "a.py", "exec")
    changes = {mutants.change(CODE, text) for text in texts}
    assert "if count >= LIMIT and count:  ->  if count > LIMIT and count:" in changes
    assert "if count >= LIMIT and count:  ->  if count >= LIMIT:" in changes
    assert "note(count)  ->  pass" in changes
    assert "LIMIT = 3  ->  LIMIT = 4" in changes


@pytest.fixture
def equivalent(tmp_path):
    def equivalent(rows):
        path = tmp_path / "equivalent.json"
        path.write_text(json.dumps(rows))
        return path

    return equivalent


def rows_of(drawn, count, reason="the same for every input"):
    return [{"mutant": mutant.key, "change": "", "reason": reason} for mutant in drawn[:count]]


@pytest.fixture
def drawn():
    text = "\n\n".join(f"def f{n}(a, b):\n    return a + b" for n in range(40))
    return sample.draw(mutants.population({"a.py": text}), 7, 40)


def test_a_twentieth_may_be_listed_as_equivalent(drawn, equivalent):
    assert len(sample.set_aside(drawn, equivalent(rows_of(drawn, 2)))) == 2


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda drawn: rows_of(drawn, 3), "more than 5% are set aside"),
        (lambda drawn: rows_of(drawn, 1, reason=" "), "without a reason"),
    ],
    ids=["too many", "no reason"],
)
def test_what_is_listed_as_equivalent_has_limits(drawn, equivalent, change, complaint):
    with pytest.raises(sample.RefusedError, match=complaint):
        sample.set_aside(drawn, equivalent(change(drawn)))


def test_what_is_set_aside_and_left_the_sample_can_be_removed(drawn, equivalent):
    path = equivalent([*rows_of(drawn, 2), {"mutant": "gone", "reason": "it was"}])
    assert len(sample.set_aside(drawn, path)) == 2
    assert sample.gone(drawn, path) == ["gone"]
    assert sample.gone(drawn, path, remove=True) == ["gone"]
    assert sample.gone(drawn, path) == []
    assert json.loads(path.read_text()) == rows_of(drawn, 2)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["killed"] * 91 + ["timeout"] + ["survived"] * 8, 0),
        (["killed"] * 91 + ["survived"] * 9, 1),
        (["killed"] * 91 + ["uncovered"] * 9, 1),
        ([], 1),
    ],
    ids=["at the bar", "below it", "no test at all", "nothing judged"],
)
def test_below_the_bar_the_run_fails(verdicts, code, capsys):
    results = [Result("key", "", each, None, 0.0, "") for each in verdicts]
    assert sample.verdict(results, wanted=100) == code
    assert f"{100 - len(results)} not asked; the bar is 92%" in capsys.readouterr().out


@pytest.mark.parametrize(("judged", "fewest"), [(0, 1), (1, 0), (40, 29), (100, 80), (400, 346)])
def test_a_share_is_below_its_bar_less_than_once_in_ten_thousand(judged, fewest, capsys):
    assert killers.fewest(judged) == fewest
    killed, alive = (Result("key", "", each, None, 0.0, "") for each in ("killed", "survived"))
    for number, code in ((fewest, 0), (fewest - 1, 1)):
        if number >= 0:
            results = [killed] * number + [alive] * (judged - number)
            assert sample.verdict(results, judged, killers.fewest(judged)) == code
    assert f"the bar is {fewest}" in capsys.readouterr().out


def test_a_share_asks_the_one_test_that_killed_a_mutant(tmp_path, monkeypatch):
    monkeypatch.setattr(scope, "ROOT", tmp_path)
    (tmp_path / "test_a.py").write_text("def test_full(): pass")
    (tmp_path / "a.py").write_text(CODE)
    path = tmp_path / "killers.json"
    code = ("a.py", "    if count >= LIMIT and count:\n", "    if count > LIMIT and count:\n")
    full = Killed(*code, "test_a.py::test_full")
    gone = Killed(*code, "test_gone.py::test_full")
    other = Killed("a.py", "no longer there", "", "test_a.py::test_full")
    killers.keep({"old": full, "survived": full, "left": full}, {"old", "survived", "left"}, path)
    judged = {"new": full, "gone": gone, "other": other, "survived": None}
    killers.keep(judged, {"old", *judged}, path)
    assert killers.load(path) == {"old": full, "new": full, "gone": gone, "other": other}
    known = killers.Killers(path)
    assert {mutant.key for mutant in known.mutants} == {"new", "old"}
    for mutant in known.mutants:
        assert mutant.site.line == 5
        assert [test.name for test in known.of(mutant)] == ["test_a.py::test_full"]
        assert known.mutated(mutant) == CODE.replace(">=", ">")


def test_a_change_is_kept_with_what_makes_its_lines_unique():
    before = "a = 1\n\ndef f():\n    a = 1\n    b = 2\n"
    assert mutants.patch(before, before.replace("b = 2", "b = 3")) == ("    b = 2\n", "    b = 3\n")
    for after in (
        before.replace("    a = 1", "    a = 4"),
        before.replace("    b = 2", "    c\n    b = 2"),
    ):
        old, new = mutants.patch(before, after)
        assert before.count(old) == 1
        assert before.replace(old, new) == after


def test_narrow_tests_are_asked_first_until_the_time_is_spent():
    wide, narrow, other = (
        contexts.Test(name, 0.1, cpu, breadth, "")
        for name, cpu, breadth in [("w", 30.0, 900), ("n", 5.0, 10), ("o", 14.0, 90)]
    )
    ranked = contexts.ranked([wide, other, narrow])
    assert contexts.choose(ranked) == [narrow, other]


@pytest.mark.parametrize(
    ("cases", "run"), [([1, 2, 3], [1, 2, 3]), (list(range(10)), [0, 3, 6, 9])]
)
def test_of_many_cases_some_from_all_over_are_measured(cases, run):
    assert spread(cases, 4) == run


def test_a_case_not_measured_is_asked_after_those_that_were():
    lines = {"lines": {"a.py": "4"}, "seconds": 0.1, "cpu": 0.1, "outcome": "passed"}
    failed = {**lines, "outcome": "failed"}
    measured = Measured(
        key="key",
        texts={"a.py": mutants.digest(CODE)},
        tests={"t.py::f[1]": lines, "t.py::g[1]": failed, "t.py::h": {**lines, "cpu": 9}},
        left=["t.py::f[2]", "t.py::g[2]"],
    )
    measure.TEXTS.mkdir(parents=True)
    (measure.TEXTS / mutants.digest(CODE)).write_text(CODE)
    known = contexts.Contexts({"a.py": CODE}, [measured])
    limit = mutants.population({"a.py": CODE})[0]
    assert limit.site.line == 2
    assert [test.name for test in known.of(limit)] == ["t.py::f[1]", "t.py::f[2]", "t.py::h"]


def test_a_test_with_words_of_the_mutant_is_asked_first(tmp_path, monkeypatch):
    monkeypatch.setattr(scope, "ROOT", tmp_path)
    (tmp_path / "test_a.py").write_text(
        "@param('role')\ndef test_wide(): pass\n\ndef test_narrow(): pass\n"
    )
    wide = contexts.Test("test_a.py::test_wide[1]", 0.1, 0.1, 900, "")
    narrow = contexts.Test("test_a.py::test_narrow", 0.1, 0.1, 10, "")
    assert contexts.ranked([narrow, wide], frozenset({"role"})) == [wide, narrow]
    assert contexts.ranked([narrow, wide], frozenset({"name"})) == [narrow, wide]
    case = replace(wide, name="test_a.py::test_wide[a name]")
    assert contexts.ranked([narrow, wide, case], frozenset({"name"})) == [case, narrow, wide]


@pytest.mark.parametrize(
    ("before", "asked"),
    [
        # read at import: whatever is in a file about the module, then what passes a use of it
        ("3", ["test_order_b.py::own", "test_order_a.py::narrow", "test_order_a.py::wide"]),
        # what passes the line, before what passes another one of its function
        ("False", ["test_order_a.py::wide", "test_order_a.py::narrow"]),
    ],
)
def test_which_tests_are_asked_in_which_order(tmp_path, monkeypatch, before, asked):
    monkeypatch.setattr(scope, "ROOT", tmp_path)
    (tmp_path / "test_order_b.py").write_text("from pack.full import is_full\n")
    path, key = "src/pack/full.py", mutants.digest(CODE)
    passed = {"narrow": 1 << 5, "wide": 1 << 5 | 1 << 8 | 0xF << 20, "own": 0}
    tests = {
        f"{'test_order_b' if name == 'own' else 'test_order_a'}.py::{name}": {
            "lines": {path: f"{bits:x}"}, "seconds": 0.1, "cpu": 0.1, "outcome": "passed",
        }
        for name, bits in passed.items()
    }  # fmt: skip
    measure.TEXTS.mkdir(parents=True)
    (measure.TEXTS / key).write_text(CODE)
    known = contexts.Contexts({path: CODE}, [Measured("key", {path: key}, tests)])
    mutant = next(m for m in mutants.population({path: CODE}) if m.site.before == before)
    assert [test.name for test in known.of(mutant)] == asked


def test_the_test_that_killed_a_mutant_last_is_asked_first():
    passed = {"lines": {"a.py": "3f"}, "seconds": 0.1, "cpu": 0.1, "outcome": "passed"}
    key = mutants.digest(CODE)
    measured = Measured("key", {"a.py": key}, {"t.py::a": passed, "u.py::b": passed})
    measure.TEXTS.mkdir(parents=True)
    (measure.TEXTS / key).write_text(CODE)
    mutant = mutants.population({"a.py": CODE})[0]
    for last, asked in [("u.py::b", ["u.py::b", "t.py::a"]), ("gone", ["t.py::a", "u.py::b"])]:
        known = contexts.Contexts({"a.py": CODE}, [measured], {mutant.key: last})
        assert [test.name for test in known.of(mutant)] == asked


def test_tests_of_few_files_are_asked_before_others_are_collected():
    tests = ["a::1", "b::1", "a::2", "c::1", "d::1", "e::1", "b::2", "f::1"]
    assert in_stages(tests) == [
        ["a::1", "a::2"],
        ["b::1", "c::1", "d::1", "b::2"],
        ["e::1", "f::1"],
    ]
    assert in_stages(["a::1"]) == [["a::1"]]


def test_what_is_known_of_a_line_moves_with_it():
    measure.TEXTS.mkdir(parents=True)
    (measure.TEXTS / "old").write_text("a\nb\nc\n")
    back = contexts.lines_before("old", "new\na\nb\nmore\nc\n")
    assert {line: list(before) for line, before in back.items()} == {
        1: [1], 2: [1], 3: [2], 4: [2], 5: [3],
    }  # fmt: skip


@pytest.fixture
def tree(tmp_path):
    """Return a tree with one module and its tests."""
    tree = tmp_path / "tree-0"
    (tree / "src").mkdir(parents=True)
    (tree / "src" / "full.py").write_text("def is_full(count):\n    return count >= 3\n")
    (tree / "test_full.py").write_text(
        "from full import is_full\n"
        "def test_full(): assert is_full(4)\n"
        "def test_just_full(): assert is_full(3)\n"
    )
    return tree


@pytest.mark.thorough
def test_a_mutant_is_killed_by_the_test_that_notices_it(tree):
    def ask(text, *tests, seconds=30):
        stages = [[f"test_full.py::{test}"] for test in tests]
        question = {"path": "src/full.py", "text": text, "number": 1, "seconds": seconds}
        answer = worker.ask({**question, "stages": stages})
        return answer["verdict"], answer["test"]

    more = "def is_full(count):\n    return count > 3\n"
    endless = "while True: pass\n"
    with Worker(tree) as worker:
        worker.ask({"warm": ["test_full.py"]})
        assert ask(more, "test_full", "test_just_full") == (
            "killed",
            "test_full.py::test_just_full",
        )
        assert ask(more, "test_full") == ("survived", None)
        assert ask(endless, "test_full", seconds=1) == ("timeout", None)
        assert ask(more, "test_of_another_name") == ("broken", None)
    assert (tree / "src" / "full.py").read_text().endswith("count >= 3\n")
