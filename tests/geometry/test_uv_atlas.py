"""Usable uv stay; new ones overlap nowhere, keep their distance, and do not need xatlas."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from geometry_shapes import ASSETS, CUBE_FACES, CUBE_VERTICES, make_mesh, sphere_arrays
from scipy.ndimage import distance_transform_edt

from texcsd.errors import TexcsdError
from texcsd.geometry import uv_atlas
from texcsd.geometry.charts import project_boxes
from texcsd.geometry.mesh import Mesh, load_mesh
from texcsd.geometry.normals import connect, face_normals, weld_vertices
from texcsd.geometry.uv_atlas import ensure_uv, inspect_uv, unwrap_mesh
from texcsd.geometry.uv_inspection import rasterize_faces, uv_areas

UNIT_SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]
TWO_FACES = [[0, 1, 2], [0, 2, 3]]
NO_XATLAS = "raise ImportError('no wheel')"
HANGING = "import time; time.sleep(600)"
CRASHING = "import os; os.abort()"
CRASHING_ON_ONE_PIECE = """
import importlib, os, sys
sys.path.remove(os.path.dirname(__file__))
del sys.modules["xatlas"]
real = importlib.import_module("xatlas")
class Atlas:
    def __init__(self):
        self.inner, self.pieces = real.Atlas(), 0
    def add_mesh(self, *arrays):
        self.pieces += 1
        self.inner.add_mesh(*arrays)
    def generate(self, *options):
        if self.pieces == 1:
            os.abort()
        self.inner.generate(*options)
    def __getattr__(self, name):
        return getattr(self.inner, name)
    def __getitem__(self, index):
        return self.inner[index]
