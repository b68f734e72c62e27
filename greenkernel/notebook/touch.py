"""What a cell may touch, read off its text: enough to show that a later cell is independent of one that is pending.

Nothing here proves that a cell does something; everything that cannot be shown to be harmless counts as touched.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import inspect
import re
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from greenkernel.cell.names import analyse
from greenkernel.notebook.executed import executed, without_idle
from greenkernel.store.attributes import attribute_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PATH = re.compile(r"(^|[\w\s])[\w.-]*/[\w./-]*|^[^\s/]+\.[A-Za-z][A-Za-z0-9]{0,7}$")
_WRITING = re.compile(
    r"^(to_|save|dump(?!s)|write|mkdir|makedirs|touch|unlink|remove|rename|rmtree|copy|move|log_|run$|call$|Popen)"
)
_READING = re.compile(
    r"^(read(?!y)|load|open|imread|fromfile|genfromtxt|memmap|listdir|scandir|walk|i?glob|rglob|iterdir|exists|is_?file"
    r"|is_?dir|stat$|getsize|getmtime|system|getoutput|popen|sx|import_module|reload|connect)"
)
_SETTING = re.compile(
    r"^(set_(option|config|printoptions|theme|style|context|palette|matplotlib_formats|backend|default)|seterr"
    r"|setlocale|setrecursionlimit|options$|rcParams|rc$|use$|filterwarnings|simplefilter|environ|putenv|chdir"
    r"|basicConfig|setLevel|addHandler|getcontext|setcontext|path$|register|seed$|manual_seed|set_state)"
)
# Their calls change nothing that another cell sees, whatever they are given; what they return is new.
_HARMLESS_BUILTINS = _words("""
    abs all any ascii bin bool bytes callable chr complex dict divmod enumerate filter float format frozenset getattr
    hasattr hash hex id int isinstance issubclass iter len list map max min object oct ord pow print range repr
    reversed round set slice sorted str sum tuple type zip display
""")
_HARMLESS_MODULES = _words(
    "math cmath statistics operator itertools functools collections string re json time datetime"
)
_STATELESS = _HARMLESS_MODULES | _words("numpy pandas scipy sklearn pathlib")
_NUMPY_STATE = _words("random save savez savez_compressed savetxt load loadtxt fromfile memmap seterr seterrcall")
_FRAME_VIEWS = _words("""
    head tail describe info copy mean sum std var min max median count nunique unique value_counts groupby agg dtypes
    astype isna notna sort_values sort_index corr items iterrows itertuples keys values round T reset_index
