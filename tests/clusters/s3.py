"""The S3 server that home and the pods of all sites reach at one address."""

from __future__ import annotations

import json
import secrets
import socket
from pathlib import Path

from tests.clusters.layout import BUCKET, HOME_ADDRESS, REGION, S3_PORT, S3_URL, State
from tests.clusters.processes import Ledger, launch
from tests.clusters.shell import wait_until

NAME = "s3"


def store_options(state: State) -> dict[str, str]:
    """Options of the object store's client; the keys are made up at the first call and kept in the state folder."""
    path = state.folder / "s3-keys.json"
    if not path.exists():
        keys = {"access_key_id": f"gk{secrets.token_hex(8)}", "secret_access_key": secrets.token_hex(20)}
        path.write_text(json.dumps(keys))
        path.chmod(0o600)
    return {"endpoint": S3_URL, **json.loads(path.read_text()), "region": REGION, "allow_http": "true"}


def start_s3(state: State, ledger: Ledger, program: Path) -> None:
    """Start the server with its bucket and wait until it listens.

    Raises:
        ClustersError: It does not listen in time.
    """
    data = state.folder / "s3"
    # A folder below the root is a bucket.
    (data / BUCKET).mkdir(parents=True, exist_ok=True)
    argv = (str(program), "--port", f"{HOME_ADDRESS}:{S3_PORT}", "--region", REGION, "posix", str(data))
    launch(ledger, NAME, argv, log=state.logs / "s3.log", env=environment(state))
    wait_until("the S3 server", _listens, timeout_s=20)


def environment(state: State) -> dict[str, str]:
    """The variables with the server's keys."""
    options = store_options(state)
    return {"ROOT_ACCESS_KEY": options["access_key_id"], "ROOT_SECRET_KEY": options["secret_access_key"]}


def _listens() -> bool:
    with socket.create_connection((HOME_ADDRESS, S3_PORT), timeout=2):
        return True
