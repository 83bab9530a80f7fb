"""Make docs/images/explain.svg and explain.png: the table and the page of `tokentrail explain`.

    python tools/picture_explain.py

An agent's conversation of six turns is invented. In the fourth there is one more tool, in the sixth
its history is compacted, and both break the cache. The page is drawn by chromium.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from make_picture import IMAGES, terminal, write
from rich.text import Text

import tokentrail
from tokentrail import cli
from tokentrail.testing.exchanges import BIRDS, EXCHANGES, SALT, TOWN
from tokentrail.usage.explain.prompt_cache import rounded

INSTRUCTIONS = f"You plan the ships of a harbour. {SALT.answer} {BIRDS.answer}"
RESULT = " ".join(exchange.answer for exchange in (*EXCHANGES, *EXCHANGES))
SHOWN, COMPACTED = 4, 6
"""The turn with one more tool, which is the one in the picture of the table; and the last."""


def tool(name: str, about: str) -> dict[str, object]:
    """Return a tool of two arguments."""
    properties = {
        "name": {"type": "string", "description": "What is looked for, or a part of it."},
        "before": {"type": "string", "description": "No later than this day, as 2026-11-29."},
    }
    parameters = {"type": "object", "properties": properties, "required": ["name"]}
    return {
        "type": "function",
        "function": {"name": name, "description": about, "parameters": parameters},
    }


TOOLS = [
    tool("find_ships", f"Ships that come. {BIRDS.answer}"),
    tool("find_cargo", "Cargo that waits on the quay."),
]
MORE = tool("book_berth", f"A berth for a ship. {TOWN.answer}")


def conversation() -> list[dict[str, Any]]:
    """Return the exchanges: each request, and the usage that the server reported."""
    question = {"role": "user", "content": "Which ship can take the salt to the old town?"}
    items: list[dict[str, Any]] = [question]
    exchanges, before = [], 0
    for turn in range(1, COMPACTED + 1):
        tools = [*TOOLS, MORE] if turn >= SHOWN else TOOLS
        if turn == COMPACTED:
            items = [question, {"role": "assistant", "content": RESULT}]
        system = {"role": "system", "content": INSTRUCTIONS}
        request = {"model": "gpt-4o", "messages": [system, *items], "tools": tools}
        tokens = tokentrail.count_tokens(request=request).tokens
        read = 0 if turn in (SHOWN, COMPACTED) else rounded(before)
        details = {"prompt_tokens_details": {"cached_tokens": read}}
        usage = {"prompt_tokens": tokens, "completion_tokens": 20, **details}
        exchanges.append({"request": request, "response": {}, "usage": usage})
        before = tokens
        call = {"name": "find_ships", "arguments": f'{{"name":"salt {turn}"}}'}
        called = [{"id": f"c{turn}", "type": "function", "function": call}]
        items = [
            *items,
            {"role": "assistant", "content": None, "tool_calls": called},
            {"role": "tool", "tool_call_id": f"c{turn}", "content": RESULT},
        ]
    return exchanges


def main() -> None:
    """Explain the conversation, and write both pictures."""
    with tempfile.TemporaryDirectory() as folder:
        file, page = Path(folder) / "conversation.jsonl", Path(folder) / "page.html"
        file.write_text("\n".join(json.dumps(each) for each in conversation()), "utf-8")
        printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with redirect_stdout(printed):
            cli.main(["explain", str(file), "--html", str(page)])
        _draw(page)
    printed.flush()
    turns = printed.buffer.getvalue().decode().split("\n\nTurn ")
    console = terminal()
    console.print(Text("$ tokentrail explain conversation.jsonl", "bold"))
    console.print("...", f"Turn {turns[SHOWN - 1]}", "", sep="\n", markup=False)
    write(console, "explain")


def _draw(page: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("no chromium: the page is not drawn")
        return
    shot = page.with_suffix(".png")
    asked = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    asked += ["--window-size=1000,820", f"--screenshot={shot}", page.as_uri()]
    subprocess.run([browser, *asked], check=True, stderr=subprocess.DEVNULL)
    shutil.copy(shot, IMAGES / "explain.png")


if __name__ == "__main__":
    main()