""")
_DRAWING = re.compile(
    r"^(fit(_\w+)?|sample|shuffle|resample|permutation\w*|choices?|bootstrap\w*|make_\w+|train\w*|simulate\w*|cross_val\w*"
    r"|learning_curve|validation_curve)$"
)
_SEEDS = frozenset({"random_state", "seed", "rng", "generator"})
_OUR_MAGICS = frozenset({"greenruns", "greensites", "greenreport"})
_FOR_PROGRAMS = frozenset({"bash", "sh", "script", "writefile", "file", "perl", "ruby"})
_QUIET_MAGICS = _words("time timeit capture html javascript latex markdown matplotlib load_ext config pwd precision")
_LAST_VALUES = re.compile(r"^(_{1,3}|_\d+|Out|_oh)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """What a cell may touch.

    Attributes:
        reads: Names of the notebook that it reads, through the notebook's functions.
        binds: Names that it binds or deletes.
        changes: Names whose objects it may change in place: receivers of method calls, of subscripts and attributes.
        unknown: What it does that cannot be shown to be harmless, in a few words; empty where there is nothing.
        files: True where it may read or write files, those of modules included.
        settings: True where it may change process-wide settings or random states.
        last_value: True where it reads ``_``, ``Out`` and the like.
        shows: True where it shows values, which depends on settings.
        draws: True where libraries that it calls may draw from the global random generators.
        computed: How it reaches names that its text does not tell, such as ``eval``; empty where it does not.
        inner: The text of a cell of ours inside it; its own effects are elsewhere.
    """

    reads: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    unknown: str = ""
    files: bool = False
    settings: bool = False
    last_value: bool = False
    shows: bool = False
    draws: bool = False
    computed: str = ""
    inner: str | None = None


def touched(tree: ast.Module, namespace: Mapping[str, object], *, whole: bool = False) -> Touch:
    """What a transformed cell may touch.

    Args:
        tree: The cell.
        namespace: The notebook as it is now.
        whole: Count what functions defined in the cell do, too; else a cell that calls one has unknown effects.
    """
    inner = _our_cell(tree)
    if inner is not None:
        return _of_ours(inner, namespace)
    if _only_our_magics(tree):
        return Touch()
    # What functions of the cell do, they do when they are called: of those that nobody uses bodies touch nothing.
    names = analyse(ast.unparse(tree if whole else without_idle(tree)), namespace)
    runs = list(ast.walk(tree) if whole else executed(tree))
    every = {node.id for node in runs if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    texts = [text for text in names.texts if _PATH.search(text)]
    attributes = _attributes(tree) | _inside(names.reads, namespace)
    programs, magics = _strange_magics(tree)
    uses_files = any(_WRITING.match(name) or _READING.match(name) for name in attributes | every)
    return Touch(
        reads=frozenset(names.reads) | (frozenset(every) - frozenset(dir(builtins))),
        binds=frozenset({*names.binds, *names.deletes}),
        changes=frozenset(_changes(tree, namespace, names.reads)),
        unknown=names.computed or _unknown(tree, namespace),
        computed=names.computed,
        draws=_draws(tree, namespace),
        files=bool(texts) or uses_files or programs or magics or any(_is_near(node) for node in runs),
        settings=any(_SETTING.match(name) for name in attributes) or magics,
        last_value=any(_LAST_VALUES.match(name) for name in every),
        shows=any(isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant) for node in tree.body),
    )


def _of_ours(inner: str, namespace: Mapping[str, object]) -> Touch:
    """Of a cell that is sent away only what it reads matters here; what it does, it does elsewhere."""
    from greenkernel.cell.transform import to_python
    from greenkernel.errors import UserError

    try:
        found = touched(ast.parse(to_python(inner, "<cell>")), namespace, whole=True)
    except UserError:  # it will be refused in a moment
        return Touch(inner=inner)
    return Touch(
        reads=found.reads,
        binds=found.binds,
        changes=found.changes,
        files=found.files,
        settings=found.settings,
        last_value=found.last_value,
        computed=found.computed,
        draws=found.draws,
        inner=inner,
    )


def why_not_independent(later: Touch, pending: Touch, shared: frozenset[str]) -> str:
    """Why a cell must wait for one that was sent before; empty where it is shown not to.

    Args:
        later: The cell that is about to run.
        pending: The cell that was sent.
        shared: Names that ``later`` reads and whose objects hold something that ``pending`` may change.
    """
    touched_names = later.reads & (pending.binds | pending.changes)
    if touched_names:
        return f"it uses {', '.join(sorted(touched_names))}"
    if shared:
        return f"{', '.join(sorted(shared))} may hold what the run changes"
    if later.last_value:
        return "it uses the last value"
    if pending.settings and (later.unknown or later.settings or later.shows or later.inner is not None):
        return "the run may change settings"
    if later.files and pending.files:
        return "it uses files, and the run may write some"
    if later.inner is not None and later.draws and pending.draws:
        return "both may draw random numbers"
    if later.inner is not None:
        bound = pending.binds | pending.changes
        return f"it may use what the run binds ({later.computed})" if later.computed and bound else ""
    return f"its effects are not known ({later.unknown})" if later.unknown else ""


# --- reading the tree ---------------------------------------------------------------------------------------------


def _our_cell(tree: ast.Module) -> str | None:
    for node in ast.walk(tree):
        texts = _magic(node, "run_cell_magic")
        if texts is not None and len(texts) == 3:
            if texts[0] == "greentrain":
                return texts[2]
            if "%%greentrain" in texts[2]:
                _, _, below = texts[2].partition("%%greentrain")
                return below.partition("\n")[2]
    return None


def _only_our_magics(tree: ast.Module) -> bool:
    def ours(node: ast.stmt) -> bool:
        texts = _magic(node.value, "run_line_magic") if isinstance(node, ast.Expr) else None
        return texts is not None and bool(texts) and texts[0] in _OUR_MAGICS

    return bool(tree.body) and all(ours(node) for node in tree.body)


def _magic(node: ast.AST, method: str) -> list[str] | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
        return [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return None


def _strange_magics(tree: ast.AST) -> tuple[bool, bool]:
    """Whether the cell has text for other programs, and whether it has magics of which nothing is known."""
    programs = unknown = False
    for node in ast.walk(tree):
        cell, line = _magic(node, "run_cell_magic") or [""], _magic(node, "run_line_magic") or [""]
        programs |= cell[0] in _FOR_PROGRAMS
        unknown |= cell[0] not in _FOR_PROGRAMS | _QUIET_MAGICS | {""}
        unknown |= line[0] not in _OUR_MAGICS | _QUIET_MAGICS | {""}
    return programs, unknown


def _is_near(node: ast.AST) -> bool:
    """True for an import of what is not loaded and not installed: a module of the notebook's, or one yet to come."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom):
        names = [node.module or ""]
    return any(_is_file_of_ours(name.partition(".")[0]) for name in names)


