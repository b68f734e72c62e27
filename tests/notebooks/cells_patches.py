"""Cells after the notebook has changed libraries themselves: methods, accessors, printers, registries, options."""

from __future__ import annotations

from tests.notebooks.compare import Case, code

_FRAME = "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})"

CASES = (
    Case(
        shows="what another library has put into matplotlib's classes",
        before=("import beside_patching\nbeside_patching.patch()",),
        files=(
            (
                "beside_patching.py",
                "import matplotlib\n\n\ndef patch():\n    def as_html(self):\n        return f'<b>{self.name}</b>'\n\n"
                "    matplotlib.colors.Colormap._repr_html_ = as_html\n",
            ),
        ),
        cell="import matplotlib\nc = matplotlib.colormaps['viridis']\nc._repr_html_()",
        then=("c._repr_html_()",),
        fresh=True,
    ),
    Case(
        shows="functions of C that were replaced before, and are used by what replaced them",
        before=(
            code("""
            import math, time
            import numpy as np
            old_sleep, old_gcd, old_mean = time.sleep, math.gcd, np.mean
            time.sleep = lambda seconds: old_sleep(seconds / 10)
            def gcd(*numbers):
                return old_gcd(*numbers) + 1
            math.gcd = gcd
            np.mean = lambda *a, **k: old_mean(*a, **k) + 1
            """),
        ),
        cell="time.sleep(0.1)\nmath.gcd(4, 6), np.mean([1, 2])",
        then=(
            "math.gcd(4, 6), np.mean([1, 2])",
            "time.sleep, math.gcd, np.mean = old_sleep, old_gcd, old_mean\nmath.gcd(4, 6)",
        ),
        skips=("old_sleep", "old_gcd", "old_mean"),
        fresh=True,
    ),
    Case(
        shows="a method that was given to frames before",
        before=(_FRAME, "def half(self):\n    return self / 2\npd.DataFrame.half = half"),
        cell="df.half().a.sum()",
        then=("del pd.DataFrame.half",),
        fresh=True,
    ),
    Case(
        shows="a method that the cell gives to frames",
        before=(_FRAME,),
        cell="def half(self):\n    return self / 2\npd.DataFrame.half = half\ndf.half().a.sum()",
        then=("df.half().a.sum(), pd.DataFrame.half is half", "del pd.DataFrame.half"),
        fresh=True,
    ),
    Case(
        shows="an accessor that was registered before",
        before=(
            _FRAME,
            code("""
            @pd.api.extensions.register_dataframe_accessor('own')
            class Own:
                def __init__(self, of):
                    self.of = of
                def rows(self):
                    return len(self.of)
            """),
        ),
        cell="df.own.rows()",
        skips=("Own",),
        fresh=True,
    ),
    Case(
        shows="an accessor that the cell registers",
        before=(_FRAME,),
        cell=code("""
            @pd.api.extensions.register_series_accessor('mine')
            class Mine:
                def __init__(self, of):
                    self.of = of
                def rows(self):
                    return len(self.of)
            df.a.mine.rows()
            """),
        then=("df.a.mine.rows()",),
        skips=("Mine",),
        fresh=True,
    ),
    Case(
        shows="a method that was replaced before",
        before=(
            code("""
            from sklearn.dummy import DummyClassifier
            old = DummyClassifier.predict
            def predict(self, X):
                print('mine')
                return old(self, X)
            DummyClassifier.predict = predict
            """),
        ),
        cell="DummyClassifier().fit([[0], [1]], [0, 0]).predict([[3]])",
        then=("DummyClassifier().fit([[0], [1]], [0, 0]).predict([[3]])", "DummyClassifier.predict = old"),
        fresh=True,
    ),
    Case(
        shows="a function in a library uses the notebook's names",
        before=("import numpy as np\nfactor = 3\ndef scaled(v):\n    return v * factor\nnp.scaled = scaled",),
        cell="first = np.scaled(2)\nfactor = 5\nfirst, np.scaled(2)",
        then=("np.scaled(2)", "del np.scaled"),
        fresh=True,
    ),
    Case(
        shows="a function in a library that cannot travel is left out",
        before=("import math, threading\nlock = threading.Lock()\ndef held(l=lock):\n    return 1\nmath.held = held",),
        cell="math.floor(2.5)",
        then=("del math.held",),
        skips=("lock", "held"),
        fresh=True,
    ),
    Case(
        shows="how JSON is written was changed before",
        before=("import json\nold = json.JSONEncoder.default\njson.JSONEncoder.default = lambda self, o: 'X'",),
        cell="json.dumps({'a': {1, 2}})",
        then=("json.JSONEncoder.default = old",),
        fresh=True,
    ),
    Case(
        shows="warnings are shown in a way of the notebook's own",
        before=(
            "import warnings\nold = warnings.showwarning\n"
            "def say(message, *a, **k):\n    print('warned:', message)\nwarnings.showwarning = say",
        ),
        cell="warnings.warn('careful')",
        then=("warnings.showwarning = old",),
        fresh=True,
    ),
    Case(
        shows="an experimental estimator was allowed before",
        before=("from sklearn.experimental import enable_iterative_imputer",),
        cell="from sklearn.impute import IterativeImputer\nname = IterativeImputer.__name__",
        fresh=True,
    ),
    Case(
        shows="a colormap was registered before, and one in the cell",
        before=(
            "import matplotlib as mpl\nfrom matplotlib.colors import ListedColormap\n"
            "mpl.colormaps.register(ListedColormap(['r', 'b'], name='mine'))",
        ),
        cell=code("""
            import matplotlib.pyplot as plt
            mpl.colormaps.register(ListedColormap(['g', 'y', 'k'], name='other'))
            plt.get_cmap('mine').N
            """),
        then=(
            "mpl.colormaps['mine'].N, mpl.colormaps['other'].N",
            "mpl.colormaps.unregister('mine'); mpl.colormaps.unregister('other')",
        ),
        fresh=True,
    ),
    Case(
        shows="a printer for a class was given before",
        before=(
            "class A:\n    pass\na = A()\n"
            "get_ipython().display_formatter.formatters['text/plain'].for_type(A, lambda o, p, c: p.text('AAA'))",
        ),
        cell="a",
        then=("a",),
        fresh=True,
    ),
    Case(
        shows="a printer that the cell gives",
        cell=code("""
            class A:
                pass
            get_ipython().display_formatter.formatters['text/plain'].for_type(A, lambda o, p, c: p.text('AAA'))
            a = A()
            a
            """),
        then=("a", "A()"),
        fresh=True,
    ),
    Case(
        shows="options of altair",
        before=("import altair as alt\nalt.data_transformers.disable_max_rows()",),
        cell="alt.data_transformers.options",
        then=("alt.data_transformers.options",),
        fresh=True,
    ),
    Case(
        shows="numpy calls a function for its errors",
        before=(
            "import numpy as np\ndef told(kind, flag):\n    print('error:', kind)\n"
            "np.seterrcall(told); np.seterr(all='call')",
        ),
        cell="np.float64(1) / 0",
        then=("np.seterrcall(None); np.seterr(all='warn')\nnp.geterrcall()",),
        fresh=True,
    ),
    Case(
        shows="how processes begin, and no garbage collection",
        before=("import gc, multiprocessing as mp\ngc.disable()\nmp.set_start_method('spawn', force=True)",),
        cell="mp.get_start_method(), gc.isenabled()",
        then=("gc.enable(); mp.set_start_method('fork', force=True)",),
        fresh=True,
    ),
    Case(
        shows="patches that the cell takes back",
        before=(
            code("""
                import shutil
                import numpy as np
                import pandas as pd
                mine = np.random.RandomState(3).rand
                original, rand = shutil.which, np.random.rand
                shutil.which = lambda *a, **k: 'patched'
                np.random.rand = lambda *a: 'patched'
                pd.DataFrame.twice = lambda self: self * 2
                pd.Series.stays = lambda self: 1
                """),
        ),
        cell=code("""
            print(shutil.which('nope'), np.random.rand())
            shutil.which, np.random.rand = original, rand
            del pd.DataFrame.twice
            """),
        then=(
            "shutil.which('nope'), np.random.rand == rand, type(np.random.rand())",
            "hasattr(pd.DataFrame, 'twice'), pd.Series([1]).stays()",
            "del pd.Series.stays",
        ),
        skips=("rand", "mine"),
        numbers=False,
    ),
    Case(
        shows="a patch of a part of a library, made in the cell",
        before=("import numpy as np\nkept = np.random.rand",),
        cell="np.random.rand = lambda *a: 'fake'",
        then=("np.random.rand()", "np.random.rand = kept", "type(np.random.rand())"),
        skips=("kept",),
        every=True,
    ),
)
