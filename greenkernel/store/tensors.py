"""Tensors of PyTorch in the CPU's memory: what shares memory shares it there, gradients come along, identity is kept.

PyTorch's own pickling copies the bytes into the stream, parts tensors from arrays over the same memory, and forgets
gradients. Nothing here imports torch by itself.
"""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from greenkernel.store.arrays import address_of, as_view, bytes_of

_STAYED = "the graph of this tensor stayed where it was computed: compute it in the cell that calls backward()"


def is_plain(value: object) -> bool:
    """True for a dense tensor or parameter in the memory of the CPU, of no class of anybody's own."""
    torch = _torch()
    if torch is None or type(value) not in (torch.Tensor, torch.nn.Parameter):
        return False
    tensor: Any = value
    if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized or tensor.is_nested:
        return False
    return not (tensor.is_conj() or tensor.is_neg())


def is_memory(value: object) -> bool:
    """True for what tensors have in common: they speak for it."""
    return type(value).__module__ == "torch.storage"


def is_optimizer(value: object) -> bool:
    """True for one of PyTorch's: its own state forgets what schedulers and hooks have put into it."""
    torch = _torch()
    return torch is not None and isinstance(value, torch.optim.Optimizer)


def scripted(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to rebuild a module that TorchScript has compiled; None for all else."""
    if kind.__module__ != "torch.jit._script" or kind.__name__ != "RecursiveScriptModule":
        return None
    file = io.BytesIO()
    torch: Any = _torch()
    torch.jit.save(value, file)
    return _script, (file.getvalue(),)


def _script(data: bytes) -> Any:
    import torch

    return torch.jit.load(io.BytesIO(data))


class Memory:
    """The memory that tensors have in common.

    Args:
        array: All of its bytes, as an array of numpy.
    """

    __slots__ = ("array",)  # what has a __dict__ is taken for something that cells can change

    def __init__(self, array: Any) -> None:
        self.array = array

    def __reduce__(self) -> tuple[Any, ...]:
        return _storage, (self.array,)


class Memories:
    """The memories of the tensors that one writer has met."""

    def __init__(self) -> None:
        self._met: dict[int, Memory] = {}
        self._arrays: set[int] = set()

    def __len__(self) -> int:
        return len(self._met)

    def has(self, array: Any) -> bool:
        """True for an array that is itself what a memory is written as."""
        return id(array) in self._arrays

    def reduced(self, tensor: Any, over: Any = None) -> tuple[Any, ...]:
        """How to rebuild a tensor that `is_plain`.

        Args:
            tensor: The tensor.
            over: An array whose memory it looks at, from the first byte on.
        """
        if over is not None:
            self._met.setdefault(place_of(tensor), Memory(bytes_of(over)[: tensor.untyped_storage().nbytes()]))
        return _with_rest(tensor, (_made, (self._of(tensor), *_layout(tensor))))

    def _of(self, tensor: Any) -> Memory:
        storage = tensor.untyped_storage()
        place = storage.data_ptr() or id(tensor)
        if place not in self._met:
            self._met[place] = Memory(_bytes_in(storage))
            self._arrays.add(id(self._met[place].array))
        return self._met[place]


def is_generator(value: object) -> bool:
    """True for a random generator of PyTorch's in the CPU's memory."""
    torch = _torch()
    return torch is not None and type(value) is torch.Generator and cast("Any", value).device.type == "cpu"


def put_generator(target: Any, state: Any) -> bool:
    """Let a generator go on where another one is."""
    target.set_state(state)
    return True


def part_of(tensor: Any, known: tuple[Any, Became | None]) -> tuple[Any, ...]:
    """How to rebuild a tensor that looks at the memory of one that the reader has.

    Args:
        tensor: The one to rebuild.
        known: The one that the reader has, and what it has become; None: what it is there already.
    """
    base, content = known
    return _with_rest(tensor, (_part, (base, _kind(base), content, *_layout(tensor))))


def array_of(array: Any, base: Any, known: tuple[Any, Became | None]) -> tuple[Any, ...]:
    """How to rebuild an array that looks at the memory of a tensor that the reader has.

    Args:
        array: The array to rebuild.
        base: A tensor here with this memory.
        known: As in `part_of`.
    """
    there, content = known
    offset = address_of(array) - place_of(base)
    layout = (array.dtype, array.shape, array.strides, offset, bool(array.flags.writeable))
    return _array, (there, _kind(there), content, *layout)


def place_of(tensor: Any) -> int:
    """The address of a tensor's memory."""
    return int(tensor.untyped_storage().data_ptr())


def wholes(there: Mapping[str, object]) -> Iterator[tuple[str, Any]]:
    """Those that are tensors with all of their memory to themselves, by name."""
    for name, value in there.items():
        if is_plain(value) and _is_whole(value) and place_of(value):
            yield name, value


class Became:
    """A tensor that is written with its bytes, also where the reader has one with this memory; read as a tensor.

    Args:
        tensor: Another one over the memory: who knows the tensor itself must not take this for a reference to it.
    """

    __slots__ = ("tensor",)

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor


@dataclass(frozen=True, slots=True)
class Content:
    """What a tensor has become.

    Attributes:
        tensor: What it is, `Became` until it is read.
        grad: Its gradient.
        requires: Whether it wants one; None where it was computed from others.
        attributes: Its ``__dict__``.
    """

    tensor: Any
    grad: Any
    requires: bool | None
    attributes: dict[str, Any]


def content(tensor: Any) -> Content:
    """What `put` puts into another tensor."""
    requires = tensor.requires_grad if tensor.is_leaf else None
    return Content(Became(tensor.detach()), _grad(tensor), requires, dict(vars(tensor)))


def put(target: Any, new: Content) -> bool:
    """Let a tensor become what another one has; what looks at its memory sees it."""
    mine, theirs = target.data, new.tensor
    if _kind(mine) == _kind(theirs):
        torch: Any = _torch()
        with torch.inference_mode(mine.is_inference()):  # such a one may only be written to in this mode
            _compact(mine).copy_(_compact(theirs))
    else:
        target.data = theirs
    if new.requires is not None and target.is_leaf:
        target.requires_grad_(new.requires)
        if new.grad is not None and _kind(new.grad)[:2] != _kind(target)[:2]:
            new.grad.data = target.data.clone()  # one that is here and becomes what it is there after this one
        target.grad = new.grad
    vars(target).clear()
    vars(target).update(new.attributes)
    return True


def _compact(tensor: Any) -> Any:
    """Along a dimension without a stride all elements are one, which cannot be written as if they were many."""
    return tensor[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in tensor.stride())]


