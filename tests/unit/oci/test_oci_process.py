"""Command, environment, directory, exec; capabilities; signals."""

from __future__ import annotations

from typing import Any

import pytest

from cricket.errors import InvalidArgument, PermissionDenied
from cricket.oci.capabilities import process_capabilities
from cricket.oci.capability_names import CAPABILITIES
from cricket.oci.host import HostFacts
from cricket.oci.inputs import HandlerSettings, RuntimeFeatures
from cricket.oci.process import command, environment, exec_process, rlimits, working_directory
from cricket.oci.signals import parse_signal, stop_signal
from cricket.types.container import ContainerConfig, ContainerMetadata
from cricket.types.image import ImageConfig
from cricket.types.security import Capabilities, ContainerSecurity


def config(**kwargs: Any) -> ContainerConfig:
    return ContainerConfig(metadata=ContainerMetadata("c"), **kwargs)


@pytest.mark.parametrize(
    ("cmd", "args", "entrypoint", "image_cmd", "expected"),
    [
        ((), (), ("e",), ("c",), ["e", "c"]),
        ((), ("a",), ("e",), ("c",), ["e", "a"]),
        (("x",), (), ("e",), ("c",), ["x"]),
        (("x",), ("a",), ("e",), ("c",), ["x", "a"]),
        ((), (), (), ("c",), ["c"]),
        ((), (), ("",), ("c",), ["c"]),
    ],
)
def test_command(cmd: Any, args: Any, entrypoint: Any, image_cmd: Any, expected: list[str]) -> None:
    image = ImageConfig(entrypoint=entrypoint, cmd=image_cmd)
    assert command(config(command=cmd, args=args), image) == expected


def test_no_command_at_all() -> None:
    with pytest.raises(InvalidArgument, match="no command"):
        command(config(), ImageConfig())
    with pytest.raises(InvalidArgument, match="NUL"):
        command(config(command=("a\0b",)), ImageConfig())


def test_environment_is_layered() -> None:
    image = ImageConfig(env=("A=1", "PATH=/image", "HOSTNAME=img", "TERM"))
    found = environment(config(env=(("A", "2=3"), ("B", "")), tty=True), image, "host")
    assert found == ["PATH=/image", "HOSTNAME=img", "A=2=3", "B="]
    assert "TERM=xterm" in environment(config(tty=True), ImageConfig(), "h")
    for key in ("", "A=B"):
        with pytest.raises(InvalidArgument, match="envs"):
            environment(config(env=((key, "x"),)), ImageConfig(), "h")
    with pytest.raises(InvalidArgument, match="NUL"):
        environment(config(env=(("A", "\0"),)), ImageConfig(), "h")


def test_working_directory() -> None:
    assert working_directory(config(working_dir="/a//b/"), ImageConfig(working_dir="/i")) == "/a/b"
    assert working_directory(config(), ImageConfig(working_dir="i")) == "/i"
    assert working_directory(config(), ImageConfig()) == "/"
    with pytest.raises(InvalidArgument, match="working_dir"):
        working_directory(config(working_dir="rel"), ImageConfig())


def test_exec_takes_over_the_first_process(make_inputs: Any) -> None:
    from cricket.oci.spec import container_spec

    spec = container_spec(make_inputs())
    process = exec_process(spec, ["ls"], tty=True)
    assert process["args"] == ["ls"]
    assert process["terminal"] is True
    assert process["env"][-1] == "TERM=xterm"
    assert process["capabilities"] == spec["process"]["capabilities"]
    assert spec["process"]["args"] == ["sleep", "1"]
    assert "TERM=xterm" not in spec["process"]["env"]
    with pytest.raises(InvalidArgument):
        exec_process(spec, [])


def test_rlimits_are_clamped_without_the_capability() -> None:
    settings = HandlerSettings(features=RuntimeFeatures(name="x"), rlimits={"RLIMIT_NOFILE": (50, 100)})
    poor = HostFacts(may_raise_rlimits=False, rlimits={"RLIMIT_NOFILE": 20})
    assert rlimits(settings, poor) == [{"type": "RLIMIT_NOFILE", "soft": 20, "hard": 20}]
    assert rlimits(settings, HostFacts())[0]["hard"] == 100
    assert rlimits(settings, HostFacts(max_open_files=70))[0] == {"type": "RLIMIT_NOFILE", "soft": 50, "hard": 70}


