"""Texts that the clusters are configured with: kubeconfig, sites file, containerd, pod network and kubelet."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.clusters.layout import NAMESPACE, PAUSE_IMAGE, SCIENCE_IMAGE, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One context of a kubeconfig.

    Attributes:
        context: Its name, also that of its user and cluster entry.
        server: Address of the API.
        authority: The certificate authority, PEM.
        certificate: The client's certificate, PEM.
        key: The client's key, PEM.
        namespace: The namespace it starts in.
    """

    context: str
    server: str
    authority: bytes
    certificate: bytes
    key: bytes
    namespace: str = NAMESPACE


def kubeconfig(logins: Sequence[Login]) -> str:
    """Text of a kubeconfig with these contexts, the first one current (JSON, which is YAML as well)."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": logins[0].context,
        "clusters": [
            {
                "name": login.context,
                "cluster": {"server": login.server, "certificate-authority-data": _base64(login.authority)},
            }
            for login in logins
        ],
        "users": [
            {
                "name": login.context,
                "user": {
                    "client-certificate-data": _base64(login.certificate),
                    "client-key-data": _base64(login.key),
                },
            }
            for login in logins
        ],
        "contexts": [
            {
                "name": login.context,
                "context": {"cluster": login.context, "user": login.context, "namespace": login.namespace},
            }
            for login in logins
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sites_toml(sites: Sequence[Site], kubeconfig_path: Path, *, store: str, store_options: Mapping[str, str]) -> str:
    """Text of the sites file.

    Args:
        sites: The sites, in order.
        kubeconfig_path: Absolute path of the kubeconfig with one context per site's name.
        store: The store's URL.
        store_options: Options of the store's client.
    """
    lines = [f"store = {_quoted(store)}", "", "[store_options]"]
    lines += [f"{key} = {_quoted(value)}" for key, value in store_options.items()]
    for site in sites:
        lines += ["", f"[sites.{site.name}]"]
        texts = {
            "kind": "kubernetes",
            "kubeconfig": str(kubeconfig_path),
            "context": site.name,
            "namespace": NAMESPACE,
            "image": SCIENCE_IMAGE,
            "zone": site.zone,
        }
        lines += [f"{key} = {_quoted(value)}" for key, value in texts.items()]
        lines += [f"pue = {site.pue}", "max_cores = 2"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # A basic TOML string escapes as JSON does.
    return json.dumps(text, ensure_ascii=False)


def containerd_toml(site: Site, folder: Path, *, plugins: Path, snapshotter: str) -> str:
    """Text of the site's containerd configuration.

    Args:
        site: The site.
        folder: The site's folder; what is kept and mounted lies below it.
        plugins: Folder with the CNI plugins.
        snapshotter: `overlayfs`, or `native` where the file system cannot carry an overlay.
    """
    runtime = 'plugins."io.containerd.grpc.v1.cri"'
    lines = [
        "version = 2",
        f"root = {_quoted(str(folder / 'containerd'))}",
        f"state = {_quoted(str(site.containerd_socket.parent / 'containerd'))}",
        "[grpc]",
        f"address = {_quoted(str(site.containerd_socket))}",
        '[plugins."io.containerd.internal.v1.opt"]',
        f"path = {_quoted(str(folder / 'opt'))}",
        f"[{runtime}]",
        f"sandbox_image = {_quoted(PAUSE_IMAGE)}",
        # Without it every sandbox fails where the caller may not lower the kernel's kill score.
        "restrict_oom_score_adj = true",
        "netns_mounts_under_state_dir = true",
        f"[{runtime}.cni]",
        f"bin_dir = {_quoted(str(plugins))}",
        f"conf_dir = {_quoted(str(folder / 'cni'))}",
        f"[{runtime}.containerd]",
        f"snapshotter = {_quoted(snapshotter)}",
        f"[{runtime}.containerd.runtimes.runc]",
        'runtime_type = "io.containerd.runc.v2"',
        f"[{runtime}.containerd.runtimes.runc.options]",
        "SystemdCgroup = false",
    ]
    return "\n".join(lines) + "\n"


def pod_network(site: Site, folder: Path) -> str:
    """Text of the site's CNI configuration: a bridge, addresses handed out on the host, no masquerade."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(folder / "addresses"),
            "ranges": [[{"subnet": site.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": "0.4.0", "name": site.netns, "plugins": plugins}, indent=1)


def kubelet_settings(site: Site, folder: Path, authority: Path) -> str:
    """Text of the site's kubelet configuration.

    Args:
        site: The site.
        folder: The site's folder.
        authority: The certificate authority that callers of the kubelet are signed by.
    """
    content = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{site.containerd_socket}",
        "podLogsDir": str(folder / "pod-logs"),
        "resolvConf": "",
        # The machine's own groups are left alone; limits of containers hold all the same.
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{site.netns}",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        # No registry has the images, so none may ever be collected, and a full disk is not the tests' matter.
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "8760h",
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
    }
    return json.dumps(content, indent=1)
