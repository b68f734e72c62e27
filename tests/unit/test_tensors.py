"""Tensors of PyTorch in the blob store and back (with make soak, which installs it)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from greenkernel.store.blobs import Blobs
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.payloads import digest, dump, load
from greenkernel.store.updates import apply, update_of

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.soak
nn = torch.nn


def _there(space: dict[str, Any]) -> dict[str, Any]:
    blobs = Blobs(ObjectStore(StoreAddress(url="memory:///")), b"k" * 32)
    return load(dump(space, blobs, {}).payload, blobs, {})


def _of_all_kinds() -> dict[str, Any]:
    x = torch.arange(30000.0).reshape(300, 100)
    tagged = nn.Parameter(torch.ones(2))
    tagged.tag = "t"
    return {
        "large": x,
        "view": x[3:5],
        "turned": x.t(),
        "gaps": x[:, ::2],
        "wide": torch.ones(1).expand(5),
        "empty": torch.empty(0),
        "scalar": torch.tensor(3),
        "flags": torch.tensor([True]),
        "brain": torch.ones(3, dtype=torch.bfloat16),
        "half": x.half(),
        "complex": torch.tensor([1 + 2j]),
        "parameter": tagged,
        "frozen": nn.Parameter(torch.ones(2), requires_grad=False),
        "computed": (tagged * 2).sum(),
    }


@pytest.mark.parametrize("name", list(_of_all_kinds()))
def test_every_kind_comes_back_as_it_is(name: str) -> None:
    """Class, elements, layout, and what autograd knows of it."""
    mine = _of_all_kinds()[name]
    found = _there({name: mine})[name]
    assert type(found) is type(mine)
    assert torch.equal(found, mine)
    assert repr(found) == repr(mine)
    assert (found.stride(), found.dtype, found.is_leaf) == (mine.stride(), mine.dtype, mine.is_leaf)
    assert vars(found) == vars(mine)


def test_tensors_and_arrays_share_their_memory() -> None:
    """What is written through one is seen through all."""
    x, arr = torch.zeros(300, 100), np.zeros(9)
    found = _there({"n": x.numpy(), "x": x, "view": x[3:5], "turned": x.t(), "arr": arr, "of": torch.from_numpy(arr)})
    found["x"][3, 0] = 9.0
    found["of"][1] = 5
    assert (found["view"][0, 0], found["n"][3, 0], found["turned"][0, 3], found["arr"][1]) == (9, 9, 9, 5)


def test_a_model_and_its_optimizer() -> None:
    """Gradients, moments, and which parameter they are of; a scheduler's step is in the optimizer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(200, 100), nn.ReLU(), nn.Linear(100, 1))
    optimizer = torch.optim.Adam(model.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)

    def step(of: dict[str, Any]) -> Any:
        of["optimizer"].zero_grad()
        of["model"](torch.ones(4, 200)).sum().backward()
        of["optimizer"].step()
        of["scheduler"].step()
        return of["model"][0].weight

    mine = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    step(mine)
    found = _there(mine)
    assert torch.equal(found["model"][0].weight.grad, model[0].weight.grad)
    assert digest(found["model"], {}) == digest(model, {})
    assert torch.equal(step(found), step(mine))


def test_a_graph_that_stayed_says_so() -> None:
    """It looks as it did, and names what to do when it is asked for gradients."""
    found = _there({"loss": (nn.Parameter(torch.ones(2)) ** 2).mean()})["loss"]
    assert repr(found) == "tensor(1., grad_fn=<MeanBackward0>)"
    with pytest.raises(RuntimeError, match="compute it in the cell that calls"):
        found.backward()


@pytest.mark.parametrize(
    "change",
    [lambda t: t.data.mul_(3), lambda t: setattr(t, "data", t.data.half()), lambda t: setattr(t, "data", t.data[:1])],
    ids=["elements", "type", "size"],
)
def test_what_a_tensor_became_is_put_into_it(change: Any) -> None:
    """Also its gradient, of whatever type that was before."""
    mine, theirs = (nn.Parameter(torch.arange(4.0)) for _ in range(2))
    for one in (mine, theirs):
        one.sum().backward()
    theirs.grad = None
    change(theirs)
    theirs.sum().backward()
    update = _there({"update": update_of(theirs)})["update"]
    assert apply(update, mine)
    assert torch.equal(mine, theirs)
    assert torch.equal(mine.grad, theirs.grad)


def _wide(number: float) -> Any:
    return torch.full((1,), number).expand(5)


def _inferred(number: float) -> Any:
    with torch.inference_mode():
        return torch.full((3,), number)


@pytest.mark.parametrize("made", [_wide, _inferred], ids=["elements in one place", "inference"])
def test_tensors_that_cannot_be_written_like_others(made: Any) -> None:
    """Their owner may have changed in another part: what is the same stays, else they get what they became."""
    target = made(1.0)
    for new in (made(1.0), made(2.0)):
        update = _there({"update": update_of(new)})["update"]
        assert apply(update, target)
        assert torch.equal(target, new)
