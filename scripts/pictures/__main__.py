"""`python -m scripts.pictures [NAME ...]`: record the pictures of docs/pictures, all or those named. Needs root."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from scripts.pictures import world
from scripts.pictures.scenes import SCENES

_DIRECTORY = Path(__file__).parents[2] / "docs/pictures"


def main(argv: list[str]) -> int:
    """Record; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.pictures")
    parser.add_argument("name", nargs="*", help=f"of {', '.join(SCENES)}; default: all")
    parser.add_argument("--directory", type=Path, default=_DIRECTORY, help="where to (default: docs/pictures)")
    args = parser.parse_args(argv)
    if unknown := sorted(set(args.name) - set(SCENES)):
        parser.error(f"there is no picture {unknown[0]}")
    if os.geteuid() != 0:
        parser.error("the pictures are of real pods: run it as root")
    world.enter(argv)
    args.directory.mkdir(exist_ok=True)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with world.made() as base:
        for name in args.name or SCENES:
            (args.directory / f"{name}.svg").write_text(SCENES[name](base))
            print(args.directory / f"{name}.svg", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
