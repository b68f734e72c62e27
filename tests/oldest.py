"""What `make oldest` installs: the oldest versions that pyproject.toml allows, and what runs the tests.

``python -m tests.oldest`` prints it as pip reads it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

# Of what is for development: what cells use, and what runs tests.
IN_CELLS = ("ipykernel", "matplotlib", "tqdm")
TOOLS = ("hypothesis", "pytest", "pytest-timeout", "pytest-xdist")


def requirements(project: dict[str, list[str]], dev: list[str]) -> list[str]:
    """The lower bound of each dependency, as the version to install; tools may be newer."""
    named = {re.split("[<>=!~ ]", line)[0]: line for line in dev}
    pinned = [*project["dependencies"], *(named[name] for name in IN_CELLS)]
    for line in pinned:
        if not re.fullmatch(r"[\w.-]+>=[\w.]+", line):
            raise ValueError(f"{line} has no plain lower bound")
    return [*(line.replace(">=", "==") for line in pinned), *(named[name] for name in TOOLS)]


if __name__ == "__main__":
    told = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    print("\n".join(requirements(told, told["optional-dependencies"]["dev"])))
