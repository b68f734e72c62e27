"""Settings of libraries: where each is found, and how it is set. Nothing here loads one by itself."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from greenkernel.runner.setting_kinds.kind import Kind, Values


def _take_numpy_print(_: Path) -> dict[str, Any]:
    return dict(sys.modules["numpy"].get_printoptions())


def _put_numpy_print(values: Values, _: Path) -> None:
    sys.modules["numpy"].set_printoptions(**_accepted(sys.modules["numpy"].set_printoptions, values))


_CALL = "the function that is called"


def _take_numpy_errors(_: Path) -> dict[str, Any]:
    numpy = sys.modules["numpy"]
    return {**numpy.geterr(), _CALL: numpy.geterrcall()}


def _put_numpy_errors(values: Values, _: Path) -> None:
    numpy = sys.modules["numpy"]
    if _CALL in values:
        numpy.seterrcall(values[_CALL])
    numpy.seterr(**{name: value for name, value in values.items() if name != _CALL})


def _take_sklearn(_: Path) -> dict[str, Any]:
    return dict(sys.modules["sklearn"].get_config())


def _put_sklearn(values: Values, _: Path) -> None:
    sys.modules["sklearn"].set_config(**_accepted(sys.modules["sklearn"].set_config, values))


def _take_pandas(_: Path) -> dict[str, Any]:
    def flat(part: Mapping[str, Any], above: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in part.items():
            found |= flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
        return found

    return flat(sys.modules["pandas"].options.d, "")


def _put_pandas(values: Values, root: Path) -> None:
    known = _take_pandas(root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some options are deprecated
        for name, value in values.items():
            if name in known:
                sys.modules["pandas"].set_option(name, value)


# What depends on the process rather than on the user.
_NOT_RC = frozenset({"backend", "backend_fallback", "interactive", "toolbar", "datapath", "webagg.open_in_browser"})


def _take_matplotlib(_: Path) -> dict[str, Any]:
    params = sys.modules["matplotlib"].rcParams
    return {name: _copied(dict.__getitem__(params, name)) for name in list(params) if name not in _NOT_RC}


def _put_matplotlib(values: Values, root: Path) -> None:
    known = _take_matplotlib(root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in values.items():
            if name in known:
                sys.modules["matplotlib"].rcParams[name] = value


def _take_interactive(_: Path) -> dict[str, Any]:
    """``plt.ioff()``, once there is a backend: it turns this on when it is loaded."""
    if getattr(sys.modules["matplotlib.pyplot"], "_backend_mod", None) is None:
        return {}
    return {"interactive": sys.modules["matplotlib"].is_interactive()}


def _put_interactive(values: Values, _: Path) -> None:
    sys.modules["matplotlib.pyplot"]._get_backend_mod()
    if values["interactive"] is not None:
        sys.modules["matplotlib"].interactive(values["interactive"])


def _take_colours(_: Path) -> dict[str, Any]:
    """What ``"b"`` and the like mean, which seaborn's ``set_theme`` changes, and colours that were given names."""
    module = sys.modules["matplotlib.colors"]
    known = module.get_named_colors_mapping()
    long = ("xkcd:", "tab:")
    return {
        name: value for name, value in known.items() if name not in module.CSS4_COLORS and not name.startswith(long)
    }


def _put_colours(values: Values, _: Path) -> None:
    known = sys.modules["matplotlib.colors"].get_named_colors_mapping()
    for name, value in values.items():
        if value is None:
            known.pop(name, None)
        else:
            known[name] = value
    known.cache.clear()


def _take_colormaps(_: Path) -> dict[str, Any]:
    """Colormaps that were registered, such as by seaborn when it is imported."""
    known = sys.modules["matplotlib"].colormaps
    return {name: known[name] for name in known if name not in known._builtin_cmaps}


def _put_colormaps(values: Values, _: Path) -> None:
    known = sys.modules["matplotlib"].colormaps
    for name, value in values.items():
        if name in known and name not in known._builtin_cmaps:
            known.unregister(name)
        if value is not None:
            known.register(value, name=name)