ChartOptions, PackOptions = real.ChartOptions, real.PackOptions
sys.modules["xatlas"] = sys.modules[__name__] = type(sys)("xatlas")
sys.modules["xatlas"].__dict__.update(
    Atlas=Atlas, ChartOptions=real.ChartOptions, PackOptions=real.PackOptions
)
"""


@pytest.fixture
def fake_xatlas(tmp_path: Path, monkeypatch):
    """Puts a module of the given text in front of xatlas, in child processes only."""

    def install(text: str) -> None:
        (tmp_path / "xatlas.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return install


def uv_corners(mesh: Mesh) -> np.ndarray:
    assert mesh.uv is not None and mesh.uv_faces is not None
    return mesh.uv.double().numpy()[mesh.uv_faces.numpy()]


def assert_good_atlas(mesh: Mesh, before: Mesh) -> None:
    """All that unwrap_mesh promises but the distance between charts."""
    for name in ("vertices", "faces", "normals", "normal_faces", "parts"):
        assert getattr(mesh, name) is getattr(before, name)
    corners = uv_corners(mesh)
    assert corners.shape == (len(mesh.faces), 3, 2)
    assert corners.min() >= 0 and corners.max() <= 1
    areas = face_normals(mesh.vertices.double().numpy(), mesh.faces.numpy())[1]
    # Faces below a millionth of the surface may vanish in float32: they are a texel at most.
    assert (np.abs(uv_areas(corners))[areas > 1e-6 * areas.sum()] > 0).all()
    report = inspect_uv(mesh, resolution=2048)
    assert report.overlap_fraction < 2e-4  # rounding along edges shared by float32 uv
    assert report.zero_area_fraction < 1e-6
    assert report.usable


def test_the_test_can_fail():
    mesh = square([*UNIT_SQUARE, *UNIT_SQUARE], copies=2)
    with pytest.raises(AssertionError):
        assert_good_atlas(mesh, mesh)


@pytest.mark.parametrize(
    "name", ["teapot.obj", "animal.obj", "table_and_stool.glb", "armchair.obj"]
)
def test_xatlas_unwraps_assets(name: str):
    mesh = load_mesh(ASSETS / name)
    unwrapped, source = unwrap_mesh(mesh, 1024, 4, 300.0)
    assert source == "xatlas"
    assert_good_atlas(unwrapped, mesh)
    assert inspect_uv(unwrapped).covered_fraction > 0.4


def chart_distances(mesh: Mesh, size: int) -> float:
    """Least distance in texels between the centres of texels that two charts cover."""
    corners = uv_corners(mesh)
    distinct, point_of = weld_vertices(corners.reshape(-1, 2))
    points = point_of.reshape(-1, 3)
    charts = connect(len(distinct), points[:, [0, 1]].ravel(), points[:, [1, 2]].ravel())[
        points[:, 0]
    ]
    masks = [rasterize_faces(corners[charts == c], size)[0] > 0 for c in np.unique(charts)]
    covered = np.sum(masks, axis=0)
    least = np.inf
    for mask in masks:
        others = (covered - mask) > 0
        if mask.any() and others.any():
            least = min(least, float(distance_transform_edt(~mask)[others].min()))
    return least


def test_charts_keep_their_distance_whatever_made_them(monkeypatch):
    mesh = load_mesh(ASSETS / "teapot.obj")
    # Centres of covered texels lie up to a texel further apart than the charts, never nearer.
    unwrapped, source = unwrap_mesh(mesh, 512, 4, 300.0)
    assert source == "xatlas"
    assert chart_distances(unwrapped, 512) >= 4
    boxes, source = unwrap_mesh(mesh, 512, 4, 0.0)
    assert source == "box"
    assert chart_distances(boxes, 512) >= 4


@pytest.mark.parametrize("timeout", [300.0, 0.0])
def test_texels_are_square_and_of_one_size(timeout: float):
    beam = CUBE_VERTICES * [1, 2, 9]  # its atlas is not square by itself
    mesh, _ = unwrap_mesh(make_mesh(beam, CUBE_FACES), 1024, 4, timeout)
    corners = beam[CUBE_FACES]
    lengths = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    flat = uv_corners(mesh)
    densities = np.linalg.norm(flat - np.roll(flat, 1, axis=1), axis=2) / lengths
    assert np.allclose(densities, densities[0, 0], rtol=2e-3)


def test_the_same_mesh_gets_the_same_uv():
    mesh = load_mesh(ASSETS / "teapot.obj")
    for timeout in (300.0, 0.0):
        first, second = (unwrap_mesh(mesh, 1024, 4, timeout)[0] for _ in range(2))
        assert first.uv is not None and second.uv is not None
        assert torch.equal(first.uv, second.uv)
        assert first.uv_faces is not None and second.uv_faces is not None
        assert torch.equal(first.uv_faces, second.uv_faces)


# ---- the ladder


@pytest.mark.parametrize(
    ("module", "seconds", "expected", "note"),
    [
        (CRASHING_ON_ONE_PIECE, 300.0, "xatlas-presplit", "crashed"),
        (CRASHING, 300.0, "box", "crashed"),
        (HANGING, 3.0, "box", "took longer"),
        (NO_XATLAS, 300.0, "box", "is not installed"),
    ],
)
def test_what_xatlas_does_not_manage_the_next_way_does(
    fake_xatlas, capfd, module: str, seconds: float, expected: str, note: str
):
    fake_xatlas(module)
    mesh = load_mesh(ASSETS / "teapot.obj")
    unwrapped, source, notes = ensure_uv(mesh, "auto", 512, timeout_seconds=seconds)
    assert source == expected
    assert_good_atlas(unwrapped, mesh)
    assert len(notes) == (1 if expected == "xatlas-presplit" else 2)
    assert all(note in line and "\n" not in line for line in notes)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_an_atlas_that_overlaps_is_not_accepted(fake_xatlas):
    fake_xatlas(
        """