def security(**kwargs: Any) -> ContainerSecurity:
    return ContainerSecurity(capabilities=Capabilities(**kwargs))


@pytest.mark.parametrize(
    ("asked", "has", "has_not"),
    [
        ({}, {"CAP_CHOWN", "CAP_NET_RAW"}, {"CAP_SYS_ADMIN"}),
        ({"add": ("NET_ADMIN",)}, {"CAP_NET_ADMIN", "CAP_CHOWN"}, set()),
        ({"add": ("cap_net_admin",)}, {"CAP_NET_ADMIN"}, set()),
        ({"add": ("ALL",)}, set(CAPABILITIES), set()),
        ({"add": ("all",), "drop": ("CHOWN",)}, {"CAP_SYS_ADMIN"}, {"CAP_CHOWN"}),
        ({"drop": ("ALL",)}, set(), set(CAPABILITIES)),
        ({"drop": ("ALL",), "add": ("KILL",)}, {"CAP_KILL"}, set(CAPABILITIES) - {"CAP_KILL"}),
        ({"add": ("ALL",), "drop": ("ALL",)}, set(), set(CAPABILITIES)),
        ({"add": ("KILL",), "drop": ("KILL",)}, set(), {"CAP_KILL"}),
    ],
)
def test_capabilities(asked: Any, has: set[str], has_not: set[str]) -> None:
    found = process_capabilities(security(**asked), CAPABILITIES)
    assert has <= set(found["bounding"])
    assert not has_not & set(found["bounding"])
    assert found["bounding"] == found["effective"] == found["permitted"]
    assert "inheritable" not in found
    assert "ambient" not in found


def test_ambient_capabilities() -> None:
    found = process_capabilities(security(drop=("ALL",), add_ambient=("NET_BIND_SERVICE",)), CAPABILITIES)
    assert all(found[k] == ["CAP_NET_BIND_SERVICE"] for k in ("bounding", "permitted", "inheritable", "ambient"))


def test_what_the_daemon_does_not_have() -> None:
    few = {"CAP_CHOWN", "CAP_KILL"}
    assert process_capabilities(security(add=("ALL",)), few)["bounding"] == ["CAP_CHOWN", "CAP_KILL"]
    assert process_capabilities(security(), few)["bounding"] == ["CAP_CHOWN", "CAP_KILL"]
    assert process_capabilities(ContainerSecurity(privileged=True), few)["bounding"] == ["CAP_CHOWN", "CAP_KILL"]
    with pytest.raises(PermissionDenied, match="CAP_SYS_ADMIN"):
        process_capabilities(security(add=("SYS_ADMIN",)), few)


@pytest.mark.parametrize("asked", [{"add": ("NOPE",)}, {"drop": ("NOPE",)}, {"add_ambient": ("",)}])
def test_unknown_capabilities(asked: Any) -> None:
    with pytest.raises(InvalidArgument, match="unknown capability"):
        process_capabilities(security(**asked), CAPABILITIES)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("SIGTERM", 15), ("term", 15), ("9", 9), ("SIGRTMIN", 34), ("SIGRTMIN+3", 37), ("RTMAX-1", 63),
        ("SIGRTMINPLUS15", 49), ("SIGRTMAXMINUS14", 50), ("SIGCLD", 17), ("SIGPOLL", 29), ("SIGIOT", 6),
    ],
)  # fmt: skip
def test_signals(name: str, number: int) -> None:
    assert parse_signal(name) == number


@pytest.mark.parametrize("name", ["", "0", "65", "-9", "SIGNOPE", "SIGRTMIN+31", "RTMIN-1", "99999999999", "٣"])
def test_no_signals(name: str) -> None:
    with pytest.raises(InvalidArgument, match="stop_signal"):
        parse_signal(name)


def test_stop_signal() -> None:
    assert stop_signal("", "") == 15
    assert stop_signal("", "SIGQUIT") == 3
    assert stop_signal("SIGINT", "SIGQUIT") == 2