def _take_experimental(_: Path) -> dict[str, Any]:
    """What ``from sklearn.experimental import enable_...`` has allowed."""
    return dict.fromkeys(sorted(name for name in sys.modules if name.startswith("sklearn.experimental.enable_")), True)


def _put_experimental(values: Values, _: Path) -> None:
    for name in values:
        importlib.import_module(name)


_ALTAIR = ("data_transformers", "renderers")


def _take_altair(_: Path) -> dict[str, Any]:
    altair = sys.modules["altair"]
    registries = {name: getattr(altair, name) for name in _ALTAIR}
    return {name: (one.active, dict(one.options)) for name, one in registries.items()}


def _put_altair(values: Values, _: Path) -> None:
    for name, (active, options) in values.items():
        getattr(sys.modules["altair"], name).enable(active or None, **options)


def _take_xarray(_: Path) -> dict[str, Any]:
    return dict(sys.modules["xarray"].get_options())


def _put_xarray(values: Values, _: Path) -> None:
    sys.modules["xarray"].set_options(**values)


def _take_plotly(_: Path) -> dict[str, Any]:
    return {"template": sys.modules["plotly.io"].templates.default}


def _put_plotly(values: Values, _: Path) -> None:
    sys.modules["plotly.io"].templates.default = values["template"]


_SYMPY_FORMS = ("_repr_png_", "_repr_svg_", "_repr_latex_")


def _take_sympy(_: Path) -> dict[str, Any]:
    """How ``init_printing`` lets expressions be shown."""
    return {form: vars(sys.modules["sympy.printing.defaults"].Printable)[form] for form in _SYMPY_FORMS}


def _put_sympy(values: Values, _: Path) -> None:
    for form, function in values.items():
        setattr(sys.modules["sympy.printing.defaults"].Printable, form, function)


_MPMATH = ("prec", "pretty", "trap_complex")


def _take_mpmath(_: Path) -> dict[str, Any]:
    return {name: getattr(sys.modules["mpmath"].mp, name) for name in _MPMATH}


def _put_mpmath(values: Values, _: Path) -> None:
    for name, value in values.items():
        setattr(sys.modules["mpmath"].mp, name, value)


# No test has PyTorch.
def _take_torch(_: Path) -> dict[str, Any]:
    torch = sys.modules["torch"]
    return {
        "dtype": str(torch.get_default_dtype()).removeprefix("torch."),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "random state": torch.get_rng_state().numpy().tobytes(),
        "gradients": torch.is_grad_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "printing": dict(vars(sys.modules["torch._tensor_str"].PRINT_OPTS)),
    }


def _put_torch(values: Values, _: Path) -> None:
    torch = sys.modules["torch"]
    if "dtype" in values:
        torch.set_default_dtype(getattr(torch, values["dtype"]))
    if "deterministic" in values:
        torch.use_deterministic_algorithms(values["deterministic"])
    if "random state" in values:
        torch.set_rng_state(torch.frombuffer(bytearray(values["random state"]), dtype=torch.uint8))
    if "gradients" in values:
        torch.set_grad_enabled(values["gradients"])
    if "precision" in values:
        torch.set_float32_matmul_precision(values["precision"])
    if "printing" in values:
        torch.set_printoptions(**_accepted(torch.set_printoptions, values["printing"]))


def _take_jax(_: Path) -> dict[str, Any]:
    return {
        name: value
        for name, value in sys.modules["jax"].config.values.items()
        if value is None or isinstance(value, bool | int | float | str)
    }


def _put_jax(values: Values, _: Path) -> None:
    for name, value in values.items():
        with contextlib.suppress(Exception):  # of the devices, which are chosen by now
            sys.modules["jax"].config.update(name, value)


def _take_keras(_: Path) -> dict[str, Any]:
    config = sys.modules["keras"].config
    return {
        "floatx": config.floatx(),
        "epsilon": config.epsilon(),
        "image_data_format": config.image_data_format(),
        "dtype_policy": config.dtype_policy().name,
    }


