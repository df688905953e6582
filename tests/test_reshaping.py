"""Shapes of tetrahedra that are recovered from what is seen of them, and the guided loop."""

import numpy as np
import pytest
import torch
import trimesh
from guided_shapes import Interrupting, StripesDenoiser, make_mesh, sphere

from texcsd import refinement, reshaping
from texcsd.checkpoint import load_tensors
from texcsd.geometry.dmtet import DeepMarchingTetrahedra, vertex_normals
from texcsd.geometry.edges import find_edges
from texcsd.geometry.mesh import SurfaceSampler
from texcsd.geometry.signed_distance import SignedDistance
from texcsd.progress import Progress
from texcsd.rendering.cameras import orbit_cameras, surrounding_cameras
from texcsd.rendering.shape import Shape, normal_maps, render_shape
from texcsd.reshaping import Reshaping, sign_changes, squared_slopes
from texcsd.settings import PaintSettings


@pytest.fixture(autouse=True)
def libigl() -> None:
    pytest.importorskip("igl")


def hold(mesh, resolution=32, limit=0.1, detail=0.05) -> DeepMarchingTetrahedra:
    distance, sampler = SignedDistance(mesh, 0.0), SurfaceSampler(mesh)
    return DeepMarchingTetrahedra(distance, sampler, resolution, limit, detail)


def scaled(mesh, radius):
    return make_mesh(radius * mesh.vertices.numpy(), mesh.faces.numpy())


def view_of(tetrahedra, cameras, size):
    vertices, faces = tetrahedra.surface()
    normals, edges = vertex_normals(vertices, faces), find_edges(faces)
    return render_shape(Shape(vertices, faces, normals, faces, edges), cameras, size, size)


def fit(tetrahedra, target, see, steps, rate) -> None:
    for step in range(steps):
        ((see(tetrahedra) - target) ** 2).sum().backward()
        tetrahedra.step(rate * (1 - step / steps))


def test_a_cube_becomes_a_sphere_by_silhouettes_alone():
    box = trimesh.creation.box([1.0, 1.0, 1.0])
    cube = hold(make_mesh(box.vertices, box.faces), limit=0.3, detail=0.2)
    cameras = surrounding_cameras(12)

    def see(tetrahedra):
        view = view_of(tetrahedra, cameras, 64)
        return view.antialias(view.surface.coverage)

    with torch.no_grad():
        target = see(hold(scaled(sphere(4), 0.62)))

    def radii():
        with torch.no_grad():
            return torch.linalg.vector_norm(cube.surface()[0], dim=1)

    spread = radii().std()
    fit(cube, target, see, steps=60, rate=1.0)
    assert abs(radii().mean() - 0.62) < 0.01
    assert radii().std() < 0.2 * spread


def test_a_known_bump_is_recovered_from_normal_maps():
    ball = scaled(sphere(4), 0.8)
    towards = ball.vertices.numpy() @ [0.0, 0.0, 1.0] / 0.8
    bump = 0.8 + 0.06 * np.exp(-(1 - towards) / 0.08)
    bumpy = make_mesh(ball.vertices.numpy() / 0.8 * bump[:, None], ball.faces.numpy())
    cameras = orbit_cameras(8)

    def see(tetrahedra):
        view = view_of(tetrahedra, cameras, 64)
        return view.antialias(normal_maps(view, cameras))

    with torch.no_grad():
        target = see(hold(bumpy, 48))
    found = hold(ball, 48)
    fit(found, target, see, steps=40, rate=0.1)
    with torch.no_grad():
        vertices, _ = found.surface()
    lengths = torch.linalg.vector_norm(vertices, dim=1)
    towards = vertices[:, 2] / lengths
    # Normals say nothing of the size of the whole.
    heights = lengths - lengths[towards < 0].mean()
    expected = 0.06 * torch.exp(-(1 - towards) / 0.08)
    assert torch.corrcoef(torch.stack([expected, heights]))[0, 1] > 0.97
    assert heights.max().item() == pytest.approx(0.06, rel=0.15)


