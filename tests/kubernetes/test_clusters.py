"""The test clusters themselves: what other tests build on holds on both sites."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from importlib.metadata import version

import obstore
import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from obstore.store import S3Store

from tests.clusters import faults
from tests.clusters.api import Clusters, state_of
from tests.clusters.layout import (
    API_PORT,
    BUCKET,
    FIRST_SERVICE,
    NAMESPACE,
    PAUSE_IMAGE,
    PYTHON_IMAGE,
    SCIENCE_IMAGE,
    SITES,
    Site,
)
from tests.kubernetes import pods
from tests.kubernetes.sitekit import ON_CLUSTERS

pytestmark = ON_CLUSTERS
each_site = pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)


@pytest.fixture
def ours(clusters: Clusters) -> Clusters:
    """Clusters with the administrator's contexts and the images of this package."""
    if clusters.foreign and not clusters.kubeconfig.with_name("processes.json").exists():
        pytest.skip("these clusters are not of this package: it knows neither their images nor their administrator")
    return clusters


@each_site
def test_node_is_ready(ours: Clusters, site: Site) -> None:
    """Each site has one node, Ready, that says the version it was built from."""
    (node,) = pods.core(ours, site.admin_context).list_node().items
    assert "True" == {row.type: row.status for row in node.status.conditions}["Ready"]
    assert "v1.34.4" == node.status.node_info.kubelet_version


@each_site
@pytest.mark.parametrize("image", [PYTHON_IMAGE, SCIENCE_IMAGE])
def test_python_runs_restricted(ours: Clusters, site: Site, image: str) -> None:
    """Both Python images run without root on a file system that cannot be written, by both names of Python."""
    code = "import os, sys; open('/tmp/w', 'w').close(); print(sys.version_info[:2], os.getuid())"
    program = "python" if image == PYTHON_IMAGE else "python3"
    assert "(3, 11) 65532\n" == pods.output(pods.core(ours, site.admin_context), image, program, "-c", code)


def test_science_versions_are_those_of_home(ours: Clusters) -> None:
    """A model can travel as a pickle: scikit-learn, pandas and joblib work and have the versions of home."""
    code = (
        "import sklearn, pandas, joblib, sklearn.ensemble as e;"
        "e.RandomForestClassifier(4, n_jobs=2).fit([[0], [1]] * 9, [0, 1] * 9);"
        "print(sklearn.__version__, pandas.__version__, joblib.__version__)"
    )
    expected = " ".join(version(name) for name in ("scikit-learn", "pandas", "joblib"))
    api = pods.core(ours, SITES[0].admin_context)
    assert expected == pods.output(api, SCIENCE_IMAGE, "python3", "-W", "ignore", "-c", code).splitlines()[-1]


@each_site
def test_pause_runs_until_told_to_stop(ours: Clusters, site: Site) -> None:
    """The pause image runs as an ordinary restricted pod."""
    api = pods.core(ours, site.admin_context)
    with pods.pod(api, PAUSE_IMAGE, ()) as name:
        pods.wait_phase(api, name, "Running")


def test_privileged_pod_is_refused(ours: Clusters) -> None:
    """The namespace enforces the restricted standard: a pod that asks for nothing special is refused."""
    wanted = pods.restricted_pod(PAUSE_IMAGE, ())
    wanted.spec.containers[0].security_context = None
    with pytest.raises(ApiException, match="violates PodSecurity"):
        pods.core(ours, SITES[0].admin_context).create_namespaced_pod(NAMESPACE, wanted)


