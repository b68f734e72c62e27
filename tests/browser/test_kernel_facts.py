"""What we rely on of ipykernel and JupyterLab, measured: they are not ours, and they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.lab import Notebook

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(600)]
Open = Callable[..., Notebook]

SEND = """
import threading, time
kernel = get_ipython().kernel
def send(parent, kind, content):
    kernel.session.send(kernel.iopub_socket, kind, content, parent=parent, ident=kernel._topic(kind))
def show(data, update=False):
    return {"data": {"text/plain": data}, "metadata": {}, "transient": {"display_id": "shown"}}
def work(parent):
    time.sleep(1.5)
    send(parent, "stream", {"name": "stdout", "text": "p 1\\rp 2\\n"})
    send(parent, "display_data", show("first"))
    send(parent, "update_display_data", show("second"))
    send(parent, "stream", {"name": "stdout", "text": "last\\n"})
threading.Thread(target=work, args=(kernel.get_parent("shell"),)).start()
print("cell is done")
"""
GATE = """
import ast, time
from IPython.core.error import InputRejected
class Gate(ast.NodeTransformer):
    mode = ""
    def visit(self, node):
        mode, Gate.mode = Gate.mode, ""
        if mode == "reject":
            raise InputRejected("the run is not done")
        if mode == "wait":
            print("gate waits")
            time.sleep(60)
        return node
get_ipython().ast_transformers.append(Gate())
"""


def texts(cell: Any) -> list[str]:
    return [o.text if o.output_type == "stream" else o.data["text/plain"] for o in cell.outputs]


def test_output_that_names_its_parent_stays_under_its_cell(opened: Open) -> None:
    """Sent by a thread while another cell runs: in order, returns honoured, displays updated, and saved."""
    book = opened([SEND, "for n in range(6):\n    print('other', n)\n    time.sleep(0.5)"])
    book.run(0)
    book.run(1)
    book.until(lambda: "last" in book.output(0))
    assert "".join(f"other {n}\n" for n in range(6)) == "".join(texts(book.saved().cells[1]))
    assert ["cell is done\np 2\n", "second", "last\n"] == texts(book.saved().cells[0])


def test_somebody_who_can_be_asked_is_seen_by_allow_stdin(opened: Open) -> None:
    """JupyterLab allows questions, our own request without a cell does not, as nbclient does not."""
    ask = "print(get_ipython().kernel.get_parent('shell')['content'].get('allow_stdin'))"
    book = opened([ask])
    book.run(0)
    assert "True" == book.output(0).strip()
    assert "False" == book.call(ask).strip()


def test_a_rejected_cell_does_not_run_and_run_all_stops_there(opened: Open) -> None:
    """InputRejected of an AST transformer is an error of that cell; the transformer stays and later cells work."""
    book = opened([GATE, "Gate.mode = 'reject'", "print('must not run')", "print('after')"])
    book.command("notebook:run-all-cells")
    book.until(lambda: "the run is not done" in book.output(2) and book.status() == "idle")
    assert "must not run\n" not in book.output(2).split("InputRejected")[0]
    assert "" == book.output(3)
    book.run(3)
    assert "after" == book.output(3).strip()


def test_interrupt_stops_a_cell_that_waits_in_a_transformer(opened: Open) -> None:
    """The cell ends with KeyboardInterrupt and has not run; the transformer stays."""
    book = opened(
        [GATE + "Gate.mode = 'wait'", "print('must' + ' not run')", "print(len(get_ipython().ast_transformers))"]
    )
    book.run(0)
    book.run(1, wait=False)
    book.until(lambda: "gate waits" in book.output(1))
    book.command("notebook:interrupt-kernel")
    book.until(lambda: "KeyboardInterrupt" in book.output(1))
    assert "must not run" not in book.output(1)
    book.run(2)
    assert "1" == book.output(2).strip()
