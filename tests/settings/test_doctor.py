"""``tokentrail doctor``: every setting, and whatever is wrong, by name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from tokentrail import cli, diagnosis
from tokentrail.config import OPT_IN, SETTINGS
from tokentrail.cost.user_prices import PRICE_NAMES
from tokentrail.diagnosis import findings as doctor
from tokentrail.diagnosis.findings import JOINED
from tokentrail.patching import methods
from tokentrail.telemetry import completion_hook


def _listed(environ):
    """Return what ``--verbose`` shows."""
    return diagnosis.report(diagnosis.diagnose(environ), verbose=True)


def _setting(found, name):
    (setting,) = [setting for setting in found.settings if setting.name == name]
    return setting


def test_every_setting_is_listed_with_what_is_allowed():
    found = doctor.examine({})
    assert [(s.name, s.variable, s.allowed) for s in found.settings] == [
        (s.name, s.variable, s.allowed) for s in SETTINGS
    ]
    assert {setting.source for setting in found.settings} == {"default"}
    assert found.problems == ()


def test_a_value_says_where_it_comes_from():
    found = doctor.examine(
        {"TOKENTRAIL_TOKEN_COUNTING": "always", OPT_IN: "http,gen_ai_latest_experimental"}
    )
    counting, metrics = _setting(found, "token_counting"), _setting(found, "metric_names")
    assert (counting.value, counting.source) == ("always", "TOKENTRAIL_TOKEN_COUNTING")
    assert (metrics.value, metrics.source) == ("both", OPT_IN)


def test_the_setting_of_prices_names_each_price_that_may_be_set():
    """They are stated in both places: with what is read of them, and where nothing reads any."""
    (prices,) = (setting for setting in SETTINGS if setting.name == "prices")
    assert f"for each model {', '.join(PRICE_NAMES)}, in USD" in prices.allowed


def test_a_value_that_is_not_allowed_is_a_problem_and_the_default_holds():
    found = doctor.examine({"TOKENTRAIL_COUNT_TIMEOUT": "soon"})
    timeout = _setting(found, "count_timeout")
    assert (timeout.value, timeout.source, timeout.refused) == (2.0, "default", "soon")
    (problem,) = found.problems
    assert "TOKENTRAIL_COUNT_TIMEOUT='soon'" in problem
    assert timeout.allowed in problem


def test_every_method_of_the_table_is_looked_for():
    found = doctor.examine({})
    rows = (*methods.ROWS, *methods.CONNECTIONS)
    assert [method.name for method in found.methods] == [row.title for row in rows]
    assert {method.state for method in found.methods} <= {"found", "absent"}


def test_in_an_instrumented_process_they_are_patched(trail):
    found = doctor.examine({})
    states = {method.name: method.state for method in found.methods}
    create = next(row.title for row in methods.ROWS if row.method == "create")
    assert states[create] == "patched"
    assert "patched" in states.values()
    assert "missing" not in states.values()


def test_without_openai_that_is_the_problem(monkeypatch):
    version = doctor.version

    def installed(name):
        if name == "openai":
            raise doctor.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor, "version", installed)
    found = doctor.examine({})
    assert found.problems == ("openai is not installed",)
    assert found.methods == ()


def test_an_encoding_that_cannot_be_built_is_a_problem(monkeypatch):
    monkeypatch.setattr(doctor.ENCODINGS, "load", lambda name: None)
    found = doctor.examine({})
    assert len(found.problems) == 2
    assert all("cannot be built" in problem for problem in found.problems)


HOOK = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK"
PATH = "OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH"


def test_a_completion_hook_is_listed_and_none_too():
    found = doctor.examine({})
    assert (found.completion_hook, found.problems) == (None, ())
    assert re.search(rf"{HOOK} +none", _listed({}))
    assert re.search(rf"{HOOK} +upload", _listed({HOOK: "upload"}))
    assert doctor.examine({HOOK: "upload"}).as_json()["completion_hook"] == "upload"


@pytest.fixture
def hooks(monkeypatch):
    """Let packages be there or not, with the hooks of theirs."""

    def hooks(*names, there=("opentelemetry.util.genai", "fsspec")):
        points = [SimpleNamespace(name=name) for name in names]
        monkeypatch.setattr(
            completion_hook, "entry_points", lambda group: {completion_hook.GROUP: points}[group]
        )
        monkeypatch.setattr(completion_hook, "find_spec", lambda module: module in there or None)

    return hooks


def test_a_completion_hook_without_its_package_is_a_problem(hooks):
    hooks(there=())
    (problem,) = doctor.examine({HOOK: "upload", PATH: "kept"}).problems
    assert problem == f"{HOOK}='upload': opentelemetry-util-genai is not installed"


def test_a_completion_hook_that_is_not_installed_is_a_problem(hooks):
    hooks("upload", "mine")
    (problem,) = doctor.examine({HOOK: "mien"}).problems
    assert problem.startswith(f"{HOOK}='mien': no package has such an entry point")
    assert problem.endswith("there are: mine, upload")
    assert doctor.examine({HOOK: "mine"}).problems == ()


def test_their_upload_needs_a_path_and_fsspec(hooks):
    """Without either they tell nothing, and warn where nobody may look."""
    hooks("upload")
    assert doctor.examine({HOOK: "upload", PATH: "kept"}).problems == ()
    assert doctor.examine({HOOK: "upload"}).problems == (f"{HOOK}='upload': {PATH} is not set",)
    hooks("upload", there=("opentelemetry.util.genai",))
    (problem,) = doctor.examine({HOOK: "upload", PATH: "kept"}).problems
    assert "fsspec is not installed" in problem


def test_the_long_lists_are_there_when_they_are_asked_for(monkeypatch, capsys):
    monkeypatch.setenv("TOKENTRAIL_METRIC_NAMES", "old")
    assert cli.main(["doctor"]) == 2
    printed = capsys.readouterr().out
    assert printed.startswith("unknown: nothing is instrumented in this process; but\n")
    assert "TOKENTRAIL_METRIC_NAMES='old' is not allowed" in printed
    assert "count_timeout" not in printed
    assert cli.main(["doctor", "--verbose"]) == 2
    printed = capsys.readouterr().out
    assert "count_timeout = 2.0  (default)" in printed
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.thorough
def test_for_programs_it_is_json():
    command = [sys.executable, "-m", "tokentrail", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    found = json.loads(done.stdout)
    assert (done.returncode, found["state"]) == (2, "unknown")
    assert found["problems"] == []
    assert found["versions"]["openai"]
    assert found["encodings"] == {"cl100k_base": "built", "o200k_base": "built"}
    assert {setting["name"] for setting in found["settings"]} == {s.name for s in SETTINGS}


WHEELS = [
    ("opentelemetry-instrumentation-genai-openai", "opentelemetry.instrumentation.genai.openai"),
    ("opentelemetry-instrumentation-openai-v2", "opentelemetry.instrumentation.openai_v2"),
    ("opentelemetry-instrumentation-openai", "opentelemetry.instrumentation.openai"),
    ("openinference-instrumentation-openai", "openinference.instrumentation.openai"),
    ("openlit", "openlit.instrumentation.openai"),
]


@pytest.mark.parametrize(("wheel", "module"), WHEELS)
def test_another_instrumentation_is_installed_or_at_work(monkeypatch, wheel, module):
    """Each is told apart from those whose names are alike."""
    version = doctor._version
    names = [name for name, _ in WHEELS]
    monkeypatch.setattr(doctor, "_version", lambda n: "1.0" if n in names else version(n))
    working = ModuleType(module)
    instance = SimpleNamespace(_is_instrumented_by_opentelemetry=True)
    working.OpenAIInstrumentor = type("OpenAIInstrumentor", (), {"_instance": instance})
    monkeypatch.setitem(sys.modules, module, working)
    found = doctor.examine({})
    states = {name: state.split(", ")[1] for name, state in found.other_instrumentations.items()}
    broken = states.pop(doctor.BROKEN)
    assert (broken == "active") is (wheel == doctor.BROKEN)
    assert {name: states[name] for name in names if name in states} == {
        name: "active" if name == wheel else "installed" for name in names if name in states
    }
    assert any("recorded twice" in note and JOINED not in note for note in found.notes)
    assert JOINED in _listed({})