@each_site
@pytest.mark.parametrize(
    "forbidden",
    [
        lambda api: api.list_node(),
        lambda api: api.list_namespaced_pod("kube-system"),
        lambda api: api.list_namespaced_secret(NAMESPACE),
        lambda api: api.create_namespaced_pod(NAMESPACE, pods.restricted_pod(PAUSE_IMAGE, ())),
    ],
    ids=["nodes", "other namespace", "list secrets", "bare pods"],
)
def test_restricted_user_is_refused(
    ours: Clusters, site: Site, forbidden: Callable[[client.CoreV1Api], object]
) -> None:
    """The restricted user reaches nothing outside the namespace and nothing in it that was not granted."""
    with pytest.raises(ApiException) as refused:
        forbidden(pods.core(ours, site.name))
    assert http.client.FORBIDDEN == refused.value.status


@each_site
def test_restricted_user_runs_a_job(ours: Clusters, site: Site) -> None:
    """The restricted user creates a Job, sees its pod succeed, reads its log and deletes both."""
    core = pods.core(ours, site.name)
    batch = client.BatchV1Api(core.api_client)
    wanted = pods.restricted_pod(PYTHON_IMAGE, ["python3", "-c", "print(6 * 7)"])
    name = wanted.metadata.name
    spec = client.V1JobSpec(template=client.V1PodTemplateSpec(spec=wanted.spec), backoff_limit=0)
    batch.create_namespaced_job(NAMESPACE, client.V1Job(metadata=client.V1ObjectMeta(name=name), spec=spec))
    try:
        pods.poll(
            "the job",
            lambda: bool(
                batch.list_namespaced_job(NAMESPACE, field_selector=f"metadata.name={name},status.successful=1").items
            ),
        )
        (made,) = core.list_namespaced_pod(NAMESPACE, label_selector=f"job-name={name}").items
        assert "42\n" == core.read_namespaced_pod_log(made.metadata.name, NAMESPACE)
    finally:
        batch.delete_namespaced_job(name, NAMESPACE, propagation_policy="Background")
    pods.poll("its end", lambda: not core.list_namespaced_pod(NAMESPACE, label_selector=f"job-name={name}").items)


@each_site
def test_restricted_user_moves_bytes_through_the_pod_proxy(ours: Clusters, site: Site) -> None:
    """With nothing but a kubeconfig the restricted user sends bytes to a server in a pod and has its answer."""
    code = (
        "from http.server import BaseHTTPRequestHandler as Base, HTTPServer\n"
        "class Echo(Base):\n"
        "    def do_PUT(self):\n"
        "        data = self.rfile.read(int(self.headers['Content-Length']))\n"
        "        self.send_response(200); self.send_header('Content-Length', str(len(data))); self.end_headers()\n"
        "        self.wfile.write(data.upper())\n"
        "HTTPServer(('', 8000), Echo).serve_forever()\n"
    )
    restricted = pods.core(ours, site.name)
    send = restricted.api_client.rest_client.pool_manager.request
    with pods.pod(pods.core(ours, site.admin_context), PYTHON_IMAGE, ["python3", "-c", code]) as name:
        url = f"{site.api_url}/api/v1/namespaces/{NAMESPACE}/pods/{name}:8000/proxy/x"
        pods.wait_phase(restricted, name, "Running")
        pods.poll("the server", lambda: send("PUT", url, body=b"").status == http.client.OK)
        assert b"BYTES" == send("PUT", url, body=b"bytes").data


