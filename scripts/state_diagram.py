"""State machines of sandbox and container as Mermaid diagrams, drawn from the transition tables.

`python -m scripts.state_diagram` prints them; with --write they replace those in ARCHITECTURE.md, between the markers.
A unit test compares, so that the page cannot fall behind the tables.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from cricket.types.container import CONTAINER_TRANSITIONS, ContainerState
from cricket.types.sandbox import SANDBOX_TRANSITIONS, SandboxState

PAGE = pathlib.Path(__file__).parent.parent / "ARCHITECTURE.md"

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


def diagram(table: Mapping[tuple[State, Event], State], first: State, last: State) -> str:
    """A stateDiagram-v2 of `table`. The record is made in `first`, deleted in `last`, or in `first` when undone."""
    edges: dict[tuple[State, State], list[str]] = {}
    for (state, event), to in table.items():
        edges.setdefault((state, to), []).append(event)
    lines = [f"[*] --> {first}: request"]
    lines += [f"{state} --> {to}: {', '.join(events)}" for (state, to), events in edges.items()]
    lines += [f"{first} --> [*]: failed, undone", f"{last} --> [*]: record deleted"]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    direction LR", *(f"    {line}" for line in lines), "```"])


def diagrams() -> dict[str, str]:
    """The diagrams by the name that their markers bear."""
    return {
        "sandbox": diagram(SANDBOX_TRANSITIONS, SandboxState.CREATING, SandboxState.REMOVING),
        "container": diagram(CONTAINER_TRANSITIONS, ContainerState.CREATING, ContainerState.REMOVING),
    }


def updated(page: str) -> str:
    """`page` with the diagrams of today. Raises ValueError when a marker is missing or there twice."""
    for name, text in diagrams().items():
        begin, end = f"<!-- states: {name} -->", "<!-- end -->"
        parts = re.split(f"{re.escape(begin)}.*?{re.escape(end)}", page, flags=re.DOTALL)
        if len(parts) != 2:
            raise ValueError(f"{begin} is {len(parts) - 1} times in the page, not once")
        page = f"{parts[0]}{begin}\n{text}\n{end}{parts[1]}"
    return page


def main() -> int:
    """Print the diagrams, or write them; the exit status."""
    parser = argparse.ArgumentParser(description="Draw the state machines of sandbox and container.")
    parser.add_argument("--write", action="store_true", help=f"put them into {PAGE.name}")
    if parser.parse_args().write:
        PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n\n".join(diagrams().values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
