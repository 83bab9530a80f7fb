"""``tokentrail run``: rows of the calls, and a program that does what it does without it."""

import json
import re
import signal
import subprocess
import sys

import pytest

EVERYTHING = """
import tokentrail
from opentelemetry import trace
print(sys.argv[1:], sys.stdin.read(), type(trace.get_tracer_provider()).__name__)
ask()
tokentrail.flush()
tracer = trace.get_tracer("application")
with tracer.start_as_current_span("GET /answer"), tracer.start_as_current_span("think"):
    list(ask("gpt-4.1", stream=True))
    tokentrail.flush()
    ask(stream=True).close()
tokentrail.flush()
try:
    ask("no-such-model")
except openai.NotFoundError:
    print("refused")
sys.exit(7)
"""


def test_a_program_is_as_it_is_and_its_calls_are_rows(programs):
    """Values of the model's server: it bills 13 tokens in and out, and knows two of the models."""
    path = programs.write(EVERYTHING)
    done = programs.run(path, "--json", "-m", code=7, input="typed")
    bare = programs.run(path, "--json", "-m", code=7, input="typed", bare=True)
    assert done.stdout == bare.stdout
    assert done.stdout.startswith("['--json', '-m'] typed ProxyTracerProvider\n")
    rows = [re.sub(r" +[\d.]+ m?s", " T", line) for line in done.stderr.splitlines()]
    assert max(map(len, rows)) <= 80
    assert [re.sub(r" +", " ", row) for row in rows] == [
        "call ended first took in out cost hit",
        "gpt-4o-mini completed – T 13 ● 13 ● $0.000010",
        "GET /answer",
        " think",
        " gpt-4.1 completed T T 13 ◆ 13 ◆ $0.000130",
        " gpt-4o-mini closed early – T 13 ◆ – –",
        " ! the program never read the stream: it is billed anyway",
        "no-such-model failed – T – – –",
        " ! failed: openai.NotFoundError",
        "",
        "model calls in out cost cached",
        "gpt-4o-mini 2 26 13 $0.000010 0%",
        "gpt-4.1 1 13 13 $0.000130 –",
        "no-such-model 1 0 0 – –",
        "all 4 39 26 $0.000140 0%",
        "● reported by the server",
        "◆ counted here",
        "2 of 4 calls did not complete",
        "1 of 4 calls have no cost: the model has no price, or the count is not exact",
    ]


@pytest.mark.thorough
def test_what_counts_as_a_guess_says_what_to_do(programs):
    (line,) = programs.record(programs.write(GUESSED))
    (note,) = line["notes"]
    assert note.startswith("the server reported no usage, and the encoding of mine is not known")


GUESSED = """
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server
with Server(Model(models={"mine": "mine"})) as server:
    client = openai.OpenAI(base_url=server.base_url)
    list(ask("mine", stream=True))
"""


@pytest.mark.thorough
def test_a_traceback_is_that_of_the_program_alone(programs):
    path = programs.write("def f():\n    raise KeyError('x')\nf()")
    bare = programs.run(path, code=1, bare=True)
    done = programs.run("--quiet", path, code=1)
    assert done.stderr == bare.stderr
    assert "KeyError: 'x'" in done.stderr


PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import tokentrail
ask()
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
if "global" in sys.argv:
    trace.set_tracer_provider(provider)
    assert trace.get_tracer_provider() is provider
    tokentrail.instrument(token_counting="off")
else:
    tokentrail.instrument(token_counting="off", tracer_provider=provider)
list(ask(stream=True))
tokentrail.flush()
print(len(exporter.get_finished_spans()))
"""


@pytest.mark.thorough
@pytest.mark.parametrize("given", ["global", "argument"])
def test_a_provider_and_settings_of_the_program_hold_and_feed_the_rows(programs, given):
    path = programs.write(PROVIDER)
    first, second = programs.record(path, given)
    assert programs.run(path, given).stdout == "1\n"
    assert (first["output_source"], second["output_source"]) == ("reported", None)
    assert (second["stream"], second["outcome"]) == (True, "completed")


PROCESSES = """
import asyncio, subprocess, threading
async def main():
    async with openai.AsyncOpenAI() as own:
        said = [{"role": "user", "content": "Why is the sea salt?"}]
        await asyncio.gather(*(
            own.chat.completions.create(model="gpt-4o-mini", messages=said) for _ in range(3)
        ))
