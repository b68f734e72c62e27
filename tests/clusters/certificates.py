"""A certificate authority per site and the certificates of its components and users, made with openssl."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.clusters.layout import FIRST_SERVICE, Site
from tests.clusters.shell import run

RESTRICTED_USER = "greenkernel-user"
_SUBJECTS = {
    "admin": "/O=system:masters/CN=admin",
    "restricted": f"/CN={RESTRICTED_USER}",
    "to-kubelet": "/O=system:masters/CN=kube-apiserver-kubelet-client",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "proxy": "/CN=system:kube-proxy",
}
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650")


def openssl_settings(*, authority: bool, hosts: Sequence[str] = ()) -> str:
    """Text of an openssl configuration for one certificate.

    Args:
        authority: Whether the certificate signs others.
        hosts: Names (`DNS:...`) and addresses (`IP:...`) that a server answers to.
    """
    lines = ["[req]", "distinguished_name = subject", "x509_extensions = extensions", "[subject]", "[extensions]"]
    lines.append("subjectKeyIdentifier = hash")
    lines.append("authorityKeyIdentifier = keyid")
    if authority:
        lines.append("basicConstraints = critical, CA:TRUE")
        lines.append("keyUsage = critical, keyCertSign, cRLSign, digitalSignature")
    else:
        lines.append("basicConstraints = critical, CA:FALSE")
        lines.append("keyUsage = critical, digitalSignature")
        lines.append("extendedKeyUsage = serverAuth, clientAuth")
    if hosts:
        lines.append(f"subjectAltName = {', '.join(hosts)}")
    return "\n".join(lines) + "\n"


def create_certificates(folder: Path, site: Site) -> None:
    """Make all keys and certificates of a site in a folder: `NAME.crt` and `NAME.key`, the authority is `ca`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = folder / "openssl.cnf"
    settings.write_text(openssl_settings(authority=True))
    run("openssl", "req", "-x509", *_KEY, "-config", str(settings), "-subj", f"/CN={site.name}", *_files(folder, "ca"))
    for name, subject in {**_SUBJECTS, "node": f"/O=system:nodes/CN=system:node:{site.name}"}.items():
        _issue(folder, name, subject)
    hosts = [f"IP:{address}" for address in (site.address, "127.0.0.1", FIRST_SERVICE)]
    hosts += [f"DNS:kubernetes{suffix}" for suffix in ("", ".default", ".default.svc")]
    _issue(folder, "api-server", "/CN=kube-apiserver", hosts)
    key = str(folder / "accounts.key")
    run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key)
    run("openssl", "pkey", "-in", key, "-pubout", "-out", str(folder / "accounts.pub"))


def _issue(folder: Path, name: str, subject: str, hosts: Sequence[str] = ()) -> None:
    settings = folder / "openssl.cnf"
    settings.write_text(openssl_settings(authority=False, hosts=hosts))
    authority = ("-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"))
    run("openssl", "req", "-x509", *_KEY, "-config", str(settings), "-subj", subject, *authority, *_files(folder, name))


def _files(folder: Path, name: str) -> tuple[str, ...]:
    return ("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt"))
