"""Cells that read or change settings of the process, files and modules beside the notebook."""

from __future__ import annotations

from tests.notebooks.compare import Case, code

_HOME = "folders of this machine on the module path do not travel, but for those of the notebook"
_SITE = "settings that the cell changes stay on the site"
_WRITTEN = "files that the cell writes stay on the site"
_UNNAMED = "data files that nobody named with --files do not travel"

_MODEFUL = "import os\nMODE = os.environ['GK_MODE']\nclass Thing:\n    def mode(self): return MODE\n"

CASES = (
    Case(
        shows="what classes of a module beside the notebook count",
        files=(
            (
                "beside_counts.py",
                "import enum\nclass Thing:\n    made = 0\n    seen = []\n    def __init__(self):\n"
                "        type(self).made += 1\n        self.seen.append(self.made)\n"
                "class Colour(enum.Enum):\n    RED = 1\n",
            ),
        ),
        before=("import beside_counts\nbeside_counts.Thing(); beside_counts.Thing()",),
        cell="from beside_counts import Colour, Thing\nThing()\nThing.extra = 5\nThing.made, Thing.seen, Colour(1)",
        then=("beside_counts.Thing.made, beside_counts.Thing.seen, beside_counts.Thing.extra, Colour.RED",),
    ),
    Case(
        shows="a logger of the notebook's writes to a file",
        before=(
            "import logging\nlog = logging.getLogger('of_a_file')\nlog.setLevel(20)\n"
            "handler = logging.FileHandler('my.log')\n"
            "handler.setFormatter(logging.Formatter('%(levelname)s %(message)s'))\n"
            "log.addHandler(handler)\nlog.info('zero')",
        ),
        cell="log.info('one')\nlog.debug('not')\nlogging.getLogger('of_a_file').warning('two')",
        then=("log.info('three')\nprint(open('my.log').read())\nlog.handlers == [handler]", "handler.close()"),
        skips=("log", "handler"),
        fresh=True,
    ),
    Case(
        shows="a logger that the cell lets write to a file",
        cell=code("""
            import logging
            log = logging.getLogger('of_the_cell')
            log.addHandler(logging.FileHandler('cell.log'))
            log.warning('one')
            """),
        then=("log.warning('two')\nprint(open('cell.log').read())",),
        skips=("log",),
        fresh=True,
    ),
    Case(
        shows="links of the folder are read and written through",
        files=(("real/f.txt", "f"), ("t.txt", "F")),
        before=(
            "import os, tempfile\nos.symlink('t.txt', 'l.txt'); os.symlink('real', 'sub')\nelse_ = tempfile.mkdtemp()\n"
            "open(else_ + '/o.csv', 'w').write('a'); os.symlink(else_ + '/o.csv', 'far.csv')",
        ),
        cell=code("""
            with open('l.txt', 'a') as file:
                file.write('M')
            with open('sub/n.txt', 'w') as file:
                file.write('N')
            found = open('sub/f.txt').read(), open('far.csv').read()
            found
            """),
        then=("open('t.txt').read(), os.path.islink('l.txt'), sorted(os.listdir('real'))",),
        skips=("else_",),
    ),
    Case(
        shows="numpy's print options before",
        before=("import numpy as np\nnp.set_printoptions(precision=2, suppress=True)",),
        cell="a = np.array([1.23456, 1e-9])\nprint(a)\na",
        fresh=True,
    ),
    Case(
        shows="numpy's print options in the cell",
        before=("import numpy as np",),
        cell="np.set_printoptions(precision=3)\na = np.array([1.23456])\nprint(a)",
        then=("a",),
        fresh=True,
    ),
    Case(
        shows="numpy's errors before",
        before=("import numpy as np\nnp.seterr(all='raise')",),
        cell=code("""
            try:
                np.array([1.0]) / 0
                r = 'no error'
            except FloatingPointError as e:
                r = str(e)
            r
            """),
        fresh=True,
    ),
    Case(
        shows="numpy's errors in the cell",
        before=("import numpy as np",),
        cell="old = np.seterr(divide='ignore')\nb = np.array([1.0]) / 0",
        then=("np.geterr()['divide']",),
        fresh=True,
    ),
    Case(
        shows="pandas' options before",
        before=(
            code("""
            import pandas as pd
            pd.options.display.max_rows = 4
            pd.set_option('display.precision', 1)
            """),
        ),
        cell="df = pd.DataFrame({'a': [1.234] * 20})\nprint(df)\ndf",
        fresh=True,
    ),
    Case(
        shows="pandas' options in the cell",
        before=("import pandas as pd",),
        cell=code("""
            pd.options.display.max_rows = 5
            df = pd.DataFrame({'a': range(30)})
            df
            """),
        then=("pd.options.display.max_rows",),
        fresh=True,
    ),
    Case(
        shows="scikit-learn's settings before",
        before=(
            code("""
                import sklearn
                sklearn.set_config(transform_output='pandas')
                from sklearn.preprocessing import StandardScaler
                """),
        ),
        cell=code("""
            kind = type(StandardScaler().fit_transform([[1.0], [2.0]])).__name__
            kind
            """),
        fresh=True,
    ),
    Case(
        shows="scikit-learn's settings in the cell",
        before=("import sklearn",),
        cell=code("""
            sklearn.set_config(display='text')
            x = sklearn.get_config()['display']
            """),
        then=("sklearn.get_config()['display']",),
        fresh=True,
    ),
    Case(
        shows="what the letters of matplotlib's colours mean",
        before=(
            code("""
                import matplotlib.pyplot as plt
                from matplotlib import colors
                colors.get_named_colors_mapping()['b'] = '#102030'
                colors.get_named_colors_mapping()['mine'] = '#302010'
                colors.get_named_colors_mapping().cache.clear()
                """),
        ),
        cell=code("""
            plt.plot([1, 2], 'b')
            plt.plot([2, 1], 'mine')
            colors.get_named_colors_mapping()['g'] = (0.5, 0.25, 0)
            colors.to_hex('b'), colors.to_hex('mine'), len(colors.get_named_colors_mapping())
            """),
        then=("colors.to_hex('g'), colors.to_hex('b')",),
        fresh=True,
    ),
    Case(
        shows="matplotlib's parameters before",
        before=(
            code("""
                import matplotlib.pyplot as plt
                plt.rcParams['figure.figsize'] = (2, 1)
                plt.rcParams['lines.linewidth'] = 5
                """),
        ),
        cell="plt.plot([1, 2]);\nsize = tuple(plt.rcParams['figure.figsize'])",
        fresh=True,
    ),
    Case(
        shows="matplotlib's parameters in the cell",
        before=("import matplotlib.pyplot as plt",),
        cell=code("""
            plt.style.use('ggplot')
            plt.rcParams['figure.figsize'] = (2, 1)
            plt.plot([1, 2]);
            """),
        then=("tuple(plt.rcParams['figure.figsize'])", "plt.plot([2, 1]);"),
        fresh=True,
    ),
    Case(
        shows="filters of warnings before",
        before=("import warnings\nwarnings.filterwarnings('ignore')",),
        cell="warnings.warn('unseen')\nx = 1",
        fresh=True,
    ),
    Case(
        shows="filters of warnings as errors before",
        before=("import warnings\nwarnings.simplefilter('error')",),
        cell="warnings.warn('fatal')",
        fresh=True,
    ),
    Case(
        shows="filters of warnings in the cell",
        before=("import warnings",),
        cell=code("""
            warnings.filterwarnings('ignore', message='silly')
            warnings.warn('silly')
            x = 1
            """),
        then=("warnings.warn('silly')",),
        fresh=True,
    ),
    Case(
        shows="filters of warnings with an import in the cell",
        cell=code("""
            import warnings
            warnings.filterwarnings('ignore')
            warnings.warn('unseen')
            x = 1
            """),
    ),
    Case(
        shows="environment variables before",
        before=("import os\nos.environ['BESIDE_X'] = 'here'",),
        cell="v = os.environ.get('BESIDE_X')\nv",
    ),
    Case(
        shows="environment variables in the cell",
        before=("import os",),
        cell="os.environ['BESIDE_Y'] = 'set'\ndel os.environ['HOME']",
        then=("os.environ.get('BESIDE_Y'), 'HOME' in os.environ",),
    ),
    Case(
        shows="an environment variable that is named",
        before=("import os\nos.environ['BESIDE_Z'] = 'here'",),
        cell="v = os.environ.get('BESIDE_Z')\nv",
        options="--env BESIDE_Z",
    ),
    Case(
        shows="home and user",
        cell=code("""
            import os, getpass
            h = os.path.expanduser('~')
            u = getpass.getuser()
            h, u
            """),
    ),
    Case(
        shows="the working folder",
        cell=code("""
            import os
            from pathlib import Path
            c = os.getcwd()
            same = Path.cwd() == Path(c) == Path('.').resolve()
            c
            """),
    ),
    Case(
        shows="a change of folder before",
        before=("import os\nos.makedirs('sub')\nos.chdir('sub')",),
        cell="base = os.path.basename(os.getcwd())\nbase",
    ),
    Case(
        shows="a change of folder in the cell",
        before=("import os",),
        cell="os.makedirs('sub', exist_ok=True)\nos.chdir('sub')",
        then=("os.path.basename(os.getcwd())",),
    ),
    Case(
        shows="all that is logged is shown",
        before=("import logging\nlogging.basicConfig(level=logging.DEBUG)",),
        cell="logging.getLogger('mine').debug('shown')\nimport asyncio",
    ),
    Case(
        shows="a folder of the notebook's first on the module path, dialects of csv, the week",
        before=(
            code("""
            import sys, csv, calendar
            sys.path.insert(0, 'lib')
            csv.register_dialect('mine', delimiter=';', quoting=csv.QUOTE_ALL)
            calendar.setfirstweekday(6)
            """),
        ),
        files=(("lib/beside_far.py", "value = 5\n"), ("beside_far.py", "value = 6\n")),
        cell=code("""
            import io, beside_far
            out = io.StringIO()
            csv.writer(out, dialect='mine').writerow(['a', 1])
            csv.register_dialect('other', delimiter='|')
            calendar.setfirstweekday(calendar.firstweekday() - 1)
            sys.path[0], beside_far.value, out.getvalue(), calendar.firstweekday()
            """),
        then=("csv.get_dialect('other').delimiter, calendar.firstweekday(), beside_far.value, sys.path[0]",),
        skips=("out",),
        fresh=True,
    ),
    Case(
        shows="the module path before",
        before=("import sys\nsys.path.append('lib')\nsys.path.insert(0, '/nowhere')",),
        files=(("lib/beside_far.py", "value = 5\n"),),
        cell="import beside_far\nv = beside_far.value, '/nowhere' in sys.path\nv",
        differs=_HOME,
    ),
    Case(
        shows="the module path in the cell",
        before=("import sys",),
        cell="sys.path.append('/nowhere/else')",
        then=("'/nowhere/else' in sys.path",),
    ),
    Case(
        shows="a time zone before",
        before=("import os, time\nos.environ['TZ'] = 'Asia/Tokyo'\ntime.tzset()",),
        cell="h = time.localtime(0).tm_hour, time.tzname[0]\nh",
        fresh=True,
    ),
    Case(
        shows="a locale before",
        before=("import locale\nlocale.setlocale(locale.LC_ALL, 'C')",),
        cell="n = locale.setlocale(locale.LC_ALL), f'{1234567.5:n}'\nn",
        fresh=True,
    ),
    Case(
        shows="decimal's context before",
        before=(
            code("""
                from decimal import Decimal, getcontext, ROUND_DOWN
                getcontext().prec = 6
                getcontext().rounding = ROUND_DOWN
                """),
        ),
        cell="d = Decimal(2) / 3\nd",
        fresh=True,
    ),
    Case(
        shows="decimal's context in the cell",
        before=("from decimal import Decimal, getcontext",),
        cell="getcontext().prec = 4\nd = Decimal(1) / 3",
        then=("Decimal(1) / 3",),
        fresh=True,
    ),
    Case(
        shows="the recursion limit before",
        before=(
            code("""
            import sys
            sys.setrecursionlimit(5000)
            def down(n):
                return 0 if n == 0 else 1 + down(n - 1)
            """),
        ),
        cell="d = down(3500), sys.getrecursionlimit()\nd",
        fresh=True,
    ),
    Case(
        shows="the recursion limit in the cell",
        before=("import sys",),
        cell="sys.setrecursionlimit(4321)",
        then=("sys.getrecursionlimit()",),
        fresh=True,
    ),
    Case(
        shows="limits of int texts, switch interval and hooks",
        before=("import sys\nsys.set_int_max_str_digits(5000)",),
        cell="n = sys.get_int_max_str_digits()\nn",
        fresh=True,
    ),
    Case(
        shows="a module is patched before",
        before=(
            code("""
            import math
            math.tau2 = 2 * math.tau
            import colorsys
            colorsys.rgb_to_hsv = lambda *a: 'patched'
            """),
        ),
        cell="r = colorsys.rgb_to_hsv(1, 0, 0), round(math.tau2, 3)\nr",
        fresh=True,
    ),
    Case(
        shows="attributes of libraries that earlier cells and the cell set",
        before=(
            code("""
            import ssl, string, colorsys
            import matplotlib.colors as mc
            import xml.dom.minidom as dom
            ssl._create_default_https_context = ssl._create_unverified_context
            dom.Node.mine = 3
            mc.CSS4_COLORS['mine'] = '#010203'
            setattr(string, 'hexdigits', 'none')
            """),
            "%%capture\ncolorsys.ONE = [1]\ncolorsys.ONE.append(2)\ndel string.octdigits",
        ),
        cell=code("""
            import ssl as secure, mimetypes
            a = secure._create_default_https_context.__name__, dom.Node.mine, mc.to_hex('mine'), string.hexdigits
            b = colorsys.ONE, hasattr(string, 'octdigits')
            mimetypes.knownfiles.append('more')
            colorsys.ONE.append(3)
            colorsys.ONE_THIRD = 0
            del colorsys.ONE_SIXTH
            import wave
            wave.Error.mine = 'new'
            a, b
            """),
        then=(
            "import mimetypes, wave\nmimetypes.knownfiles[-1], colorsys.ONE, colorsys.ONE_THIRD, wave.Error.mine",
            "hasattr(colorsys, 'ONE_SIXTH'), colorsys.hls_to_rgb(0.5, 0.5, 0.5)",
            "colorsys.rgb_to_hls(0.2, 0.4, 0.4)",
        ),
        fresh=True,
    ),
    # After a case whose kernels are replaced: nothing has drawn here yet.
    Case(
        shows="a format of figures that a cell elsewhere sets before there is one",
        cell="%config InlineBackend.figure_format = 'retina'\nfrom matplotlib import rcParams",
        then=("import matplotlib.pyplot as plt\nplt.plot([1, 2]);",),
        every=True,
        fresh=True,
    ),
    Case(
        shows="a module is patched in the cell",
        before=("import math",),
        cell="math.answer = 42",
        then=("math.answer",),
        fresh=True,
    ),
    Case(
        shows="attributes of builtins",
        before=("import builtins\nbuiltins.shared_word = 'w'",),
        cell="v = shared_word\nbuiltins.another_word = 5\nv",
        then=("another_word, shared_word",),
        fresh=True,
    ),
    Case(
        shows="socket timeouts, gc and threads' settings",
        before=("import socket, gc\nsocket.setdefaulttimeout(3)\ngc.disable()",),
        cell="s = socket.getdefaulttimeout(), gc.isenabled()\ns",
        fresh=True,
    ),
    Case(
        shows="a logger of the notebook's own that writes to stdout",
        before=(
            code("""
            import logging, sys
            log = logging.getLogger('app')
            log.setLevel('INFO')
            log.addHandler(logging.StreamHandler(sys.stdout))
            """),
        ),
        cell="log.info('inside')\nlog.debug('no')",
        then=("log.info('after')",),
    ),
    Case(
        shows="writing into folders that are there",
        files=(("data/one.csv", "1"), ("out/.keep", ""), ("deep/er/x.txt", "")),
        cell=code("""
            import shutil
            from pathlib import Path
            open('data/new.txt', 'w').write('x')
            shutil.copy('data/one.csv', 'out/one.csv')
            for i in range(2):
                open(f'deep/er/part_{i}.txt', 'w').write(str(i))
            sorted(p.name for p in Path('out').glob('*'))
            """),
        then=("open('data/new.txt').read(), open('out/one.csv').read(), open('deep/er/part_1.txt').read()",),
    ),
    Case(
        shows="listing the folder",
        files=(("one.csv", "1"), ("sub/two.csv", "2"), ("three.txt", "3")),
        cell=code("""
            import os
            from pathlib import Path
            base = Path.cwd()
            print(sorted(os.listdir('.')), len(list(base.rglob('*.csv'))))
            print(sorted(path.name for path in Path('sub').iterdir()))
            !ls sub
            """),
        skips=("base",),
    ),
    Case(
        shows="an object that a module of the notebook's own has made",
        files=(
            (
                "beside_lazy.py",
                "_m = None\nclass State: pass\ndef load():\n    global _m\n"
                "    if _m is None:\n        _m = State()\n    return _m\n",
            ),
        ),
        before=("import beside_lazy",),
        cell="s = type(beside_lazy.load()).__name__\ns",
        then=("type(beside_lazy.load()).__name__",),
    ),
    Case(
        shows="a handler of the notebook's own stays when the cell sets its logger's level",
        before=(
            code("""
            import logging, sys
            lg = logging.getLogger('mine')
            hh = logging.StreamHandler(sys.stdout)
            hh.setFormatter(logging.Formatter('F %(message)s'))
            lg.addHandler(hh)
            lg.propagate = False
            """),
        ),
        cell="lg.setLevel(logging.DEBUG)",
        then=("lg.info('yes'); lg.handlers[0] is hh",),
    ),
    Case(
        shows="a handler that a name and a logger hold is one, whoever has made it",
        before=(
            code("""
            import logging, sys
            lg = logging.getLogger('held')
            hh = logging.StreamHandler(sys.stdout)
            hh.setFormatter(logging.Formatter('F %(message)s'))
            lg.addHandler(hh)
            lg.propagate = False
            """),
        ),
        cell=code("""
            hh.setLevel(logging.ERROR)
            hh.setFormatter(logging.Formatter('G %(message)s'))
            file = logging.FileHandler('held.log')
            lg.addHandler(file)
            lg.warning('to the file')
            lg.error('to both')
            lg.handlers[0] is hh, lg.handlers[1] is file
            """),
        then=(
            "lg.error('again'); lg.handlers[0] is hh, lg.handlers[1] is file, len(lg.handlers)",
            "lg.removeHandler(file); file.close(); hh.setLevel(0); lg.warning('on stdout only')",
            "open('held.log').read()",
        ),
    ),
    Case(
        shows="the environment and rcParams under names of their own",
        before=("import os\nimport matplotlib.pyplot as plt\nfrom os import environ\nfrom matplotlib import rcParams",),
        cell=code("""
            environ['GREEN_TEST'] = '3'
            rcParams['lines.linewidth'] = 7
            (line,) = plt.plot([1, 2])
            width = line.get_linewidth()
            plt.close()
            os.environ['GREEN_TEST'], width, plt.rcParams['lines.linewidth']
            """),
        then=(
            "os.environ.pop('GREEN_TEST'), environ is os.environ",
            "rcParams is plt.rcParams, rcParams['lines.linewidth']",
        ),
        skips=("environ", "line"),
        fresh=True,
    ),
    Case(
        shows="a module beside the notebook speaks once, and registers once",
        files=(
            ("beside_registry.py", "made = {}\n"),
            (
                "beside_loud.py",
                "import sys, warnings\nimport beside_registry\n"
                "class Item:\n    def __reduce__(self):\n        return rebuilt, ()\n"
                "def rebuilt():\n    beside_registry.made['item'] = Item\n    return Item()\n"
                "if 'item' in beside_registry.made:\n    warnings.warn('made again')\n"
                "beside_registry.made['item'] = Item\nthing = Item()\n"
                "print('said')\nprint('to stderr', file=sys.stderr)\n",
            ),
        ),
        cell="import json\na = 1\nimport beside_loud\nitem = beside_loud.thing\nfrom beside_loud import Item\n"
        "list(n for n in globals() if n in ('json', 'a', 'item', 'beside_loud'))",
        then=("isinstance(item, Item), [n for n in globals() if n in ('json', 'a', 'item', 'beside_loud')]",),
    ),
    Case(
        shows="a module beside the notebook reads a file and draws when it is imported",
        files=(
            ("rows.csv", "1\n2\n3\n"),
            (
                "beside_rows.py",
                "import random\nFILE = 'rows.csv'\nrows = open(FILE).read().split()\nrandom.shuffle(rows)\n",
            ),
        ),
        before=("import random\nrandom.seed(3)",),
        cell="import beside_rows\nrandom.random()",
        then=("random.random()",),
    ),
    Case(
        shows="words of the command line, as set before and by the cell",
        before=("import sys\nmy_argv = list(sys.argv)\nsys.argv = ['prog', '--epochs', '3']",),
        cell=code("""
            import argparse
            parser = argparse.ArgumentParser()
            parser.add_argument('--epochs', type=int)
            epochs = parser.parse_args().epochs
            sys.argv.append('more')
            epochs, parser.prog
            """),
        then=("sys.argv", "sys.argv[:] = my_argv"),
        skips=("my_argv", "parser"),
    ),
    Case(
        shows="an unknown word of the command line",
        cell="import argparse\np = argparse.ArgumentParser()\np.add_argument('--n')\nn = p.parse_known_args()[1][0]\nn",
        skips=("p",),
    ),
    Case(
        shows="an object that a module beside the notebook and a name share",
        files=(
            (
                "beside_shared.py",
                "class Config:\n    rate = 1\nCFG = Config()\nseen = {}\nlater = Config()\n"
                "def rate():\n    return CFG.rate, dict(seen)\n",
            ),
        ),
        before=("from beside_shared import CFG, seen, rate\nCFG.rate = 2\nseen['a'] = 1",),
        cell=code("""
            import beside_shared
            from beside_shared import later as mine
            CFG.rate += 1
            seen['b'] = 2
            mine.rate = 7
            rate(), CFG is beside_shared.CFG, seen is beside_shared.seen
            """),
        then=(
            "rate(), CFG is beside_shared.CFG, seen is beside_shared.seen",
            "mine is beside_shared.later, beside_shared.later.rate",
        ),
    ),
    Case(
        shows="an object of a module that only the cell imports",
        files=(("beside_new_shared.py", "class Box:\n    n = 0\nbox = Box()\ndef n():\n    return box.n\n"),),
        cell="from beside_new_shared import box\nbox.n = 5",
        then=("import beside_new_shared\nbeside_new_shared.n(), beside_new_shared.box is box",),
    ),
    Case(
        shows="settings in a module beside the notebook",
        files=(("beside_config.py", "n = 1\nnames = ['a']\nunset = None\n"),),
        before=("import beside_config\nfrom beside_config import names\nbeside_config.n = 5\nbeside_config.unset = 2",),
        cell=code("""
            import beside_config as c
            found = c.n, c.unset
            c.n = 6
            c.names.append('b')
            c.new = {1: 2}
            found
            """),
        then=("beside_config.n, names, beside_config.new",),
    ),
    Case(
        shows="a cache in a module beside the notebook",
        files=(("beside_state.py", "seen = []\ndef add(v):\n    seen.append(v)\n    return len(seen)\n"),),
        before=("import beside_state\nbeside_state.add(1)",),
        cell="n = beside_state.add(2)\nn",
        then=("beside_state.seen",),
    ),
    Case(
        shows="a module beside the notebook",
        files=(
            (
                "beside_mod.py",
                "base = 10\nclass T:\n    def __init__(self, v):\n        self.v = v + base\nf = lambda v: v * base\n",
            ),
        ),
        cell=code("""
            import beside_mod
            from beside_mod import f, T
            r = f(3), beside_mod.base
            t = T(1)
            r
            """),
        then=("t.v, isinstance(t, T), beside_mod.T is T",),
    ),
    Case(
        shows="a package beside the notebook",
        files=(
            ("beside_pkg/__init__.py", "from .inner import g\n"),
            ("beside_pkg/inner.py", "def g():\n    return 'inner'\n"),
            ("beside_pkg/deep/__init__.py", ""),
            ("beside_pkg/deep/low.py", "low = 1\n"),
        ),
        before=("import beside_pkg",),
        cell=code("""
            import beside_pkg.deep.low
            r = beside_pkg.g(), beside_pkg.deep.low.low
            r
            """),
    ),
    Case(
        shows="an object of a class of a module beside the notebook",
        files=(
            (
                "beside_cls.py",
                "class C:\n    n = 0\n    def up(self):\n        self.n += 1\n        return self\n",
            ),
        ),
        before=("from beside_cls import C\nc = C()\nalias = c",),
        cell="c.up().up()\nd = C().up()",
        then=("alias is c, c.n, isinstance(d, C), type(d) is type(c)",),
    ),
    Case(
        shows="an error in a module beside the notebook",
        files=(("beside_err.py", "def f(v):\n    w = v\n    return w.missing\n"),),
        before=("import beside_err",),
        cell="x = 1\nbeside_err.f(x)",
    ),
    Case(
        shows="a module that the cell writes and imports",
        cell=code(r"""
            open('beside_new.py', 'w').write('value = 3\n')
            import importlib, sys
            importlib.invalidate_caches()
            import beside_new
            v = beside_new.value
            v
            """),
        then=("beside_new.value",),
    ),
    Case(
        shows="a module that is reloaded",
        files=(("beside_rel.py", "n = 1\n"),),
        before=("import beside_rel, importlib",),
        cell="m = importlib.reload(beside_rel)\nm is beside_rel",
        then=("m is beside_rel",),
    ),
    Case(
        shows="a module that is edited and reloaded",
        files=(("beside_edited.py", "print('made')\n\ndef f():\n    return 1\n"),),
        before=(
            "import beside_edited, importlib\nbeside_edited.f()",
            "%%writefile beside_edited.py\nprint('again')\n\ndef f():\n    return 22\n",
        ),
        cell="m = importlib.reload(beside_edited)\nbeside_edited.f()",
        then=("m is beside_edited, beside_edited.f()",),
    ),
    Case(
        shows="files written and read in the next cell",
        before=("from pathlib import Path",),
        cell=code("""
            Path('out').mkdir()
            Path('out/a.txt').write_text('hello')
            with open('b.csv', 'w') as f:
                print('a,b', file=f)
            del f
            """),
        then=("Path('out/a.txt').read_text(), open('b.csv').read()",),
    ),
    Case(
        shows="a file is appended to",
        files=(("log.txt", "one\n"),),
        cell="with open('log.txt', 'a') as f:\n    f.write('two\\n')\ndel f",
        then=("open('log.txt').read()",),
        options="--files log.txt",
    ),
    Case(
        shows="a data file that is named",
        files=(("data/in.csv", "a,b\n1,2\n"),),
        before=("import pandas as pd",),
        cell="df = pd.read_csv('data/in.csv')\ndf",
        options="--files data/*.csv",
    ),
    Case(
        shows="a data file that nobody named",
        files=(("in.csv", "a,b\n1,2\n"),),
        before=("import pandas as pd",),
        cell="df = pd.read_csv('in.csv')\ndf",
    ),
    Case(
        shows="a missing file",
        cell=code("""
            try:
                open('nowhere.txt')
            except FileNotFoundError as e:
                text = str(e)
            text
            """),
    ),
    Case(
        shows="a list of the folder",
        files=(("a.txt", "1"), ("b.txt", "2")),
        cell=code("""
            import os, glob
            l = sorted(os.listdir('.'))
            g = sorted(glob.glob('*.txt'))
            g
            """),
    ),
    Case(
        shows="arrays and models saved and loaded in the cell",
        before=("import numpy as np, joblib, pickle",),
        cell=code("""
            np.save('a.npy', np.arange(3))
            joblib.dump({'k': 1}, 'm.joblib')
            pickle.dump([1], open('p.pkl', 'wb'))
            back = np.load('a.npy').sum(), joblib.load('m.joblib'), pickle.load(open('p.pkl', 'rb'))
            back
            """),
        then=("np.load('a.npy')",),
    ),
    Case(
        shows="shell lines that write",
        cell="!printf 'x\\n' > made.txt\n!cat made.txt",
        then=("!cat made.txt",),
        ordered=False,
    ),
    Case(
        shows="a file is removed",
        files=(("old.txt", "x"),),
        cell="import os\nos.remove('old.txt')",
        then=("os.path.exists('old.txt')",),
        options="--files old.txt",
    ),
    Case(
        shows="command line arguments and the executable",
        cell=code("""
            import sys
            a = len(sys.argv) > 0, sys.version_info[:2], sys.executable
            a
            """),
        ordered=True,
    ),
    Case(
        shows="modules imported by the cell are imported after it",
        cell="import colorsys\nx = colorsys.rgb_to_hsv(1, 0, 0)",
        then=("import sys\n'colorsys' in sys.modules, colorsys.hsv_to_rgb(0, 1, 1)",),
    ),
    Case(
        shows="hooks: excepthook and displayhook",
        before=("import sys\nold = sys.displayhook",),
        cell=code("""
            import sys
            kind = callable(sys.displayhook), sys.flags.optimize
            kind
            """),
        skips=("old",),
    ),
    Case(
        shows="atexit and finalizers",
        cell=code("""
            import atexit, weakref
            class A: pass
            a = A()
            log = []
            f = weakref.finalize(a, log.append, 'gone')
            del a
            log
            """),
        skips=("f",),
    ),
    Case(
        shows="a module that looks at a variable when it is loaded, set in an earlier cell",
        before=("import os\nos.environ['GK_MODE'] = 'fast'\nimport modeful\nthing = modeful.Thing()",),
        cell="print(thing.mode())\nmade = modeful.Thing()\nmade.mode()",
        then=("made.mode(), thing.mode()",),
        files=(("modeful.py", _MODEFUL),),
        fresh=True,
    ),
    Case(
        shows="a module that looks at a variable when it is loaded, set in the cell, on a path of the cell's own",
        cell=code("""
            import os, sys
            os.environ['GK_MODE'] = 'slow'
            sys.path.insert(0, 'lib')
            from modeful import Thing
            thing = Thing()
            """),
        then=("thing.mode(), os.environ['GK_MODE'], sys.path[0]",),
        files=(("lib/modeful.py", _MODEFUL),),
        fresh=True,
    ),
    Case(
        shows="handlers of signals",
        cell=code("""
            import signal
            _old = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            """),
        then=("signal.getsignal(signal.SIGUSR1)",),
        differs="handlers of signals end with the cell's process",
    ),
    Case(
        shows="a warning of a library that an earlier cell has shown",
        before=("import warner\nwarner.f(1)",),
        cell="warner.f(1)\nwarner.f(2)",
        then=("warner.f(2)\nwarner.f(3)",),
        files=(("warner.py", "import warnings\ndef f(n): warnings.warn(f'said {n}', FutureWarning, stacklevel=1)\n"),),
        fresh=True,
    ),
)
