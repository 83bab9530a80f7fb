"""Run the soak, or some of its parts.

    make soak                              # all of it, in about ten minutes
    make soak ARGS="load --seconds 600"    # one part, for longer

Everything is on a transport inside the process; each part has a process of its own. Exits 1 if a
span is missing or told twice, a token is miscounted on spans or metrics, objects, threads or memory
grow, or all hangs.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
import time

from soak.application import say
from soak.parts import PARTS

LONGEST = 600
"""Seconds, beside five times those asked for, after which a part is said to hang."""


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="make soak", description="Load and age.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of: {', '.join(PARTS)}")
    parser.add_argument("--seconds", type=int, default=60, help="of load, slow, forks")
    parser.add_argument("--streams", type=int, default=1000, help="on one event loop")
    parser.add_argument("--threads", type=int, default=200)
    parser.add_argument("--calls", type=int, default=300_000, help="of recorder")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    failed = [name for name in asked.parts or PARTS if not _holds(name, asked)]
    print(f"broken: {', '.join(failed)}" if failed else "every promise held")
    sys.exit(bool(failed))


def _holds(name: str, asked: argparse.Namespace) -> bool:
    """Run a part in a process of its own; return whether it went well."""
    print(f"{name}: {(PARTS[name].__doc__ or '').splitlines()[0]}", flush=True)
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(LONGEST + 5 * asked.seconds, exit=True)
        wrong = PARTS[name](asked)
        for each in wrong:
            say(f"BROKEN: {each}")
        os._exit(bool(wrong))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    say(f"{'held' if code == 0 else 'broken'}, in {time.monotonic() - begun:.0f} s")
    return code == 0


if __name__ == "__main__":
    main()
