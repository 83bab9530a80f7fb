"""The wheel: what it carries, and that it is enough."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tokentrail.version import __version__

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tokentrail"

BARE = """
import sys, tokentrail

tokentrail.instrument()
assert "openai" not in sys.modules and "opentelemetry.sdk" not in sys.modules
tokens = tokentrail.count_tokens("Hello, world!", model="gpt-4o")
assert tokens == 4, tokens
assert tokentrail.flush(10.0)
tokentrail.uninstrument()
print(tokentrail.__version__)
"""

CALL = """
import openai, tokentrail
from tokentrail.testing.server import Plain, Server

tokentrail.instrument()
create = openai.resources.chat.completions.Completions.create
answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": []}
with Server(lambda call: Plain(answer)) as server, openai.OpenAI(
    api_key="no-secret", base_url=server.base_url
) as client:
    messages = [{"role": "user", "content": "Hello"}]
    assert client.chat.completions.create(model="gpt-4o", messages=messages).id == "1"
tokentrail.uninstrument()
assert openai.resources.chat.completions.Completions.create is not create
"""


def _run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=250
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel with the backend that is installed here: no package index is asked."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory) -> Path:
    """Make an environment with nothing but the wheel and what it declares; return its Python."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    _run(python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", wheel)
    return python


def test_every_file_of_the_package_is_in_it_and_nothing_else(wheel):
    files = [p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    ours = {path.relative_to(PACKAGE.parent).as_posix() for path in files}
    with ZipFile(wheel) as archive:
        carried = set(archive.namelist())
    assert {name for name in carried if ".dist-info/" not in name} == ours


@pytest.mark.parametrize(
    "name",
    [
        "tokentrail/py.typed",
        "tokentrail/counting/data/cl100k_base.tiktoken.gz",
        "tokentrail/counting/data/o200k_base.tiktoken.gz",
        "tokentrail/counting/data/ORIGIN.md",
        f"tokentrail-{__version__}.dist-info/licenses/LICENSE",
        f"tokentrail-{__version__}.dist-info/licenses/src/tokentrail/counting/data/LICENSE",
    ],
)
def test_it_carries(wheel, name):
    with ZipFile(wheel) as archive:
        assert archive.getinfo(name).file_size >= 0


def test_it_requires_at_run_time_only_these(wheel):
    with ZipFile(wheel) as archive:
        text = archive.read(f"tokentrail-{__version__}.dist-info/METADATA").decode()
    requires = HeaderParser().parsestr(text).get_all("Requires-Dist") or []
    names = {
        line.split(">")[0].split("<")[0].strip() for line in requires if "extra ==" not in line
    }
    assert names == {"opentelemetry-api", "opentelemetry-instrumentation", "tiktoken", "wrapt"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_alone_it_instruments_and_counts(bare, tmp_path):
    assert _run(bare, "-W", "error", "-c", BARE, cwd=tmp_path).strip() == __version__


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_with_openai_beside_it_and_no_sdk_calls_pass_through(bare, wheel, tmp_path):
    _run(
        bare, "-m", "pip", "install", "-qq", "--disable-pip-version-check", f"{wheel}[instruments]"
    )
    _run(bare, "-W", "error", "-c", CALL, cwd=tmp_path)


FROZEN = """
import openai, tokentrail
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tokentrail.testing.payloads import Answer, chat
from tokentrail.testing.server import Server, Stream

kept, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
tokentrail.instrument(tracer_provider=provider, capture_content="SPAN_ONLY")
answer = Answer(("Hello, world!",), None, "gpt-4o")
with Server(lambda call: Stream(chat.chunks(answer, "none"))) as server, openai.OpenAI(
    api_key="no-secret", base_url=server.base_url
) as client:
    messages = [{"role": "user", "content": "Hello"}]
    for _ in client.chat.completions.create(model="gpt-4o", messages=messages, stream=True):
        pass
provider.force_flush()
(span,) = kept.get_finished_spans()
print(span.attributes["gen_ai.usage.output_tokens"], "gen_ai.output.messages" in span.attributes)
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_program_that_pyinstaller_froze_counts_and_has_content(bare, wheel, tmp_path):
    pip = (bare, "-m", "pip", "install", "-qq", "--disable-pip-version-check")
    _run(*pip, f"{wheel}[instruments]", "opentelemetry-sdk", "pyinstaller")
    (tmp_path / "program.py").write_text(FROZEN, encoding="utf-8")
    _run(bare, "-m", "PyInstaller", "--log-level", "ERROR", "program.py", cwd=tmp_path)
    assert _run(tmp_path / "dist" / "program" / "program", cwd=tmp_path) == "4 True\n"
