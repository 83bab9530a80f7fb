"""The end of a program: what was called is told, and nothing about the end changes."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

pytestmark = pytest.mark.thorough

COUNTED = {
    "tokentrail.outcome": "completed",
    "tokentrail.usage.input.source": "counted",
    "tokentrail.usage.output.source": "counted",
    "gen_ai.usage.input_tokens": 13,
    "tokentrail.usage.encoding": "o200k_base",
}


def _tokens(run):
    """Return how many tokens the model says to this question: it says one at a time."""
    from tokentrail.testing.exchanges import EXCHANGES, answering
    from tokentrail.testing.payloads import pieces

    (exchange,) = answering("Hello, how are you?", EXCHANGES, 1)
    return len(pieces(exchange.answer))


@pytest.mark.parametrize("batch", [True, False])
def test_the_first_call_of_a_script_is_counted(run, batch):
    """The encoding is built while the answer streams; the script ends right after, and waits."""
    done = run(f"""
        import tokentrail
        tokentrail.instrument(tracer_provider=provider(batch={batch}))
        import openai
        for chunk in openai.OpenAI().chat.completions.create(stream=True, **ASKED):
            pass
    """)
    told = done.one()
    assert told.items() >= COUNTED.items()
    assert told["gen_ai.usage.output_tokens"] == _tokens(run)
    assert done.err == ""


def test_a_plain_first_call_without_usage_is_counted(run, server):
    """Nothing foretold that anything would have to be counted."""
    from tokentrail.testing.payloads import Answer, chat
    from tokentrail.testing.server import Plain

    answer = Answer(("Hello there.",), None, "gpt-4o")
    server._respond = lambda _: Plain(chat.completion(answer))
    done = run("""
        import tokentrail
        tokentrail.instrument(tracer_provider=provider(batch=True))
        import openai
        openai.OpenAI().chat.completions.create(**ASKED)
    """)
    told = done.one()
    assert told.items() >= COUNTED.items()
    assert told["gen_ai.usage.output_tokens"] == 3


def test_a_stream_left_open_is_recorded_as_closed_early(run):
    done = run("""
        import tokentrail
        tokentrail.instrument(tracer_provider=provider(batch=True))
        import openai
        stream = openai.OpenAI().chat.completions.create(stream=True, **ASKED)
        kept = [next(stream) for _ in range(4)]
    """)
    told = done.one()
    assert told["tokentrail.outcome"] == "closed_early"
    assert told["gen_ai.usage.input_tokens"] == 13
    assert told["gen_ai.usage.output_tokens"] == 3
    assert done.err == ""


def test_a_stream_left_open_in_a_loop_is_recorded(run):
    """asyncio.run() closes what its program left; whoever comes first, it is told once."""
    done = run("""
        import asyncio, tokentrail
        tokentrail.instrument(tracer_provider=provider(batch=True))
        import openai
        async def main():
            global stream
            client = openai.AsyncOpenAI()
            stream = await client.chat.completions.create(stream=True, **ASKED)
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
        asyncio.run(main())
    """)
    told = done.one()
    assert told["tokentrail.outcome"] == "closed_early"
    assert told["gen_ai.usage.output_tokens"] == 1


def test_it_waits_no_longer_than_it_may(run):
    """With no time to wait the span is exported all the same, and says what it is worth."""
    done = run(
        """
        import tokentrail
        tokentrail.instrument(tracer_provider=provider(batch=True))
        import openai
        stream = openai.OpenAI().chat.completions.create(stream=True, **ASKED)
        next(stream); next(stream)
        stream.close()
        """,
        TOKENTRAIL_COUNT_TIMEOUT="0",
    )
    told = done.one()
    assert told["tokentrail.outcome"] == "closed_early"
    assert "gen_ai.usage.output_tokens" not in told
    assert told["tokentrail.usage.output.source"] == "approximated"


def test_a_call_made_by_the_programs_own_exit_hook_is_recorded(run):
    """Ours ran before it by then; the provider's, older, runs after it."""
    done = run("""
        import atexit, tokentrail
        tokentrail.instrument(tracer_provider=provider(batch=True))
        import openai
        client = openai.OpenAI()
        def last_words():
            client.chat.completions.create(**ASKED)
            for chunk in client.chat.completions.create(stream=True, **ASKED):
                pass
        atexit.register(last_words)
        client.chat.completions.create(**ASKED)
    """)
    endings = [span["attributes"]["tokentrail.outcome"] for span in done.spans]
    assert endings == ["completed"] * 3
    assert [s["attributes"]["tokentrail.usage.input.source"] for s in done.spans[:2]] == [
        "reported",
        "reported",
    ]
    assert done.err == ""


@pytest.mark.parametrize("end", ["pass", "stream.close()", "del stream; gc.collect()"])
def test_a_stream_that_outlives_the_instrumentation_is_recorded(run, end):
    """However it ends: left open, closed, or dropped where nobody may take a lock."""
    done = run(f"""
        import gc, tokentrail
        tokentrail.instrument(tracer_provider=provider(batch=True), token_counting="off")
        import openai
        stream = openai.OpenAI().chat.completions.create(stream=True, **ASKED)
        next(stream)
        tokentrail.uninstrument()
        {end}
    """)
    assert done.one()["tokentrail.outcome"] == "closed_early"
    assert done.err == ""