def _put_keras(values: Values, _: Path) -> None:
    for name, value in values.items():
        getattr(sys.modules["keras"].config, f"set_{name}")(value)


def _take_bokeh(_: Path) -> dict[str, Any]:
    state = sys.modules["bokeh.io.state"].curstate()
    return {"notebook": state.notebook_type if state.notebook else None}


def _put_bokeh(values: Values, _: Path) -> None:
    if values["notebook"]:
        sys.modules["bokeh.io.state"].curstate().output_notebook(values["notebook"])


def _take_holoviews(_: Path) -> dict[str, Any]:
    """What ``hv.extension`` has loaded, the one in use first."""
    store = sys.modules["holoviews.core.options"].Store
    loaded = store.loaded_backends()
    return {"backends": sorted(loaded, key=lambda name: name != store.current_backend)} if loaded else {}


def _put_holoviews(values: Values, _: Path) -> None:
    from IPython.core.getipython import get_ipython
    from IPython.utils.capture import capture_output

    if values["backends"]:
        with capture_output():  # its scripts were shown where it was called
            sys.modules["holoviews"].extension(*values["backends"], logo=False, ip=get_ipython())


def _copied(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


def _accepted(function: Callable[..., Any], values: Values) -> dict[str, Any]:
    known = inspect.signature(function).parameters
    return {name: value for name, value in values.items() if name in known}


KINDS: tuple[Kind, ...] = (
    Kind(
        name="numpy print",
        title="numpy's print options",
        module="numpy",
        take=_take_numpy_print,
        put=_put_numpy_print,
    ),
    Kind(
        name="numpy errors",
        title="numpy's error handling",
        module="numpy",
        take=_take_numpy_errors,
        put=_put_numpy_errors,
    ),
    Kind(name="pandas", title="options of pandas", module="pandas", take=_take_pandas, put=_put_pandas),
    Kind(name="sklearn", title="scikit-learn's configuration", module="sklearn", take=_take_sklearn, put=_put_sklearn),
    Kind(
        name="matplotlib",
        title="matplotlib's rcParams",
        module="matplotlib",
        take=_take_matplotlib,
        put=_put_matplotlib,
    ),
    Kind(
        name="interactive",
        title="whether figures show by themselves",
        module="matplotlib.pyplot",
        take=_take_interactive,
        put=_put_interactive,
    ),
    Kind(name="colours", title="colours", module="matplotlib.colors", take=_take_colours, put=_put_colours),
    Kind(
        name="colormaps",
        title="colormaps",
        module="matplotlib",
        take=_take_colormaps,
        put=_put_colormaps,
    ),
    Kind(
        name="experimental",
        title="what sklearn.experimental allows",
        module="sklearn",
        take=_take_experimental,
        put=_put_experimental,
    ),
    Kind(name="altair", title="options of altair", module="altair", take=_take_altair, put=_put_altair),
    Kind(
        name="sympy",
        title="how sympy shows expressions",
        module="sympy.printing.defaults",
        take=_take_sympy,
        put=_put_sympy,
    ),
    Kind(name="mpmath", title="settings of mpmath", module="mpmath", take=_take_mpmath, put=_put_mpmath),
    Kind(name="torch", title="settings of PyTorch", module="torch", take=_take_torch, put=_put_torch),
    Kind(name="jax", title="settings of JAX", module="jax", take=_take_jax, put=_put_jax),
    Kind(name="keras", title="settings of Keras", module="keras", take=_take_keras, put=_put_keras),
    Kind(name="bokeh", title="where bokeh shows", module="bokeh.io.state", take=_take_bokeh, put=_put_bokeh),
    Kind(
        name="holoviews",
        title="extensions of HoloViews",
        module="holoviews",
        take=_take_holoviews,
        put=_put_holoviews,
        early=True,
    ),
    Kind(name="xarray", title="options of xarray", module="xarray", take=_take_xarray, put=_put_xarray),
    Kind(name="plotly", title="the template of plotly", module="plotly.io", take=_take_plotly, put=_put_plotly),
)
