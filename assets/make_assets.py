"""Model every mesh in this folder; run it to write them again: `python assets/make_assets.py`.

Needs the development extras (scikit-image polygonises the animal). The shapes are written down here
as numbers, nothing is read from anywhere, so the meshes are our own and CC0. Units are metres, y is
up, the front looks along +z. The same script writes the same bytes every time.

| file                | faces are           | uv  | what it tests                                |
|---------------------|---------------------|-----|----------------------------------------------|
| armchair.obj        | quads, 12 objects   | yes | intersecting parts, named objects            |
| teapot.obj          | quads, 5 objects    | no  | thin handle and spout, surface of revolution |
| animal.obj          | triangles, 1 object | no  | one closed organic surface                   |
| mug.obj             | quads, 2 objects    | yes | inside and outside                           |
| vase.ply            | triangles           | no  | binary PLY, inside and outside               |
| table_and_stool.glb | triangles, 9 nodes  | no  | nested nodes with transforms, shared meshes  |
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent


@dataclass
class Piece:
    """A grid of quads, with a uv rectangle in metres per chart when it has uv."""

    name: str
    vertices: np.ndarray
    """float[vertex, 3]."""
    quads: np.ndarray
    """int[quad, 4], counter-clockwise seen from outside; a triangle repeats its last corner."""
    uv: np.ndarray | None = None
    """float[quad, 4, 2] in metres, each chart from its own origin."""
    charts: np.ndarray | None = None
    """int[quad], the chart a quad belongs to."""


# ---- building blocks


def grid_quads(rows: int, columns: int, wrap: bool = False) -> np.ndarray:
    """Quads of a grid of rows x columns vertices; wrap joins the last column to the first."""
    row, column = np.mgrid[0 : rows - 1, 0 : columns if wrap else columns - 1]
    right = (column + 1) % columns
    corners = [
        row * columns + column,
        row * columns + right,
        (row + 1) * columns + right,
        (row + 1) * columns + column,
    ]
    return np.stack(corners, axis=-1).reshape(-1, 4)


def weld(piece: Piece) -> Piece:
    """Join vertices that coincide up to a hundredth of a millimetre."""
    keys = np.round(piece.vertices, 5) + 0.0
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.argsort(order)
    piece.vertices = piece.vertices[first[order]]
    piece.quads = rank[inverse.reshape(-1)][piece.quads]
    return piece


def rounded_box(
    name: str,
    size: tuple[float, float, float],
    radius: float,
    puff: tuple[float, float, float] = (0.0, 0.0, 0.0),
    corner_segments: int = 3,
    flat_segments: int = 3,
) -> Piece:
    """Build a box with rounded edges whose sides bulge by `puff` metres in the middle.

    Its uv has three charts: the four sides as one band, the top and the bottom.
    """
    half = np.array(size) / 2
    angles = np.linspace(0, np.pi / 4, corner_segments + 1)
    vertices, quads, uv, charts, offset = [], [], [], [], 0
    band = 0.0
    # (u axis, v axis, normal axis, directions, chart); the first four make the band round y.
    sides = [
        (0, 1, 2, (1, 1, 1), 0),
        (2, 1, 0, (-1, 1, 1), 0),
        (0, 1, 2, (-1, 1, -1), 0),
        (2, 1, 0, (1, 1, -1), 0),
        (0, 2, 1, (1, -1, 1), 1),
        (0, 2, 1, (1, 1, -1), 2),
    ]
    for u_axis, v_axis, normal_axis, signs, chart in sides:
        along = [
            _box_stations(half[axis], radius, angles, flat_segments) for axis in (u_axis, v_axis)
        ]
        u, v = np.meshgrid(*along)
        points = np.zeros((*u.shape, 3))
        points[..., u_axis] = u * signs[0]
        points[..., v_axis] = v * signs[1]
        points[..., normal_axis] = half[normal_axis] * signs[2]
        core = np.clip(points, -(half - radius), half - radius)
        outward = points - core
        points = core + radius * outward / np.linalg.norm(outward, axis=-1, keepdims=True)
        vertices.append(_puffed(points, half, puff).reshape(-1, 3))
        cells = grid_quads(*u.shape)
        flat = np.stack(np.meshgrid(*[_arc(a) for a in along]), axis=-1).reshape(-1, 2)
        if chart == 0:
            flat = flat + np.array([band, 0.0])
            band = flat[:, 0].max()
        quads.append(cells + offset)
        uv.append(flat[cells])
        charts.append(np.full(len(cells), chart))
        offset += u.size
    return weld(
        Piece(
            name,
            np.concatenate(vertices),
            np.concatenate(quads),
            np.concatenate(uv),
            np.concatenate(charts),
        )
    )


def _box_stations(half: float, radius: float, angles: np.ndarray, flat: int) -> np.ndarray:
    bend = radius * np.tan(angles)
    middle = np.linspace(-(half - radius), half - radius, flat + 1)
    return np.concatenate([-(half - radius) - bend[:0:-1], middle, half - radius + bend[1:]])


def _arc(stations: np.ndarray) -> np.ndarray:
    return stations - stations[0]


def _puffed(points: np.ndarray, half: np.ndarray, puff: tuple[float, ...]) -> np.ndarray:
    relative = np.clip(points / half, -1, 1)
    dome = np.cos(relative * np.pi / 2)
    result = points.copy()
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        result[..., axis] += (
            puff[axis] * relative[..., axis] * dome[..., others[0]] * dome[..., others[1]]
        )
    return result


def revolve(name: str, profile: np.ndarray, segments: int, charts: tuple[int, ...] = ()) -> Piece:
    """Turn a profile float[n, 2] of (radius, height) round the y axis, bottom up for an outside.

    `charts` are the profile indices where a new uv chart starts. A chart that touches the axis is a
    disc, any other a rectangle.
    """
    angle = np.arange(segments + 1) * 2 * np.pi / segments
    rows = len(profile)
    ring = np.stack([np.sin(angle), np.zeros_like(angle), np.cos(angle)], axis=-1)
    points = profile[:, None, :1] * ring + profile[:, None, 1:] * np.array([0.0, 1.0, 0.0])
    quads = grid_quads(rows, segments + 1)
    starts = [0, *charts]
    uv = np.zeros((rows - 1, segments, 4, 2))
    chart_of = np.zeros((rows - 1, segments), int)
    for chart, (start, stop) in enumerate(zip(starts, [*charts, rows - 1], strict=True)):
        flat = _revolved_uv(profile[start : stop + 1], angle)
        cells = grid_quads(stop - start + 1, segments + 1)
        uv[start:stop] = flat.reshape(-1, 2)[cells].reshape(stop - start, segments, 4, 2)
        chart_of[start:stop] = chart
    piece = Piece(name, points.reshape(-1, 3), quads, uv.reshape(-1, 4, 2), chart_of.reshape(-1))
    return _without_flat_quads(weld(piece))


def _revolved_uv(profile: np.ndarray, angle: np.ndarray) -> np.ndarray:
    steps = np.linalg.norm(np.diff(profile, axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    if profile[0, 0] > 1e-9 and profile[-1, 0] > 1e-9:
        width = 2 * np.pi * profile[:, 0].max()
        u, v = np.meshgrid(angle / (2 * np.pi) * width, length)
        return np.stack([u, v], axis=-1)
    from_axis, turn = (length, -1) if profile[0, 0] <= 1e-9 else (length[-1] - length, 1)
    u = from_axis[:, None] * np.sin(angle * turn)[None]
    v = from_axis[:, None] * np.cos(angle)[None]
    return np.stack([u, v], axis=-1)


def _without_flat_quads(piece: Piece) -> Piece:
    """Turn quads with two equal corners into triangles; drop those with fewer than three."""
    different = piece.quads != np.roll(piece.quads, 1, axis=1)
    keep = different.sum(axis=1) >= 3
    piece.quads = piece.quads[keep]
    piece.uv = None if piece.uv is None else piece.uv[keep]
    piece.charts = None if piece.charts is None else piece.charts[keep]
    for index, corners in enumerate(piece.quads):
        doubled = np.flatnonzero(corners == np.roll(corners, 1))
        if len(doubled):
            order = np.roll(np.arange(4), -int(doubled[0]))[[0, 1, 2, 2]]
            # Corner 0 of the new order coincides with the one before it, which goes.
            piece.quads[index] = corners[order]
            if piece.uv is not None:
                piece.uv[index] = piece.uv[index][order]
    return piece


def sweep(
    name: str,
    path: np.ndarray,
    radii: np.ndarray,
    segments: int,
    flatten: float = 1.0,
    capped: bool = False,
) -> Piece:
    """Sweep an ellipse along a path float[n, 3] in a plane of constant z.

    `radii` float[n] is in the plane of the path; across it the radius is `flatten` times that.
    """
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.array([0.0, 0.0, 1.0])
    normal = np.cross(side, tangent)
    angle = np.arange(segments + 1) * 2 * np.pi / segments
    points = (
        path[:, None]
        + radii[:, None, None] * np.cos(angle)[None, :, None] * normal[:, None]
        - radii[:, None, None] * flatten * np.sin(angle)[None, :, None] * side
    )
    if capped:
        points = np.concatenate(
            [
                path[:1, None].repeat(segments + 1, 1),
                points,
                path[-1:, None].repeat(segments + 1, 1),
            ]
        )
    quads = grid_quads(len(points), segments + 1)[:, ::-1]
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    if capped:
        length = np.concatenate([[0.0], length + radii[0], [length[-1] + radii[0] + radii[-1]]])
    u, v = np.meshgrid(-angle * radii.max(), length)
    uv = np.stack([u - u.min(), v], axis=-1).reshape(-1, 2)[quads]
    piece = Piece(name, points.reshape(-1, 3), quads, uv, np.zeros(len(quads), int))
    return _without_flat_quads(weld(piece))


def moved(
    piece: Piece,
    offset: tuple[float, float, float],
    tilt_x: float = 0.0,
    tilt_z: float = 0.0,
    name: str | None = None,
) -> Piece:
    """Copy a piece, turned about x and then z by degrees and put at the offset."""
    a, b = np.radians([tilt_x, tilt_z])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    vertices = piece.vertices @ about_x.T @ about_z.T + np.array(offset)
    return Piece(name or piece.name, vertices, piece.quads, piece.uv, piece.charts)


def smooth_curve(points: list[tuple[float, ...]], count: int) -> np.ndarray:
    """Sample a natural cubic spline through the points at equal distances."""
    from scipy.interpolate import CubicSpline

    knots = np.array(points, float)
    chords = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    spline = CubicSpline(chords, knots, bc_type="natural")
    dense = spline(np.linspace(0, chords[-1], 2000))
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))])
    wanted = np.linspace(0, length[-1], count)
    return np.stack([np.interp(wanted, length, dense[:, a]) for a in range(knots.shape[1])], 1)


def leg(name: str, height: float, top: float, bottom: float, segments: int = 12) -> Piece:
    """Build a tapered leg that stands on y = 0, with rounded rims."""
    profile = np.array(
        [
            (0.0, 0.0),
            (bottom * 0.8, 0.0),
            (bottom, bottom * 0.25),
            ((top + bottom) / 2, height / 2),
            (top, height),
            (0.0, height),
        ]
    )
    return revolve(name, profile, segments, charts=(1, 4))


# ---- the models


def armchair() -> list[Piece]:
    """Model an upholstered armchair: frame, cushions, rolled arms, turned legs."""
    arm = rounded_box("arm", (0.15, 0.34, 0.74), 0.045, (0.012, 0.0, 0.0))
    roll = rounded_box("arm_roll", (0.20, 0.18, 0.80), 0.078, (0.0, 0.006, 0.012))
    foot = leg("leg", 0.17, 0.032, 0.020)
    return [
        moved(rounded_box("base", (0.66, 0.17, 0.70), 0.03), (0.0, 0.235, 0.0)),
        moved(rounded_box("seat", (0.585, 0.17, 0.66), 0.06, (0.0, 0.035, 0.02)), (0, 0.385, 0.07)),
        moved(rounded_box("back", (0.72, 0.66, 0.17), 0.07, (0, 0.03, 0.02)), (0, 0.58, -0.32), -9),
        moved(
            rounded_box("back_cushion", (0.56, 0.44, 0.17), 0.07, (0.0, 0.01, 0.045)),
            (0.0, 0.645, -0.185),
            -12,
        ),
        moved(arm, (-0.375, 0.345, 0.0), name="arm_left"),
        moved(arm, (0.375, 0.345, 0.0), name="arm_right"),
        moved(roll, (-0.385, 0.545, 0.005), name="arm_roll_left"),
        moved(roll, (0.385, 0.545, 0.005), name="arm_roll_right"),
        moved(foot, (-0.36, 0.0, 0.30), 4, 4, name="leg_front_left"),
        moved(foot, (0.36, 0.0, 0.30), 4, -4, name="leg_front_right"),
        moved(foot, (-0.34, 0.0, -0.30), -4, 4, name="leg_back_left"),
        moved(foot, (0.34, 0.0, -0.30), -4, -4, name="leg_back_right"),
    ]


def teapot() -> list[Piece]:
    """Model a round pot with a curved spout, a loop handle and a lid with a knob."""
    body = smooth_curve(
        [
            (0.052, 0.0),
            (0.082, 0.022),
            (0.098, 0.062),
            (0.088, 0.105),
            (0.052, 0.132),
            (0.044, 0.135),
        ],
        26,
    )
    foot = np.array([(0.0, 0.0), (0.045, 0.0), (0.052, -0.004)])
    lid = smooth_curve([(0.050, 0.134), (0.044, 0.146), (0.024, 0.155), (0.009, 0.159)], 9)
    knob = smooth_curve(
        [(0.008, 0.159), (0.009, 0.164), (0.017, 0.174), (0.0145, 0.184), (0.0, 0.188)], 11
    )
    knob[-1, 0] = 0.0
    spout = smooth_curve(
        [(0.070, 0.045, 0), (0.112, 0.060, 0), (0.135, 0.098, 0), (0.168, 0.128, 0)], 18
    )
    handle = smooth_curve(
        [
            (-0.078, 0.112, 0),
            (-0.115, 0.126, 0),
            (-0.152, 0.108, 0),
            (-0.152, 0.070, 0),
            (-0.120, 0.042, 0),
            (-0.082, 0.036, 0),
        ],
        26,
    )
    widths = np.interp(np.linspace(0, 1, 18), [0, 0.45, 1], [0.034, 0.021, 0.0125])
    return [
        revolve("body", np.concatenate([foot, body]), 40),
        revolve("lid", np.concatenate([lid]), 40),
        revolve("knob", knob, 20),
        sweep("spout", spout, widths, 18, 0.85, capped=True),
        sweep("handle", handle, np.full(26, 0.0095), 14, 1.15),
    ]


def mug() -> list[Piece]:
    """Model a mug: outer wall, rim, inner wall, floor, and a handle that enters the wall."""
    outer = [(0.0, 0.0), (0.034, 0.0), (0.0385, 0.002), (0.041, 0.006)]
    wall = [(0.041, y) for y in np.linspace(0.013, 0.090, 10)]
    rim = [(0.0405, 0.0945), (0.0390, 0.0955), (0.0375, 0.0945)]
    inner = [(0.0370, y) for y in np.linspace(0.090, 0.012, 10)]
    floor = [(0.0355, 0.0075), (0.031, 0.005), (0.0, 0.005)]
    profile = np.array(outer + wall + rim + inner + floor)
    bottom, top = 1, 3 + 1 + 10
    body = revolve("mug", profile, 48, charts=(bottom + 1, top + 1, len(profile) - 2))
    loop = smooth_curve(
        [
            (0.039, 0.078, 0),
            (0.060, 0.080, 0),
            (0.0715, 0.064, 0),
            (0.068, 0.038, 0),
            (0.052, 0.022, 0),
            (0.0385, 0.021, 0),
        ],
        28,
    )
    return [body, sweep("handle", loop, np.full(28, 0.0048), 14, 1.5)]


def vase() -> Piece:
    """Model a slender vase with an open neck and a wall of 6 mm."""
    outside = smooth_curve(
        [
            (0.055, 0.0),
            (0.078, 0.045),
            (0.098, 0.125),
            (0.078, 0.215),
            (0.041, 0.275),
            (0.037, 0.305),
            (0.055, 0.345),
        ],
        44,
    )
    normal = np.gradient(outside, axis=0)[:, ::-1] * [-1, 1]
    inside = outside + 0.006 * normal / np.linalg.norm(normal, axis=1, keepdims=True)
    inside = inside[(inside[:, 1] > 0.008)][::-1]
    rim = np.array([(0.0545, 0.3485), (0.0515, 0.3490)])
    profile = np.concatenate(
        [[(0.0, 0.0), (0.05, 0.0)], outside, rim, inside, [(0.044, 0.007), (0.0, 0.007)]]
    )
    return revolve("vase", profile, 48)


def animal() -> Piece:
    """Model a sturdy four-legged animal as one smooth union of ellipsoids and tapered limbs."""
    from skimage.measure import marching_cubes

    spacing = 0.0235
    low, high = np.array([-0.30, -0.06, -0.70]), np.array([0.30, 1.00, 0.84])
    axes = [np.arange(a, b, spacing) for a, b in zip(low, high, strict=True)]
    values = _animal_distance(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    vertices, faces, _, _ = marching_cubes(values, 0.0, spacing=(spacing,) * 3)
    vertices = vertices + low
    edges = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    both = np.concatenate([edges, edges[:, ::-1]])
    degree = np.bincount(both[:, 0])[:, None]
    for _ in range(12):  # even out the triangles, staying on the surface
        sums = np.stack([np.bincount(both[:, 0], vertices[both[:, 1], a]) for a in range(3)], 1)
        vertices = _onto_surface(0.5 * vertices + 0.5 * sums / degree)
    quads = np.concatenate([faces, faces[:, 2:]], axis=1)
    return Piece("animal", vertices, quads)


def _onto_surface(points: np.ndarray) -> np.ndarray:
    for _ in range(3):
        value = _animal_distance(points)
        shift = 1e-4 * np.eye(3)
        gradient = (
            np.stack(
                [_animal_distance(points + s) - _animal_distance(points - s) for s in shift],
                axis=-1,
            )
            / 2e-4
        )
        length = (gradient**2).sum(axis=-1, keepdims=True)
        points = points - value[:, None] * gradient / np.maximum(length, 0.1)
    return points


def _animal_distance(p: np.ndarray) -> np.ndarray:
    """Distance-like field of the animal, negative inside; symmetric in x."""
    p = np.concatenate([np.abs(p[..., :1]), p[..., 1:]], axis=-1)
    body = _limb(p, (0, 0.505, 0.16), (0, 0.515, -0.28), 0.172, 0.160)
    body = _blend(body, _ellipsoid(p, (0, 0.47, -0.06), (0.165, 0.15, 0.26)), 0.10)
    body = _blend(body, _limb(p, (0, 0.56, 0.20), (0, 0.73, 0.42), 0.125, 0.092), 0.12)
    head = _ellipsoid(p, (0, 0.775, 0.49), (0.115, 0.115, 0.135))
    head = _blend(head, _limb(p, (0, 0.75, 0.54), (0, 0.705, 0.665), 0.085, 0.062), 0.08)
    body = _blend(body, head, 0.06)
    body = _blend(body, _ellipsoid(p, (0.105, 0.895, 0.445), (0.052, 0.086, 0.036), 30), 0.03)
    for z, lean in ((0.20, 0.0), (-0.31, -0.02)):
        thigh = _limb(p, (0.085, 0.46, z), (0.100, 0.24, z + lean), 0.100, 0.062)
        shin = _limb(p, (0.100, 0.24, z + lean), (0.102, 0.055, z + 0.005), 0.060, 0.054)
        foot = _ellipsoid(p, (0.102, 0.038, z + 0.030), (0.064, 0.045, 0.080))
        leg = _blend(_blend(thigh, shin, 0.06), foot, 0.04)
        body = _blend(body, leg, 0.07)
    tail = _limb(p, (0, 0.60, -0.40), (0, 0.55, -0.52), 0.040, 0.030)
    tail = _blend(tail, _limb(p, (0, 0.55, -0.52), (0, 0.38, -0.57), 0.030, 0.034), 0.03)
    return _blend(body, tail, 0.04)


def _blend(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    overlap = np.clip(0.5 + 0.5 * (b - a) / width, 0, 1)
    return b + (a - b) * overlap - width * overlap * (1 - overlap)


def _ellipsoid(
    p: np.ndarray, centre: tuple[float, ...], radii: tuple[float, ...], tilt_z: float = 0.0
) -> np.ndarray:
    q = p - np.array(centre)
    a = np.radians(-tilt_z)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    q = q @ turn  # leaning outwards at the top
    scaled = np.linalg.norm(q / np.array(radii), axis=-1)
    steep = np.linalg.norm(q / np.array(radii) ** 2, axis=-1)
    return scaled * (scaled - 1) / np.maximum(steep, 1e-6)


def _limb(
    p: np.ndarray, start: tuple[float, ...], end: tuple[float, ...], first: float, last: float
) -> np.ndarray:
    a, b = np.array(start), np.array(end)
    t = np.clip(((p - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(p - a - t[..., None] * (b - a), axis=-1) - (first + (last - first) * t)


# ---- writing


def pack_charts(pieces: list[Piece], gap: float = 0.008) -> None:
    """Put every chart of all pieces into the unit square, at one scale, on shelves."""
    boxes = []
    for piece in pieces:
        assert piece.uv is not None and piece.charts is not None
        for chart in np.unique(piece.charts):
            mine = piece.charts == chart
            piece.uv[mine] -= piece.uv[mine].reshape(-1, 2).min(axis=0)
            extent = piece.uv[mine].reshape(-1, 2).max(axis=0)
            if extent[1] > extent[0]:  # lay it down, without mirroring it
                piece.uv[mine] = piece.uv[mine][..., ::-1] * [1, -1] + [0, extent[0]]
                extent = extent[::-1]
            boxes.append((float(extent[1]), float(extent[0]), piece, mine))
    boxes.sort(key=lambda box: (-box[0], -box[1]))
    scale = min(1.0 / max(box[1] for box in boxes), 50.0)
    while not _place(boxes, scale, gap, dry=True):
        scale *= 0.985
    _place(boxes, scale, gap, dry=False)


def _place(boxes: list, scale: float, gap: float, dry: bool) -> bool:
    left = bottom = gap
    shelf = 0.0
    for height, width, piece, mine in boxes:
        if left + width * scale + gap > 1:
            left, bottom, shelf = gap, bottom + shelf + gap, 0.0
        if left + width * scale + gap > 1 or bottom + height * scale + gap > 1:
            return False
        if not dry:
            piece.uv[mine] = piece.uv[mine] * scale + [left, bottom]
        left += width * scale + gap
        shelf = max(shelf, height * scale)
    return True


def write_obj(path: Path, pieces: list[Piece]) -> None:
    """Write pieces as objects of one OBJ file, with uv where they have it."""
    lines = [f"# {path.name}: made by assets/make_assets.py, CC0"]
    first_vertex = first_uv = 1
    for piece in pieces:
        lines.append(f"o {piece.name}")
        lines += [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in piece.vertices]
        uv_index = None
        if piece.uv is not None:
            flat = np.round(piece.uv.reshape(-1, 2), 5)
            distinct, inverse = np.unique(flat, axis=0, return_inverse=True)
            lines += [f"vt {u:.5f} {v:.5f}" for u, v in distinct]
            uv_index = inverse.reshape(-1, 4) + first_uv
            first_uv += len(distinct)
        for index, quad in enumerate(piece.quads):
            corners = range(3 if quad[2] == quad[3] else 4)
            lines.append(
                "f "
                + " ".join(
                    f"{quad[c] + first_vertex}"
                    + (f"/{uv_index[index, c]}" if uv_index is not None else "")
                    for c in corners
                )
            )
        first_vertex += len(piece.vertices)
    path.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")


def triangles(piece: Piece) -> np.ndarray:
    """Split quads along their first diagonal."""
    halves = np.concatenate([piece.quads[:, :3], piece.quads[:, [0, 2, 3]]])
    order = np.argsort(np.tile(np.arange(len(piece.quads)), 2), kind="stable")
    halves = halves[order]
    return halves[(halves != np.roll(halves, 1, axis=1)).all(axis=1)]


def write_ply(path: Path, piece: Piece) -> None:
    """Write one piece as little-endian binary PLY."""
    faces = triangles(piece)
    header = (
        "ply\nformat binary_little_endian 1.0\ncomment made by assets/make_assets.py, CC0\n"
        f"element vertex {len(piece.vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.zeros(len(faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    path.write_bytes(
        header.encode("ascii") + piece.vertices.astype("<f4").tobytes() + rows.tobytes()
    )


def write_scene(path: Path) -> None:
    """Write a table with four shared legs and a stool on its own turned, scaled node, as GLB."""
    meshes = [
        rounded_box("table_top", (1.10, 0.045, 0.70), 0.02),
        leg("table_leg", 0.70, 0.036, 0.022, 16),
        rounded_box("stool_seat", (0.36, 0.09, 0.36), 0.042, (0.0, 0.02, 0.0)),
        leg("stool_leg", 0.44, 0.026, 0.016, 12),
    ]
    nodes: list[dict] = [
        {"name": "scene", "children": [1, 2]},
        {"name": "table", "children": [3, 4, 5, 6, 7]},
        {
            "name": "stool",
            "children": [8, 9, 10, 11],
            "translation": [0.15, 0.0, 0.62],
            "rotation": [0.0, float(np.sin(np.pi / 9)), 0.0, float(np.cos(np.pi / 9))],
            "scale": [1.05, 1.0, 1.05],
        },
        {"name": "table_top", "mesh": 0, "translation": [0.0, 0.7225, 0.0]},
    ]
    for index, (x, z) in enumerate([(-0.47, 0.28), (0.47, 0.28), (-0.47, -0.28), (0.47, -0.28)]):
        nodes.append({"name": f"table_leg_{index + 1}", "mesh": 1, "translation": [x, 0.0, z]})
    nodes.append({"name": "stool_seat", "mesh": 2, "translation": [0.0, 0.47, 0.0]})
    for index, degrees in enumerate((90, 210, 330)):
        half = np.radians(degrees) / 2
        place = [0.13 * float(np.sin(2 * half)), 0.0, 0.13 * float(np.cos(2 * half))]
        turn = [0.0, float(np.sin(half)), 0.0, float(np.cos(half))]
        nodes.append(
            {"name": f"stool_leg_{index + 1}", "mesh": 3, "translation": place, "rotation": turn}
        )
    _write_glb(path, meshes, nodes)


def _write_glb(path: Path, pieces: list[Piece], nodes: list[dict]) -> None:
    blob, views, accessors, meshes = b"", [], [], []
    for piece in pieces:
        positions = piece.vertices.astype("<f4")
        indices = triangles(piece).astype("<u2").reshape(-1)
        for array, target in ((positions, 34962), (indices, 34963)):
            data = array.tobytes()
            views.append(
                {"buffer": 0, "byteOffset": len(blob), "byteLength": len(data), "target": target}
            )
            blob += data + b"\0" * (-len(data) % 4)
        accessors.append(
            {
                "bufferView": len(views) - 2,
                "componentType": 5126,
                "type": "VEC3",
                "count": len(positions),
                "min": positions.min(0).tolist(),
                "max": positions.max(0).tolist(),
            }
        )
        accessors.append(
            {
                "bufferView": len(views) - 1,
                "componentType": 5123,
                "type": "SCALAR",
                "count": len(indices),
            }
        )
        meshes.append(
            {
                "name": piece.name,
                "primitives": [
                    {"attributes": {"POSITION": len(accessors) - 2}, "indices": len(accessors) - 1}
                ],
            }
        )
    tree = {
        "asset": {"version": "2.0", "generator": "assets/make_assets.py", "copyright": "CC0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": nodes,
        "meshes": meshes,
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(blob)}],
    }
    text = json.dumps(tree, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    chunks += struct.pack("<II", len(blob), 0x004E4942) + blob
    path.write_bytes(struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks)


def without_uv(pieces: list[Piece]) -> list[Piece]:
    """Drop the uv of pieces."""
    for piece in pieces:
        piece.uv = piece.charts = None
    return pieces


def with_uv(pieces: list[Piece]) -> list[Piece]:
    """Give pieces that may share arrays their own packed uv."""
    for piece in pieces:
        assert piece.uv is not None
        piece.uv = piece.uv.copy()
    pack_charts(pieces)
    return pieces


def main() -> None:
    """Write all assets beside this script."""
    write_obj(FOLDER / "armchair.obj", with_uv(armchair()))
    write_obj(FOLDER / "teapot.obj", without_uv(teapot()))
    write_obj(FOLDER / "animal.obj", [animal()])
    write_obj(FOLDER / "mug.obj", with_uv(mug()))
    write_ply(FOLDER / "vase.ply", vase())
    write_scene(FOLDER / "table_and_stool.glb")


if __name__ == "__main__":
    main()
