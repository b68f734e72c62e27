"""Cells about the language itself: names, scopes, functions, control flow, text of the cell."""

from __future__ import annotations

from tests.notebooks.compare import Case, code

_LONG = "\n".join(f"total += {n}  # line {n}" for n in range(5000))

CASES = (
    Case(shows="assignments of every kind", cell="a = 1\nb, (c, *d) = 2, (3, 4, 5)\ne = f = []\nf.append(a)"),
    Case(
        shows="a loop is running while a cell runs",
        cell=code("""
            import asyncio
            loop = asyncio.get_running_loop().is_running()
            async def f():
                return 4
            task = asyncio.create_task(f())
            four = await task
            del task
            loop, four
            """),
    ),
    Case(
        shows="a generator that has given everything",
        cell="def count():\n    yield 1\nc = count()\nfound = list(c)\nfound",
        then=("list(c), c.__name__",),
    ),
    Case(
        shows="StopIteration ends a cell like any other error",
        cell="import asyncio\nnext(iter([]))",
    ),
    Case(
        shows="a text with the word input in it",
        cell="text = 'the noisy input'\nlen(text)",
    ),
    Case(
        shows="annotations at top level",
        cell="x: int = 1\ny: 'list[str]'\nz: float = x / 2",
        then=("sorted(__annotations__)",),
    ),
    Case(
        shows="a name is deleted", before=("a, b, c = 1, [2], 3",), cell="del a\ndel b[0]\nc += 1\ndel c", then=("b",)
    ),
    Case(shows="a name is deleted in a loop", before=("xs = [1, 2]",), cell="for i in xs:\n    t = i\ndel i"),
    Case(
        shows="augmented assignments",
        before=("n, s, l, t = 1, 'a', [1], (1,)\nalias = l",),
        cell="n += 1; s *= 3; l += [2]; t += (2,); n **= 5; n //= 3",
        probes=("alias is l",),
    ),
    Case(
        shows="global in a function of the cell",
        before=("count = 1",),
        cell=code("""
            def more():
                global count, made
                count += 1
                made = 'new'

            more(); more()
            """),
        then=("more(); count",),
    ),
    Case(
        shows="global in a function of an earlier cell",
        before=(
            code("""
            count = 1
            def more():
                global count, made
                count += 1
                made = 'new'
            """),
        ),
        cell="more(); more()",
        then=("more(); count",),
    ),
    Case(
        shows="a function deletes a global",
        before=("gone = 1\ndef away():\n    global gone\n    del gone",),
        cell="away()",
        then=("'gone' in globals()",),
    ),
    Case(
        shows="a closure counts on",
        before=(
            code("""
                def counter():
                    n = 0
                    def step():
                        nonlocal n
                        n += 1
                        return n
                    return step
                step = counter()
                step()
                """),
        ),
        cell="a = step(), step()\nother = counter()\nother()",
        then=("step(), other()",),
    ),
    Case(
        shows="two closures share a variable",
        cell=code("""
            def pair():
                n = 0
                def up():
                    nonlocal n
                    n += 1
                def get():
                    return n
                return up, get
            up, get = pair()
            """),
        then=("up(); up(); get()",),
    ),
    Case(
        shows="nested functions read what the notebook defines later",
        before=("factor = 2",),
        cell=code("""
            def outer(x):
                def inner(y):
                    return factor * y
                return inner(x)
            r = outer(3)
            """),
        then=("factor = 10\nouter(3)",),
    ),
    Case(
        shows="recursion",
        cell=code("""
            def fib(n):
                return n if n < 2 else fib(n - 1) + fib(n - 2)
            fib(15)
            """),
        then=("fib(10)",),
    ),
    Case(
        shows="mutual recursion with an earlier cell",
        before=("def even(n):\n    return True if n == 0 else odd(n - 1)",),
        cell=code("""
            def odd(n):
                return False if n == 0 else even(n - 1)
            even(10), odd(10)
            """),
        then=("even(7)",),
    ),
    Case(
        shows="a function is defined anew under its old name",
        before=("def f():\n    return 1\ng = f",),
        cell="def f():\n    return g() + 1",
        then=("f(), g()",),
    ),
    Case(
        shows="defaults that are mutable",
        before=("def add(x, to=[]):\n    to.append(x)\n    return to",),
        cell="first = add(1)\nsecond = add(2)",
        then=("add(3), first is second",),
    ),
    Case(
        shows="attributes of a function",
        before=("def f():\n    f.calls = getattr(f, 'calls', 0) + 1",),
        cell="f(); f()",
        then=("f(); f.calls",),
    ),
    Case(
        shows="lambdas in a dict",
        cell="ops = {'inc': lambda v: v + 1, 'dec': lambda v: v - 1}",
        then=("ops['inc'](1), ops['dec'](1)",),
    ),
    Case(
        shows="lambdas that capture a loop variable",
        cell=code("""
            fs = [lambda: i for i in range(3)]
            gs = [lambda i=i: i for i in range(3)]
            """),
        then=("[f() for f in fs], [g() for g in gs]",),
    ),
    Case(
        shows="scopes of comprehensions",
        before=("i = 'kept'",),
        cell=code("""
            squares = [i * i for i in range(4)]
            pairs = {(a, b) for a in 'ab' for b in 'cd' if a != b}
            d = {k: [v for v in range(k)] for k in range(3)}
            """),
    ),
    Case(
        shows="walrus at top level and in a comprehension",
        cell="if (n := 10) > 5:\n    pass\nany((last := v) > 2 for v in range(5))",
        then=("n, last",),
    ),
    Case(
        shows="match with every kind of pattern",
        before=(
            code("""
            from dataclasses import dataclass
            @dataclass
            class P:
                x: int
                y: int
            """),
        ),
        cell=code("""
            def kind(v):
                match v:
                    case 0 | 1: return 'bit'
                    case [a, *rest]: return ('seq', a, rest)
                    case {'k': k, **more}: return ('map', k, more)
                    case P(x=0, y=y): return ('on axis', y)
                    case str() as s if s: return s
                    case _: return None
            found = [kind(v) for v in (1, [1, 2, 3], {'k': 1, 'z': 2}, P(0, 4), 'text', 3.5)]
            """),
    ),
    Case(
        shows="try, else and finally",
        cell=code("""
            log = []
            for v in (1, 0):
                try:
                    log.append(1 / v)
                except ZeroDivisionError as e:
                    log.append(str(e))
                else:
                    log.append('fine')
                finally:
                    log.append('done')
            """),
    ),
    Case(
        shows="context managers",
        before=(
            code("""
                from contextlib import contextmanager, suppress, ExitStack
                log = []
                @contextmanager
                def noted(name):
                    log.append(f'in {name}')
                    try:
                        yield name
                    finally:
                        log.append(f'out {name}')
                """),
        ),
        cell=code("""
            with noted('a') as a, suppress(KeyError), ExitStack() as stack:
                stack.enter_context(noted('b'))
                {}['x']
            """),
        then=("log",),
    ),
    Case(
        shows="a class that is a context manager",
        before=(
            code("""
                class Timer:
                    entered = 0
                    def __enter__(self):
                        Timer.entered += 1
                        self.open = True
                        return self
                    def __exit__(self, *a):
                        self.open = False
                """),
        ),
        cell="with Timer() as t:\n    inside = t.open",
        then=("t.open, Timer.entered",),
    ),
    Case(
        shows="a generator inside the cell",
        cell=code("""
            def gen(n):
                while n:
                    n = yield n
                    n = n or 0
            g = gen(3)
            a = next(g)
            b = g.send(2)
            total = sum(v * v for v in range(10))
            g.close()
            del g
            """),
    ),
    Case(
        shows="a generator of an earlier cell is refused by name",
        before=("g = (v for v in range(3))\nkept = 1",),
        cell="kept = list(g)",
        refused="g cannot travel",
    ),
    Case(
        shows="generators that have not begun",
        cell=code("""
            import itertools
            def steps(n, *more, by=1, **named):
                total = 0
                while total < n:
                    total += by
                    yield total, more, named
            class Feed:
                def __init__(self, data):
                    self.data = data
                    self.rows = self.read(2)
                def read(self, size):
                    for at in range(0, len(self.data), size):
                        yield self.data[at:at + size]
            def outer(k):
                def inner():
                    yield k
                    yield k + 1
                return inner()
            g, feed, inner = steps(3, 'x', by=2, z=1), Feed([1, 2, 3]), outer(7)
            squares = (v * v for v in [1, 2, 3])
            pairs = itertools.chain(v for v in 'ab')
            done = zip([1, 2], iter('cd'))
            last = list(done)
            """),
        then=("list(g), list(feed.rows), list(inner), list(squares), list(pairs), list(done), g.__name__, g.gi_frame",),
    ),
    Case(
        shows="a generator that the cell leaves",
        cell="g = (v for v in range(3))\nn = next(g)",
        then=("next(g)",),
        differs="a generator cannot be pickled: g does not come back, which is said",
    ),
    Case(
        shows="a list iterator partly consumed",
        before=("it = iter([1, 2, 3, 4])\nnext(it)",),
        cell="a = next(it)",
        then=("list(it)",),
    ),
    Case(
        shows="an iterator made in the cell",
        cell="it = iter({'a': 1, 'b': 2}.items())\nz = zip('ab', [1, 2])\nnext(z)",
        then=("list(it), list(z)",),
        skips=("it", "z"),
    ),
    Case(
        shows="a cell of comments only",
        cell="# nothing\n\n# to do",
    ),
    Case(shows="an empty last line and blanks", cell="\n\nx = 1   \n   \n\n"),
    Case(shows="no newline at the end", cell="x = 1\nx"),
    Case(shows="five thousand lines", before=("total = 0",), cell=_LONG, then=("total",)),
    Case(shows="an error on line 4000", before=("total = 0",), cell="\n".join(_LONG.splitlines()[:3999]) + "\n1 / 0\n"),
    Case(shows="carriage returns", cell="x = 1\r\nif x:\r\n    y = 'a'\r\ny"),
    Case(shows="tabs", cell="for i in range(2):\n\tif i:\n\t\tx = i\n\telse:\n\t\tx = 'a\tb'\nx"),
    Case(
        shows="ends of lines and tabs inside of a string",
        cell="text = '''a\r\n\tb\n  c\rd'''\nlen(text), text",
    ),
    Case(shows="a form feed and lines that go on", cell="x = 1 + \\\n    2\n\x0c\ny = (x\n\n  # between\n  + 1)\ny"),
    Case(
        shows="unicode names and strings",
        before=("größe = 1",),
        cell="größe += 1\n变量 = 'värde 😀 \u202e'\nπ = 3.14\nprint(变量, 'é', 'e\u0301')\n变量",
        then=("größe, π, len(变量)",),
    ),
    Case(shows="names that Python folds", cell="ﬁle = 1\nprint(file)", then=("file",)),
    Case(
        shows="a docstring first",
        cell='"""What this cell does."""\nx = 1',
        then=("__doc__",),
    ),
    Case(shows="a string as the last expression", cell="x = 1\n'a\\nb'"),
    Case(shows="main is main", cell="if __name__ == '__main__':\n    x = 1\n__name__", probes=("x",)),
    Case(shows="there is no file", cell="try:\n    __file__\nexcept NameError as e:\n    text = str(e)\ntext"),
    Case(shows="a semicolon silences", cell="x = [1, 2]\nx;"),
    Case(shows="a semicolon in a comment and one in a string", cell="x = 1\nx  # done;", then=("'a;'",)),
    Case(shows="a list of expressions", cell="1\n2; 3\n[4]"),
    Case(shows="None as the last expression", cell="x = 1\nNone"),
    Case(shows="a trailing expression inside if shows nothing", cell="if True:\n    5"),
    Case(
        shows="await at top level",
        cell=code("""
            import asyncio
            async def f(x):
                await asyncio.sleep(0)
                return x + 1
            r = await f(1)
            r
            """),
    ),
    Case(
        shows="async for and async with",
        cell=code("""
            class A:
                async def __aenter__(self):
                    return 'in'
                async def __aexit__(self, *a):
                    return False
            async def numbers():
                for i in range(3):
                    yield i
            found = []
            async for n in numbers():
                found.append(n)
            async with A() as a:
                found.append(a)
            more = [n async for n in numbers()]
            """),
    ),
    Case(
        shows="gather of an earlier cell's coroutines",
        before=(
            code("""
            import asyncio
            async def job(n):
                await asyncio.sleep(0)
                return n * n
            """),
        ),
        cell=code("""
            results = await asyncio.gather(*(job(n) for n in range(4)))
            results
            """),
    ),
    Case(
        shows="an async function of an earlier cell is awaited",
        before=(
            code("""
            import asyncio
            scale = 3
            async def inner(n):
                await asyncio.sleep(0)
                return n * scale
            async def job(n, *, log):
                log.append(n)
                return await inner(n) + 1
            log = []
            alias = log
            """),
        ),
        cell=code("""
            first = await job(1, log=log)
            if first > 3:
                second = [await job(n, log=log) for n in (2, 3)]
            second
            """),
        then=("alias is log, log, await job(4, log=log)",),
    ),
    Case(
        shows="async comprehensions of every kind",
        before=("async def numbers(n):\n    for i in range(n):\n        yield i",),
        cell=code("""
            async def twice(n):
                return 2 * n
            squares = {n: n * n async for n in numbers(4) if n % 2}
            odd = {n async for n in numbers(5) if n % 2}
            awaited = [await twice(n) async for n in numbers(3)]
            nested = [[a async for a in numbers(b)] for b in (1, 2)]
            lazy = sum([x async for x in (await twice(n) async for n in numbers(3))])
            f"{await twice(5)} {lazy}"
            """),
        then=("sorted(odd), squares, awaited, nested",),
    ),
    Case(
        shows="async generators and managers of earlier cells",
        before=(
            code("""
            from contextlib import asynccontextmanager
            steps = []
            @asynccontextmanager
            async def opened(name):
                steps.append(f'open {name}')
                try:
                    yield name.upper()
                finally:
                    steps.append(f'close {name}')
            async def count(n):
                for i in range(n):
                    yield i
            """),
        ),
        cell=code("""
            async with opened('a') as a, opened('b') as b:
                async for i in count(5):
                    if i == 3:
                        break
                else:
                    i = None
            try:
                async with opened('c'):
                    raise ValueError('inside')
            except ValueError as e:
                text = str(e)
            a, b, i, text
            """),
        then=("steps",),
    ),
    Case(
        shows="tasks that work beside each other",
        cell=code("""
            import asyncio
            async def talk(name, turns, queue):
                for turn in range(turns):
                    print(name, turn)
                    await queue.put((name, turn))
                    await asyncio.sleep(0)
                return name
            queue = asyncio.Queue()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(talk(name, 2, queue)) for name in 'ab']
            names = [task.result() for task in tasks]
            try:
                async with asyncio.timeout(0.01):
                    await asyncio.Event().wait()
            except TimeoutError:
                names.append('late')
            said = [queue.get_nowait() for _ in range(queue.qsize())]
            failed = await asyncio.gather(talk(1, None, queue), return_exceptions=True)
            kinds = [type(one).__name__ for one in failed]
            del queue, tasks, group, failed
            names
            """),
        then=("said, kinds",),
    ),
    Case(
        shows="asyncio run is refused as in a notebook",
        cell=code("""
            import asyncio
            async def f():
                return 1
            c = f()
            try:
                asyncio.run(c)
            except RuntimeError as e:
                text = str(e)
                c.close()
            del c
            text
            """),
    ),
    Case(
        shows="globals, locals, vars and dir",
        before=("a = 1\nhelper = len",),
        cell=code("""
            g = globals()['a']
            l = locals() is globals()
            v = vars()['a']
            new = {k for k in globals() if not k.startswith('_')} & {'a', 'g', 'helper'}
            'l' in dir()
            """),
    ),
    Case(
        shows="globals are written",
        cell="globals()['made'] = 1\nfor n in 'pq':\n    globals()[f'x_{n}'] = n",
        then=("made, x_p, x_q",),
    ),
    Case(
        shows="names reached by computed text",
        before=("x_1, x_2 = 10, 20",),
        cell="total = sum(globals()[f'x_{i}'] for i in (1, 2))",
    ),
    Case(
        shows="eval of a literal text",
        before=("a, b = 2, 3",),
        cell="r = eval('a * b')\ns = eval('a + c', {'a': 1, 'c': 5})",
    ),
    Case(
        shows="exec binds names",
        before=("a = 2",),
        cell=code(r"""
            exec('b = a + 1\ndef f():\n    return b')
            exec('c = 5', globals())
            """),
        then=("f() + c",),
    ),
    Case(
        shows="exec of a computed text",
        before=("a = 2\nsource = 'b = a * 2'",),
        cell="exec(source)",
        then=("b",),
    ),
    Case(
        shows="f strings and format",
        before=("w, v = 12, 3.14159",),
        cell=code("""
            t = f'{v:>{w}.2f}|{v!r}|{v=}|{"x":^5}'
            u = '{0:08.3f} {name}'.format(v, name='n')
            q = '%5d %s' % (3, [1])
            t
            """),
    ),
    Case(
        shows="big ints, complex, NaN and friends",
        cell=code("""
            big = 2 ** 4000
            c = complex(1, -0.0)
            nan = float('nan')
            inf = -float('inf')
            z = -0.0
            h = hash(big)
            x = [nan, nan]
            x[0] is nan
            """),
    ),
    Case(
        shows="order of sets and dicts",
        before=("s = {3, 1, 2}\nd = {'b': 1, 'a': 2}",),
        cell=code("""
            t = sorted(s)
            d['c'] = 3
            d['b'] = 9
            del d['a']
            d['a'] = 1
            list(d)
            """),
    ),
    Case(
        shows="order of a set of texts",
        before=("names = ['alpha', 'beta', 'gamma', 'delta', 'eps']",),
        cell="order = [n for n in set(names)] == [n for n in set(names)]",
    ),
    Case(
        shows="star imports",
        cell="from math import *\nfrom os.path import *\nr = floor(pi)",
        then=("ceil(e), basename('a/b')",),
    ),
    Case(
        shows="aliases of imports and submodules",
        cell=code("""
            import os.path
            import xml.etree.ElementTree as ET
            import collections.abc, json as j
            from os import path as p, sep
            """),
        then=("ET.fromstring('<a/>').tag, isinstance([], collections.abc.Sized), j.dumps(1), p is os.path",),
    ),
    Case(
        shows="import of a package's submodule",
        cell=code("""
            import scipy.stats
            import scipy.sparse
            r = float(scipy.stats.norm.cdf(0))
            """),
        then=("scipy.sparse.eye(2).nnz, scipy.stats.norm.mean()",),
    ),
    Case(
        shows="future imports in the cell",
        cell=code("""
            from __future__ import annotations
            def f(x: Undefined) -> Missing:
                return x
            f.__annotations__
            """),
        then=("def g(x: str): pass\ng.__annotations__",),
        fresh=True,
    ),
)
