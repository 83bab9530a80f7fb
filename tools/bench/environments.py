"""An environment for each subject, made once and kept under .bench/."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from bench.subjects import OURS

if TYPE_CHECKING:
    from bench.subjects import Subject

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".bench"


class Unavailable(Exception):
    """A subject cannot be installed here; the text is the reason."""


def python(subject: Subject) -> Path:
    """Return the interpreter of the subject's environment, which is made if it is not there.

    Raises:
        Unavailable: pip could not install it.
    """
    place = KEPT / subject.environment
    made = place / ".made"
    wanted = hashlib.sha256(" ".join(subject.requires).encode()).hexdigest()
    interpreter = place / "bin" / "python"
    if subject.home or (made.exists() and made.read_text() == wanted):
        return interpreter
    print(f"installing {subject.title} ...", flush=True)
    venv.create(place, clear=True, with_pip=True)
    ours = ["--editable", str(ROOT)] if subject.name == OURS else []
    ran = subprocess.run(
        [
            *(str(interpreter), "-m", "pip", "install", "-qq", "--disable-pip-version-check"),
            *(*subject.requires, *ours),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        reason = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")]
        raise Unavailable(reason[0] if reason else f"pip ended with {ran.returncode}")
    made.write_text(wanted)
    return interpreter


def versions(interpreter: Path, packages: tuple[str, ...]) -> str:
    """Return what is installed of ``packages``, with versions."""
    asked = (
        "import sys\nfrom importlib import metadata\nfor name in sys.argv[1:]:\n"
        "    print(name, metadata.version(name))"
    )
    names = [package.split()[0] for package in packages]
    ran = subprocess.run(
        [str(interpreter), "-c", asked, *names], capture_output=True, text=True, check=True
    )
    return ", ".join(ran.stdout.splitlines())


def this_python() -> str:
    """Return the version of Python that everything runs on."""
    return ".".join(map(str, sys.version_info[:3]))
