"""Cells that print, log, display and plot."""

from __future__ import annotations

from tests.notebooks.compare import Case, code

_PLT = "import matplotlib.pyplot as plt"

CASES = (
    Case(
        shows="figures that do not show by themselves",
        before=("import matplotlib.pyplot as plt\nplt.plot([1]);",),
        every=True,
        cell="plt.ioff()\nfig = plt.figure()\nplt.plot([1, 2]);",
        then=("plt.isinteractive()", "plt.close('all')\nplt.ion()\nplt.plot([3, 4]);", "plt.isinteractive()"),
        skips=("fig",),
    ),
    Case(
        shows="a thread and a program that are at work when the cell ends",
        cell=code("""
            import subprocess, threading, time
            ended = threading.Thread(target=len, args=('',))
            ended.start()
            ended.join()
            new = threading.Thread(target=len)
            done = subprocess.Popen(['true'])
            done.wait()
            working = threading.Thread(target=time.sleep, args=(3,))
            working.start()
            waiting = subprocess.Popen(['sleep', '3'])
            """),
        then=("ended.is_alive(), ended.ident is None, new.ident is None, done.poll(), done.args",),
        skips=("working", "waiting", "done", "ended", "new"),
    ),
    Case(
        shows="prints of every kind",
        cell=code(r"""
            print('a', 1, [2], sep='|')
            print('no end', end='')
            print()
            print('flushed', flush=True)
            print('x\ty\nz')
            """),
    ),
    Case(shows="print without a last newline and a value", cell="print('tail', end='')\n42"),
    Case(shows="carriage returns overwrite", cell="for i in range(5):\n    print(f'\\rstep {i}', end='')\nprint()"),
    Case(
        shows="stderr and stdout",
        cell=code(r"""
            import sys
            print('out')
            print('err', file=sys.stderr)
            sys.stdout.write('more\n')
            sys.stderr.write('more err\n')
            """),
    ),
    Case(
        shows="objects that write to stdout and stderr",
        cell=code("""
            import sys
            class Teller:
                def __init__(self, out=sys.stdout):
                    self.out = out
                def tell(self, text):
                    print(text, file=self.out)
            teller, warner, out = Teller(), Teller(sys.stderr), sys.stdout
            teller.tell('there')
            """),
        then=("teller.tell('here')\nprint('also here', file=out)\nteller.out is sys.stdout, warner.out is sys.stderr",),
    ),
    Case(shows="the value of write is shown", cell="import sys\nsys.stdout.write('abc')"),
    Case(
        shows="the value of write is shown where the write is not the last",
        cell=code(r"""
            import sys
            sys.stdout.writelines(['a\n', 'b\n'])
            sys.stdout.flush()
            """),
    ),
    Case(
        shows="os.write",
        cell=code(r"""
            import os
            n = os.write(1, b'raw out\n')
            m = os.write(2, b'raw err\n')
            """),
        ordered=False,
    ),
    Case(
        shows="output of child processes",
        cell=code("""
            import subprocess, sys
            r = subprocess.run([sys.executable, '-c', 'print("child")'])
            c = subprocess.run(['echo', 'caught'], capture_output=True, text=True).stdout
            r.returncode, c
            """),
        ordered=False,
        skips=("r",),
    ),
    Case(shows="os.system", cell="import os\ncode = os.system('echo from system')\ncode", ordered=False),
    Case(
        shows="logging in the cell",
        cell=code("""
            import logging
            log = logging.getLogger('beside_mine')
            log.warning('careful %d', 3)
            log.info('unseen')
            logging.getLogger().error('root')
            del log
            """),
    ),
    Case(
        shows="logging set up by basicConfig",
        cell=code("""
            import logging, sys
            logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s', force=True)
            logging.info('shown')
            logging.getLogger('x.y').debug('not shown')
            """),
        fresh=True,
    ),
    Case(
        shows="logging set up in an earlier cell",
        before=(
            code("""
                import logging
                logging.basicConfig(level=logging.INFO, format='%(levelname)s:%(message)s', force=True)
                log = logging.getLogger('beside_own')
                """),
        ),
        cell="logging.info('shown')\nlog.info('also shown')",
        fresh=True,
    ),
    Case(
        shows="redirected output",
        cell=code("""
            import io, contextlib
            buf = io.StringIO()
            with contextlib.redirect_stdout(buf):
                print('inside')
            print('outside')
            text = buf.getvalue()
            text
            """),
        skips=("buf",),
    ),
    Case(
        shows="pprint and textwrap",
        cell=code("""
            import pprint, textwrap
            pprint.pprint({'b': list(range(30)), 'a': {'x': 'y' * 60}})
            print(textwrap.fill('word ' * 30, 40))
            {'b': list(range(30)), 'a': 'y' * 60}
            """),
    ),
    Case(shows="twenty thousand lines", cell="for i in range(20000):\n    print('line', i)"),
    Case(shows="a line of a million letters", cell="print('x' * 1_000_000)"),
    Case(
        shows="bytes in stdout",
        cell=code(r"""
            import sys
            sys.stdout.buffer.write(b'caf\xc3\xa9 \xff\n')
            sys.stdout.flush()
            """),
        differs="ipykernel's stdout has no buffer and raises AttributeError, a site's has one",
    ),
    Case(
        shows="bytes that are no UTF-8 by os.write", cell="import os\nos.write(1, b'a\\xff\\xfeb\\n');", ordered=False
    ),
    Case(
        shows="colours",
        cell=code(r"""
        print('\x1b[31mred\x1b[0m \x1b[1;42mbold\x1b[0m')
        '\x1b[31mrepr'
        """),
    ),
    Case(shows="backspaces, bells and zero bytes", cell="print('ab\\bc\\a\\0d')"),
    Case(
        shows="what stdout is",
        cell=code("""
            import sys
            facts = sys.stdout.isatty(), sys.stdout.encoding, sys.stdin is not None, sys.stdout.writable()
            facts
            """),
    ),
    Case(
        shows="input is refused",
        cell="input('name? ')",
        differs="a cell that asks by itself is refused before it runs, where a kernel raises StdinNotImplementedError",
    ),
    Case(
        shows="display of values",
        cell=code("""
            from IPython.display import display
            display(1, [2], 'text')
            print('between')
            d = {'k': 1}
            display(d)
            d
            """),
    ),
    Case(shows="display without an import", cell="display('here')\nx = 5\ndisplay(x, metadata={'a': 1})"),
    Case(
        shows="HTML, Markdown, Latex, JSON and Javascript",
        cell=code("""
            from IPython.display import display, HTML, Markdown, Latex, JSON, SVG
            display(HTML('<b>bold</b>'), Markdown('# head'), Latex('$x$'), JSON({'a': [1]}), SVG('<svg></svg>'))
            HTML('<i>last</i>')
            """),
    ),
    Case(
        shows="images",
        cell=code("""
            import base64
            from IPython.display import Image, display
            png = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ'
                                   'AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==')
            display(Image(png, width=10))
            Image(data=png)
            """),
    ),
    Case(
        shows="clear_output",
        cell=code("""
            from IPython.display import clear_output
            for i in range(3):
                clear_output(wait=True)
                print('step', i)
            """),
    ),
    Case(
        shows="clear_output at once",
        cell=code("""
            from IPython.display import clear_output
            print('gone')
            clear_output()
            print('stays')
            """),
    ),
    Case(
        shows="update_display",
        cell=code("""
            from IPython.display import display, update_display
            h = display('first', display_id=True)
            h.update('second')
            display('other', display_id='named')
            update_display('changed', display_id='named')
            del h
            """),
    ),
    Case(
        shows="a display of an earlier cell is updated",
        before=("h = display('first', display_id='beside')",),
        cell="h.update('second')",
        then=("h.update('third')",),
    ),
    Case(
        shows="rich representations of a class",
        cell=code("""
            class R:
                def _repr_html_(self): return '<b>R</b>'
                def _repr_png_(self): return None
                def __repr__(self): return 'R()'
            class M:
                def _repr_mimebundle_(self, include=None, exclude=None):
                    return {'text/plain': 'M', 'application/x-own': {'a': 1}}
            class P:
                def _repr_pretty_(self, p, cycle): p.text('pretty')
            display(R(), M(), P())
            R()
            """),
    ),
    Case(
        shows="a formatter registered in an earlier cell",
        before=(
            code("""
                class F:
                    pass
                plain = get_ipython().display_formatter.formatters['text/plain']
                plain.for_type(F, lambda o, p, c: p.text('formatted'))
                f = F()
                """),
        ),
        cell="display(f)\nx = 1",
        fresh=True,
        differs="formatters registered in earlier cells stay at home",
    ),
    Case(shows="long containers are cut as in a notebook", cell="list(range(2000))"),
    Case(
        shows="pretty printing of nested values",
        cell="{'a' * 30: {'b' * 30: ['c' * 30] * 3}, 2: (1, {3, 1, 2}), 'f': len, 'g': dict}",
    ),
    Case(
        shows="the last result and Out",
        before=("40", "41 + 1"),
        cell="a = _ + 1\nb = Out[max(Out)]\nc = __\na",
        then=("_, len(Out)",),
    ),
    Case(shows="the last result after the cell", cell="[1, 2]", then=("_", "Out[max(Out)], _")),
    Case(
        shows="a library asks",
        files=(("asking.py", "def ask():\n    return input('name? ')\n"),),
        cell="import asking\nprint('before')\nasking.ask()",
    ),
    Case(
        shows="the input history",
        before=("x = 1",),
        cell="last = In[-1].count('last'), len(In) > 1, _i",
        skips=("last",),
    ),
    Case(shows="a figure shown", before=(_PLT,), cell="plt.plot([1, 2, 3], [1, 4, 9])\nplt.title('one')\nplt.show()"),
    Case(
        shows="a figure shown by the import in the cell",
        cell=_PLT
        + "\n"
        + code("""
            plt.figure(figsize=(3, 2))
            plt.plot([1, 2])
            plt.show()
            print('after')
            """),
    ),
    Case(
        shows="several figures among text",
        before=(_PLT,),
        cell=code("""
            for i in range(2):
                print('before', i)
                fig, ax = plt.subplots(figsize=(2, 2))
                ax.plot([0, i])
                plt.show()
                print('after', i)
            """),
        skips=("fig", "ax"),
    ),
    Case(
        shows="a figure without show", before=(_PLT,), cell="plt.figure(figsize=(2, 2))\nplt.bar(['a', 'b'], [1, 2]);"
    ),
    Case(
        shows="a figure by its trailing expression",
        before=(_PLT,),
        cell="plt.plot([1, 2, 3])",
    ),
    Case(
        shows="a histogram returned",
        before=(_PLT + "\nimport numpy as np",),
        cell="plt.hist(np.arange(20), bins=4)",
    ),
    Case(
        shows="a figure closed or saved",
        before=(_PLT,),
        cell=code("""
            import os
            fig = plt.figure(figsize=(2, 2))
            plt.plot([1, 2])
            fig.savefig('f.png')
            size = os.path.getsize('f.png') > 100
            plt.close(fig)
            del fig
            size
            """),
    ),
    Case(
        shows="a figure returned by a function",
        before=(
            _PLT
            + "\n"
            + code("""
                def draw(n):
                    fig, ax = plt.subplots(figsize=(2, 2))
                    ax.plot(range(n))
                    ax.set_xlabel('n')
                    return fig
                """),
        ),
        cell="f = draw(3)\ng = draw(4)",
        skips=("f", "g"),
    ),
    Case(
        shows="a figure returned and shown as the value",
        before=(
            _PLT
            + "\n"
            + code("""
                def draw(n):
                    fig, ax = plt.subplots(figsize=(2, 2))
                    ax.plot(range(n))
                    plt.close(fig)
                    return fig
                """),
        ),
        cell="draw(3)",
    ),
    Case(
        shows="a figure goes on in the next cell",
        before=(_PLT,),
        cell=code("""
            fig, ax = plt.subplots(figsize=(2, 2))
            ax.plot([1, 2])
            plt.close(fig)
            """),
        then=("ax.plot([3, 4]); ax.set_title('more'); len(ax.lines), ax.figure is fig", "fig"),
        skips=("fig", "ax"),
    ),
    Case(
        shows="a figure of an earlier cell",
        before=(_PLT + "\nfig, ax = plt.subplots(figsize=(2, 2))\nplt.close(fig)",),
        cell="ax.plot([1, 2, 4])\nfig",
        then=("len(ax.lines), ax.figure is fig",),
        skips=("fig", "ax"),
    ),
    Case(
        shows="pandas draws",
        before=("import pandas as pd",),
        cell="df = pd.DataFrame({'a': [1, 2, 3]})\ndf.plot(figsize=(2, 2));",
    ),
    Case(
        shows="a data frame as the last expression",
        before=("import pandas as pd",),
        cell=code("""
            df = pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']}, index=['r', 's'])
            df
            """),
    ),
    Case(
        shows="a long data frame is cut",
        before=("import pandas as pd, numpy as np",),
        cell="pd.DataFrame(np.arange(2000).reshape(100, 20))",
    ),
    Case(
        shows="series, describe, groupby and info",
        before=(
            code("""
            import pandas as pd
            df = pd.DataFrame({'k': list('abab'), 'v': [1.0, 2.0, 3.0, 4.0]})
            """),
        ),
        cell=code("""
            df.info()
            display(df.describe())
            print(df.groupby('k').v.mean())
            df['v']
            """),
    ),
    Case(
        shows="a styler",
        before=("import pandas as pd\ndf = pd.DataFrame({'a': [1, -2]})",),
        cell="df.style.format('{:.1f}').highlight_max()",
    ),
    Case(
        shows="an estimator's picture",
        before=("from sklearn.linear_model import LinearRegression",),
        cell="m = LinearRegression()\nm.fit([[0], [1]], [0, 1])",
    ),
    Case(
        shows="a progress bar by hand",
        cell=code(r"""
            import sys
            for i in range(4):
                sys.stderr.write(f'\r{i * 25:3d}%|{"#" * i}')
                sys.stderr.flush()
            sys.stderr.write('\n');
            """),
    ),
    Case(
        shows="prints of many threads",
        cell=code(r"""
            import threading
            def say(n):
                for i in range(20):
                    print(f'thread {n} line {i}\n', end='')
            ts = [threading.Thread(target=say, args=(n,)) for n in range(4)]
            [t.start() for t in ts]
            [t.join() for t in ts]
            del ts
            """),
        ordered=False,
    ),
    Case(
        shows="prints of forked children",
        cell=code(r"""
            import os
            pid = os.fork()
            if pid == 0:
                os.write(1, b'child\n')
                os._exit(0)
            _, status = os.waitpid(pid, 0)
            print('parent', status)
            del pid
            """),
        ordered=False,
    ),
    Case(
        shows="help and introspection",
        cell='def f(a: int, b=\'x\') -> str:\n    """Does f."""\nhelp(f)\nprint(f.__doc__)',
    ),
    Case(
        shows="a widget",
        cell=code("""
            import ipywidgets as w
            b = w.IntSlider(value=3)
            b.value += 1
            n = b.value
            del b
            """),
        before=(),
    ),
    Case(
        shows="a script beside the notebook that may be run",
        before=(
            code("""
                import os, subprocess
                with open('said.sh', 'w') as f:
                    print('#!/bin/sh', 'echo said', sep='\\n', file=f)
                os.chmod('said.sh', 0o755)
                """),
        ),
        cell="print(subprocess.run('./said.sh', capture_output=True, text=True).stdout, os.access('said.sh', os.X_OK))",
        then=("os.access('said.sh', os.X_OK)",),
    ),
)
