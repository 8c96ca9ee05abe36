"""What the pictures show: each scene runs commands in a terminal and gives an SVG."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator

from scripts.pictures import world
from scripts.pictures.record import Step, record
from scripts.pictures.svg import svg

_INTERRUPT = b"\x03"
_CGROUPS = "/cricket-pictures"
_MANIFESTS = os.path.join(os.path.dirname(__file__), "pods.yaml")


def run(base: str) -> str:
    """A manifest, from nothing to its end by Ctrl-C, with a visitor in between."""
    world.push_busybox(base)
    words = "cricket run -p 8080:8080 examples/web.yaml"
    steps = [Step("is ready", act=_visit), Step("response:200", _INTERRUPT, pause=1.0)]
    screen = record(_prompted(words), columns=96, rows=40, steps=steps)
    return svg(screen.gone + screen.cells, words, 96)


def _visit() -> None:
    with urllib.request.urlopen("http://127.0.0.1:8080/", timeout=10) as answer:
        assert b"It chirps." in answer.read()


def top(base: str) -> str:
    """Pods with something to do, watched for a minute."""
    world.push_busybox(base)
    with _daemon(base), _agent(base):
        _until("cricket ps -q", 6)
        # By name, to be sure what is chosen; then by CPU.
        steps = [Step("store/visitors", b"pGk", pause=55.0), Step("visitors", b"ic"), Step("pages seen", pause=3.0)]
        screen = record(["cricket", "top"], columns=116, rows=32, steps=steps, stop=True)
    return svg(screen.cells, "cricket top", 116)


def explain(base: str) -> str:
    """The waterfall of one pod."""
    words = "cricket bench explain"
    screen = record(_prompted(words), columns=128, rows=60)
    return svg(screen.gone + screen.cells, words, 128)


def pull(base: str) -> str:
    """An image of several layers, half way."""
    reference = world.push_large(base)
    with _daemon(base):
        words = f"cricket pull {reference}"
        # Too fast to be seen otherwise.
        rate = ("tbf", "rate", "250mbit", "burst", "1mb", "latency", "100ms")
        subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", *rate], check=False)
        steps = [Step(r"(?s)(done|unpacking).* [3-9]\d% downloading")]
        screen = record(_prompted(words), columns=96, rows=16, steps=steps, stop=True)
    return svg(screen.gone + screen.cells, words, 96)


def _prompted(words: str) -> list[str]:
    """The command as somebody has typed it."""
    return ["sh", "-c", f"printf '\\033[90m$\\033[0m \\033[1m{words}\\033[0m\\n'; exec {words}"]


@contextlib.contextmanager
def _daemon(base: str) -> Iterator[None]:
    """A daemon at the default place, with a network."""
    subprocess.run(["cricket", "network", "init"], check=True, stdout=subprocess.DEVNULL)
    with _background(base, "cricket", "serve", "--log-level", "warning"):
        _until("cricket version", 1)
        try:
            yield
        finally:
            subprocess.run(["cricket", "rmp", "-fa"], check=True, stdout=subprocess.DEVNULL)
            for directory, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
                if f"{_CGROUPS}/" in f"{directory}/":
                    with contextlib.suppress(OSError):
                        os.rmdir(directory)


@contextlib.contextmanager
def _agent(base: str) -> Iterator[None]:
    roots = ("--root", f"{base}/agent", "--log-root", f"{base}/logs", "--cgroup-root", _CGROUPS)
    with _background(base, "cricket", "kubelet", "--manifests", _MANIFESTS, *roots):
        yield


@contextlib.contextmanager
def _background(base: str, *argv: str) -> Iterator[None]:
    with open(f"{base}/{argv[1]}.log", "ab") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _until(words: str, lines: int) -> None:
    """Wait until a command succeeds with so many lines, at most a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done = subprocess.run(words.split(), capture_output=True, text=True)
        if done.returncode == 0 and len(done.stdout.splitlines()) >= lines:
            return
        time.sleep(0.2)
    raise TimeoutError(f"{words}: {done.stdout}{done.stderr}")


SCENES: dict[str, Callable[[str], str]] = {"run": run, "top": top, "explain": explain, "pull": pull}
