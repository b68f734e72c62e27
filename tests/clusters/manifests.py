"""What every site holds before the first job: the namespace, and the rights of the restricted user in it."""

from __future__ import annotations

from tests.clusters.certificates import RESTRICTED_USER
from tests.clusters.layout import NAMESPACE

ROLE = "greenkernel-jobs"
_RBAC = "rbac.authorization.k8s.io"
# API group, resources, verbs: all that GreenKernel may do on a site.
RIGHTS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("batch", ("jobs",), ("create", "get", "list", "watch", "patch", "delete")),
    ("", ("pods",), ("get", "list", "watch", "delete")),
    ("", ("pods/log",), ("get",)),
    ("", ("pods/proxy",), ("get", "create", "update")),
    ("", ("secrets",), ("create", "get", "patch", "delete")),
    ("", ("configmaps",), ("create", "get", "list", "delete")),
    ("", ("events",), ("list",)),
    ("", ("resourcequotas", "limitranges"), ("get", "list")),
)


def namespace() -> dict[str, object]:
    """The namespace, in which only pods of the `restricted` Pod Security Standard may run."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def role() -> dict[str, object]:
    """The rights as a Role."""
    rules = [
        {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)} for group, resources, verbs in RIGHTS
    ]
    return {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": {"name": ROLE}, "rules": rules}


def role_binding() -> dict[str, object]:
    """The rights given to the restricted user."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": ROLE},
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": ROLE},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": RESTRICTED_USER}],
    }


def furniture() -> tuple[tuple[str, dict[str, object]], ...]:
    """Every object with the path that it is created at, in order."""
    rights = f"/apis/{_RBAC}/v1/namespaces/{NAMESPACE}"
    return (
        ("/api/v1/namespaces", namespace()),
        (f"{rights}/roles", role()),
        (f"{rights}/rolebindings", role_binding()),
    )
