"""Which endpoints a reference goes to: hosts.toml, registries.conf, certificate directories, and their precedence."""

from __future__ import annotations

from pathlib import Path

import pytest

from cricket.errors import FailedPrecondition, PermissionDenied
from cricket.images.reference import Reference
from cricket.images.remote.endpoint import Endpoint, RegistryPaths, Tls, is_loopback
from cricket.images.remote.resolve import explain, resolve, resolve_endpoints

D = "sha256:" + "a" * 64


class Files:
    """A configuration directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = RegistryPaths(
            (f"{root}/etc1", f"{root}/etc2", f"{root}/docker"), (f"{root}/registries.conf", f"{root}/more.conf")
        )

    def write(self, path: str, text: str = "") -> str:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return str(target)

    def endpoints(self, name: str) -> list[Endpoint]:
        return resolve_endpoints(Reference.parse(name), self.paths)

    def urls(self, name: str) -> list[str]:
        return [f"{e.url} {e.repository}" for e in self.endpoints(name)]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.mark.parametrize(
    ("name", "url", "verify", "fallback"),
    [
        ("busybox", "https://registry-1.docker.io/v2", True, False),
        ("example.com/a", "https://example.com/v2", True, False),
        ("example.com:80/a", "https://example.com:80/v2", True, False),
        ("localhost:5000/a", "https://localhost:5000/v2", False, True),
        ("127.1.2.3:5000/a", "https://127.1.2.3:5000/v2", False, True),
        ("[::1]:5000/a", "https://[::1]:5000/v2", False, True),
        ("localhost/a", "https://localhost/v2", False, False),
        ("localhost:443/a", "https://localhost:443/v2", False, False),
        ("localhost:80/a", "http://localhost:80/v2", False, False),
        ("10.0.0.1:5000/a", "https://10.0.0.1:5000/v2", True, False),
    ],
)
def test_built_in_rules(files: Files, name: str, url: str, verify: bool, fallback: bool) -> None:
    (endpoint,) = files.endpoints(name)
    assert (endpoint.url, endpoint.tls.verify, endpoint.http_fallback) == (url, verify, fallback)


def test_bad_port_is_an_error_of_the_reference(files: Files) -> None:
    from cricket.errors import InvalidArgument

    with pytest.raises(InvalidArgument, match="port"):
        files.endpoints("example.com:99999/a")


@pytest.mark.parametrize("host", ["127.0.0.1.example.com", "127.0.0.256", "127.1", "localhost.example.com"])
def test_what_only_looks_like_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_mirrors_then_server_in_the_order_of_the_file(files: Files) -> None:
    files.write(
        "etc1/docker.io/hosts.toml",
        """
server = "https://registry-1.docker.io"
[host."http://z.local:5000"]
  capabilities = ["pull", "resolve"]
[host."https://a.local/prefix"]
  capabilities = ["pull"]
  [host."https://a.local/prefix".header]
    X-Key = ["one", "two"]
    X-Other = "three"
[host."https://m.local/own/root"]
  override_path = true
  dial_timeout = "1m30s"
  skip_verify = true
