"""Examples that other projects ship, each run as a cell through the magic and compared with a plain run.

They come from Debian's documentation packages and are read where those are unpacked; nothing of them is kept here.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.conftest import PLAIN_SITES, end_controllers
from tests.notebooks.compare import Case, Pair

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

# Debian's package, what must be installed to run its examples, and those that are compared.
EXAMPLES = {
    "python-skimage-doc": (
        "skimage",
        "plot_active_contours plot_adapt_rgb plot_attribute_operators plot_camera_numpy plot_chan_vese "
        "plot_contours plot_convex_hull plot_corner plot_edge_filter plot_equalize plot_gabor",
    ),
    "python-statsmodels-doc": ("statsmodels", "glm predict wls ols robust_models_0"),
}
CASES = [(package, name) for package, (_, names) in EXAMPLES.items() for name in names.split()]
# Names that a script binds to the clock.
CLOCKS = ("t0", "t1", "start", "elapsed", "elapsed_time")
# It holds an array that was made and never written to.
UNWRITTEN = ("glm_binom",)
# Most examples draw without a seed.
SEEDS = "import random\nimport numpy\nrandom.seed(1)\nnumpy.random.seed(1)\ndel random, numpy"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages, fetched and unpacked without being installed."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        pytest.skip("needs Debian's apt-get")
    place = tmp_path_factory.mktemp("public")
    for package in EXAMPLES:
        fetched = subprocess.run(["apt-get", "download", "-q", package], cwd=place, capture_output=True, check=False)
        if fetched.returncode != 0:
            pytest.skip(f"{package} cannot be fetched here")
    for archive in place.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", archive, place], check=True)
    return place


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("pair"), PLAIN_SITES)
    yield made
    made.close()
    end_controllers(made.home)


@pytest.mark.parametrize(("package", "name"), CASES)
def test_an_example_is_as_if_it_had_run_here(package: str, name: str, unpacked: Path, pair: Pair) -> None:
    """The same names, text, figures and error."""
    pytest.importorskip(EXAMPLES[package][0])
    found = sorted(path for path in unpacked.rglob(f"{name}.py") if package in path.parts)
    if not found:
        pytest.skip(f"{package} has no {name}.py")
    text = found[0].read_text(encoding="utf-8")
    case = Case(shows=name, before=(SEEDS,), cell=text, skips=CLOCKS + UNWRITTEN, clock=False, fresh=True)
    assert [] == pair.differences(case)
