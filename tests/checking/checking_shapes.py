"""OBJ files of shapes whose every number is known."""

from pathlib import Path

import numpy as np

CUBE_CORNERS = [(x, y, z) for x in (3, 5) for y in (-1, 1) for z in (0, 2)]
CUBE_SIDES = [(1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4)]


def write_cube(path: Path, extra: str = "", sides=CUBE_SIDES) -> Path:
    """A cube of side 2 away from the origin, each side a square cell of its own in uv."""
    lines = ["v {} {} {}".format(*corner) for corner in CUBE_CORNERS]
    for column, row in np.ndindex(3, 2):
        left, low = (column + 0.05) / 3, (row + 0.05) / 3
        right, high = left + 0.3, low + 0.3
        for u, v in ((left, low), (right, low), (right, high), (left, high)):
            lines.append(f"vt {u:.6f} {v:.6f}")
    for side, corners in enumerate(sides):
        places = [f"{corner}/{4 * side + k + 1}" for k, corner in enumerate(corners)]
        lines.append("f " + " ".join(places))
    path.write_text("\n".join(lines) + "\n" + extra)
    return path


def write_squares(path: Path, *charts: np.ndarray) -> Path:
    """Squares of side 1 beside each other, in the plane z = 0, with these uv float[4, 2]."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    lines = []
    for index, chart in enumerate(charts):
        lines += [f"v {x + 2 * index} {y} 0" for x, y in corners]
        lines += [f"vt {u} {v}" for u, v in chart]
    for index in range(len(charts)):
        lines.append("f " + " ".join(f"{4 * index + k}/{4 * index + k}" for k in (1, 2, 3, 4)))
    path.write_text("\n".join(lines) + "\n")
    return path


def square(left: float, low: float, width: float, height: float) -> np.ndarray:
    """uv float[4, 2]; a negative width mirrors."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    return corners * [width, height] + [left, low]


def write_spheres(path: Path, radii: tuple[float, ...]) -> Path:
    """Concentric spheres of 2 x 7 x 24 + 2 x 24 triangles each, closed, without uv."""
    rows, columns = 8, 24
    lines = []
    for number, radius in enumerate(radii):
        first = number * (2 + (rows - 1) * columns) + 1
        theta = np.pi * np.arange(1, rows) / rows
        phi = 2 * np.pi * np.arange(columns) / columns
        ring = np.stack([np.sin(phi), 0 * phi, np.cos(phi)], axis=1)
        points = np.sin(theta)[:, None, None] * ring + np.cos(theta)[:, None, None] * [0, 1, 0]
        points = np.concatenate([[[0, 1, 0], [0, -1, 0]], points.reshape(-1, 3)]) * radius
        lines += ["v {:.9f} {:.9f} {:.9f}".format(*point) for point in points]
        for column in range(columns):
            after = (column + 1) % columns
            start, last = first + 2, first + 2 + (rows - 2) * columns
            lines.append(f"f {first} {start + column} {start + after}")
            lines.append(f"f {first + 1} {last + after} {last + column}")
            for row in range(rows - 2):
                a, b = start + row * columns + column, start + row * columns + after
                lines.append(f"f {a} {a + columns} {b + columns}")
                lines.append(f"f {a} {b + columns} {b}")
    path.write_text("\n".join(lines) + "\n")
    return path
