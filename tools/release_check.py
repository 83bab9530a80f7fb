"""Is it ready to be released? What ``make release-check`` runs.

Builds sdist and wheel, twice, checks changelog, metadata, licences and contents, asks the index for
their dependencies on other machines, installs each alone into a new environment and runs the demo
from it. Uploads nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

if TYPE_CHECKING:
    from email.message import Message

ROOT = Path(__file__).parents[1]
IN_THE_WHEEL = (
    "tokentrail/py.typed",
    "tokentrail/counting/data/cl100k_base.tiktoken.gz",
    "tokentrail/counting/data/o200k_base.tiktoken.gz",
    "tokentrail/dashboards/tokentrail.json",
    "tokentrail/dashboards/tokentrail-by.json",
    "tokentrail/dashboards/tokentrail.rules.yml",
)
IN_THE_SDIST = (
    *(f"src/{name}" for name in IN_THE_WHEEL),
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "examples/notebooks/compare.py",
    "pyproject.toml",
    "tests/conftest.py",
)
NOWHERE = re.compile(r"__pycache__|\.pyc$|\.egg-info|\.venv|\.bench|(^|/)\.env$|(^|/)\.(git|nox)/")
RELATIVE = re.compile(r"\]\((?!https?://)([^)]*)\)")
"""A link or a picture that is found beside the README, and nowhere else."""
LARGEST = 12_000_000
"""Bytes; the encodings are most of it."""
MACHINES = (
    ("3.10", "manylinux2014_x86_64"),
    ("3.13", "win_amd64"),
    ("3.14", "macosx_11_0_arm64"),
    ("3.15", "manylinux2014_x86_64", "manylinux_2_28_x86_64"),
)
"""Where nothing may have to be compiled: a Python, and the platforms that its machine takes."""
LICENCES = "Apache-2.0 AND MIT"
"""Ours, and that of the encodings."""


class NotReadyError(Exception):
    """Why it cannot be released."""

    @classmethod
    def after(cls, command: tuple[str | Path, ...], said: str) -> NotReadyError:
        """Return the error for a command that failed, with what it said."""
        return cls(f"{' '.join(map(str, command))}\n{said.strip()}")


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Return what a program printed, or say why it failed."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode != 0:
        raise NotReadyError.after(command, done.stdout + done.stderr)
    return done.stdout


def require(condition: object, why: str) -> None:
    """Refuse unless the condition holds."""
    if not condition:
        raise NotReadyError(why)


def version() -> str:
    """Return the version, which must be one that may be released and stand in the changelog."""
    from tokentrail.version import __version__

    require(re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", __version__), f"version {__version__}?")
    check_changelog((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), __version__)
    return __version__


def check_changelog(changelog: str, released: str) -> None:
    """Require that the version has its own heading, with its day, and says something under it.

    What is still under Unreleased is not in it.
    """
    heading = rf"^## \[{re.escape(released)}\] - \d{{4}}-\d{{2}}-\d{{2}}$(.*?)(?=^## |\Z)"
    found = re.search(heading, changelog, re.MULTILINE | re.DOTALL)
    require(found, f"the changelog has no heading '## [{released}] - YYYY-MM-DD'")
    require(found and "\n- " in found[1], f"the changelog says nothing of {released}")


def build(folder: Path) -> tuple[Path, Path]:
    """Build both, the wheel out of the sdist as an installer would."""
    run(sys.executable, "-m", "build", "--quiet", "--outdir", folder)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def check_reproducible(wheel: Path, sdist: Path, folder: Path) -> None:
    """Require that whoever builds the sdist, elsewhere and later, gets the same bytes."""
    with tarfile.open(sdist) as packed:
        packed.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    (tree / "PKG-INFO").unlink()  # the build's own, written anew
    again = folder / "dist"
    run(sys.executable, "-m", "build", "--quiet", "--outdir", again, cwd=tree)
    for file in (wheel, sdist):
        require(
            (again / file.name).read_bytes() == file.read_bytes(),
            f"{file.name} has other bytes when it is built again",
        )


def check_pure(wheel: Path) -> None:
    """Require a wheel for every platform and Python 3."""
    require(wheel.name.endswith("-py3-none-any.whl"), f"{wheel.name} is not py3-none-any")
    facts = _in_dist_info(wheel, "WHEEL")
    require(facts["Root-Is-Purelib"] == "true", f"{wheel.name} is not pure")
    require(facts.get_all("Tag") == ["py3-none-any"], f"{wheel.name} has other tags")


def check_licences(wheel: Path) -> None:
    """Require what a bill of materials reads: one SPDX expression, and the text of each licence."""
    metadata = _in_dist_info(wheel, "METADATA")
    stated = metadata["License-Expression"]
    require(stated == LICENCES, f"{wheel.name} has the licence {stated}, not {LICENCES}")
    files = metadata.get_all("License-File") or []
    require(len(files) == len(LICENCES.split(" AND ")), f"{wheel.name} has the files {files}")
    texts = {name.partition("/licenses/")[2] for name in contents(wheel)}
    lacking = sorted(set(files) - texts)
    require(not lacking, f"{wheel.name} lacks {', '.join(lacking)}")


def check_resolvable(wheel: Path, folder: Path) -> None:
    """Require that all it depends on can be had as wheels, where it runs; nothing is installed."""
    pip = (sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check")
    for python, *platforms in MACHINES:
        where = ("--python-version", python, "--implementation", "cp")
        taken = (word for platform in platforms for word in ("--platform", platform))
        wheels = ("--only-binary", ":all:", "--dest", folder / python)
        run(*pip, *wheels, *where, *taken, f"{wheel}[instruments]")


def _in_dist_info(wheel: Path, name: str) -> Message:
    with ZipFile(wheel) as opened:
        (path,) = (n for n in opened.namelist() if n.endswith(f".dist-info/{name}"))
        return message_from_bytes(opened.read(path))


def check_metadata(*files: Path) -> None:
    """Let twine judge them as the index would."""
    run(sys.executable, "-m", "twine", "check", "--strict", *files)


def check_description(wheel: Path) -> None:
    """Require that what an index shows is the README, and leads nowhere that is not there."""
    shown = _in_dist_info(wheel, "METADATA").get_payload()
    require("# tokentrail\n" in str(shown), f"{wheel.name} has no description")
    dead = RELATIVE.findall(str(shown))
    require(not dead, f"the description of {wheel.name} leads to {', '.join(dead)}")


def check_contents(file: Path, wanted: tuple[str, ...]) -> None:
    """Require what must be inside, and nothing that must not."""
    names = contents(file)
    missing = set(wanted) - names
    require(not missing, f"{file.name} lacks {', '.join(sorted(missing))}")
    stray = sorted(name for name in names if NOWHERE.search(name))
    require(not stray, f"{file.name} has {', '.join(stray[:5])}")
    require(file.stat().st_size < LARGEST, f"{file.name} has {file.stat().st_size} bytes")


def contents(file: Path) -> set[str]:
    """Return the files inside; those of an sdist without the folder around them."""
    if file.suffix == ".whl":
        with ZipFile(file) as wheel:
            return set(wheel.namelist())
    with tarfile.open(file) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


def check_installed(file: Path, folder: Path, expected: str) -> None:
    """Install one alone into a new environment and run the demo from it."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", f"{file}[demo]")
    run(python, "-m", "pip", "check")
    said = run(folder / "bin" / "tokentrail", "--version", cwd=folder)
    require(said.split() == ["tokentrail", expected], f"{file.name} calls itself {said!r}")
    shown = run(folder / "bin" / "tokentrail", "demo", cwd=folder)
    for word in ("reported", "counted", "closed early"):
        require(word in shown, f"the demo of {file.name} does not say {word!r}")
    require("tokentrail failed" not in shown, f"the demo of {file.name} failed inside")


def check() -> None:
    """Run every check, saying what is being done."""
    expected = version()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        say(f"building {expected}")
        wheel, sdist = build(scratch / "dist")
        say("checking metadata and contents")
        check_metadata(wheel, sdist)
        check_description(wheel)
        check_contents(wheel, IN_THE_WHEEL)
        check_contents(sdist, IN_THE_SDIST)
        check_pure(wheel)
        check_licences(wheel)
        say("building it again from the sdist")
        check_reproducible(wheel, sdist, scratch / "again")
        say(f"asking for what it depends on, on {len(MACHINES)} machines")
        check_resolvable(wheel, scratch / "wheels")
        for file in (wheel, sdist):
            say(f"installing {file.name} ({file.stat().st_size / 1e6:.1f} MB) and running its demo")
            check_installed(file, scratch / file.suffix.strip("."), expected)
    say("ready")


BEGUN = time.monotonic()


def say(what: str) -> None:
    """Print what is being done, and when."""
    print(f"{time.monotonic() - BEGUN:5.0f} s  {what}", flush=True)


if __name__ == "__main__":
    try:
        check()
    except NotReadyError as error:
        sys.exit(f"not ready: {error}")
