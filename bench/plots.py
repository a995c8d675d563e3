"""Plots for the benchmarks page."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

Rows = Sequence[dict[str, Any]]


def plot(name: str, figures: Any, path: Path) -> bool:
    """Draw the figures of one part as a PNG; return whether there is a plot for it."""
    draw = _PLOTS.get(name)
    if draw is None:
        return False
    panels = draw(figures)
    if not panels:
        return False
    figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.4), squeeze=False)
    try:
        for axis, panel in zip(axes[0], panels, strict=True):
            panel(axis)
            axis.spines[["top", "right"]].set_visible(False)
        figure.tight_layout()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100, metadata={"Software": ""})
    finally:
        plt.close(figure)
    return True


Panel = Callable[[Axes], None]


def _speed(rows: Rows) -> list[Panel]:
    by_table = {name: [row for row in rows if row["table"] == name] for name in ("sizes", "length")}
    panels: list[Panel] = []
    if by_table["sizes"]:
        panels.append(lambda axis: _ratios(axis, by_table["sizes"]))
    if by_table["length"]:
        panels.append(lambda axis: _memory(axis, by_table["length"]))
    return panels


def _ratios(axis: Axes, rows: Rows) -> None:
    """Plot the CPU ratio of the whole command to a plain transcode."""
    whole = [row for row in rows if row["command"] == "blur"]
    axis.barh([row["clip"] for row in whole][::-1], [row["ratio"] for row in whole][::-1])
    axis.axvline(1, color="black", linewidth=1)
    axis.set_xlabel("CPU ratio to a plain transcode")


def _memory(axis: Axes, rows: Rows) -> None:
    """Plot peak memory over the length of the video."""
    axis.plot([row["frames"] for row in rows], [row["cost"]["memory"] for row in rows], "o-")
    axis.set_xscale("log")
    axis.set_ylim(0, 1.2 * max(row["cost"]["memory"] for row in rows))
    axis.set_xlabel("frames")
    axis.set_ylabel("peak memory, MiB")


def _strength(rows: Rows) -> list[Panel]:
    """Plot how often the attacker with clear pictures names a hidden face, by its size."""

    def draw(axis: Axes) -> None:
        known = [row for row in rows if row["attacker"] == "same"]
        for method in dict.fromkeys(row["method"] for row in known):
            own = [row for row in known if row["method"] == method]
            rates = [100 * row["rank1"] for row in own]
            axis.plot([row["size"] for row in own], rates, "o-", markersize=3, **_style(method))
        axis.set_xscale("log")
        axis.set_xticks(sorted({row["size"] for row in known}), minor=False)
        axis.xaxis.set_major_formatter("{x:.0f}")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlabel("width of the face, pixels")
        axis.set_ylabel("named, %")
        handles, labels = axis.get_legend_handles_labels()
        named = dict(zip(labels, handles, strict=True))
        axis.legend(
            named.values(),
            named.keys(),
            fontsize=7,
            loc="center left",
            bbox_to_anchor=(1, 0.5),
            frameon=False,
        )

    return [draw] if rows else []


def _style(method: str) -> dict[str, Any]:
    """Return the line style of a method; all methods of Face blur look alike."""
    if method.startswith(("blur", "pixelate", "solid")):
        return {"label": "Face blur, every setting", "color": "0.7"}
    return {"label": method, "color": "black"} if "control" in method else {"label": method}


def _quality(rows: Rows) -> list[Panel]:
    """Plot leaks and spills of all scenes, as parts of the face-frames."""

    def draw(axis: Axes) -> None:
        choices = list(dict.fromkeys(row["choice"] for row in rows))
        for number, (part, whole) in enumerate((("leaks", "targets"), ("spills", "others"))):
            rates = [
                100
                * sum(row["score"][part] for row in rows if row["choice"] == choice)
                / max(1, sum(row["score"][whole] for row in rows if row["choice"] == choice))
                for choice in choices
            ]
            axis.bar(np.arange(len(choices)) + 0.4 * number, rates, 0.4, label=part)
        axis.set_xticks(np.arange(len(choices)) + 0.2, choices)
        axis.set_ylabel("% of face-frames")
        axis.legend(frameon=False)

    return [draw] if rows else []


_PLOTS: dict[str, Callable[[Any], list[Panel]]] = {
    "quality": _quality,
    "speed": _speed,
    "strength": _strength,
}