import numpy as np
class ChartOptions: pass
PackOptions = ChartOptions
class Atlas:
    atlas_count, width, height = 1, 100, 100
    def add_mesh(self, vertices, faces):
        self.meshes = [*getattr(self, "meshes", []), faces]
    def generate(self, charts, packing): pass
    def __getitem__(self, index):
        count = 3 * len(self.meshes[index])
        uv = np.tile(np.array([[0, 0], [1, 0], [0, 1]], np.float32), (count // 3, 1))
        return None, np.arange(count).reshape(-1, 3), uv
"""
    )
    mesh = load_mesh(ASSETS / "teapot.obj")
    unwrapped, source, notes = ensure_uv(mesh, "always", 256)
    assert source == "box"
    assert "overlaps" in notes[0]
    assert_good_atlas(unwrapped, mesh)


def boxes_of(vertices, faces, size=512, padding=2) -> Mesh:
    mesh = make_mesh(vertices, faces)
    unwrapped, source = unwrap_mesh(mesh, size, padding, 0.0)
    assert source == "box"
    assert_good_atlas(unwrapped, mesh)
    return unwrapped


def test_boxes_unwrap_a_cube_into_six_squares():
    for size in ([1, 1, 1], [3, 1, 2]):
        mesh = boxes_of(CUBE_VERTICES * size, CUBE_FACES)
        areas = face_normals(CUBE_VERTICES * size, CUBE_FACES)[1]
        in_texture = uv_areas(uv_corners(mesh))  # positive: no chart is mirrored
        assert np.allclose(in_texture / areas, in_texture[0] / areas[0], rtol=1e-4)
        report = inspect_uv(mesh)
        assert report.chart_count == 6
        assert report.covered_fraction > 0.6


@pytest.mark.parametrize("storeys", [3, 20])
def test_boxes_unfold_what_lies_over_itself(storeys: int):
    count = 40 * storeys  # a spiral stair is one piece that lies over itself
    turns = np.linspace(0, 2 * np.pi * storeys, count)
    inner = np.stack([np.cos(turns), turns / 9, np.sin(turns)], axis=1)
    vertices = np.concatenate([inner, inner * [2, 1, 2]])
    step = np.arange(count - 1)
    lower = np.stack([step, step + count, step + 1], axis=1)
    upper = np.stack([step + 1, step + count, step + count + 1], axis=1)
    boxes_of(vertices, np.concatenate([lower, upper]))


def test_boxes_unwrap_any_soup():
    random = np.random.default_rng(0)
    vertices = random.normal(size=(300, 3))
    mesh = boxes_of(vertices, random.integers(0, 300, size=(2000, 3)), size=1024, padding=8)
    assert inspect_uv(mesh).covered_fraction > 0.1  # half of each box, some room for padding


@pytest.mark.parametrize("size", [1, 3, 16])
def test_boxes_fit_more_charts_than_texels(size: int):
    random = np.random.default_rng(1)
    vertices = random.normal(size=(900, 3))
    uv, uv_faces = project_boxes(vertices, np.arange(900).reshape(-1, 3), size, 4)
    assert (np.abs(uv_areas(uv[uv_faces])) > 0).all()
    assert uv.min() >= 0 and uv.max() <= 1


def test_one_triangle_is_enough():
    for timeout in (300.0, 0.0):
        mesh = make_mesh([[0, 0, 0], [1e-4, 0, 0], [0, 0, 1e-4]], [[0, 1, 2]])
        assert_good_atlas(unwrap_mesh(mesh, 64, 2, timeout)[0], mesh)


@pytest.mark.parametrize("timeout", [300.0, 0.0])
def test_copies_share_uv_and_degenerate_faces_get_a_point(timeout: float):
    vertices, faces = sphere_arrays(6, 8)
    backs = faces[::-1, [2, 1, 0]]
    everything = np.concatenate([faces, backs, [[3, 3, 3], [0, 30, 30]]])
    mesh = make_mesh(vertices, everything)
    unwrapped, _ = unwrap_mesh(mesh, 512, 4, timeout)
    corners = uv_corners(unwrapped)
    assert np.isfinite(corners).all()
    count = len(faces)
    solid = face_normals(vertices, faces)[1] > 0
    assert (~solid).any()
    assert np.array_equal(corners[count : 2 * count][::-1][solid], corners[:count][:, ::-1][solid])
    assert (uv_areas(corners[:count])[~solid] == 0).all()
    assert (corners[-2:] == corners[-2:, :1]).all()
    assert_good_atlas(unwrapped, mesh)


def test_uv_do_not_depend_on_units_or_place():
    vertices, faces = sphere_arrays(6, 8)
    vertices = vertices[np.unique(faces)]
    for timeout in (300.0, 0.0):
        first, source = unwrap_mesh(make_mesh(vertices, faces), 512, 4, timeout)
        second, same_source = unwrap_mesh(make_mesh(vertices * 1024, faces), 512, 4, timeout)
        assert source == same_source
        assert first.uv is not None and second.uv is not None
        assert torch.equal(first.uv, second.uv)


# ---- inspection and policy


def square(uv, faces=None, copies: int = 1, uv_faces=None) -> Mesh:
    """Squares at different heights whose uv are given."""
    vertices = [[x, z, y] for z in range(copies) for x, y in UNIT_SQUARE]
    faces = faces or [[a + 4 * i for a in face] for i in range(copies) for face in TWO_FACES]
    return make_mesh(vertices, faces, uv, uv_faces)


def test_inspection_knows_a_simple_square():
    report = inspect_uv(square(np.array(UNIT_SQUARE) / 2))
    assert report.usable and report.reason is None
    assert report.inside_unit_square and report.finite and report.present
    assert report.zero_area_fraction == report.overlap_fraction == 0
    assert report.chart_count == 1
    assert report.covered_fraction == pytest.approx(0.25, abs=1e-3)


def test_inspection_tells_stacked_from_mirrored():
    stacked = inspect_uv(square([*UNIT_SQUARE, *UNIT_SQUARE], copies=2))
    assert (stacked.overlap_fraction, stacked.mirrored_fraction) == (1.0, 0.0)
    assert "100% of its uv area" in (stacked.reason or "")
    mirror = [[1 - u, v] for u, v in UNIT_SQUARE]
    mirrored = inspect_uv(square([*UNIT_SQUARE, *mirror], copies=2))
    # Centres on the one diagonal are covered by the other square only.
    assert mirrored.overlap_fraction == mirrored.mirrored_fraction == pytest.approx(1, abs=3e-3)
    assert mirrored.usable
    half = inspect_uv(square([*UNIT_SQUARE, *(np.array(UNIT_SQUARE) * [0.5, 1])], copies=2))
    assert half.overlap_fraction == pytest.approx(0.5, abs=2e-3)
    assert half.usable


def test_many_faces_that_fill_the_square_are_inspected_at_once():
    vertices = np.random.default_rng(0).normal(size=(60_000, 3))
    uv = np.tile([[0.0, 0], [1, 0], [0, 1]], (20_000, 1))
    mesh = make_mesh(vertices, np.arange(60_000).reshape(-1, 3), uv)
    started = time.process_time()
    report = inspect_uv(mesh)
    assert time.process_time() - started < 5  # texel by texel it would be a minute
    assert report.overlap_fraction == 1.0 and not report.usable


def test_both_sides_of_a_leaf_do_not_overlap():
    leaf = square(UNIT_SQUARE, faces=[*TWO_FACES, *[face[::-1] for face in TWO_FACES]])
    assert inspect_uv(leaf).overlap_fraction == 0


@pytest.mark.parametrize(
    ("uv", "words"),
    [
        (np.array(UNIT_SQUARE) * 3, "covered more than once, by textures that repeat"),
        (np.full((4, 2), 0.5), "no area"),
        ([[0, 0], [1, 0], [1, 1], [np.nan, 0]], "not finite"),
    ],
)
def test_unusable_uv_are_replaced_with_a_reason(uv, words: str):
    mesh = square(uv)
    unwrapped, source, warnings = ensure_uv(mesh, "auto", 256)
    assert source == "xatlas"
    assert len(warnings) == 1 and words in warnings[0]
    assert_good_atlas(unwrapped, mesh)


def test_uv_a_whole_texture_aside_are_kept_and_said_to_be():
    mesh = square(np.array(UNIT_SQUARE) - [1, 2])
    same, source, warnings = ensure_uv(mesh, "auto", 256)
    assert same is mesh and source == "input"
    assert len(warnings) == 1 and "100.0% of the surface lies outside the texture" in warnings[0]


def test_uv_that_repeat_beyond_counting_are_replaced_at_once():
    mesh = square(np.array(UNIT_SQUARE) * 1e6)
    many = dataclasses.replace(
        mesh,
        uv_faces=mesh.uv_faces.repeat(40_000, 1),
        faces=mesh.faces.repeat(40_000, 1),
    )
    assert (
        inspect_uv(many).reason
        == "100% of its uv area is covered more than once, by textures that repeat"
    )


def test_rounding_over_the_border_is_no_reason():
    mesh = square(np.array(UNIT_SQUARE) * 1.00015 - 0.00008)
    assert inspect_uv(mesh).usable


def test_usable_uv_come_back_untouched():
    mesh = load_mesh(ASSETS / "armchair.obj")
    assert ensure_uv(mesh, "auto", 1024) == (mesh, "input", [])
    report = inspect_uv(mesh)
    assert report.overlap_fraction == 0 and report.zero_area_fraction == 0


def test_mirrored_uv_stay_with_a_warning():
    mirror = [[1 - u, v] for u, v in UNIT_SQUARE]
    mesh = square([*UNIT_SQUARE, *mirror], copies=2)
    same, source, warnings = ensure_uv(mesh, "auto", 256)
    assert same is mesh and source == "input"
    assert len(warnings) == 1 and "100%" in warnings[0] and "--unwrap always" in warnings[0]


def test_a_few_faces_over_the_border_stay_with_a_warning():
    count = 400
    grid = np.array([[x, y] for y in range(21) for x in range(21)]) / 20
    faces = [
        face
        for row in range(20)
        for a in range(row * 21, row * 21 + 20)
        for face in ([a, a + 1, a + 22], [a, a + 22, a + 21])
    ]
    uv = grid * 0.9
    uv[0] = [-0.05, 0.0]  # one corner, two of 800 faces
    mesh = make_mesh(np.insert(grid, 1, 0.0, axis=1), faces, uv)
    same, source, warnings = ensure_uv(mesh, "auto", 256)
    assert len(faces) == 2 * count
    assert same is mesh and source == "input"
    assert len(warnings) == 1 and "0.2% of the surface lies outside" in warnings[0]


def test_always_unwraps_and_never_does_not():
    mesh = load_mesh(ASSETS / "mug.obj")
    unwrapped, source, _ = ensure_uv(mesh, "always", 512)
    assert source == "xatlas"
    assert_good_atlas(unwrapped, mesh)
    tiled = square(np.array(UNIT_SQUARE) * 3)
    same, source, warnings = ensure_uv(tiled, "never", 512)
    assert same is tiled and source == "input"
    assert len(warnings) == 1 and "textures that repeat" in warnings[0]
    for impossible in (make_mesh(CUBE_VERTICES, CUBE_FACES), square(np.full((4, 2), np.inf))):
        with pytest.raises(TexcsdError, match="--unwrap auto"):
            ensure_uv(impossible, "never", 512)


def test_results_follow_the_device_and_dtype_of_the_mesh():
    mesh = load_mesh(ASSETS / "teapot.obj")
    unwrapped, _ = unwrap_mesh(mesh, 256, 2, 0.0)
    assert unwrapped.uv is not None and unwrapped.uv_faces is not None
    assert unwrapped.uv.dtype == torch.float32
    assert unwrapped.uv_faces.dtype == torch.int64
    assert unwrapped.uv.device == mesh.vertices.device


def test_no_seam_runs_through_a_quad(monkeypatch):
    mesh = load_mesh(ASSETS / "mug.obj")
    assert mesh.polygons is not None
    polygons = mesh.polygons.repeat_interleave(3)
    expected = len(torch.stack([polygons, mesh.faces.flatten()]).unique(dim=1).T)

    def corners_with_uv() -> int:
        unwrapped, source = unwrap_mesh(mesh, 1024, 4, 60)
        assert source == "xatlas"
        assert_good_atlas(unwrapped, mesh)
        corners = [polygons, mesh.faces.flatten(), unwrapped.uv_faces.flatten()]
        return len(torch.stack(corners).unique(dim=1).T)

    assert corners_with_uv() == expected
    monkeypatch.setattr(uv_atlas, "RUNS_FOR_POLYGONS", 1)
    assert corners_with_uv() > expected
