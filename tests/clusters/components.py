"""Command lines of a site's components."""

from __future__ import annotations

from pathlib import Path

from tests.clusters.layout import API_PORT, SERVICES, Site
from tests.clusters.network import inside

_CLIENT, _PEER = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
STORAGE, API, RUNTIME = "etcd", "kube-apiserver", "containerd"
# In the order of their start once the API answers.
WORKERS = ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")


def command(site: Site, component: str, folder: Path, program: Path) -> tuple[str, ...]:
    """The command line of one component, in the site's network.

    Args:
        site: The site.
        component: One of the names above.
        folder: The site's folder, with `pki` and the configuration files.
        program: The one Kubernetes program.
    """
    if component == RUNTIME:
        return inside(site, "containerd", "--config", str(folder / "containerd.toml"), "--log-level", "warn")
    flags = {
        STORAGE: _storage,
        API: _api,
        "kube-controller-manager": _controllers,
        "kube-scheduler": _scheduler,
        "kube-proxy": _proxy,
        "kubelet": _kubelet,
    }[component](site, folder)
    return inside(site, str(program), component, *(f"--{name}={value}" for name, value in flags.items()))


def _storage(site: Site, folder: Path) -> dict[str, object]:
    return {
        "name": site.name,
        "data-dir": folder / "etcd",
        "listen-client-urls": _CLIENT,
        "advertise-client-urls": _CLIENT,
        "listen-peer-urls": _PEER,
        "initial-advertise-peer-urls": _PEER,
        "initial-cluster": f"{site.name}={_PEER}",
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }


def _api(site: Site, folder: Path) -> dict[str, object]:
    pki = folder / "pki"
    return {
        "etcd-servers": _CLIENT,
        "advertise-address": site.address,
        "secure-port": API_PORT,
        "client-ca-file": pki / "ca.crt",
        "tls-cert-file": pki / "api-server.crt",
        "tls-private-key-file": pki / "api-server.key",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        # Logs and exec would look the node's name up in DNS otherwise.
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-client-certificate": pki / "to-kubelet.crt",
        "kubelet-client-key": pki / "to-kubelet.key",
        "service-cluster-ip-range": SERVICES,
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": pki / "accounts.pub",
        "service-account-signing-key-file": pki / "accounts.key",
        "profiling": "false",
    }


def _controllers(site: Site, folder: Path) -> dict[str, object]:
    return {
        "kubeconfig": folder / "controller-manager.kubeconfig",
        "root-ca-file": folder / "pki" / "ca.crt",
        "service-account-private-key-file": folder / "pki" / "accounts.key",
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        "cluster-name": site.name,
    }


def _scheduler(site: Site, folder: Path) -> dict[str, object]:
    return {"kubeconfig": folder / "scheduler.kubeconfig", "leader-elect": "false"}


def _proxy(site: Site, folder: Path) -> dict[str, object]:
    return {
        "kubeconfig": folder / "proxy.kubeconfig",
        # Without it the proxy waits 30 s for a node named after the machine.
        "hostname-override": site.name,
        "proxy-mode": "iptables",
        "cluster-cidr": site.pods,
        # These would set the kernel's limits for the whole machine.
        "conntrack-max-per-core": 0,
        "conntrack-tcp-timeout-established": 0,
        "conntrack-tcp-timeout-close-wait": 0,
        "healthz-bind-address": "127.0.0.1:10256",
    }


def _kubelet(site: Site, folder: Path) -> dict[str, object]:
    return {
        "config": folder / "kubelet.json",
        "kubeconfig": folder / "node.kubeconfig",
        "hostname-override": site.name,
        "node-ip": site.address,
        "root-dir": folder / "kubelet",
        "cert-dir": folder / "kubelet" / "pki",
    }
