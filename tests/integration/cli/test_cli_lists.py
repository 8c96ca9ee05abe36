"""Lists, forms of output, endpoints and logs of several containers, against a CRI server with a fake engine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cricket.errors import Unimplemented

Cricket = Any
Node = Any


def _ok(result: tuple[int, str, str]) -> str:
    assert result[0] == 0, result
    return result[1]


@pytest.fixture
def shop(cricket: Cricket, tmp_path: Path) -> Path:
    """A pod `shop` with running `web` and ended `db`, and a pod `bank` without containers; their logs lie here."""
    for pod in ("shop", "bank"):
        config = {"metadata": {"name": pod, "uid": pod}, "log_directory": str(tmp_path), "labels": {"app": pod}}
        (tmp_path / f"{pod}.json").write_text(json.dumps(config))
        _ok(cricket("runp", str(tmp_path / f"{pod}.json")))
    for name in ("db", "web"):
        config = {"metadata": {"name": name}, "image": {"image": "busybox"}, "log_path": f"{name}.log"}
        (tmp_path / f"{name}.json").write_text(json.dumps(config))
        _ok(cricket("create", "shop", str(tmp_path / f"{name}.json"), str(tmp_path / "shop.json")))
        _ok(cricket("start", name))
    _ok(cricket("stop", "db"))
    return tmp_path


def test_wide_lists_say_more(cricket: Cricket, shop: Path) -> None:
    header, web, db = _ok(cricket("ps", "-a", "-o", "wide")).splitlines()
    assert header.split("  ")[-1].strip() == "IMAGE DIGEST" and "IP" in header.split() and "PID" in header.split()
    assert web.split()[1:4] == ["web", "shop", "Running"] and " 10." in web and "default" in web
    assert db.split()[1:3] == ["db", "shop"] and "Exited (137)" in db
    bank, first = _ok(cricket("pods", "-o", "wide", "--no-headers")).splitlines()
    assert bank.split()[2] == "bank" and "0/0" in bank.split() and "1/2" in first.split()
    assert _ok(cricket("images", "-o", "wide")).splitlines()[1].split()[5] == "2"


def test_names_can_be_given_back(cricket: Cricket, shop: Path) -> None:
    names = _ok(cricket("ps", "-a", "-o", "name")).split()
    assert names == ["shop/web", "shop/db"]
    assert len(_ok(cricket("inspect", "-o", "jsonpath={[*].status.id}", *names)).split()) == 2
    assert _ok(cricket("pods", "-o", "name")).split() == ["default/bank", "default/shop"]
    image = _ok(cricket("images", "-o", "name")).strip()
    assert _ok(cricket("inspect", "-o", "jsonpath={.status.id}{.image.id}", image)).startswith("sha256:")


def test_documents(cricket: Cricket, shop: Path) -> None:
    as_json, as_yaml = (_ok(cricket("ps", "-a", "-o", form)) for form in ("json", "yaml"))
    assert json.loads(as_json) == yaml.safe_load(as_yaml)
    template = 'jsonpath={range .items[?(@.state=="CONTAINER_RUNNING")]}<{.metadata.name}>{end}'
    assert _ok(cricket("ps", "-a", "-o", template)) == "<web>"
    assert _ok(cricket("ps", "-a", "-o", "jsonpath={.containers[*].metadata.name}")) == "web db"
    for words in (["version"], ["info"], ["status"], ["why"], ["events"], ["pods"], ["images"], ["inspect", "web"]):
        value = yaml.safe_load(_ok(cricket(*words, "-o", "yaml")))
        assert value == json.loads(_ok(cricket(*words, "-o", "json"))), words


def test_order_and_number(cricket: Cricket, shop: Path) -> None:
    def names(*words: str) -> list[str]:
        return [line.split()[1] for line in _ok(cricket("ps", "--no-headers", *words)).splitlines()]

    assert names("-a", "--sort-by", ".metadata.name") == ["db", "web"]
    assert names("-l") == names("-n", "1") == ["web"] and names("-n", "5") == ["web", "db"]
    code, _, error = cricket("ps", "-a", "--sort-by", ".nothing")
    assert code == 1 and "nothing that is listed has this field (.nothing)" in error
    assert re.match(r"[0-9a-f]{64}  web", _ok(cricket("ps", "--no-trunc", "--no-headers")))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--name", "^w"), "web"),
        (("-a", "--name", "^w", "--name", "d"), "web db"),
        (("-f", "name=b"), "web"),
        (("-f", "status=Exited"), "db"),
        (("-s", "EXITED", "-f", "status=running"), "web db"),
        (("-a", "-f", "name=b", "--name", "w", "-s", "exited"), "db"),
        (("-a", "--name", "w", "-s", "exited"), ""),
        (("-a", "--image", "busy"), "web db"),
        (("-a", "-f", "ancestor=nginx"), ""),
        (("-a", "--namespace", "default"), "web db"),
        (("-a", "--namespace", "^kube"), ""),
        (("-a", "-p", "bank"), ""),
        (("-a", "-f", "label=no"), ""),
    ],
)
def test_filters(words: tuple[str, ...], found: str, cricket: Cricket, shop: Path) -> None:
    assert _ok(cricket("ps", *words, "-o", "jsonpath={.items[*].metadata.name}")) == found


def test_filters_of_pods_and_images(cricket: Cricket, shop: Path) -> None:
    _ok(cricket("stopp", "bank"))
    for words, found in (
        (("--label", "app=shop"), "default/shop"),
        (("-f", "label=app", "-f", "status=notready"), "default/bank"),
        (("--name", "a|o", "-s", "ready"), "default/shop"),
        (("-f", "label=app=x"), ""),
    ):
        assert _ok(cricket("pods", "-o", "name", *words)).split() == found.split(), words
    assert _ok(cricket("images", "-q", "-f", "dangling=true")) == ""
    assert len(_ok(cricket("images", "-q", "-f", "reference=busy.*:latest")).split()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ps", "-f", "colour=red"), "there is no filter 'colour', but id, name"),
        (("ps", "-f", "status=dead"), "'dead' is none of created, running"),
        (("pods", "-f", "image=x"), "there is no filter 'image'"),
        (("ps", "--name", "("), "is no regular expression"),
        (("images", "-f", "before=x"), "neither reference=REGEX nor dangling"),
        (("ps", "-o", "jsonpath={.items[}"), "character 9: expected a number"),
        (("status", "-o", "wide"), "'wide' is none of table, json, yaml and jsonpath=EXPR"),
        (("ps", "--sort-by", ".a["), "character 5: expected a number"),
        (("logs",), "name containers, or pods with --pod"),
        (("logs", "-f", "--until", "1m", "web"), "--until and --previous are for the past"),
        (("logs", "--since", "tomorrow", "web"), "neither a time span nor a time"),
    ],
)
def test_wrong_words_are_told_before_anything_is_asked(words: tuple[str, ...], said: str, cricket: Cricket) -> None:
    code, out, error = cricket(*words)
    assert code == 2 and not out and said in error, error


def test_which_endpoint_is_told(cricket: Cricket, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "chosen by: $CONTAINER_RUNTIME_ENDPOINT" in _ok(cricket("info"))
    monkeypatch.delenv("CONTAINER_RUNTIME_ENDPOINT")
    file = tmp_path / "crictl.yaml"
    file.write_text(f"runtime-endpoint: unix://{node.socket}\n")
    monkeypatch.setenv("CRI_CONFIG_FILE", str(file))
    code, _, error = cricket("-v", "version")
    assert (code, error) == (0, f"cricket: asking unix://{node.socket} ({file})\n")


def _log(path: Path, *lines: tuple[int, str]) -> None:
    with path.open("a") as file:
        for second, text in lines:
            file.write(f"2026-01-02T03:04:{second:02}.000000006Z stdout F {text}\n")


def test_logs_of_several_are_merged(cricket: Cricket, shop: Path) -> None:
    _log(shop / "web.log", (1, "a"), (3, "c"))
    _log(shop / "db.log", (2, "b"), (4, "d"))
    assert _ok(cricket("logs", "web", "db")) == "web | a\ndb  | b\nweb | c\ndb  | d\n"
    assert (
        _ok(cricket("logs", "shop")) == _ok(cricket("logs", "--label", "app=shop")) == _ok(cricket("logs", "web", "db"))
    )
    assert _ok(cricket("logs", "--tail", "1", "--pod", "shop")) == "web | c\ndb  | d\n"
    assert _ok(cricket("logs", "shop", "-c", "db", "--until", "2026-01-02T03:04:03Z")) == "b\n"
    assert _ok(cricket("logs", "shop", "--no-prefix", "--since", "2026-01-02T03:04:03Z")) == "c\nd\n"
    assert _ok(cricket("logs", "web", "--prefix", "-n", "1")) == "web | c\n"
    assert cricket("logs", "bank")[0] == 3


def test_logs_of_the_attempt_before(cricket: Cricket, shop: Path) -> None:
    _log(shop / "db.log", (1, "first"))
    config = json.loads((shop / "db.json").read_text()) | {
        "metadata": {"name": "db", "attempt": 1},
        "log_path": "db1.log",
    }
    (shop / "db1.json").write_text(json.dumps(config))
    assert cricket("logs", "-p", "db")[0] == 3
    _ok(cricket("create", "shop", str(shop / "db1.json"), str(shop / "shop.json")))
    _log(shop / "db1.log", (2, "second"))
    assert _ok(cricket("logs", "-p", "db")) == "first\n"
    assert _ok(cricket("logs", "shop", "-c", "db")) == "second\n"


def _follow(node: Node, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "import sys; from cricket.cli.main import main; sys.exit(main())", *words]
    environment = {**os.environ, "CONTAINER_RUNTIME_ENDPOINT": f"unix://{node.socket}", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def limit() -> Iterator[Any]:
    """Ends what a test follows when it takes too long."""
    timers: list[threading.Timer] = []

    def watch(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        timers.append(threading.Timer(20, process.kill))
        timers[-1].start()
        return process

    yield watch
    for timer in timers:
        timer.cancel()
        timer.join()


def test_a_pod_is_followed_over_restarts_until_it_is_stopped(
    cricket: Cricket, node: Node, shop: Path, limit: Any
) -> None:
    _log(shop / "web.log", (1, "a"))
    _log(shop / "db.log", (2, "b"))
    with limit(_follow(node, "logs", "-f", "shop")) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["web | a\n", "db  | b\n"]
        _log(shop / "web.log", (3, "c"))
        assert process.stdout.readline() == "web | c\n"
        config = json.loads((shop / "db.json").read_text())
        config |= {"metadata": {"name": "db", "attempt": 1}, "log_path": "db1.log"}
        (shop / "db1.json").write_text(json.dumps(config))
        _log(shop / "db1.log", (4, "again"))
        _ok(cricket("start", _ok(cricket("create", "shop", str(shop / "db1.json"), str(shop / "shop.json"))).strip()))
        assert process.stdout.readline() == "db  | again\n"
        _ok(cricket("stopp", "shop"))
        assert process.communicate()[0] == "" and process.returncode == 0


def test_events_of_a_runtime_without_a_stream(
    cricket: Cricket, node: Node, shop: Path, limit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none() -> AsyncIterator[Any]:
        raise Unimplemented("no events here")
        yield

    monkeypatch.setattr(node.engine.node, "events", none)
    with limit(_follow(node, "events", "-f", "--new", "-o", "json")) as process:
        assert process.stdout is not None and process.stderr is not None
        assert "no stream of events: it is asked every second" in process.stderr.readline()
        _ok(cricket("stop", "web"))
        told = json.loads(process.stdout.readline())
        assert (told["type"], told["name"], told["detail"]) == ("stopped", "default/shop/web", "exit code 137, Error")
        _ok(cricket("rm", "db"))
        told = json.loads(process.stdout.readline())
        assert (told["type"], told["name"]) == ("deleted", "default/shop/db")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
