"""Texts that the test clusters are configured with, and what is read back from them."""

from __future__ import annotations

import base64
import json
import tomllib
from pathlib import Path

import pytest
from kubernetes.config import list_kube_config_contexts

from tests.clusters import settings
from tests.clusters.api import FOREIGN, Unavailable, clusters, read_clusters
from tests.clusters.build import content_key
from tests.clusters.certificates import openssl_settings
from tests.clusters.layout import SITES, ClustersError
from tests.clusters.teardown import mounts_below

OPTIONS = {"endpoint": "http://10.200.0.1:7070", "secret_access_key": 'quote " and \\', "allow_http": "true"}


def _sites_text(kubeconfig: Path) -> str:
    return settings.sites_toml(SITES, kubeconfig, store="s3://bucket", store_options=OPTIONS)


def test_kubeconfig_has_a_context_per_login(tmp_path: Path) -> None:
    """Each context leads to its own server and user, keys travel as base64, and the client reads the file."""
    logins = [
        settings.Login(context=name, server=f"https://{name}:1", authority=b"ca", certificate=b"c", key=name.encode())
        for name in ("one", "two")
    ]
    path = tmp_path / "kubeconfig"
    path.write_text(settings.kubeconfig(logins))
    contexts, current = list_kube_config_contexts(str(path))
    assert (["one", "two"], "one") == ([row["name"] for row in contexts], current["name"])
    content = json.loads(path.read_text())
    assert {"cluster": "two", "user": "two", "namespace": "greenkernel"} == content["contexts"][1]["context"]
    assert "https://two:1" == content["clusters"][1]["cluster"]["server"]
    assert b"two" == base64.b64decode(content["users"][1]["user"]["client-key-data"])


def test_sites_file_has_the_agreed_shape() -> None:
    """The sites file parses to the store, its options unchanged, and one table per site."""
    content = tomllib.loads(_sites_text(Path("/a b/kubeconfig")))
    assert ("s3://bucket", OPTIONS) == (content["store"], content["store_options"])
    assert ["site-one", "site-two"] == list(content["sites"])
    assert {
        "kind": "kubernetes",
        "kubeconfig": "/a b/kubeconfig",
        "context": "site-one",
        "namespace": "greenkernel",
        "image": "localhost/greenkernel-sklearn:3.11",
        "zone": "DE",
        "pue": 1.2,
        "max_cores": 2,
    } == content["sites"]["site-one"]


def test_clusters_are_read_from_their_sites_file(tmp_path: Path) -> None:
    """What is written for one is what tests are given."""
    path = tmp_path / "sites.toml"
    path.write_text(_sites_text(tmp_path / "kubeconfig"))
    found = read_clusters(tmp_path / "kubeconfig", path, state_dir=tmp_path, foreign=True)
    assert (("site-one", "site-two"), OPTIONS["endpoint"]) == (found.contexts, found.s3_url)
    assert OPTIONS == found.s3_options


@pytest.mark.parametrize("text", [None, "store = ", 'store = "s3://x"\n'], ids=["missing", "broken", "short"])
def test_unusable_sites_file_is_named(tmp_path: Path, text: str | None) -> None:
    """A sites file that is missing, broken or too short is an error with its path."""
    path = tmp_path / "sites.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ClustersError, match=str(path)):
        read_clusters(tmp_path / "kubeconfig", path, state_dir=tmp_path, foreign=True)


def test_named_kubeconfig_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a kubeconfig is named nothing is started: its sites file is used, or its lack is the reason."""
    monkeypatch.setenv(FOREIGN, str(tmp_path / "kubeconfig"))
    missing = clusters()
    assert isinstance(missing, Unavailable)
    assert str(tmp_path / "sites.toml") in missing.reason
    (tmp_path / "sites.toml").write_text(_sites_text(tmp_path / "kubeconfig"))
    found = clusters()
    assert not isinstance(found, Unavailable)
    assert (True, tmp_path / "kubeconfig") == (found.foreign, found.kubeconfig)


def test_containerd_file_keeps_all_below_the_site(tmp_path: Path) -> None:
    """The file is valid TOML; root and sockets are the site's own, and the kill score is restricted."""
    text = settings.containerd_toml(SITES[1], tmp_path, plugins=Path("/plugins"), snapshotter="native")
    content = tomllib.loads(text)
    runtime = content["plugins"]["io.containerd.grpc.v1.cri"]
    assert f"{tmp_path}/containerd" == content["root"]
    assert str(SITES[1].containerd_socket) == content["grpc"]["address"]
    assert (True, "native") == (runtime["restrict_oom_score_adj"], runtime["containerd"]["snapshotter"])


def test_pods_of_a_site_get_its_addresses(tmp_path: Path) -> None:
    """The pod network hands out the site's own range and hides no pod behind the node's address."""
    bridge = json.loads(settings.pod_network(SITES[0], tmp_path))["plugins"][0]
    assert ([[{"subnet": SITES[0].pods}]], False) == (bridge["ipam"]["ranges"], bridge["ipMasq"])


def test_server_certificate_names_its_hosts() -> None:
    """Only an authority may sign, and a server's names are in its certificate."""
    assert "subjectAltName = IP:10.0.0.1, DNS:a\n" in openssl_settings(authority=False, hosts=["IP:10.0.0.1", "DNS:a"])
    assert "CA:FALSE" in openssl_settings(authority=False)
    assert "CA:TRUE" in openssl_settings(authority=True)


@pytest.mark.parametrize("parts", [[b"ab", b"c"], [b"a", b"bc"], [b"c", b"ab"], [b"abc"], [b"ab", b"c", b""]])
def test_content_key_tells_recipes_apart(parts: list[bytes]) -> None:
    """Parts that only join to the same bytes, or come in another order, give another key."""
    assert (content_key([b"ab", b"c"]) == content_key(parts)) == (parts == [b"ab", b"c"])


def test_mounts_are_undone_from_the_inside() -> None:
    """Only mounts below the folder are named, the last made first, with escaped spaces resolved."""
    lines = ("22 1 0:1 / / rw", "23 22 0:2 / /s/a rw", r"24 23 0:3 / /s/a/b\040c rw", "25 22 0:4 / /sx rw")
    assert ["/s/a/b c", "/s/a"] == mounts_below(Path("/s"), "\n".join(lines))
