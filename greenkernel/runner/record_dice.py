"""The global random generators of Python and numpy: has a task drawn from them, and what would they say now."""

from __future__ import annotations

import array
import contextlib
import hashlib
import importlib
import random
import sys
from typing import Any

Dice = tuple[Any, Any]


def take() -> Dice:
    """The present state of ``random`` and, where it is loaded, of ``numpy.random``."""
    numpy_random: Any = sys.modules.get("numpy.random")
    return random.getstate(), None if numpy_random is None else numpy_random.get_state(legacy=False)


def load_numpy() -> None:
    """Load numpy's generators where numpy is installed, so that they have a state that can travel."""
    with contextlib.suppress(ImportError):
        importlib.import_module("numpy.random")


def put(dice: Dice) -> None:
    """Set the global generators to a state, numpy's where it is loaded."""
    random.setstate(dice[0])
    numpy_random: Any = sys.modules.get("numpy.random")
    if dice[1] is not None and numpy_random is not None:
        numpy_random.set_state(dice[1])


def take_torch() -> Any:
    """The state of PyTorch's CPU generator, as an array of bytes; None where it is not loaded."""
    torch: Any = sys.modules.get("torch")
    return None if torch is None else torch.get_rng_state().numpy()


def put_torch(state: Any) -> None:
    """Set PyTorch's CPU generator to a state, if there is one."""
    if state is not None:
        torch: Any = importlib.import_module("torch")
        torch.set_rng_state(torch.from_numpy(state))


def same(one: Dice, other: Dice) -> bool:
    """True for equal states, without the cost of a fingerprint."""
    return bool(one[0] == other[0] and _flat(one[1]) == _flat(other[1]))


def fingerprint(dice: Dice) -> str:
    """A short text that is equal for equal states, in any process."""
    version, words, gauss = dice[0]
    digest = hashlib.sha256(array.array("Q", words))
    digest.update(repr((version, gauss)).encode())
    _feed(digest, dice[1])
    return digest.hexdigest()


def _flat(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _flat(value) for name, value in part.items()}
    return part.tobytes() if hasattr(part, "tobytes") else part


def _feed(digest: Any, part: Any) -> None:
    if isinstance(part, dict):
        for name in sorted(part):
            digest.update(name.encode())
            _feed(digest, part[name])
    else:
        digest.update(part.tobytes() if hasattr(part, "tobytes") else repr(part).encode())
