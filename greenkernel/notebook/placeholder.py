"""What stands in the notebook for a name that a pending run will bind."""

from __future__ import annotations

from typing import Any, NoReturn

from greenkernel.errors import UserError


class Placeholder:
    """Refuses every use but being looked at.

    Args:
        name: The name that it stands for.
        run: The run that will bind it.
    """

    def __init__(self, name: str, run: str) -> None:
        object.__setattr__(self, "_greenkernel", (name, run))

    def __repr__(self) -> str:
        _, run = object.__getattribute__(self, "_greenkernel")
        return f"<bound when run {run} ends>"

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        name, run = object.__getattribute__(self, "_greenkernel")
        raise UserError(f"{name} is bound when run {run} ends", what_to_do=f"Wait for it with %greenruns attach {run}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("_repr_", "_ipython_", "__")):  # front ends ask for these when they look
            raise AttributeError(name)
        self._refuse()

    __setattr__ = __delattr__ = _refuse
    __call__ = __len__ = __iter__ = __next__ = __bool__ = __contains__ = _refuse
    __getitem__ = __setitem__ = __delitem__ = __enter__ = __exit__ = __await__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __floordiv__ = __mod__ = __pow__ = __matmul__ = __and__ = __or__ = __xor__ = __neg__ = __abs__ = _refuse
    __int__ = __float__ = __index__ = __str__ = __format__ = __reduce_ex__ = __array__ = _refuse
    __hash__ = object.__hash__
