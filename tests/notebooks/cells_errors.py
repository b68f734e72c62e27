"""Cells that end with an exception, and those that warn."""

from __future__ import annotations

from tests.notebooks.compare import Case, code

CASES = (
    Case(
        shows="a part of a package that fails when it is imported",
        files=(
            ("beside_whole/__init__.py", ""),
            ("beside_whole/good.py", "x = 1"),
            ("beside_whole/bad.py", "import nothing_of_that_name"),
        ),
        cell="import beside_whole.good\nimport beside_whole.bad\nnever = 1",
        then=("beside_whole.good.x",),
    ),
    Case(
        shows="an exception that pickles without what its text is made of",
        cell=code("""
            import threading
            class Unreachable(Exception):
                def __init__(self, place, why):
                    self.place, self.why = place, why
                    super().__init__(f'{place and type(place).__name__}: {why}')
                def __reduce__(self):
                    return type(self), (None, self.why)
            raise ConnectionError(Unreachable(threading.Lock(), 'no name'))
            """),
        then=("import sys\nprint(sys.last_value, sys.last_value.args[0].why)",),
    ),
    Case(
        shows="no network",
        cell="import urllib3\nurllib3.PoolManager(retries=False).request('GET', 'https://nowhere.invalid/')",
        then=("import sys\nstr(sys.last_value)",),
    ),
    Case(
        shows="an error in the midst of the cell",
        before=("x = 1",),
        cell="y = 2\ndef f(v):\n    return v / 0\n\nf(y)\nz = 3",
        then=("y, 'z' in globals()",),
    ),
    Case(
        shows="an error in a function of an earlier cell",
        before=(
            code("""
            def f(v):
                w = v
                return g(w)

            def g(v):
                return {}[v]
            """),
        ),
        cell="a = 1\n\nf('k')",
    ),
    Case(shows="a NameError", cell="a = 1\nprint(a)\nb = undefined_name + 1"),
    Case(shows="an AttributeError with a hint", cell="class A:\n    value = 1\nA().valeu"),
    Case(
        shows="an exception class of the notebook",
        before=(
            code("""
                class Mine(Exception):
                    def __init__(self, code, why):
                        super().__init__(code, why)
                        self.code = code
                    def __str__(self):
                        return f'code {self.code}'
                """),
        ),
        cell="raise Mine(7, 'because')",
        then=("import sys\ne = sys.last_value\nisinstance(e, Mine), e.code, e.args",),
    ),
    Case(
        shows="an exception class of the cell",
        cell="class Mine(ValueError):\n    pass\nraise Mine('here')",
        then=("import sys\nisinstance(sys.last_value, Mine), Mine.__name__",),
    ),
    Case(
        shows="an exception whose constructor takes other arguments",
        before=(
            code("""
                class Odd(Exception):
                    def __init__(self, a, *, b):
                        super().__init__(f'{a} and {b}')
                        self.a, self.b = a, b
                """),
        ),
        cell="raise Odd(1, b=2)",
        then=("import sys\nsys.last_value.b",),
    ),
    Case(
        shows="an exception that is kept in a name",
        cell=code("""
            try:
                int('x')
            except ValueError as e:
                kept = e
            type(kept)
            """),
        then=("str(kept), kept.args",),
    ),
    Case(
        shows="chained from",
        cell=code("""
            try:
                {}['k']
            except KeyError as e:
                raise RuntimeError('outer') from e
            """),
        then=("import sys\ntype(sys.last_value.__cause__)",),
    ),
    Case(
        shows="raised while another was handled",
        cell=code("""
            def inner():
                return 1 / 0
            try:
                inner()
            except ZeroDivisionError:
                [][3]
            """),
    ),
    Case(
        shows="raised from None",
        cell=code("""
            try:
                {}['k']
            except KeyError:
                raise ValueError('clean') from None
            """),
        then=("import sys\nsys.last_value.__suppress_context__",),
    ),
    Case(
        shows="notes of an exception",
        cell=code("""
            e = ValueError('v')
            e.add_note('first note')
            e.add_note('second')
            raise e
            """),
        then=("import sys\nsys.last_value.__notes__",),
    ),
    Case(
        shows="an exception group",
        cell=code("""
            def a():
                raise ValueError('one')
            errors = []
            for f in (a, lambda: [][1]):
                try:
                    f()
                except Exception as e:
                    errors.append(e)
            raise ExceptionGroup('several', errors)
            """),
        then=("import sys\n[type(e).__name__ for e in sys.last_value.exceptions]",),
    ),
    Case(
        shows="except star",
        cell=code("""
            found = []
            try:
                raise ExceptionGroup('g', [ValueError(1), TypeError(2)])
            except* ValueError as g:
                found.append([repr(e) for e in g.exceptions])
            except* TypeError as g:
                found.append([repr(e) for e in g.exceptions])
            found
            """),
    ),
    Case(
        shows="a SyntaxError inside exec",
        cell="a = 1\nexec('x = = 2')",
    ),
    Case(shows="a SyntaxError of the cell", cell="a = 1\nx = = 2"),
    Case(
        shows="an assertion",
        before=("limit = 3",),
        cell=code("""
            values = [1, 5]
            for v in values:
                assert v < limit, f'{v} is too much'
            """),
    ),
    Case(shows="a KeyboardInterrupt that the cell raises", cell="a = 1\nraise KeyboardInterrupt", then=("a",)),
    Case(shows="a SystemExit", cell="a = 1\nraise SystemExit(3)", then=("a",)),
    Case(shows="sys.exit with a message", cell="import sys\na = 1\nsys.exit('stopped')", then=("a",)),
    Case(
        shows="a RecursionError",
        cell=code("""
            depth = 0
            def down():
                global depth
                depth += 1
                down()
            try:
                down()
            except RecursionError as e:
                text = str(e)
            deep = depth > 500
            del depth, down
            text
            """),
    ),
    Case(shows="a RecursionError that ends the cell", cell="def down(n):\n    return down(n + 1)\ndown(0)"),
    Case(shows="a MemoryError raised", cell="raise MemoryError('none left')"),
    Case(shows="a StopIteration at top level", cell="next(iter([]))"),
    Case(
        shows="an exception with an attribute that cannot be pickled",
        before=("class Held(Exception): pass",),
        cell=code("""
            import threading
            e = Held('locked')
            e.lock = threading.Lock()
            raise e
            """),
        then=("import sys\nisinstance(sys.last_value, Held)",),
        skips=("e",),
    ),
    Case(
        shows="an exception with an attribute that can",
        cell="e = ValueError('v')\ne.data = [1, 2]\nraise e",
        then=("import sys\nsys.last_value.data, sys.last_value is e",),
        differs="the exception that ends the cell and a name that holds it are two objects at home",
    ),
    Case(shows="an error inside a library", before=("import json",), cell="text = '{bad'\ndata = json.loads(text)"),
    Case(
        shows="an error inside numpy and pandas",
        before=("import numpy as np, pandas as pd\ndf = pd.DataFrame({'a': [1]})",),
        cell="ok = np.ones(3) + 1\ndf['missing']",
    ),
    Case(
        shows="an OSError with its number",
        cell="open('/no/such/file')",
        then=("import sys\ne = sys.last_value\ne.errno, e.filename",),
    ),
    Case(shows="a UnicodeError", cell="b'\\xff'.decode('utf-8')"),
    Case(shows="an error in a class body", cell="class A:\n    x = 1\n    y = x / 0"),
    Case(
        shows="an error in a comprehension and in a lambda",
        cell="f = lambda v: 1 / v\n[f(v)\n for v in (1,\n           0)]",
    ),
    Case(shows="an error over several lines", cell="def f(a, b):\n    return a + b\n\nr = f(\n    1,\n    'x',\n)"),
    Case(
        shows="an error in a decorated function",
        before=(
            code("""
                import functools
                def deco(f):
                    @functools.wraps(f)
                    def inner(*a):
                        return f(*a)
                    return inner
                """),
        ),
        cell="@deco\ndef g(v):\n    return v.missing\ng(1)",
    ),
    Case(
        shows="an error in a generator and in finally",
        cell=code("""
            log = []
            def g():
                try:
                    yield 1
                    raise ValueError('in g')
                finally:
                    log.append('closed')
            for v in g():
                log.append(v)
            """),
        then=("log",),
    ),
    Case(
        shows="an error after await",
        cell=code("""
            import asyncio
            async def f():
                await asyncio.sleep(0)
                raise ValueError('late')
            x = 1
            await f()
            """),
    ),
    Case(
        shows="an error in a method and in its property",
        before=(
            code("""
                class A:
                    @property
                    def p(self):
                        return self.q()
                    def q(self):
                        raise LookupError('q')
                """),
        ),
        cell="A().p",
    ),
    Case(
        shows="an error in a broken repr",
        cell=code("""
            class A:
                def __repr__(self):
                    raise ValueError('no repr')
            a = A()
            a
            """),
        then=("type(a).__name__",),
        differs="an error that does not end the cell is shown, and is not kept as sys.last_value",
    ),
    Case(
        shows="a traceback printed by the cell",
        cell=code("""
            import traceback
            def f():
                raise ValueError('v')
            try:
                f()
            except ValueError:
                traceback.print_exc()
                text = traceback.format_exc()
                last = traceback.extract_stack()[-1].name
            """),
        skips=("text",),
    ),
    Case(
        shows="what the last exception was",
        before=("1 / 0",),
        stumbles=True,
        cell="import sys\nshown = repr(getattr(sys, 'last_value', None))",
        differs="sys.last_value of earlier cells is not there on a site",
    ),
    Case(
        shows="warnings of the cell",
        cell=code("""
            import warnings
            warnings.warn('take care')
            def old():
                warnings.warn('old', DeprecationWarning, stacklevel=2)
            old()
            warnings.warn('mine', FutureWarning)
            """),
    ),
    Case(shows="a warning shown once", cell="import warnings\nfor i in range(3):\n    warnings.warn('again')"),
    Case(
        shows="warnings caught",
        cell=code("""
            import warnings
            with warnings.catch_warnings(record=True) as got:
                warnings.simplefilter('always')
                warnings.warn('one')
            n = [str(w.message) for w in got]
            del got
            """),
    ),
    Case(
        shows="warnings as errors",
        cell=code("""
            import warnings
            with warnings.catch_warnings():
                warnings.simplefilter('error')
                warnings.warn('fatal')
            """),
    ),
    Case(
        shows="warnings of numpy",
        before=("import numpy as np",),
        cell="a = np.array([1.0, 0.0])\nb = a / 0\nc = np.log(a)\nb, c",
    ),
    Case(
        shows="a syntax warning of the cell",
        cell="x = 1\ny = x is 1\nz = '\\d'",
        differs="a warning of the compiler is shown once, where a kernel compiles a cell more often",
    ),
    Case(
        shows="an unraisable exception",
        cell=code("""
            class A:
                def __del__(self):
                    raise ValueError('in del')
            a = A()
            del a
            x = 1
            """),
        skips=("A",),
    ),
    Case(
        shows="an error in a thread",
        cell=code("""
            import threading
            def f():
                raise ValueError('in thread')
            t = threading.Thread(target=f, name='worker-1')
            t.start()
            t.join()
            del t
            """),
        ordered=False,
    ),
    Case(
        shows="the traceback of an exception that is kept",
        cell="try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    kept = e",
        then=("kept.__traceback__ is None",),
        differs="an exception that the cell keeps comes home without its traceback",
    ),
    Case(
        shows="how often a function of an earlier cell remembered",
        before=(
            code("""
            import functools
            @functools.lru_cache
            def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
            """),
        ),
        cell="f = fib(9)",
        then=("fib.cache_info().hits > 0",),
        differs="what a function remembers comes home, and not how often it was asked",
    ),
    Case(
        shows="what an exception that is kept hangs on",
        cell=code("""
            import threading
            try:
                try:
                    1 / 0
                except ZeroDivisionError as e:
                    raise KeyError('k') from e
            except KeyError as e:
                kept = e
            alone = ValueError('v')
            alone.__cause__ = kept
            held = OSError('cannot travel')
            held.lock = threading.Lock()
            other = TypeError('t')
            other.__context__ = held
            """),
        then=(
            "repr(kept.__cause__), kept.__suppress_context__, alone.__cause__ is kept, repr(kept.__context__)",
            "try:\n    raise kept\nexcept KeyError as e:\n    print(repr(e.__cause__), other)",
        ),
        skips=("held", "other", "kept", "alone"),
    ),
)
