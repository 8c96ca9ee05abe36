"""`cricket run IMAGE`: docker's words as CRI's configurations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from cricket._proto.cri import api_pb2 as pb
from cricket.cli.commands import run
from cricket.cli.errors import UsageError
from cricket.cli.imageconfig import container_config, mount, pod_config, port, variables
from cricket.cli.main import main
from cricket.cli.options import Parser


def options(*words: str) -> Any:
    parser = Parser("cricket run", "", "")
    run.configure(parser)
    return parser.parse_args(words)


def test_everything_behind_the_image_is_its_command() -> None:
    args = options("-it", "--rm", "busybox", "ls", "-l", "--rm")
    assert (args.manifest, args.words, args.interactive, args.tty, args.rm) == (
        "busybox", ["ls", "-l", "--rm"], True, True, True,
    )  # fmt: skip


def test_options_may_stand_behind_files() -> None:
    args = run._options_behind(options("-p", "1:2", "c.json", "pod.json", "--pull", "never", "-p", "3:4"))
    assert (args.manifest, args.pod_config, args.pull, args.publish) == ("c.json", "pod.json", "never", ["1:2", "3:4"])


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("-", False),
        ("pod.yaml", False),
        ("c.json", False),
        ("busybox", True),
        ("r.io/a/b:1", True),
        ("nginx.yml", False),
    ],
)
def test_images_and_files(text: str, image: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run._is_image(text) is image
    (tmp_path / "busybox").write_text("")
    assert not run._is_image("busybox")


def test_manifests_refuse_what_is_for_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-e", "A=1", "pod.yaml"]) == 2
    assert "are for images" in capsys.readouterr().err
    assert main(["run", "-p", "a:b", "pod.yaml"]) == 2


def test_the_configurations(tmp_path: Path) -> None:
    args = options(
        "-it", "-e", "A=1", "-v", f"{tmp_path}:/data:ro", "-w", "/data", "-u", "7:8", "--entrypoint", "sh",
        "--cpus", "0.5",
        "-m", "64M", "-p", "127.0.0.1:8080:80/udp", "--read-only", "r.io/Some/App:1@sha256:1", "-c", "x",
    )  # fmt: skip
    pod = pod_config(args, {"own": "label"})
    assert pod.metadata.name.startswith("app-") and pod.hostname == pod.metadata.name
    assert pod.labels["own"] == "label" and pod.labels["io.kubernetes.pod.uid"] == pod.metadata.uid
    made = container_config(args, "sha256:2", pod)
    assert (list(made.command), list(made.args)) == (["sh"], ["-c", "x"])
    assert made.stdin and made.stdin_once and made.tty and made.image.user_specified_image == args.manifest
    security, resources = made.linux.security_context, made.linux.resources
    assert (security.run_as_user.value, security.run_as_group.value, security.readonly_rootfs) == (7, 8, True)
    assert "/proc/kcore" in security.masked_paths and security.seccomp.profile_type == pb.SecurityProfile.RuntimeDefault
    assert (resources.cpu_quota, resources.memory_limit_in_bytes) == (50_000, 64 << 20)
    (mapping,) = pod.port_mappings
    assert (mapping.host_ip, mapping.host_port, mapping.container_port, mapping.protocol) == (
        "127.0.0.1",
        8080,
        80,
        pb.UDP,
    )
    (volume,) = made.mounts
    assert (volume.host_path, volume.container_path, volume.readonly) == (str(tmp_path), "/data", True)


def test_privileged_in_the_network_of_this_host() -> None:
    args = options("--privileged", "--network", "host", "-u", "nobody", "-d", "-i", "busybox")
    pod = pod_config(args, {})
    made = container_config(args, "x", pod)
    context = made.linux.security_context
    assert pod.linux.security_context.namespace_options.network == pb.NODE and not pod.hostname
    assert context.privileged and not context.masked_paths and context.run_as_username == "nobody"
    assert made.stdin and not made.stdin_once


def test_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "taken over")
    monkeypatch.delenv("NOT", raising=False)
    path = tmp_path / "env"
    path.write_text("# comment\nA=1\nB=x=y\n\nHERE\n")
    args = argparse.Namespace(env_file=[str(path)], env=["A=2", "NOT"])
    assert variables(args) == {"A": "2", "B": "x=y", "HERE": "taken over"}
    with pytest.raises(UsageError):
        variables(argparse.Namespace(env_file=[], env=["=1"]))


def test_volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert mount("./new:/x").host_path == f"{tmp_path}/new" and (tmp_path / "new").is_dir()
    for text, said in (
        ("data:/x", "no named volumes"),
        ("/x", "no volume"),
        ("/a:b", "no volume"),
        ("/a:/b:q", "no volume"),
    ):
        with pytest.raises(UsageError, match=said):
            mount(text)


def test_ports() -> None:
    assert port("80").host_port > 0 and port(":80").container_port == 80
    assert port("[::1]:1:2").host_ip == "::1"
    for text in ("0", "1:0", "70000:1", "a", "1:2:3", "1/icmp"):
        with pytest.raises(UsageError):
            port(text)
