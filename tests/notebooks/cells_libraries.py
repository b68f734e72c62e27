"""Cells with numpy, pandas, scikit-learn, joblib and the standard library."""

from __future__ import annotations

from tests.notebooks.compare import Case, code

_NP = "import numpy as np"
_PD = "import pandas as pd\nimport numpy as np"
_DATA = (
    _NP
    + "\n"
    + code("""
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = (X[:, 0] > 0).astype(int)
    """)
)
_INNER = "what the cell changes inside another object is a copy for names that it does not read"

# Its scripts have random numbers.
_HOLOVIEWS = code("""
    import holoviews as hv
    from IPython.utils.capture import capture_output
    with capture_output():
        hv.extension('bokeh', 'matplotlib', logo=False)
    """)

CASES = (
    Case(
        shows="quantities stay those of their registry",
        before=("import pint\nureg = pint.UnitRegistry()\nq = 3 * ureg.meter",),
        cell=code("""
            ureg.define("smoot = 1.7018 * meter")
            t = ureg.Quantity(2, "second")
            unit, speed = ureg.km, q / t
            other = pint.get_application_registry().Quantity(1, "meter")
            """),
        then=(
            "(q + 1 * ureg.meter).to('smoot').magnitude, speed.to('km/hour'), (q.to(unit), unit._REGISTRY is ureg)",
            "type(speed) is ureg.Quantity, speed._REGISTRY is ureg, other.to('cm'), other._REGISTRY is ureg",
        ),
        every=True,
        skips=("ureg", "speed", "t", "q", "unit", "other"),  # caches of the registry
    ),
    Case(
        shows="columns and copies of a frame that are written to are their own",
        before=(
            code("""
                import pandas as pd
                df = pd.DataFrame({
                    'x': [1., 2, 3], 'd': pd.to_datetime(['2020-01-01', '2020-01-02', '2020-01-03']),
                    's': ['a', 'b', 'c'], 'k': pd.Categorical(['u', 'v', 'u']),
                    'm': pd.array([1, 2, None], dtype='Int64'),
                })
                columns = [df[name] for name in df]
                x, taken, shallow, groups = df['x'], df[:], df.copy(deep=False), df.groupby('x')
                held = {'x': df['x'], 'df': df}
                """),
        ),
        cell=code("""
            x[x > 1] = 50.
            columns[1].iloc[0] = pd.Timestamp('2021-01-01')
            columns[2].iloc[0] = 'zz'
            columns[4].iloc[0] = 9
            taken.loc[1, 'x'] = 55
            held['x'].iloc[2] = 77
            print(df)
            """),
        then=(
            "df.loc[2, 's'] = 'mine'\nshallow.iloc[0, 0] = -1.\n(df.x is held['df'].x, held['df'] is df)",
            "print(df, x, columns, taken, shallow, groups.size(), held)",
        ),
        every=True,
    ),
    Case(
        shows="only a column is sent, and its frame stays as it is",
        before=("import pandas as pd\ndf = pd.DataFrame({'x': [1., 2, 3], 't': [0, 5, 9]})\ny = df['t']",),
        cell="y[y > 4] = 1",
        then=("df.t.tolist(), y.tolist()",),
    ),
    Case(
        shows="a NaN is found in what holds it",
        before=(
            code("""
                import math
                import numpy as np
                import pandas as pd
                values, table, column = [np.nan], {'a': 1, np.nan: -1}, ['a', np.nan]
                own = float('nan')
                mixed = [own, own, math.nan]
                df = pd.DataFrame({'o': ['a', np.nan, 'b']}, dtype=object)
                array = np.array(['a', np.nan], dtype=object)
                """),
        ),
        cell=code("""
            print(np.nan in values, table.get(np.nan), [table.get(one, '??') for one in column], array[1] is np.nan)
            print(own in mixed, mixed[0] is mixed[1], math.nan in mixed, np.nan in df.o.tolist())
            table['b'] = 2
            values.append(1)
            new = [np.nan]
            numbers = {value: number for number, value in enumerate(pd.unique(df.o))}
            mixed.append(2)
            """),
        then=(
            "table.get(np.nan), np.nan in values, np.nan in new, numbers.get(np.nan), math.nan in mixed, "
            "array[1] is np.nan",
        ),
    ),
    Case(
        shows="triangulations and a setting of the folder's",
        cell=code("""
            import matplotlib.pyplot as plt, matplotlib.tri as tri, numpy as np
            x, y = np.random.default_rng(0).random((2, 40))
            mesh = tri.Triangulation(x, y)
            fine, z = tri.UniformTriRefiner(mesh).refine_field(x * y, subdiv=1)
            finder = mesh.get_trifinder()
            at = tri.LinearTriInterpolator(mesh, x * y)
            plt.tricontourf(fine, z)
            plt.show()
            size = plt.rcParams['figure.figsize'], plt.rcParams['lines.linewidth']
            """),
        then=("int(finder(0.5, 0.5)), float(at(0.5, 0.5)), mesh.triangles.shape, fine.edges.shape, size",),
        files=(("matplotlibrc", "figure.figsize: 3, 2\nlines.linewidth: 5\n"),),
        fresh=True,
    ),
    Case(
        shows="artists tell their figure that they have changed",
        cell=code("""
            import matplotlib.pyplot as plt
            fig, (ax, space) = plt.subplots(1, 2)
            (line,) = ax.plot([1, 2])
            plt.show()
            """),
        then=(
            "fig.canvas.draw()\nline.set_color('red')\nline.stale, ax.stale, space.stale, fig.stale",
            "[part.stale_callback and part.stale_callback.__name__ for part in (fig, ax, line, ax.title, ax.patch)]",
            "line.axes is ax and ax.figure is fig and ax in fig.axes",
        ),
        skips=("fig", "ax", "space", "line"),
    ),
    Case(
        shows="arrays change in place",
        before=(_NP + "\na = np.zeros((3, 4))\nalias = a\nhold = {'a': a}",),
        cell="a[1] += 2\na[:, 0] = 7\na *= 3",
        then=("alias is a, hold['a'] is a, a",),
    ),
    Case(
        shows="a view and its array, both read",
        before=(_NP + "\na = np.arange(12.0)\nv = a[::2]\nm = a.reshape(3, 4)",),
        cell="v[0] = 100\nm[2, 3] = -1",
        then=("a[0], a[-1], np.shares_memory(a, v), np.shares_memory(a, m)",),
    ),
    Case(
        shows="a new view of an array of the notebook",
        before=(_NP + "\na = np.arange(12.0)",),
        cell="b = a[1:4]\nc = a.T",
        then=("np.shares_memory(a, b), np.shares_memory(a, c)\nb[0] = 50\na[1]",),
    ),
    Case(
        shows="views of dates, records and other orders",
        before=(
            code("""
            import numpy as np
            d = np.arange('2020-01-01', '2020-01-09', dtype='M8[D]')
            r = np.zeros(4, dtype=[('t', 'M8[D]'), ('x', 'f8')])
            f = np.asfortranarray(np.arange(6.).reshape(2, 3))
            u = np.array(['a', 'b', 'c'])
            """),
        ),
        cell="dv = d[1:4]\nrv = r['x'][1:]\nfv = f[:, 1:]\nuv = u[::2]\nb = f.astype(bool)[0]",
        then=(
            code("""
            dv[0] = np.datetime64('1999-01-01')
            rv[0] = 5
            fv[0, 0] = 9
            uv[1] = 'z'
            d[1], r['x'], f, u, b
            """),
        ),
    ),
    Case(
        shows="new arrays of every layout",
        before=(_NP,),
        cell=code("""
            d = np.arange('2020-01-01', '2020-01-09', dtype='M8[D]')
            r = np.zeros(4, dtype=[('t', 'M8[D]'), ('x', 'f8')])
            b = np.broadcast_to(np.arange(3), (2, 3))
            n = np.arange(9)[::-2]
            t = np.arange(6).reshape(2, 3).T[1:]
            w = np.lib.stride_tricks.sliding_window_view(np.arange(5.), 3)
            """),
        then=("d, r, b, n, t, w, t.strides, n.strides, b.strides, w.strides",),
    ),
    Case(
        shows="an array with large gaps",
        before=(_NP,),
        cell="far = np.arange(1000.)[::500]",
        then=("far",),
        differs="it comes back without its gaps",
    ),
    Case(
        shows="arrays that are mapped from files",
        before=(
            _NP
            + "\nnp.save('a.npy', np.arange(9.0))\nm = np.load('a.npy', mmap_mode='r')\n"
            + "w = np.memmap('w.dat', dtype='f4', mode='w+', shape=(9,))\n"
            + "w[:] = 2\npart = w[2:5]\nplain = np.asarray(w)",
        ),
        cell=code("""
            w[3] = 7
            w.flush()
            total = m.sum(), part[1], plain[3], type(m).__name__, m.mode
            try:
                m[0] = 3
            except ValueError as e:
                wrong = str(e)
            again = np.load('a.npy', mmap_mode='r')
            total, wrong
            """),
        then=("w, part, plain, again, m.flags.writeable, np.fromfile('w.dat', 'f4'), w._mmap is None",),
        skips=("again",),
    ),
    Case(
        shows="an array that the cell maps to a new file",
        before=(_NP,),
        cell=code("""
            mm = np.memmap('new.bin', dtype='f4', mode='w+', shape=(2, 3))
            mm[:] = 1
            mm.flush()
            """),
        then=("mm[0] = 5\nnp.fromfile('new.bin', 'f4'), mm.mode",),
    ),
    Case(
        shows="files whose names a table holds, in a folder that the cell names",
        before=("import pandas as pd\npictures = pd.DataFrame({'word': ['one', 'two']})",),
        files=(("one.txt", "1"), ("two.txt", "22")),
        cell="import os\nsizes = [len(open(os.path.join('./', w + '.txt')).read()) for w in pictures.word]\nsizes",
    ),
    Case(
        shows="archives of arrays and flat iterators",
        before=(_NP + "\nnp.savez('a.npz', x=np.arange(3), y=np.eye(2))\nz = np.load('a.npz')",),
        cell="total = z['x'].sum()\nagain = np.load('a.npz')\naxs = np.arange(6).reshape(2, 3).flat\nnext(axs)\ntotal",
        then=("list(again), again['y'], z['x'], list(axs)\n", "z, again"),
        skips=("z", "again", "axs"),
    ),
    Case(
        shows="frames that share memory until one of them is written to",
        before=(
            code("""
            import pandas as pd
            import numpy as np
            df = pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=list('abc'))
            df['i'] = pd.array([1, 2, 3, 4], dtype='Int64')
            earlier = df[['a', 'i']]
            """),
        ),
        cell=code("""
            part = df[['a', 'b']]
            same = df.copy(deep=False)
            column = df['a']
            numbers = df['i']
            rows = df.iloc[1:3]
            earlier.iloc[0, 0] = -1
            earlier.iloc[0, 1] = -1
            df.loc[0].tolist(), earlier.loc[0].tolist()
            """),
        then=(
            code("""
            part.iloc[0, 0] = 50
            same.iloc[0, 1] = 60
            column.iloc[2] = 70
            numbers.iloc[1] = 75
            rows.iloc[0, 2] = 80
            df.iloc[3, 2] = 90
            held = [df, part, same, rows]
            [one.values.tolist() for one in held], column.tolist(), numbers.tolist()
            """),
        ),
    ),
    Case(
        shows="a view that the cell does not read",
        before=(_NP + "\na = np.arange(12.0)\nv = a[::2]",),
        cell="a[0] = 100",
        then=("v[0], np.shares_memory(a, v)",),
    ),
    Case(
        shows="a base that the cell does not read",
        before=(_NP + "\na = np.arange(12.0)\nv = a[::2]",),
        cell="v[0] = 100\nv += 1",
        then=("a[0], a[2], np.shares_memory(a, v)",),
    ),
    Case(
        shows="arrays made in the cell share memory",
        before=(_NP,),
        cell=code("""
            a = np.arange(200_000.0)
            b = a[10:]
            t = a.reshape(400, -1).T
            b[0] = -1
            """),
        then=(
            code("""
            a[10], np.shares_memory(a, b), np.shares_memory(a, t)
            t[0, 0] = 5
            a[0]
            """),
        ),
    ),
    Case(
        shows="kinds of arrays",
        before=(_NP,),
        cell=code("""
            f = np.asfortranarray(np.arange(6).reshape(2, 3))
            r = np.array([(1, 'a')], dtype=[('n', 'i4'), ('s', 'U3')])
            o = np.array([1, 'x', [2]], dtype=object)
            m = np.ma.masked_array([1, 2], mask=[0, 1])
            d = np.array(['2024-01-01'], dtype='M8[D]')
            z = np.zeros((0, 3))
            s = np.float32(1.5)
            c = np.array(3 + 4j)
            w = np.arange(3)
            w.flags.writeable = False
            big = np.array([1], dtype='>i4')
            """),
        then=("f.flags.f_contiguous, r['s'], m.sum(), d, z.shape, type(s), w.flags.writeable, big",),
    ),
    Case(
        shows="an array grows under its name",
        before=(_NP + "\na = np.arange(3)\nalias = a",),
        cell="a = np.append(a, 9)\na = a.astype(float)",
        then=("alias, a",),
    ),
    Case(
        shows="numpy's random state goes on",
        before=(_NP + "\nnp.random.seed(3)\nnp.random.rand(2)",),
        cell="a = np.random.rand(3)\nb = np.random.permutation(5)",
        then=("np.random.rand(2), np.random.randint(100)",),
    ),
    Case(
        shows="a seed set in the cell",
        before=(_NP + "\nimport random",),
        cell=code("""
            np.random.seed(11)
            random.seed(5)
            x = np.random.rand(), random.random()
            """),
        then=("np.random.rand(), random.random()",),
    ),
    Case(
        shows="a Generator and a RandomState go on",
        before=(
            _NP
            + "\n"
            + code("""
                rng = np.random.default_rng(1)
                old = np.random.RandomState(2)
                alias = rng
                rng.random(2), old.rand(2)
                """),
        ),
        cell="a = rng.integers(0, 100, 5)\nb = old.randint(0, 100, 5)",
        then=("alias is rng, rng.random(), old.rand()",),
    ),
    Case(
        shows="a Generator spawns",
        before=(_NP + "\nseq = np.random.SeedSequence(1)\nrng = np.random.default_rng(2)",),
        cell="first = seq.spawn(2)\nkids = rng.spawn(1)\nx = kids[0].random()",
        then=("seq.spawn(1)[0].spawn_key, rng.spawn(1)[0].random()",),
    ),
    Case(
        shows="random of the standard library",
        before=(
            code("""
            import random
            random.seed(7)
            own = random.Random(3)
            random.random()
            """),
        ),
        cell=code("""
            a = random.sample(range(100), 5)
            b = own.random()
            random.shuffle(l := [1, 2, 3, 4])
            """),
        then=("random.random(), own.random(), random.gauss(0, 1)",),
    ),
    Case(
        shows="random drawn in a function of the notebook",
        before=(
            code("""
            import random
            from random import randint
            def roll():
                return randint(1, 6)
            random.seed(4)
            """),
        ),
        cell="rolls = [roll() for _ in range(5)]",
        then=("[roll() for _ in range(3)]",),
    ),
    Case(
        shows="a data frame changes in place",
        before=(
            _PD
            + "\n"
            + code("""
            df = pd.DataFrame({'a': [1, 2, 3], 'b': list('xyz')})
            alias = df
            hold = [df]
            """),
        ),
        cell=code("""
            df['c'] = df.a * 2
            df.loc[1, 'a'] = 20
            df.drop(columns='b', inplace=True)
            df.rename(columns={'c': 'd'}, inplace=True)
            """),
        then=("alias is df, hold[0] is df, df",),
    ),
    Case(
        shows="a series changes in place",
        before=(_PD + "\ns = pd.Series([1, 2, 3], name='s')\nalias = s",),
        cell="s.iloc[0] = 10\ns.sort_values(inplace=True)",
        then=("alias is s, s",),
    ),
    Case(
        shows="joins, groups and pivots",
        before=(
            _PD
            + "\n"
            + code("""
                a = pd.DataFrame({'k': [1, 2, 2], 'v': [1.0, 2.0, 3.0]})
                b = pd.DataFrame({'k': [1, 2], 'w': ['x', 'y']})
                """),
        ),
        cell=code("""
            j = a.merge(b, on='k')
            g = j.groupby('w').agg(total=('v', 'sum'), n=('v', 'size'))
            p = j.pivot_table(index='k', columns='w', values='v', aggfunc='mean', fill_value=0)
            long = j.melt(id_vars='k')
            g
            """),
    ),
    Case(
        shows="dates, categories, multi index and missing values",
        before=(_PD,),
        cell=code("""
            days = pd.date_range('2024-01-01', periods=4, freq='D', tz='UTC')
            df = pd.DataFrame({'t': days, 'c': pd.Categorical(list('abab')), 's': ['a', None, 'b', 'c']})
            df['n'] = pd.array([1, None, 3, 4], dtype='Int64')
            m = df.set_index(['c', 't'])
            r = df.set_index('t').resample('2D').n.sum()
            df.dtypes
            """),
    ),
    Case(
        shows="query with a local name",
        before=(_PD + "\ndf = pd.DataFrame({'a': [1, 5, 9]})\nlimit = 4",),
        cell="q = df.query('a > @limit')\ne = df.eval('b = a * @limit')\nq",
    ),
    Case(
        shows="a function of the notebook is applied",
        before=(
            _PD
            + "\n"
            + code("""
            scale = 3
            def f(v):
                return v * scale
            df = pd.DataFrame({'a': [1, 2]})
            """),
        ),
        cell=code("""
            df['b'] = df.a.apply(f)
            r = df.apply(lambda row: row.a + row.b, axis=1)
            r
            """),
    ),
    Case(
        shows="a slice of a frame is its own",
        before=(_PD + "\ndf = pd.DataFrame({'a': [1, 2, 3]})\npart = df[df.a > 1]",),
        cell="part = part.copy()\npart['z'] = 1\ndf.loc[0, 'a'] = 9",
        then=("df, part",),
    ),
    Case(
        shows="an estimator is fitted in place",
        before=(
            _DATA
            + "\n"
            + code("""
                from sklearn.linear_model import LogisticRegression
                m = LogisticRegression()
                hold = {'m': m}
                """),
        ),
        cell="m.fit(X, y)\nscore = m.score(X, y)",
        then=("hold['m'] is m, m.predict(X[:3])",),
    ),
    Case(
        shows="a forest with its seed",
        before=(_DATA + "\nfrom sklearn.ensemble import RandomForestClassifier",),
        cell=code("""
            f = RandomForestClassifier(n_estimators=8, random_state=0, n_jobs=2).fit(X, y)
            p = f.predict_proba(X)[:5]
            """),
        then=("f.score(X, y), f.feature_importances_",),
    ),
    Case(
        shows="a forest that draws from the global state",
        before=(
            _DATA
            + "\n"
            + code("""
            from sklearn.ensemble import RandomForestClassifier
            np.random.seed(5)
            """),
        ),
        cell=code("""
            f = RandomForestClassifier(n_estimators=5).fit(X, y)
            p = f.predict_proba(X)[:5]
            """),
        then=("np.random.rand()",),
    ),
    Case(
        shows="pipelines",
        before=(
            _DATA
            + "\n"
            + code("""
                from sklearn.pipeline import make_pipeline
                from sklearn.preprocessing import StandardScaler
                from sklearn.svm import SVC
                scaler = StandardScaler()
                pipe = make_pipeline(scaler, SVC())
                """),
        ),
        cell="pipe.fit(X, y)\nr = pipe.predict(X)",
        then=("pipe.named_steps['standardscaler'] is scaler, hasattr(scaler, 'mean_')",),
    ),
    Case(
        shows="a step of a pipeline that the cell does not name",
        before=(
            _DATA
            + "\n"
            + code("""
                from sklearn.pipeline import Pipeline
                from sklearn.linear_model import Ridge
                model = Ridge()
                pipe = Pipeline([('m', model)])
                """),
        ),
        cell="pipe.fit(X, y);",
        then=("pipe.named_steps['m'] is model, hasattr(model, 'coef_')",),
    ),
    Case(
        shows="a grid search with two jobs",
        before=(
            _DATA
            + "\n"
            + code("""
                from sklearn.model_selection import GridSearchCV
                from sklearn.tree import DecisionTreeClassifier
                """),
        ),
        cell=code("""
            g = GridSearchCV(DecisionTreeClassifier(random_state=0), {'max_depth': [1, 2]}, cv=3, n_jobs=2).fit(X, y)
            best = g.best_params_, round(g.best_score_, 6)
            del g
            best
            """),
    ),
    Case(
        shows="cross validation",
        before=(
            _DATA
            + "\n"
            + code("""
                from sklearn.model_selection import cross_val_score, train_test_split
                from sklearn.neighbors import KNeighborsClassifier
                """),
        ),
        cell=code("""
            s = cross_val_score(KNeighborsClassifier(), X, y, cv=3, n_jobs=2)
            A, B, a, b = train_test_split(X, y, random_state=1)
            s.mean()
            """),
    ),
    Case(
        shows="a transformer class of the notebook",
        before=(
            _DATA
            + "\n"
            + code("""
                from sklearn.base import BaseEstimator, TransformerMixin
                class Add(BaseEstimator, TransformerMixin):
                    def __init__(self, by=1):
                        self.by = by
                    def fit(self, X, y=None):
                        self.mean_ = X.mean()
                        return self
                    def transform(self, X):
                        return X + self.by
                """),
        ),
        cell=code("""
            t = Add(by=2)
            Z = t.fit_transform(X)
            from sklearn.model_selection import cross_val_score
            from sklearn.pipeline import make_pipeline
            from sklearn.linear_model import Ridge
            s = cross_val_score(make_pipeline(Add(), Ridge()), X, y, cv=2, n_jobs=2)
            """),
        then=("isinstance(t, Add), t.get_params(), t",),
    ),
    Case(
        shows="warnings of a fit",
        before=(_DATA + "\nfrom sklearn.linear_model import LogisticRegression",),
        cell="m = LogisticRegression(max_iter=1).fit(X, y)",
    ),
    Case(
        shows="joblib with a function of the notebook",
        before=(
            code("""
            from joblib import Parallel, delayed
            k = 3
            def f(v):
                return v * k
            """),
        ),
        cell=code("""
            r = Parallel(n_jobs=2)(delayed(f)(v) for v in range(5))
            s = Parallel(n_jobs=2, prefer='threads')(delayed(lambda v: v + k)(v) for v in range(3))
            r
            """),
    ),
    Case(
        shows="joblib says what it does",
        before=("from joblib import Parallel, delayed",),
        cell="r = Parallel(n_jobs=1, verbose=10)(delayed(abs)(v) for v in range(3))",
        numbers=False,
    ),
    Case(
        shows="an error in a joblib task",
        before=("from joblib import Parallel, delayed\ndef f(v):\n    return 1 // v",),
        cell="ok = 1\nParallel(n_jobs=2)(delayed(f)(v) for v in (1, 0))",
        differs="the traceback of a joblib task shows frames of the runner",
    ),
    Case(
        shows="a pool of forked processes",
        before=("import multiprocessing as mp\nk = 2\ndef f(v):\n    return v * k",),
        cell=code("""
            with mp.get_context('fork').Pool(2) as pool:
                r = pool.map(f, range(6))
            del pool
            r
            """),
    ),
    Case(
        shows="executors",
        before=(
            code("""
                from concurrent.futures import ThreadPoolExecutor, ProcessPoolExecutor
                import multiprocessing as mp
                def f(v):
                    return v + 1
                """),
        ),
        cell=code("""
            with ThreadPoolExecutor(2) as ex:
                r = list(ex.map(f, range(4)))
            with ProcessPoolExecutor(2, mp_context=mp.get_context('fork')) as ex:
                s = list(ex.map(f, range(4)))
            del ex
            r, s
            """),
    ),
    Case(
        shows="a wide table of pandas, which the cell is the first to load",
        cell=code("""
            import pandas as pd
            wide = pd.DataFrame([[i * 1.2345678 for i in range(30)]] * 3)
            print(wide)
            shell = type(get_ipython()).__name__, hasattr(get_ipython(), 'kernel')
            wide
            """),
        then=("pd.get_option('display.max_columns'), pd.get_option('display.width')",),
        fresh=True,
    ),
    Case(
        shows="progress bars of tqdm",
        cell=code("""
            from tqdm import tqdm
            for i in tqdm(range(3), desc='work', mininterval=1e9):
                x = i
            """),
        numbers=False,
    ),
    Case(
        shows="scipy",
        before=(_NP,),
        cell=code("""
            from scipy import optimize, stats, sparse
            r = optimize.minimize(lambda v: ((v - 3) ** 2).sum(), np.zeros(2)).x.round(4)
            t = stats.ttest_ind([1, 2, 3], [2, 3, 5]).pvalue
            m = sparse.csr_matrix(np.eye(3))
            m[0, 1] = 5
            r
            """),
        then=("m.toarray(), type(m).__name__",),
    ),
    Case(
        shows="dates and time zones",
        cell=code("""
            from datetime import datetime, timedelta, timezone, date
            from zoneinfo import ZoneInfo
            a = datetime(2024, 3, 31, 1, 30, tzinfo=ZoneInfo('UTC'))
            b = a + timedelta(days=1)
            c = a.astimezone(timezone(timedelta(hours=2), 'X'))
            d = date(2024, 2, 29)
            b - a, c, d.isoformat()
            """),
    ),
    Case(
        shows="decimals and fractions",
        cell=code("""
            from decimal import Decimal, localcontext
            from fractions import Fraction
            with localcontext() as ctx:
                ctx.prec = 5
                a = Decimal(1) / 7
            b = Decimal(1) / 7
            c = Fraction(3, 9)
            del ctx
            a, b, c
            """),
    ),
    Case(
        shows="re, json and csv",
        cell=code(r"""
            import re, json, csv, io
            p = re.compile(r'(?P<w>\w+)@(\d+)')
            m = p.search('ab@12')
            g = m.groupdict(), m.span()
            del m
            j = json.loads(json.dumps({'a': [1, None, 2.5]}))
            rows = list(csv.DictReader(io.StringIO('a,b\n1,2\n')))
            buf = io.StringIO()
            csv.writer(buf).writerow([1, 'x,y'])
            text = buf.getvalue()
            del buf
            rows
            """),
        then=("p.sub('-', 'ab@12 c'), j",),
    ),
    Case(
        shows="an io buffer goes on",
        before=(
            code(r"""
            import io
            buf = io.StringIO('one\ntwo\n')
            b = io.BytesIO(b'abc')
            buf.readline()
            """),
        ),
        cell="line = buf.readline()\nb.seek(0, 2)\nn = b.write(b'd')",
        then=("b.getvalue(), buf.read()",),
        skips=("b", "buf"),
    ),
    Case(
        shows="temporary files",
        cell=code("""
            import tempfile, os
            with tempfile.TemporaryDirectory() as d:
                p = os.path.join(d, 'x')
                open(p, 'w').write('hi')
                t = open(p).read()
            gone = not os.path.exists(d)
            del d, p
            t, gone
            """),
    ),
    Case(
        shows="hashes, uuids, bases and structs",
        cell=code("""
            import hashlib, base64, struct, zlib, uuid
            h = hashlib.sha256(b'a').hexdigest()[:8]
            e = base64.b64encode(b'abc')
            s = struct.pack('<If', 7, 1.5)
            z = zlib.decompress(zlib.compress(b'x' * 100)) == b'x' * 100
            u = uuid.uuid5(uuid.NAMESPACE_DNS, 'a')
            u
            """),
    ),
    Case(
        shows="pathlib, shutil and glob in the folder",
        before=("from pathlib import Path\np = Path('data') / 'a.txt'",),
        cell="q = p.with_suffix('.csv')\nparts = q.parts, q.stem\nq",
    ),
    Case(
        shows="sqlite in memory",
        cell=code("""
            import sqlite3
            con = sqlite3.connect(':memory:')
            con.execute('create table t (a, b)')
            con.executemany('insert into t values (?, ?)', [(1, 'x'), (2, 'y')])
            rows = con.execute('select * from t order by a desc').fetchall()
            con.close()
            del con
            rows
            """),
    ),
    Case(
        shows="the source of a function of the cell",
        cell=code("""
            import inspect
            def f(a):
                # why
                return a
            source = inspect.getsource(f)
            source
            """),
        then=("inspect.getsource(f), inspect.signature(f)",),
    ),
    Case(
        shows="the source of a function of an earlier cell",
        before=("import inspect\n\ndef f(a):\n    # why\n    return a",),
        cell="source = inspect.getsource(f)\nsource",
    ),
    Case(
        shows="the source of a class of the cell",
        cell=code("""
            import inspect
            class A:
                def m(self):
                    return 1
            source = inspect.getsource(A.m)
            source
            """),
        then=("inspect.getsource(A.m)",),
    ),
    Case(
        shows="doctest",
        cell=code("""
            import doctest
            def twice(x):
                '''
                >>> twice(2)
                4
                '''
                return 2 * x
            r = doctest.run_docstring_examples(twice, globals())
            n = doctest.testmod()
            n
            """),
    ),
    Case(
        shows="frames and the stack",
        cell=code("""
            import sys, inspect
            def f():
                return sys._getframe().f_back.f_globals is globals(), inspect.stack()[1].function
            f()
            """),
    ),
    Case(
        shows="the garbage collector and sizes",
        cell=code("""
            import gc, sys
            n = gc.collect() >= 0
            s = sys.getsizeof([1, 2]), sys.getrefcount(object()) > 0
            n, s
            """),
    ),
    Case(
        shows="signals and timers",
        cell=code("""
            import signal, time
            hit = []
            old = signal.signal(signal.SIGALRM, lambda *a: hit.append(1))
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            while not hit:
                pass
            signal.signal(signal.SIGALRM, old)
            del old
            hit
            """),
    ),
    Case(
        shows="the unit test runner",
        cell=code("""
            import unittest, io
            class T(unittest.TestCase):
                def test_a(self):
                    self.assertEqual(1, 1)
            out = io.StringIO()
            r = unittest.TextTestRunner(stream=out).run(unittest.defaultTestLoader.loadTestsFromTestCase(T))
            ok = r.wasSuccessful(), r.testsRun
            del r, out
            ok
            """),
    ),
    Case(
        shows="main as a module",
        before=("x = 1\ndef f():\n    return x",),
        cell=code("""
            import __main__, sys
            a = __main__.f(), __main__.x
            __main__.made = 5
            same = sys.modules['__main__'].__dict__ is globals()
            a
            """),
        then=("made, same",),
    ),
    Case(
        shows="pickles made in the cell",
        before=(
            code("""
            import pickle
            class A:
                def __init__(self, v):
                    self.v = v
            a = A(3)
            """),
        ),
        cell="data = pickle.dumps(a)\nb = pickle.loads(data)\ntype(b) is A",
        then=("pickle.loads(data).v, isinstance(b, A)",),
    ),
    Case(
        shows="objects that a library has one of and that have no copies",
        before=("import mpmath\nfrom mpmath import mp, pi",),
        cell=code("""
            from mpmath import quad, e
            area = quad(lambda x: x + mp.one + e - pi, [0, 1])
            mp.dps = 20
            area
            """),
        then=("mp is mpmath.mp, pi is mpmath.pi, e is mpmath.e, quad == mpmath.quad, str(+pi)", "mp.dps = 15"),
        skips=("mp",),  # it remembers what it has computed
    ),
    Case(
        shows="a mock",
        before=("from unittest import mock\nfirst = mock.Mock(return_value=5)",),
        cell=code("""
            spy = mock.MagicMock()
            spy.of.many(3)
            spy.of.many.return_value = 4
            first(2), spy.of.many()
            """),
        then=("spy.of.many.call_args_list, spy.mock_calls, spy.of.many(), first(), first.call_count",),
        skips=("first", "spy"),
    ),
    Case(
        shows="parts of packages that an earlier cell has imported by their full names",
        before=(
            code("""
            import tqdm.notebook, xml.dom.minidom, scipy.cluster.vq
            import logging.handlers as handlers
            def bar(): return tqdm.notebook.tqdm.__name__
            class Reader:
                def read(self): return xml.dom.minidom.parseString("<a/>").documentElement.tagName
            """),
        ),
        cell=code("""
            print(tqdm.notebook.tqdm.__module__, bar(), Reader().read(), handlers.QueueHandler.__name__)
            scipy.cluster.vq.whiten.__name__
            """),
        fresh=True,
    ),
    Case(
        shows="a part of a package that an earlier cell has imported, in a function that the cell calls",
        before=("import tqdm.notebook\ndef bar(): return tqdm.notebook.tqdm",),
        cell="bar().__name__",
        fresh=True,
    ),
    Case(
        shows="parts of packages that the cell imports by their full names",
        cell=code("""
            import tqdm.notebook, xml.dom.minidom
            if True:
                import concurrent.futures.thread
            """),
        then=("tqdm.notebook.tqdm.__name__, xml.dom.minidom.__name__, concurrent.futures.thread.__name__",),
        fresh=True,
    ),
    Case(
        shows="parts of a package beside the notebook",
        before=("import pack.inner.deep",),
        cell="pack.inner.deep.VALUE",
        files=(("pack/__init__.py", ""), ("pack/inner/__init__.py", ""), ("pack/inner/deep.py", "VALUE = 3\n")),
        fresh=True,
    ),
    *(
        Case(
            shows=f"extensions and options of HoloViews, {where}",
            needs="holoviews",
            before=(_HOLOVIEWS,) if where == "before" else (),
            cell=("" if where == "before" else _HOLOVIEWS)
            + code("""
                line = hv.Curve([(0, 1), (1, 2)]).opts(color='red')
                hv.output(backend='matplotlib')
                print(hv.Store.lookup_options('bokeh', line, 'style'), hv.Store.current_backend)
                hv.Bars([1, 2])
                """),
            then=(
                "print(hv.Store.lookup_options('bokeh', line, 'style'), hv.Store.loaded_backends())",
                "hv.Curve([2, 1]).opts(linewidth=3)",
            ),
            every=True,
            skips=("line",),
        )
        for where in ("before", "in the cell")
    ),
)
