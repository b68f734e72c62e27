"""The frame of the chart: Vega-Lite layers over named data sets, in the colours of the page around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

WIDTH_PX: Final = 640
HEIGHT_PX: Final = 200
LANES_PX: Final = {"plan": (2, 18), "was": (22, 38)}
"""Where the bars of the plan and those of the stays lie, from the top."""

_INK: Final = "currentColor"
# Okabe and Ito's colours, as far as they keep 3:1 against white and against JupyterLab's dark background.
_COLOURS: Final = ("#0a84c6", "#d55e00", "#00916a", "#b8609a", "#9a7d00", "#7a7a7a")
_DASHES: Final = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 4], [12, 2])
_CLOCK: Final = "utcFormat(datum.value, utchours(datum.value) + utcminutes(datum.value) == 0 ? '%d %b' : '%H:%M')"
_AXIS: Final = {"title": None, "labelOverlap": True, "labelExpr": _CLOCK, "tickCount": 10}
_X: Final[dict[str, Any]] = {"field": "at", "type": "temporal", "scale": {"type": "utc"}, "axis": _AXIS}
_Y: Final[dict[str, Any]] = {"field": "g", "type": "quantitative", "axis": {"title": None, "tickCount": 5}}


def frame(sites: Sequence[str]) -> dict[str, Any]:
    """Everything of the spec but its title and its data."""
    number = range(len(sites))
    by_site = {"field": "site", "type": "nominal", "legend": None}
    colour = {"domain": list(sites), "range": [_COLOURS[n % len(_COLOURS)] for n in number]}
    dash = {"domain": list(sites), "range": [_DASHES[n % len(_DASHES)] for n in number]}
    coloured, dashed = {**by_site, "scale": colour}, {**by_site, "scale": dash}
    return {
        "width": WIDTH_PX,
        "height": HEIGHT_PX,
        "background": "transparent",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": {"left": 2, "right": 70, "top": 2, "bottom": 2},
        "layer": [*_lines(coloured, dashed), *_bars(coloured, dashed), *_rules("now"), *_rules("due")],
        "config": _config(),
    }


def _lines(coloured: dict[str, Any], dashed: dict[str, Any]) -> list[dict[str, Any]]:
    """Intensities as steps with their names at the end; the edges only make room for what is above."""
    tip = [
        {"field": "site", "type": "nominal"},
        {"field": "at", "type": "temporal", "timeUnit": "utcyearmonthdatehoursminutes", "title": "from"},
        {"field": "g", "type": "quantitative", "title": "g CO2e/kWh"},
        {"field": "kind", "type": "nominal"},
    ]
    return [
        {"data": {"name": "edges"}, "mark": {"type": "point", "opacity": 0}, "encoding": {"x": _X, "y": _Y}},
        {
            "data": {"name": "lines"},
            "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2},
            "encoding": {"x": _X, "y": _Y, "color": coloured, "strokeDash": dashed, "tooltip": tip},
        },
        {
            "data": {"name": "names"},
            "mark": {"type": "text", "align": "left", "dx": 5, "fontWeight": "bold", "limit": 64},
            "encoding": {"x": _X, "y": _Y, "text": {"field": "site"}, "color": coloured},
        },
    ]


def _bars(coloured: dict[str, Any], dashed: dict[str, Any]) -> list[dict[str, Any]]:
    """Plan and stays as bars near the top, underlined with the dashes of their site."""
    span = {"x": _X, "x2": {"field": "to"}, "color": coloured}
    pixels = {"scale": None, "type": "quantitative"}
    tip = [{"field": "lane", "type": "nominal"}, {"field": "site", "type": "nominal"}]
    top, bottom = {"field": "top", **pixels}, {"field": "bottom", **pixels}
    return [
        {
            "data": {"name": "bars"},
            "mark": {"type": "rect", "opacity": 0.2},
            "encoding": {**span, "y": top, "y2": {"field": "bottom"}, "tooltip": tip},
        },
        {
            "data": {"name": "bars"},
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {**span, "y": bottom, "strokeDash": dashed},
        },
        {
            "data": {"name": "bars"},
            "mark": {"type": "text", "align": "left", "dx": 4, "dy": 8, "baseline": "middle", "color": _INK},
            "encoding": {"x": _X, "y": top, "text": {"field": "label"}},
        },
    ]


def _rules(what: str) -> list[dict[str, Any]]:
    """One upright line with its name at the bottom."""
    common = {"data": {"name": "rules"}, "transform": [{"filter": f"datum.what === '{what}'"}]}
    due = what == "due"
    line = {"type": "rule", "color": _INK, "strokeWidth": 1.5, "strokeDash": [5, 3] if due else [1, 0]}
    align, dx = ("right", -4) if due else ("left", 4)
    text = {"type": "text", "align": align, "dx": dx, "baseline": "bottom", "color": _INK}
    said = {"y": {"value": HEIGHT_PX - 3}, "text": {"field": "label"}}
    return [
        {**common, "mark": line, "encoding": {"x": _X}},
        {**common, "mark": text, "encoding": {"x": _X, **said}},
    ]


def _config() -> dict[str, Any]:
    """Colours of the page around it, in light and in dark."""
    return {
        "view": {"stroke": None},
        "axis": {
            "labelColor": _INK,
            "titleColor": _INK,
            "tickColor": _INK,
            "domainColor": _INK,
            "gridColor": _INK,
            "gridOpacity": 0.12,
            "tickOpacity": 0.4,
            "domainOpacity": 0.4,
        },
        "title": {"color": _INK, "subtitleColor": _INK, "fontSize": 12, "subtitleFontSize": 11},
        "text": {"fontSize": 11},
    }
