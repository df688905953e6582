"""From a mesh to a file of it in a new shape, and what is said of meshes tetrahedra cannot hold."""

import numpy as np
import pytest
import torch
import trimesh
from guided_shapes import make_mesh, sphere

from texcsd import new_shape
from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import load_mesh
from texcsd.new_shape import hold, in_frame_of, make_new_shape
from texcsd.progress import Progress
from texcsd.settings import PaintSettings


@pytest.fixture(autouse=True)
def libigl() -> None:
    pytest.importorskip("igl")


def settings(**options) -> PaintSettings:
    defaults = {"prompt": "x", "dmtet": True, "dmtet_resolution": 32, "dmtet_steps": 2}
    return PaintSettings(**defaults | options)


def moved_sphere():
    """Of radius 5, far from the origin."""
    return make_mesh(5 * sphere().vertices.numpy() + [100.0, 0.0, -30.0], sphere().faces.numpy())


def of_arrays(mesh: trimesh.Trimesh):
    return make_mesh(mesh.vertices, mesh.faces)


@pytest.fixture
def growth(monkeypatch):
    """Instead of asking a model, moves the surface outwards by a tenth of the radius."""

    def optimize_shape(shape, steps, sampler, denoiser, settings, progress):
        with torch.no_grad():
            shape.tetrahedra.values[:, 0] = -0.1
            shape.tetrahedra.limit = 1e6  # no resistance
        return []

    monkeypatch.setattr(new_shape, "optimize_shape", optimize_shape)


def reshaped(tmp_path, mesh=None, **options):
    chosen = settings(**options)
    start = hold(moved_sphere() if mesh is None else mesh, chosen, "cpu")
    checkpoint, path = tmp_path / "checkpoint.safetensors", tmp_path / "new" / "thing.obj"
    denoiser, progress = None, Progress(2, quiet=True)
    return make_new_shape(start, denoiser, chosen, checkpoint, path, progress)


def test_the_new_mesh_is_closed_and_in_the_pose_of_the_old_one(tmp_path, growth):
    found = reshaped(tmp_path)
    assert found.path == tmp_path / "new" / "thing.obj"
    mesh = trimesh.load(found.path, process=False)
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0
    radii = np.linalg.norm(mesh.vertices - [100.0, 0.0, -30.0], axis=1)
    assert radii.mean() == pytest.approx(5.5, rel=0.01)
    assert [part.name for part in load_mesh(found.path).parts] == ["thing"]


def test_the_report_says_how_far_it_is_from_the_old_one(tmp_path, growth):
    report = reshaped(tmp_path).report
    assert report["mean_distance"] == pytest.approx(0.1, abs=0.01)
    assert report["max_distance"] == pytest.approx(0.1, abs=0.03)
    assert report["outline_overlap"] == pytest.approx(1 / 1.21, abs=0.02)
    assert report["volume_ratio"] == pytest.approx(1.331, rel=0.02)
    assert report["components"] == 1 and report["genus"] == 0 and report["watertight"]
    assert report["isosurface"] == "tetrahedra"
    assert report["begun_with"]["mean_distance"] < 0.005
    assert report["begun_with"]["outline_overlap"] > 0.97


def test_half_of_the_faces_are_kept_or_as_many_as_are_asked_for(tmp_path, growth):
    as_it_is = reshaped(tmp_path, target_faces=10**6).report["faces"]
    assert reshaped(tmp_path).report["faces"] == as_it_is // 2
    fewer = reshaped(tmp_path, target_faces=200).report
    assert fewer["faces"] == 200 and fewer["watertight"]
    assert len(load_mesh(tmp_path / "new" / "thing.obj").faces) == 200


def test_too_little_left_of_the_outlines_is_said_and_in_strict_refused(tmp_path, growth):
    (warning,) = reshaped(tmp_path).warnings
    assert "overlap by 8" in warning and "lower --dmtet-strength" in warning
    (tmp_path / "new" / "thing.obj").unlink()
    with pytest.raises(TexcsdError, match=r"overlap by 8.*refused because of --strict"):
        reshaped(tmp_path, strict=True)
    assert not (tmp_path / "new" / "thing.obj").exists()


def bowl():
    """Half a sphere, without thickness."""
    ball = trimesh.creation.icosphere(subdivisions=4)
    return make_mesh(ball.vertices, ball.faces[(ball.vertices[ball.faces][..., 1] < 0.3).all(1)])


def test_a_sphere_is_held_without_a_word():
    assert hold(sphere(), settings(strict=True), "cpu").warnings == []


def test_openings_that_are_closed_are_said_and_in_strict_refused():
    assert any("closes openings" in text for text in hold(bowl(), settings(), "cpu").warnings)
    with pytest.raises(TexcsdError, match=r"closes openings.*--displace \(refused because"):
        hold(bowl(), settings(strict=True), "cpu")


def test_outlines_that_the_lattice_is_too_coarse_for_are_said():
    pole = of_arrays(trimesh.creation.cylinder(radius=0.02, height=2.0))
    (warning,) = hold(pole, settings(), "cpu").warnings
    assert "before anything is changed" in warning and "higher --dmtet-resolution" in warning
    assert hold(pole, settings(dmtet_resolution=256), "cpu").warnings == []


def test_thin_parts_stay():
    sheet = trimesh.creation.box([1.2, 1.2, 0.001])
    start = hold(of_arrays(sheet), settings(), "cpu")
    assert all(share == 0 for share in start.likeness.lost.values())
    assert start.likeness.distances.max() < 4.5 / 32 / 2 * 1.5  # half the least thickness, rounded


def test_a_reshaped_mesh_is_painted_where_the_old_one_would_have_been():
    mesh, twice = moved_sphere(), make_mesh(sphere().vertices.numpy(), sphere().faces.numpy())
    there = make_mesh(10 * twice.vertices.numpy() + [100.0, 5.0, -30.0], twice.faces.numpy())
    fitted = in_frame_of(mesh, there).vertices
    torch.testing.assert_close(
        fitted, (2 * sphere().vertices + torch.tensor([0.0, 1.0, 0.0])).float()
    )