def became(update: object) -> Became | None:
    """What a tensor has become by an update of it; None for those of others."""
    return update.tensor if isinstance(update, Content) else None


def _kind(tensor: Any) -> tuple[Any, ...]:
    return tensor.dtype, tuple(tensor.shape), tuple(tensor.stride())


def _torch() -> Any:
    # Half loaded while it is imported by another thread.
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "optim") else None


def _grad(tensor: Any) -> Any:
    return tensor.grad if tensor.is_leaf or tensor.retains_grad else None


def _layout(tensor: Any) -> tuple[Any, ...]:
    torch: Any = _torch()
    dtype = str(tensor.dtype).removeprefix("torch.")
    graph = None if tensor.is_leaf else type(tensor.grad_fn).__name__
    is_parameter = type(tensor) is torch.nn.Parameter
    size, stride = tuple(tensor.shape), tuple(tensor.stride())
    return dtype, tensor.storage_offset(), size, stride, is_parameter, tensor.requires_grad, graph


def _with_rest(tensor: Any, reduced: tuple[Any, Any]) -> tuple[Any, ...]:
    grad, attributes = _grad(tensor), vars(tensor)
    if grad is None and not attributes:
        return reduced
    return *reduced, (grad, dict(attributes)), None, None, _put_rest


def _put_rest(tensor: Any, rest: tuple[Any, dict[str, Any]]) -> None:
    grad, attributes = rest
    if grad is not None:
        tensor.grad = grad
    vars(tensor).update(attributes)


def _is_whole(tensor: Any) -> bool:
    return bool(tensor.is_contiguous() and tensor.nbytes == tensor.untyped_storage().nbytes())


def _bytes_in(storage: Any) -> Any:
    import torch

    return torch.empty(0, dtype=torch.uint8, device="cpu").set_(storage).numpy()


def _storage(array: Any) -> Any:
    import torch

    return torch.from_numpy(array).untyped_storage()


def _part(base: Any, kind: tuple[Any, ...], content: Any, *layout: Any) -> Any:
    return _made(_memory(base, kind, content), *layout)


def _array(base: Any, kind: tuple[Any, ...], content: Any, *layout: Any) -> Any:
    return as_view(_bytes_in(_memory(base, kind, content)), *layout)


def _memory(base: Any, kind: tuple[Any, ...], content: Any) -> Any:
    there = base if _kind(base) == kind and _is_whole(base) else content if content is not None else base.clone()
    return there.untyped_storage()


def _made(
    storage: Any,
    dtype: str,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    is_parameter: bool,
    requires: bool,
    graph: str | None,
) -> Any:
    import torch

    made = torch.empty(0, dtype=getattr(torch, dtype), device="cpu").set_(storage, offset, size, stride)
    if is_parameter:
        return torch.nn.Parameter(made, requires_grad=requires)
    if graph is not None:
        with torch.enable_grad():
            return _graph(graph).apply(made, torch.empty((), device="cpu", requires_grad=True))
    return made.requires_grad_(requires)


@functools.cache
def _graph(name: str) -> Any:
    """Stands for what a tensor was computed by: looks like it, and says what to do where it is asked."""
    import torch

    class Graph(torch.autograd.Function):  # type: ignore[misc]  # has no types here
        @staticmethod
        def forward(_: Any, value: Any, _anchor: Any) -> Any:
            return value

        @staticmethod
        def backward(_: Any, *_grads: Any) -> Any:
            raise RuntimeError(_STAYED)

    Graph._backward_cls.__name__ = name
    return Graph
