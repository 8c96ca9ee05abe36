#!/usr/bin/env python3
"""Generate `src/cricket/_proto` from `proto/*/*.proto`; with `--check`, only say whether that would change anything.

protoc comes from grpcio-tools, which lives in a virtual environment of its own (`build/proto-venv`): it brings
setuptools and .pth files that the runtime environment must not have. Only messages are generated; services are tables
of names in `cricket/cri/methods.py`, so no `_pb2_grpc` module exists.

`SOURCES.sha256` beside the generated code holds the digest of each source; a unit test compares it, so that a stale
tree is found without protoc.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "proto"
TARGET = ROOT / "src" / "cricket" / "_proto"
VENV = ROOT / "build" / "proto-venv"
TOOLS = "grpcio-tools==1.85.1"
PACKAGE_DOC = '"""Generated from the sources in proto/; see scripts/gen_proto.py. Not edited by hand."""\n'


def main() -> int:
    """Exit status 0 when the tree is (now) fresh, 1 when `--check` found it stale."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the tree is stale")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        generate(protoc_python(), fresh)
        if args.check:
            stale = sorted(differences(fresh))
            for name in stale:
                print(f"stale: {TARGET.relative_to(ROOT)}/{name} (run `make proto`)", file=sys.stderr)
            return 1 if stale else 0
        for path in files(fresh):
            target = TARGET / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(fresh / path, target)
    return 0


def protoc_python() -> Path:
    """The interpreter of the tools' environment, made when it is missing or holds another version."""
    python = VENV / "bin" / "python"
    marker = VENV / "tools"
    if not marker.exists() or marker.read_text() != TOOLS:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", TOOLS], check=True)
        marker.write_text(TOOLS)
    return python


def generate(python: Path, out: Path) -> None:
    """Write the whole package to `out`."""
    sources = sorted(str(p.relative_to(SOURCES)) for p in SOURCES.glob("*/*.proto"))
    command = [str(python), "-m", "grpc_tools.protoc", f"-I{SOURCES}", f"--python_out={out}", f"--pyi_out={out}"]
    subprocess.run([*command, *sources], check=True)
    for package in [out, *{(out / s).parent for s in sources}]:
        (package / "__init__.py").write_text(PACKAGE_DOC)
    lines = [f"{hashlib.sha256((SOURCES / s).read_bytes()).hexdigest()}  {s}\n" for s in sources]
    (out / "SOURCES.sha256").write_text("".join(lines))


def differences(fresh: Path) -> set[str]:
    """Names of files that differ between `fresh` and the committed tree, or that only one of them has."""
    new, old = set(files(fresh)), set(files(TARGET))
    changed = {name for name in new & old if (fresh / name).read_bytes() != (TARGET / name).read_bytes()}
    return {str(name) for name in (new ^ old) | changed}


def files(directory: Path) -> list[Path]:
    """Every file below `directory`, relative to it, without compiled caches."""
    found = [p for p in directory.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return [p.relative_to(directory) for p in found]


if __name__ == "__main__":
    sys.exit(main())
