"""Cells that are interrupted at every point and gone on with in another process."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from textwrap import dedent

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell.

    Attributes:
        shows: What it is for.
        setup: What earlier cells have done.
        cell: The cell.
        points: Snapshots that can be taken of it: at least so many.
        why_not: Words of the reason, where a part of it cannot be kept.
        needs: A library without which it is skipped.
        skips: Names that may differ, for they depend on the time; ``(errors)`` is what is written to stderr.
    """

    shows: str
    cell: str
    points: int
    setup: str = ""
    why_not: str = ""
    needs: str = ""
    skips: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "cell", dedent(self.cell).strip())
        object.__setattr__(self, "setup", dedent(self.setup).strip())


DATA = """
    import numpy as np
    X = np.random.RandomState(0).rand(120, 5)
    y = (X.sum(1) > 2.5).astype(int)
    """

CELLS = (
    Cell(shows="statements that share objects", cell="a = 1\nb = [a]\nc = b\nb.append(2)\nprint(c)\nc", points=5),
    Cell(
        shows="an object of an earlier cell, changed in a loop",
        setup="x = [1, 2]\ny = x",
        cell="""
            x.append(3)
            t = 0
            for i in range(5):
                t += i
                x.append(i)
                print(i, t)
            z = y is x
            z
            """,
        points=9,
    ),
    Cell(
        shows="loops in loops, continue, else, and a while loop",
        cell="""
            t = []
            for i in range(3):
                q = i * 2
                for j, k in enumerate("abc"):
                    t.append((i, j, k, q))
                    if k == "b" and i == 1: continue
                print(i)
            else:
                t.append("else")
            n = 0
            while n < 4:
                n += 1
                print("n", n)
            n
            """,
        points=20,
    ),
    Cell(
        shows="a loop in a function of an earlier cell that draws from a generator",
        setup="""
            import numpy as np
            rng = np.random.default_rng(0)
            def train(data, epochs, *, lr=0.1):
                w = np.zeros(3)
                for e in range(epochs):
                    w = w + lr * rng.normal(size=3)
                    data.append(w)
                    print(e)
                return w, data
            """,
        cell="""
            hist = []
            w, h = train(hist, 5)
            print(h is hist, len(hist))
            np.random.seed(3); a = np.random.rand()
            b = np.random.rand()
            """,
        points=10,
    ),
    Cell(
        shows="folds of a splitter, counted",
        cell="""
            from sklearn.model_selection import KFold
            import numpy as np
            X = np.arange(20.0).reshape(10, 2)
            out = []
            for i, (tr, te) in enumerate(KFold(5, shuffle=True, random_state=0).split(X)):
                out.append(X[te].sum())
                print(i)
            """,
        points=8,
    ),
    Cell(
        shows="settings inside of a with block and outside of it",
        cell="""
            import numpy as np
            with np.errstate(divide="ignore"):
                for k in range(3):
                    v = np.array([1.0]) / 0
                    print(np.geterr()["divide"])
            print(np.geterr()["divide"])
            """,
        points=5,
    ),
    Cell(
        shows="nested with blocks of libraries",
        cell="""
            import sklearn, warnings
            with sklearn.config_context(display="text"):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    for i in range(3):
                        warnings.warn("no")
                    print(sklearn.get_config()["display"])
            for i in range(2):
                warnings.warn("yes")
            print(sklearn.get_config()["display"])
            """,
        points=7,
    ),
    Cell(
        shows="a loop in a try block, and an error that ends the cell",
        cell="""
            try:
                for i in range(5):
                    if i == 3: raise ValueError("x")
                    print(i)
            except ValueError as e:
                print("caught", e)
            finally:
                print("fin")
            for i in range(3):
                print(i)
                1 / (2 - i)
            """,
        points=6,
    ),
    Cell(
        shows="a file that every round appends to",
        cell="""
            open("log.csv", "w").close()
            for i in range(4):
                with open("log.csv", "a") as f:
                    print(i, file=f)
            print(open("log.csv").read())
            """,
        points=5,
    ),
    Cell(
        shows="figures that are open between statements",
        cell="""
            import matplotlib.pyplot as plt
            fig, ax = plt.subplots()
            ax.plot([1, 2, 3])
            for i in range(2):
                plt.figure()
                plt.plot([i, 2])
            print(len(plt.get_fignums()))
            """,
        points=6,
    ),
    Cell(
        shows="partial_fit in epochs",
        setup=DATA,
        cell="""
            from sklearn.linear_model import SGDClassifier
            clf = SGDClassifier(random_state=0)
            for epoch in range(4):
                clf.partial_fit(X, y, classes=[0, 1])
                print(epoch, round(clf.score(X, y), 3))
            """,
        points=6,
    ),
    Cell(
        shows="a grid searched by hand, with forests inside",
        setup=DATA,
        cell="""
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import ParameterGrid, StratifiedKFold
            res = {}
            for p in ParameterGrid({"max_depth": [2, 3]}):
                scores = []
                for tr, te in StratifiedKFold(2).split(X, y):
                    m = RandomForestClassifier(n_estimators=3, random_state=0, n_jobs=2, **p).fit(X[tr], y[tr])
                    scores.append(m.score(X[te], y[te]))
                res[tuple(p.items())] = np.mean(scores)
            best = max(res, key=res.get)
            print(best)
            """,
        points=12,
    ),
    Cell(
        shows="an object with state and an array that is known elsewhere, in an endless loop",
        setup="""
            import numpy as np
            class Net:
                def __init__(self): self.w = np.zeros(3); self.hist = []
                def step(self, x):
                    self.w += x; self.hist.append(self.w.copy())
            net = Net(); alias = net.w
            """,
        cell="""
            i = 0
            while True:
                i += 1
                net.step(np.random.rand(3))
                if i > 5: break
                if i % 2: continue
                print(i, alias is net.w)
            else:
                print("never")
            print(net.w.sum())
            """,
        points=8,
    ),
    Cell(
        shows="loops over frames",
        cell="""
            import pandas as pd
            df = pd.DataFrame({"a": [1, 2, 3], "g": list("xyx")})
            out = []
            for i, row in df.iterrows():
                out.append(row.a * 2)
            for name, g in df.groupby("g"):
                out.append((name, g.a.sum()))
            for t in df.itertuples():
                out.append(t.a)
            for c in df:
                out.append(c)
            df["b"] = df.a * 2
            df2 = df[df.b > 2]
            df2
            """,
        points=16,
    ),
    Cell(
        shows="iterators of every sort",
        cell="""
            import itertools
            r = []
            for a, (b, c) in zip(range(3), itertools.product("ab", [1, 2])):
                r.append((a, b, c))
            d = {"p": 1, "q": 2}
            for k, v in d.items():
                for z in reversed([1, 2, 3]):
                    r.append((k, v, z))
            for x in map(str, [1, 2, 3]):
                r.append(x)
            for s in {1, 2, 3}:
                r.append(s)
            for ch in "héllo":
                r.append(ch)
            it = iter([1, 2, 3, 4])
            for x in it:
                r.append(x)
                r.append(next(it))
            print(r)
            """,
        points=28,
    ),
    Cell(
        shows="a generator of the notebook's is not kept, what stands around it is",
        setup="def gen(n):\n    for i in range(n): yield i",
        cell="t = 0\nfor x in gen(4):\n    t += x\n    print(x)\nq = [i * i for i in range(3)]\nprint(t)",
        points=3,
    ),
    Cell(
        shows="a loop variable that the body deletes, and warnings that are shown once",
        cell="""
            import random
            random.seed(1)
            l = [random.random() for _ in range(3)]
            for i in range(3):
                random.shuffle(l)
                if i == 1:
                    del i
                    print("deleted")
            import warnings
            warnings.warn("careful")
            for j in range(2):
                warnings.warn("again")
            1 / 0
            """,
        points=13,
    ),
    Cell(
        shows="stderr, displays, and output that is cleared",
        cell="""
            import sys
            for i in range(3):
                sys.stderr.write(f"e{i}\\n")
                display(i)
            from IPython.display import clear_output
            for i in range(3):
                clear_output(wait=True)
                print("p", i)
            """,
        points=10,
    ),
    Cell(
        shows="classes and functions of the cell with state of their own",
        cell="""
            class A:
                n = 0
                def __init__(self): A.n += 1; self.k = A.n
            objs = []
            for i in range(3):
                objs.append(A())
            def f(x, acc=[]):
                acc.append(x); return acc
            for i in range(3):
                z = f(i)
            from dataclasses import dataclass
            @dataclass
            class P:
                x: int
            ps = [P(1)]
            ps.append(ps[0])
            fn = lambda v: v + len(ps)
            print(fn(1), f(9) is z, A.n)
            """,
        points=16,
    ),
    Cell(
        shows="loops under if, with and try at several depths",
        cell="""
            if True:
                a = 1
                for i in range(3):
                    a += i
                    for j in range(2):
                        if j:
                            for k in (1, 2):
                                a *= 2
                        else:
                            a += 1
                    b = a
                print(a)
            for i in range(2):
                try:
                    if i: raise KeyError(i)
                    continue
                except KeyError as e:
                    msg = str(e)
                finally:
                    print("finally", i)
            """,
        points=22,
    ),
    Cell(
        shows="a function with loops in loops that returns out of them",
        setup="""
            def main(n):
                total = 0
                log = []
                for i in range(n):
                    for j in range(2):
                        total += i * j
                    log.append(total)
                    if total > 3: return total, log
                return total, log
            """,
        cell="out = main(6)\nmain(3)\nif __name__ == '__main__':\n    r = main(4)\nprint(out)",
        points=20,
    ),
    Cell(
        shows="a script that calls its main function",
        cell="""
            import sys
            def main(argv):
                total = 0
                for i in range(4):
                    total += i
                    print("round", i)
                return total
            if __name__ == "__main__":
                code = main(sys.argv)
                print(code)
                5
            """,
        points=6,
    ),
    Cell(
        shows="awaiting at top level",
        cell="""
            import asyncio
            async def w(x):
                await asyncio.sleep(0.01)
                return x
            r = []
            for i in range(3):
                r.append(await w(i))
            s = await asyncio.gather(*[w(i) for i in range(3)])
            print(r, s)
            """,
        points=5,
    ),
    Cell(
        shows="progress bars",
        cell="""
            from tqdm import tqdm, trange
            t = 0
            for i in tqdm(range(4), desc="x"):
                t += i
            print(t)
            for i, k in enumerate(tqdm("abc")):
                for z in trange(2, leave=False):
                    t += z
            t
            """,
        points=20,
        skips=("(errors)",),  # bars show their speed, and themselves oftener where time passes
    ),
    Cell(
        shows="targets with a star, targets that are no names, and while loops in while loops",
        cell="""
            t = []
            for a, in [(1,), (2,)]:
                for *b, c in [[1, 2, 3], [4, 5]]:
                    t.append((a, b, c))
            x = [0] * 3
            for x[1] in range(3): pass
            class O: pass
            o = O()
            for o.a in range(2): t.append(o.a)
            n = 5
            while n:
                n -= 1
                m = n
                while m > 0:
                    m -= 2
                    if m == 1: break
                else:
                    t.append("e")
            t
            """,
        points=25,
    ),
    Cell(
        shows="views of arrays, cycles, and names that are deleted",
        setup="import numpy as np\nA = np.arange(6.0); B = A[2:4]; L = [A]",
        cell="""
            for i in range(3):
                B[0] += i
                C = A[::2]
            L.append(B)
            del A
            D = {"x": L}
            for i in range(2):
                L.append(D)
            q = L[0] is D["x"][0]
            """,
        points=9,
    ),
    Cell(
        shows="closures with a shared variable",
        cell="""
            def outer():
                k = 0
                def inner():
                    nonlocal k
                    k += 1
                    return k
                return inner
            c = outer()
            r = []
            for i in range(3):
                r.append(c())
            print(r, c())
            r
            """,
        points=8,
    ),
    Cell(
        shows="a function of the cell with all kinds of parameters",
        cell="""
            import numpy as np
            def f(a, b, *args, k=1, **kw):
                s = a
                for i in range(b):
                    s += i * k + sum(args) + len(kw)
                while s < 50:
                    s += 7
                return s
            v = f(1, 3, 4, 5, k=2, z=9)
            w = []
            w = f(2, 2)
            print(v, w)
            """,
        points=20,
    ),
    Cell(
        shows="an open file and a thread that has ended: kept where they are gone",
        cell="""
            f = open("a.txt", "w")
            for i in range(3):
                f.write(str(i))
            f.close()
            import threading
            done = []
            th = threading.Thread(target=lambda: done.append(1)); th.start(); th.join()
            del th
            for i in range(2):
                done.append(i)
            done
            """,
        points=8,
    ),
    Cell(
        shows="loggers, the environment and the working folder",
        cell="""
            import logging, sys
            logging.basicConfig(stream=sys.stdout, level=logging.INFO, force=True)
            log = logging.getLogger("x")
            for i in range(3):
                log.info("round %d", i)
            import os
            os.environ["ZZ"] = "1"
            os.chdir("/")
            for i in range(2): pass
            print(os.environ["ZZ"], os.getcwd())
            """,
        points=13,
    ),
    Cell(
        shows="magics and shell lines",
        cell="""
            for i in range(2):
                y = !echo {i}
                print(y)
            %matplotlib inline
            import matplotlib.pyplot as plt
            for i in range(2):
                plt.plot([i, 1]); plt.show()
            """,
        points=7,
    ),
    Cell(
        shows="options of pandas and numpy",
        cell="""
            import pandas as pd, numpy as np
            pd.set_option("display.max_rows", 3)
            np.set_printoptions(precision=2)
            df = pd.DataFrame({"a": np.arange(10.0) / 3})
            for c in range(2):
                df[f"c{c}"] = df.a * c
                print(df.shape)
            print(df)
            df
            """,
        points=8,
    ),
    Cell(
        shows="gradient descent by hand",
        setup=DATA,
        cell="""
            w = np.zeros(5)
            losses = []
            for step in range(6):
                p = 1 / (1 + np.exp(-X @ w))
                w -= 0.5 * X.T @ (p - y) / len(y)
                losses.append(float(np.mean((p - y) ** 2)))
                if step % 2 == 0:
                    print(f"{step} {losses[-1]:.6f}")
            best = min(losses)
            """,
        points=8,
    ),
    Cell(
        shows="a search loop that keeps its best, with draws",
        setup=DATA,
        cell="""
            import random
            from sklearn.tree import DecisionTreeClassifier
            random.seed(7)
            trials, best = [], (0, None)
            for n in range(5):
                p = {"max_depth": random.randint(1, 6), "min_samples_leaf": random.choice([1, 2, 5])}
                model = DecisionTreeClassifier(random_state=np.random.randint(1000), **p).fit(X, y)
                score = model.score(X, y)
                trials.append((p, score))
                best = max(best, (score, n))
            print(best)
            """,
        points=8,
    ),
    Cell(
        shows="a pipeline of statements",
        setup=DATA,
        cell="""
            from sklearn.preprocessing import StandardScaler
            from sklearn.decomposition import PCA
            from sklearn.linear_model import LogisticRegression
            scaler = StandardScaler().fit(X)
            Z = scaler.transform(X)
            pca = PCA(2, random_state=0).fit(Z)
            P = pca.transform(Z)
            clf = LogisticRegression().fit(P, y)
            print(clf.score(P, y))
            """,
        points=8,
    ),
    Cell(
        shows="calibration, stacking, bagging and feature selection, a statement each",
        setup=DATA,
        cell="""
            from sklearn.calibration import CalibratedClassifierCV
            from sklearn.ensemble import BaggingClassifier, StackingClassifier
            from sklearn.feature_selection import RFECV
            from sklearn.linear_model import LogisticRegression
            from sklearn.tree import DecisionTreeClassifier
            tree = DecisionTreeClassifier(random_state=0)
            cal = CalibratedClassifierCV(tree, cv=2).fit(X, y)
            bag = BaggingClassifier(tree, n_estimators=4, random_state=0, n_jobs=2).fit(X, y)
            stack = StackingClassifier([("t", tree)], LogisticRegression(), cv=2).fit(X, y)
            sel = RFECV(LogisticRegression(), cv=2).fit(X, y)
            print(sel.n_features_)
            """,
        points=10,
    ),
    Cell(
        shows="a nested grid search",
        setup=DATA,
        cell="""
            from sklearn.model_selection import GridSearchCV, cross_val_score
            from sklearn.svm import SVC
            grid = GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=2, n_jobs=2)
            scores = cross_val_score(grid, X, y, cv=2)
            print(scores)
            """,
        points=4,
    ),
    Cell(
        shows="lists that a loop goes over while it lengthens them",
        cell="""
            todo = [3]
            seen = []
            for n in todo:
                seen.append(n)
                if n > 0:
                    todo.append(n - 1)
            seen
            """,
        points=6,
    ),
    Cell(
        shows="nested tuples, enumerate over zip over reversed",
        cell="""
            out = []
            for i, (a, (b, c)) in enumerate(zip(reversed([1, 2, 3]), zip("xyz", (4, 5, 6)))):
                out.append((i, a, b, c))
            out
            """,
        points=4,
    ),
    Cell(
        shows="an exception that is kept, and one that is raised in a loop in a function",
        setup="""
            def check(values):
                good = []
                for v in values:
                    if v < 0:
                        raise ValueError(f"negative: {v}")
                    good.append(v)
                return good
            """,
        cell="""
            try:
                check([1, -1])
            except ValueError as e:
                kept = str(e)
            ok = check([1, 2, 3])
            check([1, 2, -3])
            """,
        points=8,
    ),
    Cell(
        shows="sets that grow, and frozensets",
        cell="""
            names = set()
            for n in range(8):
                names.add(n * 3)
            order = list(names)
            f = frozenset(names)
            for one in names:
                order.append(one)
            order == list(f) + list(names)
            """,
        points=18,
    ),
    Cell(
        shows="deques, counters, default dicts and heaps",
        cell="""
            import heapq
            from collections import Counter, OrderedDict, defaultdict, deque
            d, c, dd, h = deque(maxlen=3), Counter(), defaultdict(list), []
            for i, ch in enumerate("abracadabra"):
                d.append(ch); c[ch] += 1; dd[ch].append(i); heapq.heappush(h, (-ord(ch), i))
            o = OrderedDict(sorted(c.items()))
            top = [heapq.heappop(h) for _ in range(3)]
            """,
        points=15,
    ),
    Cell(
        shows="random generators of numpy in a list and a global one",
        cell="""
            import numpy as np
            np.random.seed(0)
            rngs = [np.random.default_rng(i) for i in range(2)]
            legacy = np.random.RandomState(5)
            draws = []
            for i in range(4):
                draws += [r.random() for r in rngs]
                draws.append(legacy.rand())
                draws.append(np.random.rand())
            draws
            """,
        points=9,
    ),
    Cell(
        shows="a class whose instances are iterators",
        setup="""
            class Count:
                def __init__(self, n): self.n, self.i = n, 0
                def __iter__(self): return self
                def __next__(self):
                    if self.i >= self.n: raise StopIteration
                    self.i += 1
                    return self.i
            """,
        cell="""
            counter = Count(4)
            got = []
            for k in counter:
                got.append(k)
            got, counter.i
            """,
        points=7,
    ),
    Cell(
        shows="a file of the notebook's folder that is read, written and deleted",
        setup="open('in.txt', 'w').write('a b c')",
        cell="""
            import os
            words = open("in.txt").read().split()
            os.mkdir("out")
            for w in words:
                with open(f"out/{w}.txt", "w") as f:
                    f.write(w * 3)
            os.remove("in.txt")
            sorted(os.listdir("out"))
            """,
        points=8,
    ),
    Cell(
        shows="break and else of nested loops, with a flag",
        cell="""
            hits = []
            for n in range(2, 9):
                for m in range(2, n):
                    if n % m == 0:
                        break
                else:
                    hits.append(n)
            hits
            """,
        points=18,
    ),
    Cell(
        shows="comprehensions, walrus and conditional imports",
        cell="""
            total = 0
            while (total := total + 3) < 10:
                print(total)
            if total > 5:
                import math as m
                for k in range(2):
                    total += m.floor(m.pi)
            squares = {k: k * k for k in range(4)}
            total
            """,
        points=7,
    ),
    Cell(
        shows="globals that a function binds, and one that calls itself",
        setup="""
            count = 0
            def visit(tree):
                global count
                count += 1
                for child in tree.get("c", []):
                    visit(child)
                return count
            """,
        cell="""
            tree = {"c": [{"c": [{}]}, {}]}
            n = visit(tree)
            n = visit(tree)
            count
            """,
        points=5,
    ),
    Cell(
        shows="decorated functions and generators are left as they are",
        setup="""
            import functools
            def twice(f):
                @functools.wraps(f)
                def inner(*a):
                    return f(*a) + f(*a)
                return inner
            @twice
            def g(n):
                s = 0
                for i in range(n): s += i
                return s
            def gen(n):
                for i in range(n): yield i
            """,
        cell="a = g(4)\nc = list(gen(4))\nprint(a, c)",
        points=2,
    ),
    Cell(
        shows="loops in methods: of an object, of one that has no name, inherited, with an error",
        setup="""
            import numpy as np
            rng = np.random.default_rng(0)
            class Model:
                def __init__(self, size):
                    self.w, self.__told, self.losses = np.zeros(size), [], []
                def fit(self, x, *, epochs=4):
                    for epoch in range(epochs):
                        for row in x:
                            self.w += 0.1 * row * rng.normal()
                        self.losses.append(float(self.w.sum()))
                        self.__told.append(epoch)
                        print(epoch)
                    return self
                def told(self): return self.__told
            class Shy(Model):
                def until(self, most):
                    while len(self.losses) < 9:
                        self.losses.append(len(self.losses))
                        if len(self.losses) > most: raise ValueError(most)
            x = np.arange(6.0).reshape(3, 2)
            model = Model(2)
            both = [model]
            """,
        cell="""
            same = model.fit(x)
            print(same is model, both[0] is model, model.told())
            other = Shy(2).fit(x, epochs=3)
            both[0].fit(x, epochs=2)
            try: other.until(5)
            except ValueError as e: print("e", e)
            other.until(7)
            """,
        points=25,
    ),
    Cell(
        shows="a module that the cell writes, on a path and with a variable that the cell sets",
        cell="""
            import os, sys
            from pathlib import Path
            os.environ["GK_MODE"] = "x"
            Path("lib").mkdir()
            Path("lib/gkmode.py").write_text("import os\\nMODE = os.environ['GK_MODE']\\nclass T: pass")
            sys.path.insert(0, "lib")
            import gkmode
            t = gkmode.T()
            for i in range(3):
                t.i = (i, gkmode.MODE)
                print(t.i)
            del t, gkmode
            """,
        points=8,
    ),
    Cell(
        shows="methods that call super or are of a class in a function are left as they are",
        setup="""
            class A:
                def run(self, n):
                    for i in range(n): print("A", i)
                    return n
            class B(A):
                def run(self, n):
                    for i in range(n): print("B", i)
                    return super().run(n)
            def make():
                class C:
                    def run(self, n):
                        for i in range(n): print("C", i)
                return C()
            b, c = B(), make()
            """,
        cell="n = b.run(3)\nm = c.run(2)\nprint(n)",
        points=2,
    ),
    Cell(
        shows="strings with carriage returns and text without an end of line",
        cell="""
            import sys
            for i in range(3):
                print(f"\\r{i}", end="")
            print()
            sys.stdout.write("no end")
            for i in range(2):
                print(".", end="", flush=True)
            """,
        points=8,
    ),
    Cell(
        shows="dataclasses, enums, named tuples and slots",
        cell="""
            from dataclasses import dataclass, field
            from enum import Enum
            from typing import NamedTuple
            class Color(Enum):
                RED = 1
                BLUE = 2
            class Point(NamedTuple):
                x: int
                y: int = 0
            @dataclass
            class Box:
                color: Color
                at: Point
                items: list = field(default_factory=list)
            class S:
                __slots__ = ("v",)
            boxes, s = [], S()
            for n, c in enumerate(Color):
                boxes.append(Box(c, Point(n)))
                boxes[0].items.append(c)
                s.v = boxes[-1]
            boxes[0].items[0] is Color.RED, s.v is boxes[1]
            """,
        points=9,
    ),
    Cell(
        shows="a with block that binds a name is not entered twice",
        cell="""
            with open("w.txt", "w") as f:
                for i in range(3):
                    f.write(str(i))
            with open("w.txt") as f:
                for line in f:
                    got = line
            got
            """,
        points=2,
    ),
    Cell(
        shows="more rounds than are worth looking at",
        cell="""
            total = 0
            for i in range(50):
                for j in range(3):
                    total += i * j
            total
            """,
        points=40,
    ),
    Cell(
        shows="time and names that were there only for a while",
        cell="""
            import time
            t0 = time.time()
            n = 0
            while n < 3:
                n += 1
            took = time.time() - t0
            del t0
            n
            """,
        points=8,
        skips=("took", "(together)"),
    ),
    Cell(
        shows="an augmented target and star assignment between loops",
        cell="""
            first, *rest = range(5)
            acc = {}
            for key in rest:
                acc.setdefault(key % 2, []).append(key)
                first += key
            (a, b), c = acc.items(), first
            c
            """,
        points=7,
    ),
    Cell(
        shows="a model fitted in place that an earlier cell made",
        setup=DATA
        + "\n    from sklearn.linear_model import LogisticRegression\n    clf = LogisticRegression()\n    held = [clf]",
        cell="""
            clf.fit(X, y)
            scores = []
            for c in (0.1, 1, 10):
                clf.set_params(C=c).fit(X, y)
                scores.append(clf.score(X, y))
            held[0] is clf, scores
            """,
        points=5,
    ),
    Cell(
        shows="a frame that is changed in place and held elsewhere",
        setup="import pandas as pd\ndf = pd.DataFrame({'a': [1.0, None, 3.0]})\nframes = {'x': df}",
        cell="""
            df["b"] = df["a"] * 2
            for name in ("c", "d"):
                df[name] = df["b"].fillna(0)
            df = df.dropna()
            frames["x"].shape, df.shape
            """,
        points=5,
    ),
    Cell(
        shows="a thread of the cell that is at work between statements",
        cell="""
            import threading
            go = []
            def work():
                while not go: pass
            t = threading.Thread(target=work); t.start()
            x = 1
            go.append(1); t.join()
            del t
            x
            """,
        points=3,
    ),
    Cell(
        shows="an epoch loop of PyTorch",
        needs="torch",
        setup="""
            import torch, torch.nn as nn, torch.nn.functional as F
            from torch.utils.data import DataLoader, TensorDataset
            torch.manual_seed(0)
            X = torch.randn(256, 8)
            y = X @ torch.randn(8, 1)
            model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))
            opt = torch.optim.Adam(model.parameters(), lr=1e-2)
            sched = torch.optim.lr_scheduler.StepLR(opt, 3, 0.5)
            loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)
            weight = model[0].weight
            """,
        cell="""
            losses = []
            for epoch in range(6):
                for xb, yb in loader:
                    opt.zero_grad()
                    loss = F.mse_loss(model(xb), yb)
                    loss.backward()
                    opt.step()
                sched.step()
                losses.append(loss.item())
                print(epoch, losses[-1])
            weight is model[0].weight
            """,
        points=7,
    ),
)


def parameters() -> list[object]:
    """The cells as parameters of a test."""
    return [
        pytest.param(cell, id=cell.shows.replace(" ", "_")[:70], marks=_marks(cell.needs) if cell.needs else ())
        for cell in CELLS
    ]


def _marks(library: str) -> list[pytest.MarkDecorator]:
    there = importlib.util.find_spec(library) is not None
    return [pytest.mark.soak, pytest.mark.skipif(not there, reason=f"{library} is not installed")]
