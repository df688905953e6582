"""What the uv of a mesh are worth: finite, inside the square, covering the surface, overlapping."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.kernel import kernel
from texcsd.geometry.mesh import Mesh
from texcsd.geometry.normals import connect, face_normals, weld_vertices
from texcsd.geometry.uv_wrapping import wrap_uv, wrapped_face_count

TOLERANCE = 1e-4
"""How far outside the unit square uv may lie: a tenth of a texel at 1024, far above rounding."""
MOST_AREA_OUTSIDE = 0.005
"""A few faces over the border, where the texture repeats, are no reason to discard good uv."""
LEAST_DENSITY = 1e-4
"""Share of the mean texels per area under which a face counts as having no area in the texture."""
MOST_AREA_WITHOUT_UV = 0.05
MOST_OVERLAP = 0.6
"""Repeated parts stay below this; materials that each fill the whole square do not."""

MOST_WRAPPED_FACES = 4_000_000
"""Parts of faces, beyond which textures repeat so often that nobody need count."""
MOST_TEXEL_VISITS = 1e8
"""One visit takes some nanoseconds."""


@dataclass(frozen=True)
class UvReport:
    """Measurements of a mesh's uv; all zeros and False where it has none."""

    present: bool
    finite: bool
    outside_fraction: float
    """Share of the surface area whose faces leave the unit square."""
    zero_area_fraction: float
    """Share of the surface area whose faces have (next to) no area in the texture."""
    overlap_fraction: float
    """Share of the covered texels that several faces cover, equal copies of a face apart."""
    mirrored_fraction: float
    """The part of overlap_fraction where just two faces lie, one upright and one mirrored."""
    covered_fraction: float
    """Share of the texture that faces cover."""
    chart_count: int

    @property
    def inside_unit_square(self) -> bool:
        """Whether all but a negligible part of the surface lies in the unit square."""
        return self.finite and self.outside_fraction <= MOST_AREA_OUTSIDE

    @property
    def usable(self) -> bool:
        """Whether one texture can be painted through these uv."""
        return self.reason is None

    @property
    def reason(self) -> str | None:
        """Say why the uv are not usable, as the end of a sentence; None when they are."""
        if not self.present:
            return "the mesh has no uv"
        if not self.finite:
            return "some uv are not finite"
        if self.zero_area_fraction >= MOST_AREA_WITHOUT_UV:
            return f"{self.zero_area_fraction:.0%} of the surface has no area in its uv"
        if self.overlap_fraction - self.mirrored_fraction >= MOST_OVERLAP:
            tiled = ", by textures that repeat" if not self.inside_unit_square else ""
            return f"{self.overlap_fraction:.0%} of its uv area is covered more than once{tiled}"
        return None