if __name__ == "__main__" and "child" not in sys.argv:
    asyncio.run(main())
    threads = [threading.Thread(target=ask) for _ in range(3)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    if (pid := os.fork()) == 0:
        ask("gpt-4.1")
        os._exit(0)  # as multiprocessing does
    os.waitpid(pid, 0)
    subprocess.run([sys.executable, __file__, "child"], check=True)
else:
    ask("gpt-4o")
"""


@pytest.mark.thorough
def test_threads_tasks_forks_and_subprocesses_write_too(programs):
    lines = programs.record(programs.write(PROCESSES))
    assert sorted(line["model"] for line in lines) == ["gpt-4.1", "gpt-4o", *["gpt-4o-mini"] * 6]
    assert len({line["process"] for line in lines}) == 3


@pytest.mark.thorough
def test_a_module_is_run_and_a_command_and_their_own_sitecustomize(programs):
    programs.write("print(sys.argv[1:], os.environ['SITE'])\nask()", "mine.py")
    (programs.folder / "site").mkdir()
    (programs.folder / "site" / "sitecustomize.py").write_text("import os; os.environ['SITE']='1'")
    programs.environ["PYTHONPATH"] += f":{programs.folder / 'site'}"
    assert programs.run("-m", "mine", "--max-tokens", "1").stdout == "['--max-tokens', '1'] 1\n"
    assert len(programs.record(sys.executable, "mine.py")) == 1
    assert "neither a file nor a command" in programs.run("nothing-there", code=2).stderr


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("options", "ends", "code"),
    [
        (("--max-tokens", 26), 0, 0),
        (("--max-tokens", 25), 0, 9),
        (("--max-cost", "0.000001"), 0, 9),
        (("--max-tokens", 25), 3, 3),
    ],
)
def test_a_limit_that_is_passed_has_an_exit_code_of_its_own(programs, options, ends, code):
    path = programs.write(f"ask()\nsys.exit({ends})")
    said = programs.run("--quiet", *options, path, code=code).stderr
    assert bool(said) == (code != 0)
    assert ("more than --max-" in said) == (code != 0)


@pytest.mark.thorough
def test_for_programs_it_is_json(programs):
    lines = programs.run("--json", programs.write("ask()")).stderr.splitlines()
    row, summary = map(json.loads, lines)
    assert (row["model"], row["input_tokens"], row["content"]) == ("gpt-4o-mini", 13, None)
    assert summary["summary"]["models"]["gpt-4o-mini"]["output_tokens"] == 13


CONVERSATION = """
facts, said = "The sea is salt. " * 300, []
for date, question in (("Monday", "Why is it secret?"), ("Tuesday", "Who told?")):
    said.append({"role": "user", "content": question})
    answer = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "system", "content": f"Today is {date}. {facts}"}, *said],
    )
    said.append({"role": "assistant", "content": answer.choices[0].message.content})
client.embeddings.create(model="text-embedding-3-small", input="salt", encoding_format="float")
"""


@pytest.mark.thorough
def test_what_was_recorded_is_explained_as_text_and_page_without_content(programs):
    """A date at the beginning of the system message costs the second call its cache."""
    lines = programs.record(programs.write(CONVERSATION))
    first, second, embedded = sorted(lines, key=lambda line: line["start_time"])
    assert [first["miss_reason"], first["cacheable_tokens"]] == [None, None]
    assert (second["miss_reason"], second["miss_reason_source"]) == (
        "instructions_changed",
        "inferred",
    )
    assert second["missed_tokens"] == second["cacheable_tokens"] == 1408
    assert set(second["parts"]) == {"instructions", "user", "history", "other"}
    assert sum(second["parts"].values()) == second["input_tokens"] > 1500
    assert second["notes"] == ["1,408 tokens missed the prompt cache: instructions changed"]
    assert embedded["parts"] is None
    assert None not in {first["cost"], second["cost"]}
    assert {line["content"] for line in (first, second)} == {None}

    page = programs.folder / "page.html"
    command = [sys.executable, "-m", "tokentrail", "explain", "calls.jsonl", "--html", page]
    environ = {**programs.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command, env=environ, cwd=programs.folder, capture_output=True, text=True, check=True
    )
    tokens, cost = f"{second['input_tokens']:,}", f"${second['cost']:.6f}"
    assert f"Turn 2 of 2: gpt-4o-mini, {tokens} input tokens, reported, {cost}\n" in done.stdout
    assert "1,408 missed: instructions_changed" in " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= 80
    written = page.read_text("utf-8")
    assert f"2. gpt-4o-mini: {tokens} tokens, reported, {cost}</h2>" in written
    assert f"{second['parts']['instructions']:,}</td>" in written
    assert "1,408 missed: instructions_changed" in written
    assert "secret" not in written + done.stdout


@pytest.mark.thorough
def test_content_is_recorded_where_it_is_asked_for(programs):
    path = programs.write("ask()")
    (line,) = programs.record(path)
    assert "sea" not in json.dumps(line)
    (line,) = programs.record("--content", path)
    assert "Why is the sea salt?" in line["content"]["gen_ai.input.messages"]


SIGNALS = """
import signal, time
def stop(number, frame):
    print("stopped by", signal.Signals(number).name, flush=True)
    sys.exit(5)
signal.signal(signal.SIGTERM, stop)
ask()
print("ready", flush=True)
time.sleep(40)
"""


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 5), (signal.SIGINT, -signal.SIGINT)], ids=str
)
def test_a_signal_is_passed_on_and_ends_both_alike(programs, number, code):
    command = programs.command(programs.write(SIGNALS))
    process = subprocess.Popen(
        command,
        env=programs.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # no terminal, whose keyboard would reach both
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert ("stopped by SIGTERM" in out) == (number == signal.SIGTERM)
    assert ("KeyboardInterrupt" in err) == (number == signal.SIGINT)
    assert "gpt-4o-mini                         1" in err


@pytest.mark.thorough
def test_a_program_that_is_killed_leaves_its_rows(programs):
    path = programs.write(
        "import signal, tokentrail\nask()\ntokentrail.flush()\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    assert "gpt-4o-mini" in programs.run(path, code=-signal.SIGKILL).stderr


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("source", "environ", "why"),
    [
        ("", {}, "nothing was asked of it"),
        ("ask()", {"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED=true"),
        ("ask()", {"TOKENTRAIL_DISABLED": "true"}, "not switched on: run tokentrail doctor"),
    ],
)
def test_where_there_is_no_row_the_reason_is_given(programs, source, environ, why):
    programs.environ.update(environ)
    said = " ".join(programs.run(programs.write(source)).stderr.split())
    assert said.startswith("tokentrail: no call of the openai client ended:")
    assert why in said


@pytest.mark.thorough
def test_a_program_without_openai_imports_nothing_of_ours(programs):
    path = programs.folder / "nothing.py"
    path.write_text(
        "import sys\nprint([m for m in sys.modules if 'telemetry' in m or m=='tokentrail'])"
    )
    done = programs.run(path)
    assert done.stdout == "[]\n"
    assert "did not import openai" in " ".join(done.stderr.split())