""",
    )
    assert files.urls("busybox") == [
        "http://z.local:5000/v2 library/busybox",
        "https://m.local/own/root library/busybox",
        "https://registry-1.docker.io/v2 library/busybox",
    ], "a tag is not asked where only pull is allowed"
    z, a, m, own = files.endpoints(f"busybox@{D}")
    assert (z.namespace, own.namespace, z.upstream, own.upstream) == ("docker.io", "", False, True)
    assert a.url == "https://a.local/prefix/v2" and not a.resolve
    assert a.headers == (("X-Key", "one"), ("X-Key", "two"), ("X-Other", "three"))
    assert (m.dial_timeout, m.tls) == (90.0, Tls(verify=False))


def test_settings_without_server_are_for_the_registry_itself(files: Files) -> None:
    files.write("etc1/example.com/ca.pem")
    files.write("etc1/example.com/c.pem")
    files.write("etc1/example.com/k.pem")
    files.write("etc1/example.com/hosts.toml", 'ca = "ca.pem"\nclient = [["c.pem", "k.pem"]]\n')
    (endpoint,) = files.endpoints("example.com/a")
    base = f"{files.root}/etc1/example.com"
    assert endpoint.url == "https://example.com/v2"
    assert endpoint.tls == Tls(True, (f"{base}/ca.pem",), ((f"{base}/c.pem", f"{base}/k.pem"),))


def test_http_with_tls_settings_means_https_first(files: Files) -> None:
    files.write("etc1/r.local/hosts.toml", '[host."http://m.local:5000"]\nskip_verify = true\n')
    mirror = files.endpoints("r.local/a")[0]
    assert (mirror.url, mirror.http_fallback) == ("https://m.local:5000/v2", True)


@pytest.mark.parametrize("directory", ["r.local_5000_", "r.local:5000"])
def test_names_of_directories_with_a_port(files: Files, directory: str) -> None:
    files.write(f"etc2/{directory}/hosts.toml", 'server = "http://found.local"')
    assert files.urls("r.local:5000/a") == ["http://found.local/v2 a"]
    assert files.urls("r.local/a") == ["https://r.local/v2 a"]


def test_first_directory_wins(files: Files) -> None:
    files.write("etc2/r.local/hosts.toml", 'server = "http://second.local"')
    assert files.urls("r.local/a") == ["http://second.local/v2 a"]
    files.write("etc1/r.local/hosts.toml", 'server = "http://first.local"')
    assert files.urls("r.local/a") == ["http://first.local/v2 a"]


def test_order_of_precedence(files: Files) -> None:
    files.write("etc1/_default/hosts.toml", '[host."http://default.local"]')
    assert files.urls("r.local/a") == ["http://default.local/v2 a", "https://r.local/v2 a"]
    files.write("registries.conf", '[[registry]]\nlocation = "r.local"\n[[registry.mirror]]\nlocation = "conf.local"')
    assert files.urls("r.local/a") == ["https://conf.local/v2 a", "https://r.local/v2 a"]
    assert files.urls("other.local/a")[0] == "http://default.local/v2 a"
    files.write("etc2/r.local/hosts.toml", 'server = "http://hosts.local"')
    assert files.urls("r.local/a") == ["http://hosts.local/v2 a"]
    files.write("registries.conf.d/1.conf", '[[registry]]\nlocation = "r.local"\nblocked = true')
    with pytest.raises(PermissionDenied, match=r"r\.local is blocked.*1\.conf"):
        files.urls("r.local/a")


BAD_HOSTS = {
    "server = 3": "a string is wanted.*key server",
    "server = [": "not valid TOML",
    '[host."ftp://x"]': r'host\."ftp://x"',
    '[host."https://x:99999"]': "not a URL",
    '[host."https://u:p@x"]': "more than scheme",
    '[host."https://x"]\ncapabilities = ["fly"]': r"'fly' is not a capability",
    '[host."https://x"]\ncapabilities = "pull"': "a list of strings",
    '[host."https://x"]\nskip_verify = "yes"': "true or false",
    '[host."https://x"]\nca = "missing.pem"': "cannot read .*missing.pem",
    '[host."https://x"]\nca = 3': "a path or a list",
    '[host."https://x"]\nclient = [["a"]]': "client",
    '[host."https://x"]\ndial_timeout = "soon"': "not a duration",
    '[host."https://x"]\n[host."https://x".header]\nA = 1': "a string or a list",
    '[host."https://x"]\n[host."https://x".header]\nA = "b\\r\\nc"': "not a valid HTTP header",
    '[host]\n"https://x" = 1': "a table is wanted",
}


@pytest.mark.parametrize(("text", "words"), BAD_HOSTS.items())
def test_bad_hosts_toml_names_file_and_key(files: Files, text: str, words: str) -> None:
    path = files.write("etc1/r.local/hosts.toml", text)
    with pytest.raises(FailedPrecondition, match=words) as e:
        files.endpoints("r.local/a")
    assert path in str(e.value)


def test_certificates_in_dockers_layout(files: Files) -> None:
    for name in ("a.crt", "b.crt", "client.cert", "client.key", "both.cert"):
        files.write(f"docker/r.local:5000/{name}")
    (endpoint,) = files.endpoints("r.local:5000/a")
    base = f"{files.root}/docker/r.local:5000"
    assert endpoint.tls.ca == (f"{base}/a.crt", f"{base}/b.crt")
    assert endpoint.tls.client == ((f"{base}/both.cert",) * 2, (f"{base}/client.cert", f"{base}/client.key"))
    files.write("docker/hub/x")
    files.write("docker/docker.io/hub.crt")
    assert files.endpoints("busybox")[0].tls.ca == (f"{files.root}/docker/docker.io/hub.crt",)


def test_a_client_key_without_certificate_is_an_error(files: Files) -> None:
    path = files.write("docker/r.local/x.key")
    with pytest.raises(FailedPrecondition, match="certificate") as e:
        files.endpoints("r.local/a")
    assert path in str(e.value)


CONF = """
unqualified-search-registries = ["r.local", "docker.io"]
[[registry]]
prefix = "r.local/team"
location = "storage.local/x"
insecure = true
[[registry.mirror]]
location = "all.local:5000"
[[registry.mirror]]
location = "tags.local/cache"
pull-from-mirror = "tag-only"
[[registry.mirror]]
location = "digests.local"
pull-from-mirror = "digest-only"
insecure = true
[[registry]]
location = "r.local"
[[registry]]
prefix = "*.wild.local"
[[registry.mirror]]
location = "tame.local/m"
[[registry]]
prefix = "digests.wild.local"
location = "digests.wild.local"
mirror-by-digest-only = true
[[registry.mirror]]
location = "m.local"
"""


def test_registries_conf_mirrors_and_rewriting(files: Files) -> None:
    files.write("registries.conf", CONF)
    assert files.urls("r.local/team/app:1") == [
        "https://all.local:5000/v2 app",
        "https://tags.local/v2 cache/app",
        "https://storage.local/v2 x/app",
    ]
    assert files.urls(f"r.local/team/app@{D}") == [
        "https://all.local:5000/v2 app",
        "https://digests.local/v2 app",
        "https://storage.local/v2 x/app",
    ]
    own = files.endpoints("r.local/team/app")[-1]
    assert (own.http_fallback, own.tls.verify, own.upstream) == (True, False, True)
    assert files.urls("r.local/teammates/app") == ["https://r.local/v2 teammates/app"], "a prefix ends at a slash"
    assert files.urls("r.local:5000/team/app") == ["https://r.local:5000/v2 team/app"], "another port, another registry"
    assert files.urls("a.b.wild.local/x") == ["https://tame.local/v2 m/x", "https://a.b.wild.local/v2 x"]
    assert files.urls("wild.local/x") == ["https://wild.local/v2 x"]
    assert files.urls("digests.wild.local/x") == ["https://digests.wild.local/v2 x"]
    assert files.urls(f"digests.wild.local/x@{D}")[0] == "https://m.local/v2 x"


def test_drop_ins_replace_what_they_name(files: Files) -> None:
    files.write("registries.conf", '[[registry]]\nlocation = "r.local"\ninsecure = true')
    files.write("registries.conf.d/20.conf", '[[registry]]\nprefix = "r.local"\nlocation = "b.local"')
    files.write("registries.conf.d/10.conf", '[[registry]]\nprefix = "r.local"\nlocation = "a.local"')
    files.write("registries.conf.d/30.conf.bak", "nonsense")
    (endpoint,) = files.endpoints("r.local/x")
    assert (endpoint.url, endpoint.http_fallback) == ("https://b.local/v2", False)
    files.write("more.conf", '[[registry]]\nprefix = "r.local"\nlocation = "c.local"')
    assert files.urls("r.local/x") == ["https://c.local/v2 x"]


def test_version_1_is_still_read(files: Files) -> None:
    files.write(
        "registries.conf",
        '[registries.search]\nregistries = ["r.local"]\n[registries.insecure]\nregistries = ["i.local"]\n'
        '[registries.block]\nregistries = ["b.local"]',
    )
    assert files.endpoints("i.local/a")[0].http_fallback
    with pytest.raises(PermissionDenied):
        files.endpoints("b.local/a")
    assert "r.local/app:latest" in explain("app", files.paths)


BAD_CONF = {
    "[[registry]]": "needs a prefix or a location",
    '[[registry]]\nprefix = "a.local"': "missing.*location",
    '[[registry]]\nlocation = "https://a.local"': "has a scheme",
    '[[registry]]\nlocation = "a.local"\npull-from-mirror = "all"': r"belongs into \[\[registry.mirror\]\]",
    '[[registry]]\nlocation = "a.local"\nblocked = "no"': r"registry\[0\]\.blocked",
    '[[registry]]\nlocation = "a.local"\n[[registry.mirror]]': "a mirror needs a location",
    '[[registry]]\nlocation = "a.local"\n[[registry.mirror]]\nlocation="m"\npull-from-mirror="x"': "is not known",
    '[[registry]]\nlocation = "a.local"\nmirror-by-digest-only = true\n'
    '[[registry.mirror]]\nlocation="m"\npull-from-mirror="all"': "together",
    '[[registry]]\nprefix = "*.a.local/x"': r"\*\.example\.com",
    '[registry]\nlocation = "a.local"': r"\[\[registry\]\]",
    'unqualified-search-registries = "a.local"': "a list of strings",
    'unqualified-search-registries = ["a.local/x"]': "not a host",
    'short-name-mode = "maybe"': "not a mode",
    '[aliases]\n"a:1" = "r.local/a"': "without registry, tag and digest",
    '[aliases]\n"a" = "r.local/a:1"': "without tag",
    '[aliases]\n"a" = "b"': "must name registry",
    '[aliases]\n"A" = "r.local/a"': "lower case",
    '[registries.search]\nregistries = []\n[[registry]]\nlocation = "x.local"': "version 1",
    "= 1": "not valid TOML",
}


@pytest.mark.parametrize(("text", "words"), BAD_CONF.items())
def test_bad_registries_conf_names_file_and_key(files: Files, text: str, words: str) -> None:
    path = files.write("registries.conf", text)
    with pytest.raises(FailedPrecondition, match=f"(?s){words}") as e:
        files.endpoints("r.local/a")
    assert path in str(e.value)


def test_unreadable_files_are_errors_not_silence(files: Files) -> None:
    (files.root / "registries.conf").mkdir()
    with pytest.raises(FailedPrecondition, match="cannot read"):
        files.endpoints("r.local/a")


def test_nothing_left_to_ask_is_an_error(files: Files) -> None:
    files.write("etc1/r.local/hosts.toml", 'server = "https://r.local"\ncapabilities = ["pull"]')
    assert files.urls(f"r.local/a@{D}")
    with pytest.raises(FailedPrecondition, match="may serve tags"):
        files.endpoints("r.local/a:1")


def test_explain_tells_the_trail(files: Files) -> None:
    files.write("registries.conf", '[aliases]\n"app" = "r.local/team/app"')
    hosts = files.write("etc1/r.local/hosts.toml", '[host."http://m.local"]\nfuture_key = 1')
    text = explain("app:2", files.paths)
    assert "an alias in" in text and "r.local/team/app:2" in text
    assert f"read {hosts}" in text and "future_key is not known" in text
    assert "1. http://m.local/v2/team/app (tags and digests, plain http)" in text
    assert "2. https://r.local/v2/team/app" in text
    assert "built-in rules" in explain("else.local/a", files.paths)


def test_unknown_keys_are_noted_in_the_trail(files: Files) -> None:
    files.write("registries.conf", "new-thing = 1")
    assert any("new-thing" in line for line in resolve(Reference.parse("r.local/a"), files.paths).trail)
