"""Container Device Interface."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from cricket.errors import FailedPrecondition, InvalidArgument
from cricket.oci.cdi.model import parse
from cricket.oci.cdi.names import requested
from cricket.oci.cdi.registry import Registry
from cricket.oci.spec import container_spec


def cdi(kind: str = "acme.com/gpu", *, devices: Any = None, **changes: Any) -> dict[str, Any]:
    devices = devices if devices is not None else {"one": {"env": ["ONE=1"]}}
    listed = [{"name": n, "containerEdits": e} for n, e in devices.items()]
    return {"cdiVersion": "0.6.0", "kind": kind, "devices": listed, **changes}


def write(directory: Path, name: str, spec: Any) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(spec if isinstance(spec, str) else json.dumps(spec))


def inject(tmp_path: Path, spec: Any, make_inputs: Any, *names: str, **inputs: Any) -> dict[str, Any]:
    write(tmp_path, "a.json", spec)
    result = container_spec(make_inputs(**inputs))
    Registry([str(tmp_path)]).inject(result, names or ["acme.com/gpu=one"])
    return result


def test_every_edit(tmp_path: Path, make_inputs: Any) -> None:
    edits = {
        "env": ["HOSTNAME=changed", "NEW=1"],
        "deviceNodes": [{"path": "/dev/acme", "hostPath": "/dev/null", "permissions": "rw"}],
        "mounts": [
            {"hostPath": "/lib/acme", "containerPath": "/usr/lib/acme", "options": ["ro", "bind"]},
            {"hostPath": "tmpfs", "containerPath": "/dev/shm", "type": "tmpfs"},
        ],
        "hooks": [{"hookName": "createContainer", "path": "/bin/hook", "args": ["hook", "x"], "timeout": 5}],
        "additionalGids": [0, 44, 44],
        "intelRdt": {"closID": "c", "l3CacheSchema": "L3:0=f"},
    }
    spec = inject(tmp_path, cdi(cdiVersion="0.7.0", devices={"one": edits}), make_inputs)
    env = spec["process"]["env"]
    assert [e for e in env if e.startswith("HOSTNAME=")] == ["HOSTNAME=changed"]
    assert env[-1] == "NEW=1"
    device = spec["linux"]["devices"][0]
    assert (device["path"], device["type"], device["major"], device["minor"]) == ("/dev/acme", "c", 1, 3)
    assert device["fileMode"] == 0o666
    assert spec["linux"]["resources"]["devices"][-1] == {
        "allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"
    }  # fmt: skip
    shm = [m for m in spec["mounts"] if m["destination"] == "/dev/shm"]
    assert shm == [{"destination": "/dev/shm", "source": "tmpfs", "options": [], "type": "tmpfs"}]
    assert spec["mounts"][-1]["destination"] == "/usr/lib/acme"
    assert spec["hooks"] == {"createContainer": [{"path": "/bin/hook", "args": ["hook", "x"], "timeout": 5}]}
    assert spec["process"]["user"]["additionalGids"] == [0, 44]
    assert spec["linux"]["intelRdt"] == {"closID": "c", "l3CacheSchema": "L3:0=f"}


def test_edits_of_a_file_apply_once(tmp_path: Path, make_inputs: Any) -> None:
    devices = {"one": {"env": ["ONE=1"]}, "two": {"env": ["TWO=2"]}}
    common = {"hooks": [{"hookName": "poststop", "path": "/bin/h"}]}
    spec = inject(
        tmp_path, cdi(devices=devices, containerEdits=common), make_inputs, "acme.com/gpu=two", "acme.com/gpu=one"
    )
    assert spec["process"]["env"][-2:] == ["TWO=2", "ONE=1"]
    assert len(spec["hooks"]["poststop"]) == 1


def test_a_device_belongs_to_the_containers_user(tmp_path: Path, make_inputs: Any) -> None:
    from cricket.types.container import UserIds

    nodes = [{"path": "/dev/null"}, {"path": "/dev/zero", "uid": 0, "gid": 7}]
    spec = inject(tmp_path, cdi(devices={"one": {"deviceNodes": nodes}}), make_inputs, user=UserIds(uid=1000, gid=1001))
    owners = [(d.get("uid"), d.get("gid")) for d in spec["linux"]["devices"]]
    assert owners == [(1000, 1001), (0, 7)]


def test_described_devices_need_not_exist(tmp_path: Path, make_inputs: Any) -> None:
    nodes = [{"path": "/dev/none", "type": "b", "major": 8, "minor": 1, "permissions": "none"}]
    spec = inject(tmp_path, cdi(devices={"one": {"deviceNodes": nodes}}), make_inputs)
    assert spec["linux"]["devices"] == [{"path": "/dev/none", "type": "b", "major": 8, "minor": 1}]
    assert spec["linux"]["resources"]["devices"][-1]["access"] == ""


@pytest.mark.parametrize(
    "node", [{"path": "/dev/no-such"}, {"path": "/dev/null", "type": "b"}, {"path": "/dev/x", "hostPath": "/etc"}]
)
def test_device_nodes_that_do_not_fit(tmp_path: Path, make_inputs: Any, node: Any) -> None:
    write(tmp_path, "a.json", cdi(devices={"one": {"env": ["A=1"], "deviceNodes": [node]}}))
    spec = container_spec(make_inputs())
    before = json.dumps(spec)
    with pytest.raises(FailedPrecondition, match="device"):
        Registry([str(tmp_path)]).inject(spec, ["acme.com/gpu=one"])
    assert json.dumps(spec) == before


def test_bind_mounts_in_a_user_namespace_are_mapped(tmp_path: Path, make_inputs: Any) -> None:
    mounts = [
        {"hostPath": "/a", "containerPath": "/a", "options": ["bind"]},
        {"hostPath": "/b", "containerPath": "/b", "options": ["rbind", "ro"]},
        {"hostPath": "/c", "containerPath": "/c", "options": ["bind", "idmap"]},
        {"hostPath": "tmpfs", "containerPath": "/d", "type": "tmpfs"},
    ]
    spec = inject(tmp_path, cdi(devices={"one": {"mounts": mounts}}), make_inputs, namespaces={"user": "/pins/user"})
    found = {m["destination"]: m["options"] for m in spec["mounts"]}
    assert [found[d] for d in ("/a", "/b", "/c", "/d")] == [
        ["bind", "idmap"],
        ["rbind", "ro", "ridmap"],
        ["bind", "idmap"],
        [],
    ]


def test_overrides_conflicts_and_unknown_devices(tmp_path: Path, make_inputs: Any) -> None:
    low, high = tmp_path / "etc", tmp_path / "run"
    write(low, "a.json", cdi(devices={"one": {"env": ["FROM=low"]}, "both": {}}))
    write(low, "b.json", cdi(devices={"both": {"env": ["X=1"]}}))
    write(high, "a.json", cdi(devices={"one": {"env": ["FROM=high"]}}))
    registry = Registry([str(low), str(high)])
    assert registry.names() == ["acme.com/gpu=one"]
    spec = container_spec(make_inputs())
    registry.inject(spec, ["acme.com/gpu=one"])
    assert "FROM=high" in spec["process"]["env"]
    with pytest.raises(FailedPrecondition) as caught:
        registry.inject(spec, ["acme.com/gpu=both", "acme.com/gpu=none", "acme.com/gpu=one"])
    assert "acme.com/gpu=none (unknown)" in str(caught.value)
    assert "b.json" in str(caught.value)
    write(high, "c.json", cdi(devices={"both": {"env": ["Y=1"]}}))
    assert registry.names() == ["acme.com/gpu=both", "acme.com/gpu=one"]


def test_broken_files_are_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "bad.json", "{")
    write(tmp_path, "good.json", cdi())
    registry = Registry([str(tmp_path)])
    with caplog.at_level(logging.WARNING):
        assert registry.names() == ["acme.com/gpu=one"]
        write(tmp_path, "more.json", cdi("acme.com/nic"))
        assert len(registry.names()) == 2
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "spec",
    [
        cdi(cdiVersion="9.0.0"),
        cdi("nokind"),
        cdi("1bad/gpu"),
        cdi(devices={}),
        cdi(devices={"-bad": {}}),
        {**cdi(), "devices": [{"name": "a", "containerEdits": {}}] * 2},
        cdi(unknown=1),
        cdi(devices={"one": {"env": ["=x"]}}),
        cdi(devices={"one": {"deviceNodes": [{"path": ""}]}}),
        cdi(devices={"one": {"deviceNodes": [{"path": "/d", "type": "x"}]}}),
        cdi(devices={"one": {"deviceNodes": [{"path": "/d", "permissions": "rx"}]}}),
        cdi(devices={"one": {"hooks": [{"hookName": "never", "path": "/x"}]}}),
        cdi(devices={"one": {"mounts": [{"hostPath": "/a", "containerPath": ""}]}}),
        cdi(devices={"one": {"additionalGids": [-1]}}),
    ],
)
def test_bad_specs(spec: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"x\.json"):
        parse(json.dumps(spec).encode(), "x.json")


def test_yaml(tmp_path: Path) -> None:
    content = b"cdiVersion: '0.5.0'\nkind: acme.com/gpu\ndevices:\n- name: '0'\n  containerEdits:\n    env: [A=1]\n"
    try:
        import yaml  # noqa: F401
    except ImportError:
        with pytest.raises(InvalidArgument, match="PyYAML"):
            parse(content, "x.yaml")
        return
    assert parse(content, "x.yaml").devices[0].name == "0"
    with pytest.raises(InvalidArgument, match="YAML"):
        parse(b"a: [", "x.yaml")


def test_names() -> None:
    annotations = {"cdi.k8s.io/x": "a.com/b=c,a.com/b=d", "other": "z"}
    assert requested(["a.com/b=d"], annotations) == ["a.com/b=d", "a.com/b=c"]
    for bad in ("", "a.com/b", "a.com/b=", "/b=c", "a.com/b=c d", "a.com/b=-c", "a.com=c", "ä.com/b=c", "a.com/b=c\n"):
        with pytest.raises(InvalidArgument, match="CDI"):
            requested([bad], {})
