"""Cells with classes, folders and shell lines of the kind that strangers' notebooks have."""

from __future__ import annotations

from tests.notebooks.compare import Case, code

CASES = (
    Case(
        shows="what is made of a module that the cell has loaded again",
        files=(("again.py", "class K:\n    v = 1\ndef f():\n    return 1\n"),),
        before=("import again, importlib, pickle",),
        cell=code("""
            from pathlib import Path
            Path('again.py').write_text('class K:\\n    v = 22\\ndef f():\\n    return 22\\n')
            importlib.reload(again)
            k, f = again.K(), again.f
            """),
        then=("type(k).v, isinstance(k, again.K), f is again.f, len(pickle.dumps(k)) > 0",),
    ),
    Case(
        shows="what a function is called and says, set in the cell",
        before=("def u():\n    pass",),
        cell="u.__doc__ = 'does'\nu.__name__ = 'v'\nu.__annotations__ = {'return': int}",
        then=("u.__doc__, u.__name__, u.__annotations__",),
    ),
    Case(
        shows="what a generator draws from",
        before=("import numpy as np\nrng = np.random.default_rng(5)",),
        cell="x = rng.random()\nbg = rng.bit_generator",
        then=("bg is rng.bit_generator, bg.random_raw(), rng.random()",),
    ),
    Case(shows="a variable called In", before=("In = [7]",), cell="y = In[0] * 2\ny", fresh=True),
    Case(
        shows="a memoryview that the cell releases",
        before=("by = bytearray(b'ab')\nmv = memoryview(by)",),
        cell="by[0] = 66\nmv.release()",
        then=("by",),
        skips=("mv",),
    ),
    Case(
        shows="compressed files that were closed",
        cell=code("""
            import bz2, gzip, io, lzma
            with io.TextIOWrapper(gzip.GzipFile('a.gz', 'wb', mtime=0)) as g:  # no time in the file
                g.write('zz')
            with gzip.GzipFile('b.gz', 'wb', mtime=0) as h:
                h.write(b'yy')
            with bz2.open('c.bz2', 'wb') as b, lzma.open('d.xz', 'wt') as x:
                b.write(b'b'), x.write('x')
            """),
        then=("g.closed, h.closed, b.closed, x.closed, gzip.open('a.gz', 'rt').read(), gzip.open('b.gz').read()",),
        skips=("g", "h", "b", "x"),
    ),
    Case(
        shows="a model whose formula is evaluated again where it is read, as those of statsmodels",
        files=(
            (
                "formulas.py",
                code("""
                import sys

                class Model:
                    def __init__(self, formula, x):
                        self.formula, self.x = formula, x
                        frame = sys._getframe(1)
                        self.y = eval(formula[4:], frame.f_globals, {**frame.f_locals, 'x': x})

                    def __getstate__(self):
                        return self.formula, self.x

                    def __setstate__(self, state):
                        self.formula, self.x = state
                        frame = sys._getframe(1)
                        self.y = eval(self.formula[4:], frame.f_globals, {**frame.f_locals, 'x': self.x})
                """),
            ),
        ),
        before=("import formulas",),
        cell="def double(x):\n    return 2 * x\n\nmodel = formulas.Model('y ~ double(x) + 1', 5)\nmodel.y",
        then=("model.y, model.x", "other = formulas.Model('y ~ double(x)', 1)", "other.y"),
        every=True,
    ),
    Case(
        shows="a dict whose attributes are its items",
        before=("class Conf(dict):\n    __getattr__ = dict.__getitem__\nconf = Conf(a=1)",),
        cell="v = conf.a + 1\nconf['b'] = v",
        then=("conf, v",),
    ),
    Case(
        shows="a proxy that hands on all attributes",
        before=(
            code("""
            class Proxy:
                def __init__(self, inner): self._inner = inner
                def __getattr__(self, name): return getattr(self._inner, name)
            proxy = Proxy([1, 2])
            """),
        ),
        cell="r = len(proxy._inner); proxy.append(3); q = Proxy(r)\nopen('res.txt', 'w').write('r')",
        then=("r, proxy._inner, proxy.__len__(), q._inner",),
    ),
    Case(
        shows="new types",
        before=("import typing\nUserId = typing.NewType('UserId', int)\ndef made(): return UserId(5)",),
        cell="u = UserId(3); w = made(); Other = typing.NewType('Other', str); k = UserId",
        then=("u, w, Other('x'), Other.__name__, k is UserId",),
    ),
    Case(
        shows="instances whose class wants an argument to make them",
        before=(
            code("""
            class P:
                def __new__(cls, a):
                    made = super().__new__(cls)
                    made.a = a
                    return made
            p = P(3)
            """),
        ),
        cell="q = P(4); p.b = q",
        then=("p.a, p.b is q, q.a",),
    ),
    Case(
        shows="cached functions know what they have been asked",
        before=(
            code("""
            import functools
            @functools.lru_cache
            def config(): return {'lr': 0.1}
            config()['lr'] = 5
            @functools.lru_cache(None)
            def slow(n, *, times=2):
                print('computing', n)
                return n * times
            slow(2), slow(2, times=3)
            """),
        ),
        cell="a = config()['lr']\nb = slow(2), slow(3), slow(2, times=3)\nconfig()['lr'] = 6",
        then=("a, b, config()['lr'], slow(3), slow(2), slow(4)",),
        skips=("config", "slow"),  # how often they were hit
    ),
    Case(
        shows="names with two underscores on either side",
        before=("__version__ = '1'",),
        cell="__made__ = 2\n__version__ += '.2'",
        then=("__made__, __version__",),
    ),
    Case(
        shows="files asked for by names that are put together",
        before=(
            code("""
            import os
            from pathlib import Path
            open('a.csv', 'w').write('x'); name = 'a'; i = 1; open('b1.csv', 'w').write('x')
            """),
        ),
        cell=code("""
            found = os.path.exists(name + '.csv'), os.path.exists('b%d.csv' % i)
            more = os.path.isfile(Path('a').with_suffix('.csv')), os.path.getsize(name + '.csv')
            """),
        then=("found, more",),
    ),
    Case(
        shows="shell lines that see the folder",
        before=("import os\nopen('a.csv', 'w').write('x'); os.mkdir('sub'); open('sub/z.txt', 'w').close()",),
        cell="!echo a && ls\n!cd sub && ls\n!for f in *; do echo $f; done",
    ),
    Case(
        shows="a cell of bash that lists the folder",
        before=("import os\nopen('a.csv', 'w').write('x'); os.mkdir('sub'); open('sub/z.txt', 'w').close()",),
        cell="%%bash\necho hello; ls",
    ),
    Case(
        shows="folders that the cell deletes",
        before=("import os, shutil\nos.makedirs('sub/in'); open('sub/in/f.txt', 'w').write('1'); os.mkdir('empty')",),
        cell="shutil.rmtree('sub'); os.rmdir('empty')",
        then=("os.path.exists('sub'), os.path.exists('empty')",),
    ),
    Case(
        shows="a folder for temporary files that the cell makes",
        cell=code("""
            import os, tempfile
            place = tempfile.TemporaryDirectory()
            path = os.path.join(tempfile.mkdtemp(), 'b.txt')
            for file in (os.path.join(place.name, 'a.txt'), path):
                with open(file, 'w') as out:
                    _n = out.write('x')
            os.path.dirname(place.name)
            """),
        then=(
            "open(path).read(), os.listdir(place.name)",
            "name = place.name\ndel place\nos.path.exists(name)",
        ),
        skips=("place", "path", "name", "file", "out"),
    ),
    Case(
        shows="a folder for temporary files of an earlier cell",
        before=("import os, tempfile\nplace = tempfile.TemporaryDirectory()",),
        cell=code("""
            with open(os.path.join(place.name, 'a.txt'), 'w') as out:
                _n = out.write('x')
            os.listdir(place.name)
            """),
        then=("os.listdir(place.name)", "place.cleanup()\nos.path.exists(place.name)"),
        skips=("place", "out"),
    ),
    Case(
        shows="what a library gives under two names, by the front end",
        cell=code("""
            from tqdm.auto import tqdm as bar
            from pandas import DataFrame
            isinstance(bar, type), DataFrame
            """),
        then=("bar, DataFrame([1])",),
    ),
    Case(
        shows="a class that only the process that made it can use",
        cell=code("""
            class Odd:
                made = {}
                def __new__(cls):
                    self = object.__new__(cls)
                    cls.made[id(cls)] = self
                    return self
                def __setstate__(self, state):
                    self.__dict__.update(type(self).made[id(type(self))].__dict__)
            odd = Odd()
            x = 1
            """),
        then=("x",),
        skips=("odd", "Odd"),
    ),
    Case(
        shows="one slot, and no instance without an argument",
        cell=code("""
            class P:
                __slots__ = ('v',)
                def __new__(cls, v):
                    self = object.__new__(cls)
                    self.v = v
                    return self
            class Q(P):
                __slots__ = ('w', '_empty')
            p, q = P(3), Q(4)
            q.w = 5
            p.v, q.v, q.w
            """),
        then=("p.v, q.v, q.w, hasattr(q, '_empty')",),
        skips=("p", "q"),
    ),
    Case(
        shows="a method of a class from C, as its class holds it",
        cell="made = vars(dict)['fromkeys']\nmade.__get__(None, dict)('ab')",
        then=("made is vars(dict)['fromkeys']",),
    ),
    Case(
        shows="a data set of scikit-learn with an attribute beside its items",
        cell="from sklearn.datasets import load_iris\niris = load_iris(as_frame=True)",
        then=("sorted(vars(iris)), list(iris), iris.frame.shape",),
    ),
    Case(shows="a breakpoint without a debugger", cell="breakpoint()\nx = 1\nx"),
)
