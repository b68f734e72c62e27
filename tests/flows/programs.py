"""Random small programs: assignments, aliases, changes in place, loops in loops, functions and errors."""

from __future__ import annotations

from random import Random

_NAMES = ("a", "b", "c", "d")


def program(seed: int) -> str:
    """A program that ends, the same for the same seed; it may end with an error."""
    dice = Random(seed)
    head = [
        "import random",
        f"random.seed({seed})",
        "a, b, c, d = [], {}, [0], 0",
        "def note(box, value):\n    box.append(value)\n    return box",
        "def total(values):\n    s = 0\n    for v in values: s += v if isinstance(v, int) else 1\n    return s",
    ]
    return "\n".join([*head, *(_statement(dice, 0) for _ in range(dice.randint(4, 9)))])


def _statement(dice: Random, depth: int) -> str:
    kinds = [_assigned, _changed, _printed, _aliased, _called]
    if depth < 3:
        kinds += [_for, _while, _if, _try, _for]
    return dice.choice(kinds)(dice, depth)


def _block(dice: Random, depth: int) -> str:
    lines = [_statement(dice, depth + 1) for _ in range(dice.randint(1, 3))]
    return "\n".join(f"    {line}" for text in lines for line in text.splitlines())


def _value(dice: Random) -> str:
    return dice.choice(("1", "d", "len(str(a))", "random.random()", "[d]", "(d, 2)", "{'k': d}", "'x' * (d % 3)", "c"))


def _assigned(dice: Random, _: int) -> str:
    return dice.choice(
        ("d = d + 1", f"d = {dice.randint(0, 5)}", f"c = [{_value(dice)}]", "d = int(random.random() * 9)")
    )


def _changed(dice: Random, _: int) -> str:
    return dice.choice(
        (
            f"a.append({_value(dice)})",
            f"b[d % 3] = {_value(dice)}",
            "c += [d]",
            "a.reverse()",
            "b.pop(d, None)",
            "del a[:1]",
        )
    )


def _printed(dice: Random, _: int) -> str:
    return dice.choice(("print(d, len(a))", "print(sorted(map(str, b)))", "print(end='.')", "d"))


def _aliased(dice: Random, _: int) -> str:
    return dice.choice(("e = a", "b['a'] = a", "a.append(c)", "c = a", "f = [a, c]", "a = list(a)"))


def _called(dice: Random, _: int) -> str:
    return dice.choice((f"g = note(a, {_value(dice)})", "h = total(c)", "note(c, d)", "h = total([1, 2, 3])"))


def _for(dice: Random, depth: int) -> str:
    name = f"i{depth}"
    data = dice.choice(
        (
            "range(3)",
            "'ab'",
            "list(b)",
            "enumerate([1, 2])",
            "zip('ab', range(5))",
            "a[:3]",
            "reversed([1, 2])",
            "{1: 2}.items()",
        )
    )
    ends = dice.choice(
        ("", "", "\n    if d > 4: break", "\n    if d % 2: continue\n    d += 1", "\nelse:\n    a.append('else')")
    )
    return f"for {name} in {data}:\n{_block(dice, depth)}{ends}"


def _while(dice: Random, depth: int) -> str:
    name = f"w{depth}"
    return f"{name} = 0\nwhile {name} < {dice.randint(1, 3)}:\n    {name} += 1\n{_block(dice, depth)}"


def _if(dice: Random, depth: int) -> str:
    test = dice.choice(("d % 2", "len(a) > 2", "not b", "random.random() < 0.5"))
    return f"if {test}:\n{_block(dice, depth)}\nelse:\n{_block(dice, depth)}"


def _try(dice: Random, depth: int) -> str:
    bad = dice.choice(("    1 / (d % 2)", "    [][d]", "    int('x')", "    pass"))
    ends = "except Exception as e:\n    a.append(type(e).__name__)\nfinally:\n    d += 1"
    return f"try:\n{_block(dice, depth)}\n{bad}\n{ends}"
