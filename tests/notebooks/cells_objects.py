"""Cells about classes, instances, containers, aliases and changes in place."""

from __future__ import annotations

from tests.notebooks.compare import Case, code

_POINT = code("""
    class P:
        made = 0
        def __init__(self, x):
            self.x = x
            P.made += 1
        def twice(self):
            return 2 * self.x
        def __eq__(self, other):
            return self.x == other.x
        def __repr__(self):
            return f'P({self.x})'
    """)
_INNER = "what the cell changes inside another object is a copy for names that it does not read"

CASES = (
    Case(
        shows="the order in which sets are gone through",
        before=(
            code("""
                import random
                dice = random.Random(3)
                drawn = [[dice.getrandbits(40) for _ in range(n)] for n in (3, 7, 10, 20, 50, 80, 300)]
                whole = [set(some) for some in drawn]
                parts = {len(some): set(some[::2]) | set(some[1::2]) for some in drawn}
                kept = whole[2]
                """),
        ),
        cell=code("""
            print([list(some)[:5] for some in whole], [list(some)[-5:] for some in parts.values()])
            fresh = [set(some) for some in drawn]
            for some in whole:
                some |= {some.pop() * 3, 17}
            """),
        then=("[list(some) for some in whole], [list(some) for some in fresh], list(kept), kept is whole[2]",),
        every=True,
    ),
    Case(
        shows="source of a class that the cell knows by an instance only",
        before=("class Own:\n    def go(self):\n        return 1 / 0\n\nown = Own()",),
        cell=code("""
            import inspect, traceback
            try:
                own.go()
            except ZeroDivisionError:
                traceback.print_exc()
            print(inspect.getsource(own.go))
            """),
    ),
    Case(
        shows="what looks through the notebook's own module",
        before=(
            'def double(x):\n    """\n    >>> double(1)\n    2\n    >>> double(2)\n    5\n    """\n    return x * 2',
            "import unittest\nclass TestDouble(unittest.TestCase):\n"
            "    def test_it(self):\n        self.assertEqual(double(2), 5)",
        ),
        cell="import doctest\ndoctest.testmod()",
        then=(
            "prog = unittest.main(argv=['x', '-q'], exit=False)",
            "import sys, inspect\nsorted(n for n, _ in inspect.getmembers(sys.modules[__name__], inspect.isclass))",
        ),
        every=True,
        numbers=False,
    ),
    Case(
        shows="arrays and memoryviews over memory of others",
        before=(
            code("""
            import array
            import numpy as np
            b = bytearray(8)
            w = np.frombuffer(b, dtype='u1')
            v = np.frombuffer(b, dtype='i2')[1:3]
            typed = array.array('d', [1, 2])
            over = np.frombuffer(typed)
            part, all_of_it = memoryview(b)[2:6], memoryview(typed)
            numbers = memoryview(bytearray(12)).cast('i', (3,))
            kept = [b, typed, numbers]
            """),
        ),
        cell=code("""
            w[0] = 7
            part[0] = 5
            over[0] = 9
            all_of_it[1] = 4.5
            numbers[2] = 77
            new = np.frombuffer(b, dtype='u1')[3:]
            mine = bytearray(3)
            looks = memoryview(mine)
            looks[1] = 3
            b[0], v.tolist(), typed, part.tolist(), all_of_it.tolist(), bytes(b)
            """),
        then=(
            "b, w, v, typed, over, part.tolist(), all_of_it.tolist(), numbers.tolist(), new, mine, looks.tolist()",
            "b[3] = 8; mine[0] = 1; typed[0] = -1\nw, part.tolist(), new, looks.tolist(), over, all_of_it.tolist()",
            "[one is other for one, other in zip(kept, (b, typed, numbers))]",
        ),
        skips=("part", "all_of_it", "numbers", "looks", "kept"),
    ),
    Case(
        shows="attributes of an object in a list, beside a frame",
        before=("import pandas as pd, types\nX = pd.DataFrame({'a': [1]})",),
        every=True,
        cell=code("""
            class Step:
                def __init__(self, k):
                    self.k = k
            p = [types.SimpleNamespace(k=1), Step(2)]
            kept = p[1]
            """),
        then=("p[0].c = len(X)\np[0].k = 3\np[1].d = 4\np[1].k = X.head(1)", "p[0], vars(p[1]), kept is p[1], kept.d"),
    ),
    Case(
        shows="a pipeline with a step of the notebook's, fitted on a frame",
        before=(
            code("""
            import pandas as pd
            from sklearn.base import BaseEstimator, TransformerMixin
            from sklearn.linear_model import LinearRegression
            from sklearn.pipeline import make_pipeline
            class Top(BaseEstimator, TransformerMixin):
                def __init__(self, count=1):
                    self.count = count
                def fit(self, X, y=None):
                    self.columns_ = list(X.columns[: self.count])
                    return self
                def transform(self, X):
                    return X[self.columns_]
            X = pd.DataFrame({'a': [1.0, 2.0, 4.0], 'b': [3.0, 1.0, 2.0]})
            pipe = make_pipeline(Top(2), LinearRegression())
            """),
        ),
        cell="fitted = pipe.fit(X, X.a)",
        then=("pipe.predict(X).round(6), pipe.steps[0][1].columns_, fitted is pipe",),
    ),
    Case(
        shows="attributes of arrays of a class of one's own",
        before=(
            "import numpy as np\nclass Sub(np.ndarray): pass\nw = np.arange(30000.).view(Sub)\nw.unit, w.me = 'm', w",
        ),
        cell="print(w.unit, w.me is w)\nv = (2 * w)[:3].view(Sub)\nv.unit = 'km'\nw[0] = 5",
        then=("w.unit, w.me is w, w[0], v.unit, v.tolist(), type(v).__name__, type(w) is Sub, w.sum()",),
        skips=("w",),  # their types of data are equal, and two objects
    ),
    Case(
        shows="an object of a local module that is changed through the module",
        files=(
            ("sharing.py", "class S:\n    pass\nONE = S()\nMANY = {'a': S()}\nLOCK = __import__('threading').Lock()"),
        ),
        before=("import sharing\nfrom sharing import ONE, MANY, LOCK",),
        cell="sharing.ONE.z = 3\nsharing.MANY['b'] = 2",
        then=("ONE.z, ONE is sharing.ONE, MANY['b'], MANY is sharing.MANY, LOCK is sharing.LOCK",),
    ),
    Case(
        shows="objects that remove their files when they end are not ended by being looked at",
        before=(
            code("""
                import os
                class Kept:
                    def __init__(self, path):
                        self.path = path
                        with open(path, 'w') as file:
                            file.write('data')
                    def __del__(self):
                        print('ends', self.path)
                        os.remove(self.path)
                mine = Kept('mine.txt')
                """),
        ),
        cell="print(mine.path, os.path.exists('mine.txt'))\nnew = Kept('new.txt')\nmine.seen = 1",
        then=("sorted(name for name in os.listdir() if name.endswith('.txt')), mine.seen, new.path",),
        every=True,
    ),
    Case(
        shows="what the cell registers with a single dispatch of the notebook's",
        before=(
            code("""
            import functools
            @functools.singledispatch
            def show(value):
                return 'object'
            @show.register
            def _(value: str):
                return 'text'
            same = show
            """),
        ),
        cell="@show.register\ndef _(value: int):\n    return 'number'\nshow(3)",
        then=("show(3), show('a'), show(2.5), same is show",),
        skips=("show", "same", "_"),
    ),
    Case(
        shows="objects that are changed and then let go of, while others hold them",
        before=(
            "import numpy as np, pandas as pd\na = np.zeros(3); saved = a",
            "df = pd.DataFrame({'p': [1, 2]}); keepers = [df]",
            "w = np.ones(4); hist = {'w': w}\nA = np.zeros(5); V = A[1:3]\nS = {1}; T = [S]",
        ),
        cell=code("""
            a[0] = 5
            a = a + 1
            df['q'] = df.p * 2
            df = df[df.p > 1]
            w *= 3; w = w.astype(int)
            A[1] = 9; A = np.ones(2)
            S.add(2); S = S | {3}
            """),
        then=("a, saved, list(keepers[0].columns), hist, V, T", "hist['w'] is w, keepers[0] is df"),
        skips=("df", "keepers"),
    ),
    Case(
        shows="instances that are changed and then let go of, while others hold them",
        before=(
            code("""
            import numpy as np
            from sklearn.tree import DecisionTreeClassifier
            X, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
            clf = DecisionTreeClassifier(random_state=0); models = [clf]
            class Cfg:
                v = 1
            cfg = Cfg(); configs = (cfg,)
            """),
        ),
        cell="clf.fit(X, y); clf = DecisionTreeClassifier(max_depth=1).fit(X, y)\ncfg.v = 7; cfg = Cfg()",
        then=("models[0].predict(X), clf.get_depth(), configs[0].v, cfg.v",),
        skips=("clf", "models", "Cfg", "cfg", "configs"),
    ),
    Case(
        shows="parts that are changed and then replaced, while names hold them",
        before=(
            "import pandas as pd\nframes = {'x': pd.DataFrame({'a': [1]}), 'y': pd.DataFrame({'a': [2]})}\n"
            "first = frames['x']",
        ),
        cell=code("""
            for key, one in frames.items():
                one['b'] = one.a + 1
                frames[key] = one.assign(c=1)
            """),
        then=("list(first.columns), list(frames['x'].columns)",),
        skips=("frames", "first", "one"),
    ),
    Case(
        shows="names of what cannot travel that the cell binds first",
        before=(
            "import sqlite3\ncon = sqlite3.connect(':memory:')\nfh = open('z.txt', 'w')\ngen = (i for i in range(3))",
        ),
        cell=code("""
            con = sqlite3.connect(':memory:')
            row = con.execute('select 1').fetchall()
            con.close()
            con = None
            with open('q.txt', 'w') as fh:
                fh.write('q')
            gen = [1]
            for con in gen:
                print(con)
            row, gen
            """),
        then=("fh.close()",),
        skips=("fh",),
    ),
    Case(
        shows="what a with leaves behind",
        files=(("a.txt", "one\n"),),
        before=("with open('a.txt') as earlier:\n    earlier.read()",),
        cell=code("""
            import csv, multiprocessing as mp, zipfile
            from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
            from multiprocessing.pool import ThreadPool
            with open('a.txt') as text, open('a.txt', 'rb') as binary, open('b.txt', 'w', encoding='ascii') as out:
                out.write(text.read())
            with open('a.txt') as source, open('c.csv', 'w') as target:
                reader, named, writer = csv.reader(source, delimiter=';'), csv.DictReader(source), csv.writer(target)
                writer.writerows(reader)
            with zipfile.ZipFile('z.zip', 'w') as archive:
                archive.writestr('inner', 'x')
            with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(1) as processes:
                found = list(threads.map(str, [1]))
            with ThreadPool(2) as pool:
                pool.map(str, [1])
            earlier, text, binary, out, archive, pool
            """),
        then=(
            "earlier.closed, text.closed, binary.closed, out.encoding, archive.namelist()",
            "text.read()",
            "reader.dialect.delimiter, named.fieldnames",
            "next(reader)",
            "writer.writerow([1])",
            "threads.submit(str)",
            "pool.map(str, [1])",
        ),
        skips=("archive", "threads", "processes", "pool", "reader", "named", "writer", "z.zip"),
    ),
    Case(
        shows="a class of an earlier cell gets instances",
        before=(_POINT,),
        cell="a = P(1)\nb = [P(2), a]\na.x += 10\nb",
        then=(
            "isinstance(a, P), type(b[0]) is P, P.made, a.twice()",
            "import pickle\npickle.loads(pickle.dumps(b)) == b",
        ),
    ),
    Case(
        shows="a class of the cell",
        cell=_POINT + "\na = P(1)",
        then=(
            "b = P(2)\nisinstance(a, P), P.made, type(a) is type(b)",
            "import pickle\ntype(pickle.loads(pickle.dumps(a))) is P",
            "P.__module__, P.__qualname__",
        ),
    ),
    Case(
        shows="instances stay instances through two cells",
        before=(_POINT + "\na = P(1)",),
        cell="c = P(a.x + 1)\nsame = type(a) is P",
        then=("isinstance(c, P), type(c) is type(a), c == P(2)",),
    ),
    Case(
        shows="a class is defined anew",
        before=(_POINT + "\nold = P(1)",),
        cell=_POINT.replace("2 *", "3 *") + "\nnew = P(1)",
        then=("isinstance(old, P), isinstance(new, P), old.twice(), new.twice()",),
    ),
    Case(
        shows="attributes of a class are changed",
        before=(_POINT + "\na = P(1)",),
        cell="P.made = 100\nP.extra = lambda self: self.x * 7\ndel P.__eq__",
        then=("P.made, a.extra(), a == P(1)",),
    ),
    Case(
        shows="a method is patched",
        before=(_POINT + "\na = P(3)",),
        cell="old = P.twice\nP.twice = lambda self: old(self) + 1\na.twice()",
        then=("a.twice(), old(a)",),
    ),
    Case(
        shows="inheritance from a class of the notebook",
        before=(_POINT,),
        cell=code("""
            class Q(P):
                def twice(self):
                    return super().twice() + 1
            q = Q(2)
            q.twice()
            """),
        then=("isinstance(q, P), Q.__mro__[1] is P, q.twice(), issubclass(Q, P)",),
    ),
    Case(
        shows="a diamond, a mixin and super",
        cell=code("""
            class A:
                def who(self): return ['A']
            class B(A):
                def who(self): return ['B', *super().who()]
            class C(A):
                def who(self): return ['C', *super().who()]
            class D(B, C):
                def who(self): return ['D', *super().who()]
            d = D()
            """),
        then=("d.who(), [k.__name__ for k in D.__mro__]",),
    ),
    Case(
        shows="a dataclass of an earlier cell",
        before=(
            code("""
                from dataclasses import dataclass, field, replace, asdict
                @dataclass(order=True)
                class R:
                    n: int
                    tags: list = field(default_factory=list, compare=False)
                r = R(1)
                kept = r.tags
                """),
        ),
        cell=code("""
            r.tags.append('t')
            s = replace(r, n=2)
            d = asdict(s)
            sorted([s, r])
            """),
        then=("kept, r.tags is kept, s > r, r",),
    ),
    Case(
        shows="a dataclass of the cell",
        cell=code("""
            from dataclasses import dataclass, field, fields
            @dataclass(frozen=True)
            class F:
                a: int
                b: str = 'x'
            @dataclass(slots=True)
            class S:
                v: float = 0.0
            f, s = F(1), S(2.0)
            f
            """),
        then=(
            code("""
            s.v = 3.0
            f == F(1), hash(f) == hash(F(1)), [x.name for x in fields(F)], S(3.0) == s
            """),
        ),
    ),
    Case(
        shows="enums",
        before=(
            code("""
                from enum import Enum, IntFlag, auto
                class Colour(Enum):
                    RED = 1
                    BLUE = auto()
                mine = Colour.RED
                """),
        ),
        cell=code("""
            class Way(IntFlag):
                N = 1
                S = 2
            is_red = mine is Colour.RED
            other = Colour['BLUE']
            both = Way.N | Way.S
            by = {Colour.RED: 'r'}
            """),
        then=("other is Colour.BLUE, mine in by, Way.N in both, list(Colour), by[mine]",),
    ),
    Case(
        shows="named tuples",
        before=(
            code("""
            from collections import namedtuple
            Pt = namedtuple('Pt', 'x y')
            p = Pt(1, 2)
            """),
        ),
        cell=code("""
            q = p._replace(x=5)
            T = namedtuple('T', ['a', 'b'], defaults=[0])
            t = T(1)
            q
            """),
        then=("isinstance(q, Pt), type(q) is type(p), t == T(1, 0), q.x, Pt(3, 4)",),
    ),
    Case(
        shows="a NamedTuple in the class syntax, of the cell",
        cell=code("""
            from typing import NamedTuple
            class Pt(NamedTuple):
                x: int
                y: int = 0
            p = Pt(4)
            """),
        then=("p._replace(x=1), isinstance(p, Pt)",),
    ),
    Case(
        shows="a NamedTuple in the class syntax, of an earlier cell",
        before=(
            code("""
            from typing import NamedTuple
            class Pt(NamedTuple):
                x: int
                y: int = 0
            p = Pt(4)
            """),
        ),
        cell="q = p._replace(y=2)\nr = Pt(1, 1)\nq",
        then=("isinstance(q, Pt), type(q) is type(p)",),
    ),
    Case(
        shows="a TypedDict",
        cell=code("""
            from typing import TypedDict
            class Movie(TypedDict, total=False):
                name: str
            m = Movie(name='x')
            """),
        then=("m, Movie.__total__",),
    ),
    Case(
        shows="a generic class and a protocol",
        cell=code("""
            from typing import Generic, TypeVar, Protocol, runtime_checkable
            T = TypeVar('T')
            class Box(Generic[T]):
                def __init__(self, v: T) -> None:
                    self.v = v
            @runtime_checkable
            class HasV(Protocol):
                v: int
            b = Box[int](3)
            """),
        then=("isinstance(b, Box), Box[T], isinstance(b, HasV), isinstance(3, HasV)",),
    ),
    Case(
        shows="an abstract class",
        cell=code("""
            from abc import ABC, abstractmethod
            class Shape(ABC):
                @abstractmethod
                def area(self): ...
            class Sq(Shape):
                def __init__(self, a): self.a = a
                def area(self): return self.a ** 2
            s = Sq(3)
            """),
        then=("isinstance(s, Shape), s.area()", "Shape()"),
    ),
    Case(
        shows="properties, static and class methods",
        before=(
            code("""
                class T:
                    def __init__(self): self._v = 1
                    @property
                    def v(self): return self._v
                    @v.setter
                    def v(self, n): self._v = n * 10
                    @staticmethod
                    def s(x): return x + 1
                    @classmethod
                    def c(cls): return cls()
                t = T()
                """),
        ),
        cell="t.v = 5\nu = T.c()\nw = T.s(1), t.v, u.v",
        then=("t.v = 1\nt.v, u.v",),
    ),
    Case(
        shows="slots, descriptors and metaclasses",
        cell=code("""
            class Meta(type):
                def __new__(m, name, bases, space):
                    space['tag'] = name.lower()
                    return super().__new__(m, name, bases, space)
            class Positive:
                def __set_name__(self, owner, name): self.name = '_' + name
                def __get__(self, o, t=None): return getattr(o, self.name, None) if o else self
                def __set__(self, o, v):
                    if v < 0: raise ValueError(v)
                    setattr(o, self.name, v)
            class K(metaclass=Meta):
                __slots__ = ('a', '_n')
                n = Positive()
            k = K()
            k.a = 1
            k.n = 2
            """),
        then=("k.n = 5\nk.a, k.n, K.tag, type(K) is Meta, hasattr(k, '__dict__')",),
    ),
    Case(
        shows="init_subclass registers",
        before=(
            code("""
                class Base:
                    registry = []
                    def __init_subclass__(cls, **kw):
                        super().__init_subclass__(**kw)
                        Base.registry.append(cls)
                class A(Base): pass
                """),
        ),
        cell="class B(Base): pass\nn = len(Base.registry)",
        then=(
            "[c.__name__ for c in Base.registry], Base.registry[0] is A, Base.registry[-1] is B, len(Base.registry)",
        ),
    ),
    Case(
        shows="operators, iteration and call of an instance",
        cell=code("""
            class V:
                def __init__(self, *v): self.v = v
                def __add__(self, o): return V(*(a + b for a, b in zip(self.v, o.v)))
                def __iter__(self): return iter(self.v)
                def __len__(self): return len(self.v)
                def __getitem__(self, i): return self.v[i]
                def __call__(self, k): return [k * x for x in self]
                def __repr__(self): return f'V{self.v}'
            a = V(1, 2) + V(3, 4)
            a(2)
            """),
        then=("a + a, len(a), a[0], list(a)",),
    ),
    Case(
        shows="an instance with its own pickling",
        before=(
            code("""
                class H:
                    def __init__(self): self.cache = {'big': 1}; self.n = 0
                    def __getstate__(self): return {'n': self.n}
                    def __setstate__(self, s): self.__dict__.update(s); self.cache = {}
                h = H()
                alias = h
                """),
        ),
        cell="h.n += 1",
        then=("h.n, alias is h, h.cache",),
        differs="state that __getstate__ leaves out does not travel, so the object's cache is as after unpickling",
    ),
    Case(
        shows="functools",
        before=(
            code("""
                import functools
                def add(a, b=0, *, c=0): return a + b + c
                def deco(f):
                    @functools.wraps(f)
                    def inner(*a, **k):
                        inner.calls += 1
                        return f(*a, **k)
                    inner.calls = 0
                    return inner
                @deco
                def named(x):
                    'doc of named'
                    return x
                """),
        ),
        cell=code("""
            inc = functools.partial(add, 1, c=5)
            r = inc(2), named(3), functools.reduce(add, [1, 2, 3])
            @deco
            def fresh(x): return -x
            fresh(1)
            """),
        then=("inc(1), named.calls, named.__doc__, fresh.calls, fresh.__name__, fresh(2)",),
    ),
    Case(
        shows="functions that were imported from random",
        before=("import random\nfrom random import randint, shuffle\nrandom.seed(4)",),
        cell="a = randint(1, 100), random.random()\nl = [1, 2, 3]\nshuffle(l)\nrandint(1, 9)\na, l",
        then=("randint(1, 100), random.random()",),
    ),
    Case(
        shows="functions that were imported from numpy.random",
        before=("import numpy as np\nfrom numpy.random import rand, normal\nnp.random.seed(4)",),
        cell="a = rand(), np.random.rand(), normal()\na",
        then=("rand(), np.random.rand()",),
    ),
    Case(
        shows="the global random state under other names",
        before=(
            code("""
            import numpy as np
            from scipy.stats import norm
            from sklearn.utils import check_random_state
            np.random.seed(3)
            rs = check_random_state(None)
            """),
        ),
        cell=code("""
            class Holder: pass
            h = Holder()
            h.rs = check_random_state(None)
            x = rs.rand(), np.random.rand(), h.rs.rand(), norm.rvs()
            x
            """),
        then=("h.rs is rs is np.random.mtrand._rand, rs.rand(), np.random.rand(), norm.rvs()",),
    ),
    Case(
        shows="functions in a registry of the notebook",
        before=(
            code("""
            registry = {}
            def deco(f):
                registry[f.__name__] = f
                return f
            @deco
            def one():
                return 1
            """),
        ),
        cell="@deco\ndef two(): return 2\nlen(registry)",
        then=("registry['one'] is one, registry['two'] is two, [f() for f in registry.values()]",),
    ),
    Case(
        shows="members of an enum with attributes of their own",
        cell=code("""
            from enum import Enum
            class Planet(Enum):
                EARTH = (1, 2)
                MARS = (3, 4)
                def __init__(self, a, b):
                    self.a = a
                    self.b = b
            e = Planet.EARTH
            e.a
            """),
        then=("Planet.MARS.b, e is Planet.EARTH, Planet((1, 2)).a",),
    ),
    Case(
        shows="classes that register their heirs",
        cell=code("""
            class Meta(type):
                def __new__(mcs, name, bases, body):
                    made = super().__new__(mcs, name, bases, body)
                    made.fields = sorted(body['wanted'])
                    return made
            class Base:
                known = []
                def __init_subclass__(cls, **more):
                    super().__init_subclass__(**more)
                    Base.known.append((cls.__name__, cls.size))
            class One(Base):
                size = 1
            class Two(One, dict):
                size = 2
            class Read(metaclass=Meta):
                wanted = 'ba'
            one, two = One(), Two(a=1)
            Base.known, Read.fields
            """),
        then=(
            code("""
            class Three(Two):
                size = 3
            class Other(Read):
                wanted = 'dc'
            Base.known, Three(b=2), Other.fields, isinstance(two, Base)
            """),
        ),
    ),
    Case(
        shows="an heir of an earlier cell's class that registers it",
        before=(
            code("""
            class Base:
                known = {}
                def __init_subclass__(cls, key=None, **more):
                    super().__init_subclass__(**more)
                    Base.known[key] = cls
            class One(Base, key='one'): pass
            """),
        ),
        cell="class Two(One, key='two'): pass\nsorted(Base.known)",
        then=("sorted(Base.known), Base.known['two'] is Two, Base.known['one'] is One",),
    ),
    Case(
        shows="typed dicts",
        cell=code("""
            from typing import TypedDict, Generic, TypeVar
            T = TypeVar('T')
            class Some(TypedDict, total=False):
                x: int
            class More(Some):
                y: str
            class Of(TypedDict, Generic[T]):
                v: T
            t: More = {'x': 1, 'y': 's'}
            t
            """),
        then=("More(x=1), Some.__optional_keys__, More.__required_keys__, Of(v=2)",),
    ),
    Case(
        shows="an object that cannot be rebuilt costs itself alone",
        cell=code("""
            class Tagged:
                def __new__(cls, value, unit):
                    made = super().__new__(cls)
                    made.value, made.unit = value, unit
                    return made
            tagged = Tagged(3, 'm')
            count = 5
            """),
        then=("count, Tagged(4, 's').unit",),
        skips=("tagged",),
    ),
    Case(
        shows="a class that cannot be made again costs itself alone",
        files=(
            (
                "beside_strict.py",
                "class Strict(type):\n    def __new__(mcs, name, bases, body):\n"
                "        assert 'table' in body, 'no table'\n"
                "        return super().__new__(mcs, name, bases, body)\n",
            ),
        ),
        cell=code("""
            from beside_strict import Strict
            class Row(metaclass=Strict):
                table = 'rows'
            count = 5
            """),
        then=("count",),
        skips=("Row",),
    ),
    Case(
        shows="a class whose base puts attributes into its heirs",
        cell=code("""
            from sklearn.base import BaseEstimator, ClassifierMixin
            class Mine(ClassifierMixin, BaseEstimator):
                def fit(self, X, y):
                    return self
                def score(self, X, y):
                    return 1.0
            m = Mine()
            """),
        then=("sorted(name for name in vars(Mine) if not name.startswith('_'))",),
    ),
    Case(
        shows="a single dispatch of the cell",
        cell=code("""
            import functools
            @functools.singledispatch
            def show(v): return 'any'
            @show.register
            def _(v: int): return 'int'
            out = show(1), show('a')
            """),
        then=("show(2), show([])",),
        skips=("show",),
    ),
    Case(
        shows="a cached function goes on",
        before=(
            code("""
            import functools
            @functools.lru_cache(maxsize=10)
            def slow(n):
                return n * n
            slow(2)
            """),
        ),
        cell="a = slow(3), slow(2)\nslow.cache_info()",
        then=("slow(3); slow.cache_info()",),
        differs="the cache travels empty, and its counts come back as new",
    ),
    Case(
        shows="a cached property",
        before=(
            code("""
                import functools
                class C:
                    n = 0
                    @functools.cached_property
                    def v(self):
                        C.n += 1
                        return [C.n]
                c = C()
                """),
        ),
        cell="x = c.v\ny = c.v\nx is y",
        then=("c.v is x, C.n",),
    ),
    Case(
        shows="lists, dicts and sets change in place",
        before=(
            code("""
            l, d, s = [3, 1], {'a': [1]}, {1}
            holder = {'l': l, 'd': d, 's': s, 'inner': d['a']}
            """),
        ),
        cell="l.append(2); l.sort()\nd['a'].append(2); d['b'] = l\ns |= {2, 3}",
        then=("holder['l'] is l, holder['d'] is d, holder['s'] is s, holder['inner'] is d['a'], d['b'] is l, holder",),
    ),
    Case(
        shows="aliases among the new and the old",
        before=("a = [1]\nb = a\nt = (a, 'x')",),
        cell="c = b\nd = {'same': a, 'new': []}\ne = d['new']\na.append(2)",
        then=("c is a, d['same'] is b, e is d['new'], t[0] is a, c",),
    ),
    Case(
        shows="a list is replaced while others hold the old one",
        before=("a = [1]\nb = a",),
        cell="a = a + [2]\nb.append(9)",
        then=("a, b",),
    ),
    Case(
        shows="nested containers keep what they share",
        cell=code("""
            row = [0] * 3
            grid = [row] * 2
            grid[0][1] = 5
            other = [row[:] for _ in range(2)]
            other[0][0] = 7
            loop = [1]
            loop.append(loop)
            """),
        then=("grid[0] is grid[1], grid[0] is row, loop[1] is loop, other",),
    ),
    Case(
        shows="an object changes that only a container holds",
        before=(
            code("""
                class Node:
                    def __init__(self, v): self.v, self.next = v, None
                nodes = [Node(1), Node(2)]
                first = nodes[0]
                by = {n.v: n for n in nodes}
                """),
        ),
        cell="nodes[1].v = 20\nnodes[0].next = nodes[1]\nnodes.append(Node(3))",
        then=("by[2] is nodes[1], first is nodes[0], by[2].v, first.next is by[2], len(nodes)",),
    ),
    Case(
        shows="an inner object that a name not in the cell holds",
        before=(
            code("""
            conf = {'lr': [0.1], 'layers': [{'n': 1}, {'n': 2}]}
            layer = conf['layers'][1]
            lr = conf['lr']
            """),
        ),
        cell="conf['layers'][1]['n'] = 99\nconf['lr'][0] = 0.5",
        then=("layer['n'], layer is conf['layers'][1], lr, lr is conf['lr']",),
    ),
    Case(
        shows="attributes' objects that another name holds",
        before=(
            code("""
                class M:
                    pass
                m = M()
                m.weights = [1, 2]
                m.child = M()
                m.child.n = 1
                w = m.weights
                child = m.child
                """),
        ),
        cell="m.weights.append(3)\nm.child.n = 2",
        then=("w is m.weights, w, child is m.child, child.n",),
    ),
    Case(
        shows="deque, bytearray, Counter, OrderedDict, defaultdict, ChainMap",
        before=(
            code("""
                from collections import deque, Counter, OrderedDict, defaultdict, ChainMap
                q, b, c, o, dd = deque([1, 2], maxlen=3), bytearray(b'ab'), Counter('aab'), OrderedDict(a=1, b=2), {}
                dd = defaultdict(list)
                cm = ChainMap({}, o)
                hold = [q, b, c, o, dd, cm]
                """),
        ),
        cell=code("""
            q.append(3); q.append(4)
            b += b'c'; b[0] = 120
            c.update('bbb')
            o.move_to_end('a')
            dd['k'].append(1)
            cm['new'] = 1
            """),
        then=("all(x is y for x, y in zip(hold, [q, b, c, o, dd, cm])), q, b, c, o, dd, cm",),
    ),
    Case(
        shows="subclasses of list and dict",
        before=(
            code("""
                class L(list):
                    note = 'n'
                class D(dict):
                    def __missing__(self, k): return k * 2
                l, d = L([1]), D(a=1)
                l.own = 5
                hold = (l, d)
                """),
        ),
        cell="l.append(2); l.own += 1\nd['b'] = d['zz']",
        then=("hold[0] is l, hold[1] is d, l, l.own, d, d['q'], type(l) is L",),
    ),
    Case(
        shows="weak references",
        before=(
            code("""
                import weakref
                class W: pass
                w = W()
                r = weakref.ref(w)
                d = weakref.WeakValueDictionary({'k': w})
                """),
        ),
        cell="w.n = 1\ninner = W()\nalive = weakref.ref(inner)() is inner",
        then=("r() is w, d['k'] is w, w.n",),
    ),
    Case(
        shows="weak references that the cell uses",
        before=(
            code("""
                import weakref
                class W:
                    pass
                w, gone = W(), W()
                w.me = r = weakref.ref(w)
                dead = weakref.ref(gone)
                del gone
                by_name, by_object = weakref.WeakValueDictionary(w=w), weakref.WeakKeyDictionary()
                some = weakref.WeakSet()
                by_object[w] = 1
                some.add(w)
                """),
        ),
        cell=code("""
            print(r() is w, w.me() is w, dead(), by_name['w'] is w, by_object[w], w in some)
            new = W()
            to_new, held = weakref.ref(new), weakref.WeakValueDictionary(new=new)
            """),
        then=("r() is w, w.me() is w, to_new() is new, held['new'] is new, dict(by_name) == {'w': w}",),
    ),
    Case(
        shows="matches of regular expressions",
        before=("import re\nbefore = re.search(r'(?P<year>\\d+)-(\\d+)', 'in 2020-05')",),
        cell=code("""
            print(before.group('year'), before.groups())
            after = re.fullmatch('(a)(b)?', 'a')
            many = list(re.finditer('b+', 'abbabbb'))
            """),
        then=("before['year'], before.span(), after, after.groups(), many, many[1].start(), many[1].re.pattern",),
    ),
    Case(
        shows="a name that the shell has, too, in another cell",
        before=("class In: pass",),
        cell="a = 1",
        then=("a, In.__name__",),
    ),
    Case(
        shows="copies",
        before=("import copy\na = [[1], {'k': [2]}]",),
        cell="s, d = copy.copy(a), copy.deepcopy(a)\na[0].append(5)",
        then=("s[0] is a[0], d[0] is a[0], s, d",),
    ),
    Case(
        shows="heaps and bisect",
        before=("import heapq, bisect\nh = [5, 2, 8]\nheapq.heapify(h)\nalias = h",),
        cell=code("""
            heapq.heappush(h, 1)
            small = heapq.heappop(h)
            bisect.insort(s := [1, 3], 2)
            """),
        then=("alias is h, h, small, s",),
    ),
    Case(
        shows="itertools go on where they were",
        before=(
            code("""
            import itertools
            count = itertools.count(5)
            next(count)
            cyc = itertools.cycle('ab')
            next(cyc)
            """),
        ),
        cell="a = next(count), next(cyc)",
        then=("next(count), next(cyc)",),
    ),
    Case(
        shows="context variables",
        before=(
            code("""
            import contextvars
            var = contextvars.ContextVar('var', default=0)
            var.set(1)
            """),
        ),
        cell="a = var.get()\nvar.set(2)",
        refused="var cannot travel",
    ),
    Case(
        shows="context variables of the cell",
        cell=code("""
            import contextvars
            var = contextvars.ContextVar('var', default=0)
            token = var.set(2)
            var.reset(token)
            ctx = var.get()
            del token, var
            """),
    ),
    Case(
        shows="identity of singletons and interned",
        before=(
            code("""
            none, e, t, ni = None, ..., True, NotImplemented
            sentinel = object()
            d = {'missing': sentinel}
            """),
        ),
        cell=code("""
            ok = none is None and e is ... and t is True and ni is NotImplemented and d['missing'] is sentinel
            kept = sentinel
            """),
        then=("ok, kept is sentinel, d['missing'] is sentinel",),
    ),
    Case(
        shows="a sentinel as a default",
        before=(
            code("""
                MISSING = object()
                def get(d, k, default=MISSING):
                    if k in d: return d[k]
                    return 'none' if default is MISSING else default
                """),
        ),
        cell=code("""
            a = get({}, 'x'), get({}, 'x', 1), get({}, 'x', MISSING)
            kept = {'m': MISSING}
            """),
        then=("kept['m'] is MISSING, get({}, 'x', kept['m'])",),
    ),
    Case(
        shows="a bound method",
        before=(_POINT + "\np = P(4)\nf = p.twice\nup = str.upper",),
        cell="r = f(), up('a')\np.x = 5",
        then=("f(), f.__self__ is p, up('b')",),
        skips=("f",),
    ),
    Case(
        shows="a bound method of the cell",
        before=(_POINT + "\np = P(4)",),
        cell="g = p.twice\nh = p.twice",
        then=("g(), g.__self__ is p, g == h, g.__func__ is P.twice",),
    ),
    Case(
        shows="a bound method that the object's change goes through",
        before=(_POINT + "\np = P(4)\nf = p.twice\nalias = f",),
        cell="f.__self__.x = 9\nf()",
        then=("f(), p.x, alias is f, f.__func__ is P.twice",),
        differs="a bound method whose object has changed becomes a new one, with a function of its own",
    ),
    Case(
        shows="a builtin method that changes a list of no name",
        before=("add = [1, 2].append",),
        cell="add(3)",
        differs="what only a builtin method holds is not followed",
        then=("add.__self__",),
    ),
    Case(
        shows="names that begin with an underscore",
        before=("_private = [1]\n__dunderish = 2",),
        cell="_private.append(2)\n_made = 3\n__also = 4",
        then=("_private, _made, __also, __dunderish",),
    ),
    Case(
        shows="names of builtins",
        before=("list_ = list\nmax = lambda *a: 'mine'\nid = 7",),
        cell="a = max(1, 2)\nid += 1\nsum = 10\ninput_ = id",
        then=("max(1), id, sum, list_ is list\ndel max, id, sum",),
    ),
    Case(
        shows="an unpicklable object that the cell does not read",
        before=("import threading\nlock = threading.Lock()\nx = 1",),
        cell="y = x + 1",
        then=("lock.locked(), y",),
    ),
    Case(
        shows="a lock that the cell reads is refused by name",
        before=("import threading\nlock = threading.Lock()",),
        cell="with lock:\n    x = 1",
        refused="lock cannot travel",
    ),
    Case(
        shows="an open file that the cell reads is refused by name",
        before=("f = open('a.txt', 'w')",),
        cell="f.write('x')",
        refused="an open file",
    ),
    Case(
        shows="a lock inside an object of a notebook class",
        before=(
            code("""
                import threading
                class Safe:
                    def __init__(self):
                        self.lock = threading.Lock()
                        self.n = 0
                s = Safe()
                """),
        ),
        cell="s.n += 1",
        refused="s.lock cannot travel",
    ),
    Case(
        shows="a lock that the cell makes",
        cell="import threading\nlock = threading.Lock()\nwith lock:\n    x = 1",
        then=("lock.locked()",),
    ),
    Case(
        shows="an object with a lock of the cell",
        cell="import threading, queue\nq = queue.Queue()\nq.put(1)\nx = q.get()",
        then=("x, q.empty()",),
    ),
    Case(
        shows="masked arrays with a mask and without",
        before=("import numpy as np\nold = np.ma.array([1.25, 2, 3])\nsame = [old]",),
        cell=code("""
            bare = np.ma.array([1.123456789012345, 2, 3.3])
            some = np.ma.array([1.5, 2, 3], mask=[0, 1, 0], fill_value=-1)
            part = some[1:]
            hard = np.ma.array([1, 2], mask=[1, 0], hard_mask=True)
            fields = np.ma.array([(1, 2.5)], dtype=[("a", int), ("b", float)])
            old[1] = np.ma.masked
            one = some[1]
            """),
        then=(
            "bare, some, part, hard, fields, old, same[0] is old, bare.mask is np.ma.nomask, one is np.ma.masked",
            "part[1] = 9\nhard[0] = 7\nsome, hard, some.filled()",
        ),
    ),
    Case(
        shows="what works between threads and processes",
        cell=code("""
            import multiprocessing, queue, sqlite3, threading
            locks = [threading.Lock(), threading.RLock(), threading.Condition(), threading.Semaphore(3)]
            done, held = threading.Event(), threading.Lock()
            done.set()
            held.acquire()
            few, more = queue.SimpleQueue(), queue.PriorityQueue()
            few.put(locks)
            more.put((2, "x"))
            class Counting(threading.Thread):
                def run(self):
                    self.count = 5
            counting = Counting(name="counting")
            counting.start()
            counting.join()
            between = [multiprocessing.Lock(), multiprocessing.Semaphore(2), multiprocessing.Condition()]
            flag, number = multiprocessing.Event(), multiprocessing.Value("i", 3)
            flag.set()
            def double(value, numbers):
                value.value *= 2
                numbers[0] = 7
            numbers = multiprocessing.Array("d", [1, 2])
            process = multiprocessing.Process(target=double, args=(number, numbers))
            process.start()
            process.join()
            empty, line = multiprocessing.Queue(), multiprocessing.SimpleQueue()
            line.put("waiting")
            connection = sqlite3.connect("x.db")
            cursor = connection.cursor()
            connection.close()
            """),
        then=(
            "print(locks, done, held, few.get() is locks, more.get(), counting.count, counting.is_alive())",
            "print(between, flag.is_set(), number.value, list(numbers), process.exitcode, process.is_alive())",
            "with locks[0], locks[1], locks[2], between[0]:\n    locks[2].notify()",
            "empty.put(1)\nempty.get(), line.get(), line.empty()",
            "counting.name, process.name, connection, cursor",
        ),
        skips=("process", "counting"),
    ),
    Case(
        shows="a thread that the cell has ended",
        cell=code("""
            import threading
            found = []
            ts = [threading.Thread(target=lambda i=i: found.append(i)) for i in range(3)]
            for t in ts: t.start()
            for t in ts: t.join()
            sorted(found)
            """),
        then=("len(found)",),
    ),
    Case(
        shows="an open file of the cell",
        cell=code("""
            f = open('a.txt', 'w')
            f.write('abc')
            f.close()
            closed = f.closed
            """),
        then=("f.closed, open('a.txt').read()",),
    ),
    Case(
        shows="a class that says again what its base says",
        cell=code("""
            from dataclasses import dataclass
            class A:
                x = 1
                def f(self): return 1
            class B(A):
                x = 1
                f = A.f
            @dataclass
            class C:
                t: int = 0
            @dataclass
            class D(C):
                t: int = 0
            """),
        then=(
            "A.x = 2\nA.f = None\nB.x, B().f(), 'x' in vars(B), sorted(vars(D)) == sorted(vars(C))",
            "C.t = 5\nD(), C()",
        ),
        skips=("A", "B", "C", "D"),
    ),
    Case(
        shows="views of dicts that change",
        before=(
            "from collections import OrderedDict\nd = {'a': 1}\no = OrderedDict(d)\nkeys, pairs = d.keys(), o.items()",
        ),
        cell=code("""
            d['b'] = 2
            o['c'] = 3
            values = d.values()
            list(keys), list(pairs), list(values)
            """),
        then=("d['z'] = o['z'] = 4\nlist(keys), list(pairs), list(values)",),
    ),
    Case(
        shows="new views of arrays that the cell has changed",
        before=(
            "import numpy as np\nclass Model: pass",
            "X = np.arange(200.).reshape(100, 2)\nY = np.arange(10.)\nD = {'a': Y}",
            "m = Model()\nm.w, m.history = np.zeros(50), []\nwide = np.zeros((6, 90))\nnarrow = wide[:, ::45]",
        ),
        cell=code("""
            X -= X.mean(0)
            train, test = X[:80], X[80:]
            Y *= 2
            back = Y[::-1]
            D['a'] += 1
            m.history.append(1)
            m.w += 3
            part = m.w[:5]
            narrow += 1
            few = narrow[:2]
            """),
        then=(
            "[np.shares_memory(*p) for p in [(train, X), (test, X), (back, Y), (part, m.w)]], D['a'] is Y, few",
            "train[:] = test[:] = 0\nback[0] = part[1] = 7\nabs(X).sum(), Y, m.w[:3], narrow",
        ),
        skips=("few", "narrow", "wide"),
    ),
    Case(
        shows="a mapping that does not want to be asked",
        before=(
            code("""
            from collections.abc import Mapping
            class Lazy(Mapping):
                loads = 0
                def __getitem__(self, key): Lazy.loads += 1; raise RuntimeError('not open')
                def __iter__(self): Lazy.loads += 1; return iter('ab')
                def __len__(self): Lazy.loads += 1; return 2
            lazy = Lazy()
            """),
        ),
        cell="there = lazy is not None\nthere, Lazy.loads",
        then=("Lazy.loads",),
        skips=("lazy", "Lazy"),
    ),
    Case(
        shows="weak mappings that change",
        before=(
            "import weakref\nclass C: pass",
            "a = C()\nweak = weakref.WeakValueDictionary(a=a)",
            "keys, some = weakref.WeakKeyDictionary(), weakref.WeakSet()",
        ),
        cell=code("""
            b = C()
            weak['b'], keys[b] = b, 1
            some.add(b)
            """),
        then=("sorted(weak), weak['b'] is b, keys[b], b in some",),
        skips=("weak", "keys", "some", "a", "b"),
    ),
    Case(
        shows="record arrays share memory with their views",
        before=("import numpy as np",),
        cell=code("""
            plain = np.array([(1, 2.5)], dtype=[('i', 'i4'), ('f', 'f8')])
            records = plain.view(np.recarray)
            table = np.rec.array([(1, 2.0), (3, 4.0)], names='a,b')
            part, column = table[1:], table.b
            """),
        then=(
            "plain['f'] *= 2\npart.b[0] = 99\nprint(records, records.f, table.tolist(), column)",
            "part.b[0] = 5",
            "print(table, column, np.shares_memory(plain, records))",
        ),
        every=True,
    ),
)
