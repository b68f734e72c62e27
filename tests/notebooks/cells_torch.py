"""Cells with PyTorch, where it is installed (`make soak`; it is too large for `make test`)."""

from __future__ import annotations

from dataclasses import replace

from tests.notebooks.compare import Case, code

_TORCH = (
    "import torch, torch.nn as nn, torch.nn.functional as F\nfrom torch.utils.data import DataLoader, TensorDataset"
)
_DATA = _TORCH + "\ntorch.manual_seed(0)\nX = torch.randn(256, 8)\ny = X @ torch.randn(8, 1)"
_NET = code("""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.drop, self.b = nn.Linear(8, 16), nn.Dropout(0.1), nn.Linear(16, 1)
            self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        def forward(self, x):
            return self.b(self.drop(F.relu(self.a(x))))
    model = Net()
    opt = torch.optim.Adam(model.parameters(), lr=1e-2)
    sched = torch.optim.lr_scheduler.StepLR(opt, 5, 0.5)
    loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True)
    weight = model.a.weight
    """)
_CASES = (
    Case(
        shows="a training loop, and what goes on with its model and optimizer",
        before=(_DATA, _NET),
        cell=code("""
            for epoch in range(8):
                for xb, yb in loader:
                    opt.zero_grad()
                    loss = F.mse_loss(model(xb), yb)
                    loss.backward()
                    opt.step()
                    model.steps += 1
                sched.step()
                print(epoch, loss.item(), sched.get_last_lr())
            loss
            """),
        then=(
            "weight is model.a.weight, opt.param_groups[0]['params'][0] is weight",
            "opt.state[weight]['step'], weight.grad",
            code("""
                for xb, yb in loader:
                    opt.zero_grad(); F.mse_loss(model(xb), yb).backward(); opt.step()
                sched.step()
                model.eval()
                int(model.steps), model(X).sum(), weight.grad.sum()
                """),
            "torch.save(model.state_dict(), 'net.pt'); n = Net(); n.load_state_dict(torch.load('net.pt')); n.a.weight",
            "model.half(); weight.dtype, weight is model.a.weight",
        ),
        every=True,
    ),
    Case(
        shows="tensors that share memory with each other and with arrays",
        before=(
            _DATA,
            "view = X[:4]\nn = X.numpy()\nimport numpy as np\narr = np.arange(6.)\nof = torch.from_numpy(arr)",
        ),
        cell="view[0, 0] = 100.\narr[2] = 7\nnew = X[2:]\nt = X.t()\nview[0], n[0], of",
        then=(
            "X[2, 0] = -1\nnew[0, 0], t[0, 2], n[2, 0], X[0, 0], of[2]",
            "n[3, 3] = 5\nX[3, 3], new[1, 3]",
        ),
        every=True,
    ),
    Case(
        shows="only a tensor is sent that others look at",
        before=(_DATA, "view = X[:4]\nn = X.numpy()"),
        cell="X[1, 1] = -50.\nmine = X[1]",
        then=("mine[2] = 3\nview[1], n[1, :3]",),
    ),
    Case(
        shows="gradients",
        before=(_TORCH,),
        cell="W = nn.Parameter(torch.ones(3)); z = (W * torch.arange(3.)).sum(); z.backward(); W.grad, z",
        then=("(W * 2).sum().backward(); W.grad", "W.grad.zero_(); W.grad, z.is_leaf"),
        every=True,
    ),
    Case(
        shows="a graph that stayed says so",
        before=(_TORCH, "W = nn.Parameter(torch.ones(3))"),
        cell="z = (W * 2).sum()",
        then=("try:\n    z.backward()\nexcept RuntimeError as e:\n    print(e)",),
        differs="what a tensor was computed from stays where that was done",
    ),
    Case(
        shows="tied weights, hooks, generators, other kinds of tensors",
        before=(_TORCH, "emb = nn.Embedding(5, 3); tied = nn.Linear(3, 5, bias=False); tied.weight = emb.weight"),
        cell=code("""
            seq = nn.Sequential(emb, tied)
            h = tied.register_forward_hook(lambda m, i, o: print('shape', tuple(o.shape)))
            g = torch.Generator().manual_seed(3)
            sparse, complex_ = torch.eye(3).to_sparse(), torch.tensor([1 + 2j])
            brain = torch.ones(2, dtype=torch.bfloat16)
            empty, scalar, wide = torch.empty(0), torch.tensor(3), torch.ones(1).expand(5)
            torch.rand(2, generator=g), torch.rand(2)
            """),
        then=(
            "with torch.no_grad(): emb.weight[0] = 1\nseq[1].weight[0], seq[0].weight is tied.weight",
            "_ = seq(torch.tensor([1])); h.remove(); _ = seq(torch.tensor([2]))",
            "torch.rand(2, generator=g), torch.rand(2)",
            "sparse.to_dense(), complex_, brain, empty, scalar, wide",
        ),
        every=True,
        skips=("g", "sparse"),
    ),
    Case(
        shows="a compiled script",
        before=(_TORCH, "import warnings; warnings.simplefilter('ignore')"),
        cell="torch.manual_seed(0); script = torch.jit.script(nn.Linear(2, 1)); script",
        then=("script(torch.ones(1, 2))",),
        every=True,
        skips=("script",),
    ),
    Case(
        shows="settings",
        before=(_TORCH,),
        cell="torch.set_default_dtype(torch.float64); torch.set_printoptions(precision=2); torch.ones(1) / 3",
        then=("torch.ones(1).dtype, torch.ones(1) / 3", "torch.set_default_dtype(torch.float32)"),
        every=True,
        fresh=True,
    ),
)
CASES = tuple(replace(case, needs="torch") for case in _CASES)
