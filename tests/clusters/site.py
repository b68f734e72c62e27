"""Start one site: certificates, configuration, processes, images, and the wait until pods can run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.clusters import components, settings
from tests.clusters.certificates import create_certificates
from tests.clusters.kubeapi import KubeApi
from tests.clusters.layout import ClustersError, Site, State
from tests.clusters.packages import plugin_folder
from tests.clusters.processes import Ledger, launch
from tests.clusters.shell import run, wait_until, works

_COMPONENT_LOGINS = ("controller-manager", "scheduler", "proxy", "node")


class SiteStart:
    """One start of one site.

    Args:
        site: The site; its network is there.
        state: The state folder.
        ledger: Where processes are recorded.
        program: The Kubernetes program.
        images: The archive of images.
    """

    def __init__(self, site: Site, *, state: State, ledger: Ledger, program: Path, images: Path) -> None:
        self._site = site
        self._state = state
        self._folder = state.site(site)
        self._ledger = ledger
        self._program = program
        self._images = images

    def run(self) -> None:
        """Start everything and return once pods can run.

        Raises:
            ClustersError: Something did not come up; the message names it.
        """
        self._configure()
        with ThreadPoolExecutor(max_workers=1) as pool:
            imported = pool.submit(self._start_runtime)
            self._launch(components.STORAGE)
            self._launch(components.API)
            api = KubeApi(self._site, self._folder / "pki")
            api.wait_answers()
            api.furnish()
            # The kubelet asks containerd at once, and the import is over before the first pod comes.
            imported.result()
            for component in components.WORKERS:
                self._launch(component)
        api.wait_usable()

    def _launch(self, component: str) -> None:
        argv = components.command(self._site, component, self._folder, self._program)
        log = self._state.logs / self._site.name / f"{component}.log"
        launch(self._ledger, f"{self._site.name}/{component}", argv, log=log)

    def _configure(self) -> None:
        folder, pki = self._folder, self._folder / "pki"
        create_certificates(pki, self._site)
        for name in _COMPONENT_LOGINS:
            login = login_of(self._site, folder, name, context=self._site.name)
            path = folder / f"{name}.kubeconfig"
            path.write_text(settings.kubeconfig([login]))
            path.chmod(0o600)
        plugins = plugin_folder()
        if plugins is None:
            raise ClustersError("the CNI plugins are not installed")
        (folder / "cni").mkdir(exist_ok=True)
        (folder / "cni" / "10-pods.conflist").write_text(settings.pod_network(self._site, folder))
        self._site.containerd_socket.parent.mkdir(parents=True, exist_ok=True)
        snapshotter = _snapshotter(folder)
        text = settings.containerd_toml(self._site, folder, plugins=plugins, snapshotter=snapshotter)
        (folder / "containerd.toml").write_text(text)
        (folder / "kubelet.json").write_text(settings.kubelet_settings(self._site, folder, pki / "ca.crt"))

    def _start_runtime(self) -> None:
        self._launch(components.RUNTIME)
        tool = ("ctr", "--address", str(self._site.containerd_socket), "--namespace", "k8s.io")
        wait_until(f"containerd of {self._site.name}", lambda: works(*tool, "version"), timeout_s=30)
        run(*tool, "images", "import", "--snapshotter", _snapshotter(self._folder), str(self._images))


def login_of(site: Site, folder: Path, user: str, *, context: str) -> settings.Login:
    """The login of one of the site's users with its files in `pki`."""
    pki = folder / "pki"
    return settings.Login(
        context=context,
        server=site.api_url,
        authority=(pki / "ca.crt").read_bytes(),
        certificate=(pki / f"{user}.crt").read_bytes(),
        key=(pki / f"{user}.key").read_bytes(),
    )


def _snapshotter(folder: Path) -> str:
    # An overlay cannot lie on an overlay, as the root of a container often is.
    kind = run("findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(folder)).strip()
    return "native" if kind == "overlay" else "overlayfs"