def test_store_honours_put_if_absent(clusters: Clusters) -> None:
    """The S3 server lets exactly one writer create a key."""
    options = clusters.s3_options
    store = S3Store(
        BUCKET,
        endpoint=options["endpoint"],
        access_key_id=options["access_key_id"],
        secret_access_key=options["secret_access_key"],
        region=options["region"],
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    key = f"test/{socket.gethostname()}/once"
    try:
        obstore.put(store, key, b"first", mode="create")
        with pytest.raises(obstore.exceptions.AlreadyExistsError):
            obstore.put(store, key, b"second", mode="create")
        assert b"first" == bytes(obstore.get(store, key).bytes())
    finally:
        obstore.delete(store, key)


@each_site
def test_pod_reaches_the_store(ours: Clusters, site: Site) -> None:
    """A pod reaches the S3 server at the same address as home: it answers a stranger with 403."""
    code = (
        "import sys, urllib.request, urllib.error\n"
        "try: urllib.request.urlopen(sys.argv[1], timeout=10)\n"
        "except urllib.error.HTTPError as refused: print(refused.code)\n"
    )
    api = pods.core(ours, site.admin_context)
    url = f"{ours.s3_url}/{BUCKET}/nothing"
    assert "403\n" == pods.output(api, PYTHON_IMAGE, "python3", "-c", code, url)


@each_site
def test_pod_reaches_the_api_and_not_the_world(ours: Clusters, site: Site) -> None:
    """From a pod the API answers at its service address, and an address outside has no route."""
    code = (
        "import socket\n"
        f"socket.create_connection(('{FIRST_SERVICE}', 443), timeout=10).close()\n"
        "try: socket.create_connection(('203.0.113.1', 80), timeout=3)\n"
        "except OSError as refused: print('no way out')\n"
    )
    assert "no way out\n" == pods.output(pods.core(ours, site.admin_context), PYTHON_IMAGE, "python3", "-c", code)


@each_site
def test_sigterm_reaches_the_process(ours: Clusters, site: Site) -> None:
    """Deleting a pod with grace sends SIGTERM to its process, which gets the time to say so."""
    code = (
        "import signal, sys, time\n"
        "def stop(*_): print('told to stop'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop); print('up')\n"
        "while True: time.sleep(60)\n"
    )
    api = pods.core(ours, site.admin_context)
    name = api.create_namespaced_pod(
        NAMESPACE, pods.restricted_pod(PYTHON_IMAGE, ["python3", "-c", code])
    ).metadata.name
    pods.wait_phase(api, name, "Running")
    pods.poll("its first word", lambda: "up\n" == api.read_namespaced_pod_log(name, NAMESPACE))
    log = api.read_namespaced_pod_log(name, NAMESPACE, follow=True, _preload_content=False)
    api.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=20)
    assert b"up\ntold to stop\n" == log.read()


def _reachable(site: Site) -> bool:
    try:
        socket.create_connection((site.address, API_PORT), timeout=1).close()
    except OSError:
        return False
    return True


@each_site
def test_partition_and_heal(ours: Clusters, site: Site) -> None:
    """A site that is cut off does not answer while the other one does, and answers again once healed."""
    (other,) = [candidate for candidate in SITES if candidate != site]
    faults.partition(site.name)
    try:
        # A link that goes down or comes up may cost the other one a packet.
        pods.poll("the other site", lambda: _reachable(other))
        assert not _reachable(site)
    finally:
        faults.heal(site.name)
    pods.poll("the healed site", lambda: _reachable(site))


def test_frozen_component_goes_on(ours: Clusters) -> None:
    """A frozen scheduler leaves a pod waiting; it places it once it goes on."""
    state, component = state_of(ours.state_dir), f"{SITES[0].name}/kube-scheduler"
    api = pods.core(ours, SITES[0].admin_context)
    faults.freeze(state, component)
    try:
        with pods.pod(api, PAUSE_IMAGE, ()) as name:
            with pytest.raises(AssertionError, match="waited"):
                pods.poll(name, lambda: bool(api.read_namespaced_pod(name, NAMESPACE).spec.node_name), timeout_s=2)
            faults.thaw(state, component)
            pods.wait_phase(api, name, "Running")
    finally:
        faults.thaw(state, component)


def test_killed_component_is_revived(ours: Clusters) -> None:
    """A killed component is started again as it was, and nothing else is."""
    state, component = state_of(ours.state_dir), f"{SITES[1].name}/kube-scheduler"
    faults.kill(state, component)
    assert (component,) == faults.revive(state)
    api = pods.core(ours, SITES[1].admin_context)
    with pods.pod(api, PAUSE_IMAGE, ()) as name:
        pods.wait_phase(api, name, "Running")
