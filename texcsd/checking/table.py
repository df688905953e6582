"""The report of a check as lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def check_table(report: dict[str, Any]) -> list[str]:
    """Lines of text that say what is in a report of `check`."""
    rows = [
        ("mesh", _mesh(report["input"])),
        ("bounds", _bounds(report["input"])),
        ("stands", _orientation(report["orientation"])),
        ("surface", _surface(report["surface"])),
        *(("uv" if index == 0 else "", text) for index, text in enumerate(_uv(report["uv"]))),
        ("views", _visibility(report["visibility"])),
        ("painting", _painting(report["painting"])),
        *(("", text) for text in _models(report["painting"])),
    ]
    lines = [f"{report['input']['path']}: can be painted"]
    lines += [f"  {name:<10}{text}" for name, text in rows]
    for title, texts in (
        ("problems", [problem["text"] for problem in report["problems"]]),
        ("notes", report["notes"]),
    ):
        lines += [title, *(f"  - {text}" for text in texts)] if texts else []
    return lines


def _mesh(mesh: dict[str, Any]) -> str:
    polygons = "" if mesh["polygons"] is None else f" from {_count(mesh['polygons'], 'polygon')}"
    counts = (_count(len(mesh[name + "s"]), name) for name in ("part", "material"))
    triangles, vertices = _count(mesh["triangles"], "triangle"), f"{mesh['vertices']:,} vertices"
    return ", ".join([f"{triangles}{polygons}", vertices, *counts])


def _bounds(mesh: dict[str, Any]) -> str:
    bounds = mesh["bounds"]
    size = " x ".join(f"{length:.4g}" for length in bounds["size"])
    low, high = (
        "(" + ", ".join(f"{value:.4g}" for value in bounds[end]) + ")"
        for end in ("lowest", "highest")
    )
    unit = f"in {mesh['unit']}s" if mesh["unit"] else "the file names no unit"
    return f"{size}, from {low} to {high}, {unit}"


def _orientation(orientation: dict[str, Any]) -> str:
    front = " or ".join(orientation["front"]) or "not clear"
    return f"{orientation['up']} up, front {front} (a guess; see --up and --front of painting)"


def _surface(surface: dict[str, Any]) -> str:
    return (
        f"{_count(surface['pieces'], 'piece')}; edges: {surface['boundary_edges']:,} open, "
        f"{surface['nonmanifold_edges']:,} non-manifold; faces: {surface['degenerate_faces']:,} "
        f"degenerate, {surface['duplicate_faces']:,} duplicate, {surface['inconsistent_faces']:,} "
        f"wound the wrong way{', all inside out' if surface['inside_out'] else ''}"
    )


def _uv(uv: dict[str, Any]) -> Iterator[str]:
    distortion = uv["distortion"]
    if not uv["present"] or distortion is None:
        yield "none" if not uv["present"] else "not finite, or without area"
        return
    low, high = distortion["lowest"], distortion["highest"]
    yield (
        f"{_count(uv['chart_count'], 'chart')} on {uv['covered_fraction']:.0%} of the texture, "
        f"{uv['overlap_fraction']:.1%} of that covered more than once, "
        f"{distortion['mirrored_faces']:,} faces mirrored"
    )
    yield (
        f"u from {low[0]:.3g} to {high[0]:.3g}, v from {low[1]:.3g} to {high[1]:.3g}, "
        f"{uv['outside_fraction']:.1%} of the area outside 0..1"
    )
    density, area, angle = (
        distortion[name] for name in ("texels_per_unit", "area_stretch", "angle_stretch")
    )
    yield (
        f"at {uv['texture_size']} texels: {density['median']:.4g} texels per unit, "
        f"{density['low']:.4g} to {density['high']:.4g} on nine tenths of the area"
    )
    yield (
        f"stretch, likewise: area {area['low']:.2f} to {area['high']:.2f} times the mean, "
        f"angles {angle['low']:.2f} to {angle['high']:.2f} (1 is none)"
    )


def _visibility(visibility: dict[str, Any]) -> str:
    return (
        f"{visibility['unseen_area_fraction']:.1%} of the area is in none of "
        f"{visibility['painting_views']} random views, {visibility['enclosed_area_fraction']:.1%} "
        f"({visibility['enclosed_faces']:,} faces) in none from anywhere"
    )


def _painting(painting: dict[str, Any]) -> str:
    return (
        f"the uv are {painting['uv']}: {painting['reason']}; "
        f"{_count(painting['textures'], 'texture')}"
    )


def _models(painting: dict[str, Any]) -> Iterator[str]:
    shape = f"{painting['shape_steps']} steps of the shape and " if painting["shape_steps"] else ""
    steps, views = _count(painting["steps"], "step"), _count(painting["views"], "view")
    yield f"{shape}{steps} of {views} take about"
    for name, estimate in painting["models"].items():
        minutes, seconds = divmod(round(estimate["seconds"]), 60)
        memory = estimate["memory_bytes"] / 2**30
        yield (
            f"  {name:<26}{minutes} min {seconds:>2} s, {memory:.1f} GiB on {estimate['on']} "
            f"({estimate['basis']})"
        )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