def inspect_uv(mesh: Mesh, resolution: int = 1024) -> UvReport:
    """Measure the uv of a mesh.

    Args:
        mesh: On any device.
        resolution: Side of the square raster on which overlap is counted, in texels; fewer are
            taken where faces overlap many times.
    """
    if mesh.uv is None or mesh.uv_faces is None:
        return UvReport(False, False, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
    uv = mesh.uv.double().cpu().numpy()
    uv_faces = mesh.uv_faces.cpu().numpy()
    corners = uv[uv_faces]
    if not np.isfinite(corners).all():
        return UvReport(True, False, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
    vertices, faces = mesh.vertices.double().cpu().numpy(), mesh.faces.cpu().numpy()
    areas = face_normals(vertices, faces)[1]
    shares = areas / max(areas.sum(), 1e-300)
    outside = ((corners < -TOLERANCE) | (corners > 1 + TOLERANCE)).any(axis=(1, 2))
    over, under = _count_wrapped_layers(mesh, weld_vertices(vertices)[1], resolution)
    covered = max(int((over + under > 0).sum()), 1)
    return UvReport(
        present=True,
        finite=True,
        outside_fraction=float(shares[outside].sum()),
        zero_area_fraction=float(shares[without_area(corners, shares)].sum()),
        overlap_fraction=float((over + under > 1).sum()) / covered,
        mirrored_fraction=float(((over == 1) & (under == 1)).sum()) / covered,
        covered_fraction=float((over + under > 0).mean()),
        chart_count=_chart_count(uv, uv_faces),
    )


def _count_wrapped_layers(
    mesh: Mesh, place_of: NDArray[np.int64], resolution: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Count the faces over each texel as `count_layers`, also where the texture repeats.

    Args:
        mesh: With finite uv.
        place_of: int[vertex], welded.
        resolution: As there.
    """
    if wrapped_face_count(mesh) > MOST_WRAPPED_FACES:
        layers = np.full((resolution, resolution), 2, np.int32)
        return layers, layers  # each texel is shown so often that the number says nothing
    wrapped = wrap_uv(mesh)
    assert wrapped.uv is not None and wrapped.uv_faces is not None
    corners = wrapped.uv[wrapped.uv_faces].double().cpu().numpy()
    return count_layers(place_of[wrapped.faces.cpu().numpy()], corners, resolution)


def uv_areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the areas float[face] of uv triangles float[face, 3, 2]; flipped ones are negative."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2


def without_area(corners: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which faces have next to no texels for their share of the surface, bool[face].

    Args:
        corners: float[face, 3, 2], uv.
        shares: float[face], of the surface area.
    """
    in_texture = np.abs(uv_areas(corners))
    return in_texture <= LEAST_DENSITY * shares * in_texture.sum()


def count_layers(
    places: NDArray[np.int64], corners: NDArray[np.float64], resolution: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Count the faces over each texel of the unit square: upright ones, and mirrored ones.

    Faces that repeat another with the same uv count once.

    Args:
        places: int[face, 3], welded vertex indices.
        corners: float[face, 3, 2], uv.
        resolution: Most texels per side; fewer are taken where faces overlap many times.

    Returns:
        Twice int32[row, column], row 0 where v is 0.
    """
    apart = _without_copies(places, corners)
    upright = uv_areas(corners[apart]) > 0
    resolution = _affordable_resolution(corners, resolution)
    over, _ = rasterize_faces(corners[apart[upright]], resolution)
    under, _ = rasterize_faces(corners[apart[~upright]], resolution)
    return over, under


def rasterize_faces(
    corners: NDArray[np.float64], resolution: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Count the faces over each texel centre.

    Centres exactly on an edge count for no face, so that neighbours do not seem to overlap.

    Args:
        corners: float[face, 3, 2], uv.
        resolution: Side of the raster in texels.

    Returns:
        Faces at each texel, int32[row, column], row 0 where v is 0, and which faces lie over an
        earlier one somewhere, bool[face].
    """
    layers = np.zeros((resolution, resolution), np.int32)
    late = np.zeros(len(corners), np.bool_)
    _rasterize(np.ascontiguousarray(corners, np.float64) * resolution, layers, late)
    return layers, late


@kernel
def _rasterize(corners, layers, late):
    rows, columns = layers.shape
    for face in range(len(corners)):
        x0, y0 = corners[face, 0]
        x1, y1 = corners[face, 1]
        x2, y2 = corners[face, 2]
        doubled = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(doubled) < 1e-12:
            continue
        first_column = max(0, int(np.floor(min(x0, x1, x2))))
        last_column = min(columns - 1, int(np.ceil(max(x0, x1, x2))))
        for row in range(
            max(0, int(np.floor(min(y0, y1, y2)))), min(rows - 1, int(np.ceil(max(y0, y1, y2)))) + 1
        ):
            y = row + 0.5
            for column in range(first_column, last_column + 1):
                x = column + 0.5
                a = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) / doubled
                b = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) / doubled
                if a < 1e-6 or b < 1e-6 or a + b > 1 - 1e-6:
                    continue
                if layers[row, column] > 0:
                    late[face] = True
                layers[row, column] += 1


def _affordable_resolution(corners: NDArray[np.float64], resolution: int) -> int:
    """Lower the resolution where every face fills the square: the overlap is plain all the same."""
    clipped = corners.clip(0, 1)
    boxes = (clipped.max(axis=1) - clipped.min(axis=1)).prod(axis=1).sum()
    return int(np.clip(np.sqrt(MOST_TEXEL_VISITS / max(boxes, 1e-9)), 32, resolution))


def _without_copies(places: NDArray[np.int64], corners: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the faces, once each where several have the same three places with the same uv.

    Both sides of a leaf drawn as two faces may share their texels: they are one place.
    """
    order = np.argsort(places, axis=1)
    sorted_places = np.take_along_axis(places, order, axis=1)
    sorted_uv = np.take_along_axis(corners, order[:, :, None], axis=1).reshape(-1, 6)
    rows = np.concatenate([sorted_places, np.round(sorted_uv * 65536).astype(np.int64)], axis=1)
    return np.sort(weld_vertices(rows.astype(np.float64))[0])


def _chart_count(uv: NDArray[np.float64], uv_faces: NDArray[np.int64]) -> int:
    """Count the pieces of the atlas: faces connected through equal uv."""
    distinct, point_of = weld_vertices(uv)
    points = point_of[uv_faces]
    labels = connect(len(distinct), points[:, [0, 1]].ravel(), points[:, [1, 2]].ravel())
    return len(np.unique(labels[points[:, 0]]))