def reshape(
    path, progress=None, knows_sides=False, limit=0.1, resolution=32, **options
) -> Reshaping:
    settings = PaintSettings(
        **{"prompt": "x", "dmtet": True, "dmtet_steps": 8, "views": 3} | options
    )
    mesh = scaled(sphere(), 0.9)
    state = Reshaping(hold(mesh, resolution, limit), path / "shape.safetensors")
    denoiser, progress = StripesDenoiser(knows_sides), progress or Progress(8, quiet=True)
    refinement.optimize_shape(state, settings.dmtet_steps, mesh, denoiser, settings, progress)
    return state


@pytest.mark.parametrize("knows_sides", [False, True])
def test_the_guidance_moves_the_surface_within_the_limit(tmp_path, knows_sides):
    tetrahedra = reshape(tmp_path, knows_sides=knows_sides).tetrahedra
    assert tetrahedra.values.isfinite().all()
    assert 0.005 < tetrahedra.changes().detach().abs().max() <= 0.1
    assert find_edges(tetrahedra.surface()[1]).paired.all()


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path):
    values = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        values.append(reshape(tmp_path / name, seed=seed).tetrahedra.surface()[0])
    assert torch.equal(values[0], values[1]) and not torch.equal(values[0], values[2])


def test_interrupted_it_ends_with_the_same_bits_also_if_the_band_has_moved(tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    laid = []
    lay_around = DeepMarchingTetrahedra._lay_around
    monkeypatch.setattr(
        DeepMarchingTetrahedra,
        "_lay_around",
        lambda self, vertices: (laid.append(1), lay_around(self, vertices)),
    )
    monkeypatch.setattr(reshaping, "LEARNING_RATE", 4.0)
    far = {"limit": 0.4, "resolution": 64}
    whole = reshape(tmp_path / "whole", **far)
    assert len(laid) > 1  # once in the beginning
    monkeypatch.setattr(refinement, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        reshape(tmp_path, Interrupting(after=5), **far)
    loaded = load_tensors(tmp_path / "shape.safetensors")
    assert loaded is not None and loaded[1]["step"] >= 4
    resumed = reshape(tmp_path, **far)
    assert torch.equal(resumed.tetrahedra.values, whole.tetrahedra.values)
    assert torch.equal(resumed.colors.logits, whole.colors.logits)


def test_a_finished_one_is_not_computed_again(tmp_path, monkeypatch):
    finished = reshape(tmp_path)
    monkeypatch.setattr(refinement, "_take_step", None)
    assert torch.equal(reshape(tmp_path).tetrahedra.values, finished.tetrahedra.values)


def test_colours_are_learned_where_the_prompt_wants_them(tmp_path):
    colors = reshape(tmp_path, dmtet_steps=30).colors
    above, below = colors(torch.tensor([[0.0, 0.8, 0.0], [0.0, -0.8, 0.0]])).detach()
    assert (above > below + 0.1).all()  # the denoiser wants the upper half bright


def test_what_floats_beside_the_surface_is_pulled_to_the_other_side():
    tetrahedra = hold(scaled(sphere(), 0.8))
    with torch.no_grad():
        outside = int(tetrahedra.rest.argmax())
        tetrahedra.rest[outside] = -0.01
    before = sign_changes(tetrahedra)
    before.backward()
    assert tetrahedra.values.grad is not None
    assert tetrahedra.values.grad[outside, 0] < 0  # the distance is to grow
    tetrahedra.rest[outside] = 0.01
    assert sign_changes(tetrahedra) < before


def test_moving_as_a_whole_turns_no_normals_and_bending_does():
    tetrahedra = hold(scaled(sphere(), 0.8))
    assert squared_slopes(tetrahedra) == 0
    with torch.no_grad():
        tetrahedra.values[:, 0] = 0.02
        assert squared_slopes(tetrahedra) == 0
        # A slope of 1 in 5 along x: the mean over all directions is a third of its square.
        tetrahedra.limit, tetrahedra.erosion = 100.0, torch.tensor(100.0)
        tetrahedra.values[:, 0] = 0.2 * tetrahedra.grid.vertices[:, 0]
    lengths = torch.linalg.vector_norm(
        tetrahedra.grid.vertices[tetrahedra.grid.edges].diff(dim=1), dim=2
    )
    mean = 0.2**2 / 3 * (lengths / tetrahedra.cell_size).square().mean()
    assert squared_slopes(tetrahedra).item() == pytest.approx(mean.item(), rel=0.05)