@pytest.mark.parametrize(
    ("end", "code", "last"),
    [("sys.exit(7)", 7, None), ("raise LookupError('mine')", 1, "LookupError: mine")],
)
def test_an_exit_code_and_an_error_stay_the_programs_own(run, end, code, last):
    done = run(
        f"""
        import tokentrail
        tokentrail.instrument(tracer_provider=provider(batch=True), token_counting="off")
        import openai
        stream = openai.OpenAI().chat.completions.create(stream=True, **ASKED)
        next(stream)
        {end}
        """,
        code=code,
    )
    assert done.one()["tokentrail.outcome"] == "closed_early"
    assert done.err.splitlines()[-1:] == ([last] if last else [])
    assert "tokentrail/" not in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("cost", ["off", "counted"])
def test_a_signal_ends_the_program_as_usual(run, number, cost):
    """It dies of the signal, as the shell wants to see it; an interrupted stream is cancelled.

    With cost, the package of prices is imported at the exit, which has Python forget the signal.
    Whoever is terminated says nothing more: neither would the provider.
    """
    run.count += 1
    source = f"""
        import tokentrail
        tokentrail.instrument(tracer_provider=provider(batch=True), cost="{cost}")
        from tokentrail.counting import ENCODINGS
        ENCODINGS.load("o200k_base")
        import openai
        stream = openai.OpenAI().chat.completions.create(stream=True, **ASKED, **STALLING)
        kept = [next(stream) for _ in range(4)]
        print("ready", flush=True)
        for chunk in stream:
            pass
        print("not reached", flush=True)
    """
    with subprocess.Popen(
        run.command(source),
        env=run.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (-number, "")
    if number == signal.SIGINT:
        (span,) = run.spans()
        assert span["attributes"]["tokentrail.outcome"] == "cancelled"
        assert span["attributes"]["gen_ai.usage.output_tokens"] == 3
        assert span["status"] == "UNSET"
        assert err.splitlines()[-1] == "KeyboardInterrupt"
    else:
        assert (run.spans(), err) == ([], "")


def test_an_interactive_python_that_was_interrupted_ends_well(run):
    run.count += 1
    source = """
        import tokentrail
        tokentrail.instrument(tracer_provider=provider(batch=True))
        import openai, os, signal
        openai.OpenAI().chat.completions.create(**ASKED)
    """
    python, *words = run.command(source)

    def interrupted(*words):
        return subprocess.run(
            [python, "-i", *words],
            input="os.kill(os.getpid(), signal.SIGINT)\nprint('still here')\n",
            env=run.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    done, bare = interrupted(*words), interrupted("-c", "import os, signal")
    assert done.returncode == bare.returncode  # since Python 3.15 it is that of an interrupt
    assert done.stdout == bare.stdout == "still here\n"
    assert "KeyboardInterrupt" in done.stderr


def test_without_an_sdk_it_works_and_says_nothing(run):
    done = run("""
        class Blocked:
            def find_spec(self, name, path=None, target=None):
                if name.startswith("opentelemetry.sdk"):
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Blocked())
        import logging
        logging.basicConfig(level=logging.WARNING)
        import asyncio, openai, tokentrail
        tokentrail.instrument(token_counting="always")
        client = openai.OpenAI()
        answer = client.chat.completions.create(**ASKED)
        chunks = list(client.chat.completions.create(stream=True, **ASKED))
        async def main():
            async with openai.AsyncOpenAI() as client:
                stream = await client.chat.completions.create(stream=True, **ASKED)
                return [chunk async for chunk in stream]
        say([answer.usage.prompt_tokens, len(chunks) > 3, len(asyncio.run(main())) > 3])
        say(tokentrail.flush(10))
        tokentrail.uninstrument()
        say(thread_names())
        assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
    """)
    assert done.said == [[13, True, True], True, []]
    assert done.err == ""


def test_who_runs_no_exit_hooks_can_break_off_what_is_open(run):
    """As a forked child does, or a server that is ended by a signal."""
    done = run("""
        import tokentrail
        tracers = provider(batch=True)
        tokentrail.instrument(tracer_provider=tracers)
        import openai
        stream = openai.OpenAI().chat.completions.create(stream=True, **ASKED)
        kept = [next(stream) for _ in range(4)]
        assert tokentrail.flush(20)
        assert not os.path.exists(os.environ["SPANS_FILE"])
        assert tokentrail.flush(20, end_open_calls=True)
        tracers.shutdown()
        os._exit(0)
    """)
    told = done.one()
    assert told["tokentrail.outcome"] == "closed_early"
    assert told["gen_ai.usage.output_tokens"] == 3


@pytest.mark.parametrize("end", ["", "tracer_provider.shutdown()"])
def test_a_program_ends_though_redact_never_returns_and_the_log_names_the_loss(run, end):
    done = run(f"""
        import threading, tokentrail
        from tokentrail.telemetry import provider_flush
        provider_flush.SHUTDOWN_TIMEOUT = 0.2
        tracer_provider = provider(batch=True)
        tokentrail.instrument(
            tracer_provider=tracer_provider,
            capture_content="SPAN_ONLY",
            redact=lambda kind, text: threading.Event().wait(),
            count_timeout=0.2,
        )
        import openai
        openai.OpenAI().chat.completions.create(**ASKED)
        {end}
    """)
    assert done.err.startswith("Calls that have ended are not recorded: tokentrail's thread waits")
    assert done.err.count("\n") == 1