def _is_file_of_ours(module: str) -> bool:
    if module in sys.modules or module in sys.stdlib_module_names:
        return False
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return True
    places = [spec.origin or "", *(spec.submodule_search_locations or ())] if spec is not None else []
    return not any("site-packages" in place or "dist-packages" in place for place in places)


def _inside(reads: tuple[str, ...], namespace: Mapping[str, object]) -> set[str]:
    """Names that the notebook's functions and classes use which a cell reads."""
    mine = [value for name in reads if attribute_of(value := namespace.get(name), "__module__") == "__main__"]
    members = [member for value in mine for member in (vars(value).values() if isinstance(value, type) else [value])]
    found: set[str] = set()
    queue: list[object] = [member.__code__ for member in members if isinstance(member, types.FunctionType)]
    while queue:
        code = queue.pop()
        if isinstance(code, types.CodeType):
            found.update(code.co_names)
            queue += code.co_consts
    return found


def _attributes(tree: ast.AST) -> set[str]:
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return names | called


def _changes(tree: ast.AST, namespace: Mapping[str, object], reads: tuple[str, ...]) -> Iterator[str]:
    """Receivers in the cell itself; of the notebook's functions every object that they read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if not _keeps_nothing(node.func, namespace):
                yield from _root(node.func.value)
        elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            yield from _root(node.value)
        elif isinstance(node, ast.AugAssign):
            yield from _root(node.target)
        elif isinstance(node, ast.For | ast.AsyncFor):
            yield from _root(node.iter)
    direct = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for name in reads:
        value = namespace.get(name)
        plain = isinstance(value, types.ModuleType | types.FunctionType | type | str | int | float | bool | None)
        if name not in direct and not plain:
            yield name


def _draws(tree: ast.AST, namespace: Mapping[str, object]) -> bool:
    """True where something is called that draws in many libraries, and is not shown to have a seed, or to need none."""
    made = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        function = node.func if isinstance(node, ast.Call) else None
        called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if isinstance(node, ast.Call) and _DRAWING.match(called) and not _is_seeded(node, namespace):
            owner = function.value if isinstance(function, ast.Attribute) else None
            owner = made.get(owner.id, owner) if isinstance(owner, ast.Name) else owner
            if owner is None or not _is_seeded(owner, namespace):
                return True
    return False


def _is_seeded(node: ast.AST, namespace: Mapping[str, object]) -> bool:
    """True for a call with a seed or of a class that takes none, and for an object that has one, or needs none."""
    if isinstance(node, ast.Name):
        value = namespace.get(node.id)
        if type(value).__module__.partition(".")[0] != "sklearn" or not hasattr(value, "get_params"):
            return False
        seeds = [seed for name, seed in value.get_params().items() if name.rpartition("__")[2] == "random_state"]
        return None not in seeds
    if not isinstance(node, ast.Call):
        return False
    if any(
        k.arg in _SEEDS and not (isinstance(k.value, ast.Constant) and k.value.value is None) for k in node.keywords
    ):
        return True
    kind = namespace.get(node.func.id) if isinstance(node.func, ast.Name) else None
    if not isinstance(kind, type) or kind.__module__.partition(".")[0] != "sklearn":
        return False
    return "random_state" not in inspect.signature(kind).parameters and not node.args


def _keeps_nothing(function: ast.Attribute, namespace: Mapping[str, object]) -> bool:
    """True for calls of libraries that keep nothing of them, but for random states and settings."""
    value = namespace.get(next(_root(function), ""))
    module = value.__name__ if isinstance(value, types.ModuleType) else attribute_of(value, "__module__")
    is_code = isinstance(value, types.ModuleType | type | types.FunctionType)
    words = set(ast.unparse(function).split("."))
    return is_code and str(module).partition(".")[0] in _STATELESS and not words & _NUMPY_STATE


def _root(node: ast.AST) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Name):
        yield node.id


# --- harmless cells -----------------------------------------------------------------------------------------------


def _unknown(tree: ast.Module, namespace: Mapping[str, object]) -> str:
    """The first thing of the cell that is not known to be harmless, in a few words."""
    made = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    modules = {a.asname or a.name: types.ModuleType(a.name) for node in imports for a in node.names}
    known = {**namespace, **modules}
    for node in executed(tree):
        if isinstance(node, ast.Call) and not _harmless_call(node, known, made):
            return f"{ast.unparse(node.func)[:40]}()"
        if isinstance(node, ast.With | ast.AsyncWith | ast.Await | ast.AsyncFor | ast.ImportFrom):
            if isinstance(node, ast.ImportFrom) and all(alias.name != "*" for alias in node.names):
                continue
            return type(node).__name__.lower()
        if isinstance(node, ast.ClassDef) and (node.keywords or node.decorator_list):
            return f"class {node.name}"
    return ""


def _harmless_call(call: ast.Call, namespace: Mapping[str, object], made: set[str]) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        name = function.id
        shadowed = name in made or (name in namespace and name != "display")
        return name == "get_ipython" or (name in _HARMLESS_BUILTINS and not shadowed)
    if not isinstance(function, ast.Attribute):
        return False
    texts = _magic(call, "run_line_magic")
    if texts is not None:
        return bool(texts) and (texts[0] in _OUR_MAGICS or texts[0] in _QUIET_MAGICS)
    if isinstance(function.value, ast.Call) and isinstance(function.value.func, ast.Name):
        return False  # get_ipython().system(...) and the like
    return _harmless_method(function, namespace, made)


def _harmless_method(function: ast.Attribute, namespace: Mapping[str, object], made: set[str]) -> bool:
    if isinstance(function.value, ast.Constant | ast.JoinedStr):
        return True
    roots = list(_root(function.value))
    if not roots or roots[0] in made:
        return False
    value = namespace.get(roots[0])
    if isinstance(value, types.ModuleType):
        words = set(ast.unparse(function).split("."))
        if value.__name__ == "numpy":
            return not words & _NUMPY_STATE and "print" not in function.attr
        return value.__name__ in _HARMLESS_MODULES and not _WRITING.match(function.attr)
    if type(value) in (list, dict, set, str, tuple, bytes, int, float, frozenset, bytearray):
        return isinstance(function.value, ast.Name)
    if type(value).__module__.partition(".")[0] == "pandas" and isinstance(function.value, ast.Name):
        return function.attr in _FRAME_VIEWS
    return type(value).__module__ == "numpy" and function.attr not in ("tofile", "dump")
