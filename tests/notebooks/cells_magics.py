"""Cells with magics, shell lines and what they leave."""

from __future__ import annotations

from tests.notebooks.compare import Case, code

CASES = (
    Case(shows="the shell of a shell line", cell="!echo ${BASH_VERSION:+bash} $0"),
    Case(
        shows="how errors are shown is set in the cell",
        cell="%xmode Minimal",
        then=("1 / 0", "%xmode Context", "1 / 0"),
        every=True,
        fresh=True,
    ),
    Case(
        shows="aliases, earlier ones and one of the cell",
        before=("%alias hello echo hello %s\n%alias gone echo gone",),
        cell="%hello you\nhello = 1\n%unalias gone\n%alias bye echo bye %s and %s\nhello",
        then=("%bye one two", "%hello again", "%gone"),
        stumbles=True,
    ),
    Case(shows="a line of time", before=("x = [3, 1]",), cell="%time y = sorted(x)\n%time x.sort()", numbers=False),
    Case(shows="time with a value", cell="%time sum(range(10))", numbers=False),
    Case(
        shows="timeit",
        before=("x = list(range(10))",),
        cell=code("""
            %timeit -n1 -r1 sum(x)
            r = %timeit -o -q -n1 -r1 sum(x)
            loops = r.loops, r.repeat
            del r
            """),
        numbers=False,
    ),
    Case(shows="time below the magic", before=("n = 3",), cell="%%time\nm = n + 1\nprint(m)\nm", numbers=False),
    Case(
        shows="time above the magic", before=("n = 3",), cell="%%time\n#: green\nm = n + 1\nprint(m)\nm", numbers=False
    ),
    Case(
        shows="capture below the magic",
        cell="%%capture out\nprint('caught')\nx = 1\n'value'",
        then=("out.stdout, len(out.outputs), x",),
        skips=("out",),
    ),
    Case(
        shows="capture above the magic",
        cell="%%capture out\n#: green\nprint('caught')\nx = 1",
        then=("'caught' in out.stdout, x",),
        skips=("out",),
    ),
    Case(shows="timeit below the magic", before=("n = 3",), cell="%%timeit -n1 -r1\nm = n + 1", numbers=False),
    Case(
        shows="matplotlib inline",
        cell=code("""
            %matplotlib inline
            import matplotlib.pyplot as plt
            plt.figure(figsize=(2, 2))
            plt.plot([1, 2]);
            """),
    ),
    Case(
        shows="a configured figure format",
        before=(
            code("""
            %config InlineBackend.figure_format = 'svg'
            import matplotlib.pyplot as plt
            plt.rcParams['svg.hashsalt'] = 'same'
            """),
        ),
        cell="plt.figure(figsize=(2, 2))\nplt.plot([1, 2]);",
        numbers=False,
        fresh=True,
    ),
    Case(shows="a shell line", cell="!echo hello\n!echo to stderr >&2\n!false", then=("_exit_code",), ordered=False),
    Case(
        shows="a shell line into a name",
        before=("word = 'w'",),
        cell=code(r"""
            lines = !printf 'a\nb\n'
            more = !echo {word} $word
            lines, lines.n, more
            """),
        then=("type(lines).__name__, lines.s",),
    ),
    Case(
        shows="interpolation of Python in a shell line",
        before=("import os\nd = {'k': [1, 2]}\nname = 'x y'",),
        cell="!echo {d['k'][1]} {name.upper()} $name $$HOME_NOT_SET {{braces}}",
        ordered=False,
    ),
    Case(shows="a bash cell below the magic", cell="%%bash\necho from bash\nX=3\necho $X", ordered=False),
    Case(shows="a script cell with an error", cell="%%bash\necho before\nexit 3", ordered=False),
    Case(
        shows="writefile below the magic",
        cell="%%writefile made.txt\nline one\nline two",
        then=("open('made.txt').read()",),
    ),
    Case(
        shows="env is shown and set",
        before=("import os\nos.environ['BESIDE_A'] = 'a'",),
        cell="%env BESIDE_B=b\nv = %env BESIDE_B\nw = os.environ['BESIDE_B']\nw",
        then=("import os\nos.environ.get('BESIDE_B')",),
    ),
    Case(
        shows="pwd and cd",
        before=("import os\nos.makedirs('sub')",),
        cell=code("""
            here = %pwd
            %cd sub
            there = os.getcwd() == os.path.join(here, 'sub')
            %cd ..
            there
            """),
        skips=("here",),
    ),
    Case(
        shows="cd stays",
        cell=code("""
            import os
            os.makedirs('sub')
            %cd -q sub
            base = os.path.basename(os.getcwd())
            """),
        then=("os.path.basename(os.getcwd())",),
    ),
    Case(
        shows="precision",
        before=("import numpy as np",),
        cell="%precision 2\nx = 3.14159\nx",
        then=("x",),
        fresh=True,
    ),
    Case(
        shows="reset of one name",
        before=("a, b = 1, 2",),
        cell="%reset_selective -f ^a$\nb",
        then=("'a' in globals()",),
        differs="a name that %reset_selective deletes is not known as deleted",
    ),
    Case(shows="an alias of a magic", cell="%alias_magic t timeit\n%t -n1 -r1 1 + 1", numbers=False, fresh=True),
    Case(
        shows="a magic of the notebook",
        before=(
            code("""
                from IPython.core.magic import register_line_magic, register_cell_magic
                @register_line_magic
                def shout(line):
                    return line.upper() + '!'
                """),
        ),
        cell="x = %shout hello\nx",
        fresh=True,
    ),
    Case(
        shows="a magic registered in the cell",
        cell=code("""
            from IPython.core.magic import register_line_magic
            @register_line_magic
            def whisper(line):
                return line.lower()
            x = %whisper HELLO
            x
            """),
        then=("%whisper AGAIN",),
        fresh=True,
        skips=("whisper",),
    ),
    Case(
        shows="run of a script",
        files=(("script.py", "import sys\nvalue = 40 + 2\nprint('ran', __name__, sys.argv[1:])\n"),),
        cell="%run script.py a b\nvalue",
        options="--files script.py",
        skips=("__doc__",),
    ),
    Case(
        shows="run of a script that nobody named",
        files=(("script.py", "value = 40 + 2\n"),),
        cell="%run script.py\nvalue",
    ),
    Case(shows="load_ext and autoreload", before=("%load_ext autoreload\n%autoreload 2",), cell="x = 1\nx", fresh=True),
    Case(
        shows="autoreload in the cell",
        cell="%load_ext autoreload\n%autoreload 2\nx = 1\nx",
        fresh=True,
        then=("%autoreload 0",),
    ),
    Case(
        shows="a list of names by who_ls",
        before=("a = 1\nb = 'x'",),
        cell="c = a\nnames = %who_ls int",
        skips=("names",),
    ),
    Case(shows="xmode and pdb off", cell="%xmode Plain\n%pdb off\nx = 1", fresh=True),
    Case(
        shows="xmode of an earlier cell",
        before=("%xmode Minimal",),
        cell="x = 1\nraise ValueError('short')",
        fresh=True,
    ),
    Case(
        shows="the question mark", cell="x = [1]\nx?", differs="help is printed, as no pager of the notebook is opened"
    ),
    Case(
        shows="question marks of a function",
        before=("def f(a):\n    'doc'\n    return a",),
        cell="f??",
        differs="help is printed, as no pager of the notebook is opened",
    ),
    Case(
        shows="the namespace by another way, beside a function that needs a lock",
        before=(
            "import threading\nlock = threading.Lock()\ndef inner(): return lock\ndef work(): return inner()\nk = 5",
        ),
        cell="get_ipython().user_ns['via'] = k",
        then=("via, work() is lock",),
    ),
    Case(shows="the magic twice", cell="%%greentrain --auto\nx = 1", refused="%%greentrain stands in a cell"),
    Case(shows="a magic of ours in a cell", cell="x = 1\n%greenruns list", refused="%greenruns stands in a cell"),
    Case(
        shows="magics called through the shell",
        cell=code("""
            ip = get_ipython()
            ip.run_line_magic('time', 'pass')
            ip.run_cell_magic('capture', 'c', 'print(1)')
            text = c.stdout
            del ip, c
            """),
        numbers=False,
    ),
    Case(
        shows="run_cell inside the cell",
        cell=code(r"""
            r = get_ipython().run_cell('inner = 5\ninner + 1')
            ok = r.success
            del r
            """),
        then=("inner",),
    ),
    Case(
        shows="ex and ev of the shell",
        before=("a = 2",),
        cell=code("""
            v = get_ipython().ev('a + 1')
            get_ipython().ex('w = a * 5')
            get_ipython().push({'pushed': 7})
            """),
        then=("pushed, v, w",),
        differs="names that a cell reaches only through ip.ev and ip.ex do not travel",
    ),
    Case(
        shows="events of the shell",
        before=(
            code("""
                count = []
                def seen(*_):
                    count.append(1)
                get_ipython().events.register('post_run_cell', seen)
                """),
        ),
        cell="x = 1",
        then=(
            code("""
            get_ipython().events.unregister('post_run_cell', seen)
            len(count) > 0
            """),
        ),
        skips=("count",),
        fresh=True,
    ),
    Case(shows="an html cell below the magic", cell="%%html\n<b>bold</b>"),
    Case(
        shows="an indented magic in a loop",
        cell="for i in range(2):\n    %time x = i\n    y = !echo {i}\ny",
        numbers=False,
    ),
    Case(shows="automagic and help words", cell="pwd_ = 1\n%automagic off\nx = 2", fresh=True),
    Case(shows="a semicolon after a magic", cell="x = 3\n%time x;", numbers=False),
    Case(
        shows="autoawait",
        before=("import asyncio\nasync def f():\n    return 5",),
        cell="%autoawait\nr = await f()\nr",
    ),
    Case(shows="a latex cell", cell="%%latex\n$x^2$"),
    Case(shows="a python cell of another process", cell="%%python\nprint('other python')\nx = 1", ordered=False),
    Case(
        shows="magics of a function and of a class",
        before=(
            "from IPython.core.magic import Magics, line_magic, magics_class, register_line_magic",
            "factor = 3\n@register_line_magic\ndef times(line):\n    return factor * int(line)",
            "@magics_class\nclass Mine(Magics):\n"
            "    @line_magic\n    def half(self, line):\n        return int(line) / 2",
            "get_ipython().register_magics(Mine)",
        ),
        cell="a = %times 4\nb = %half 4\na, b",
        then=("%times 5", "%half 5"),
    ),
    Case(
        shows="a magic that the cell makes",
        cell=code("""
            from IPython.core.magic import register_cell_magic

            @register_cell_magic
            def twice(line, cell):
                print(cell * 2)
            """),
        then=("%%twice\nx",),
    ),
)
