"""Shapes that are recovered from what is seen of them, and the guided loop around that."""

import math

import numpy as np
import pytest
import torch
import trimesh
from guided_shapes import Interrupting, StripesDenoiser, make_mesh, sphere

from texcsd import refinement
from texcsd.checkpoint import load_tensors
from texcsd.geometry.displacement import Displacement
from texcsd.geometry.mesh import Mesh, fit_to_unit_sphere
from texcsd.progress import Progress
from texcsd.rendering.cameras import orbit_cameras, surrounding_cameras
from texcsd.rendering.shape import Shape, normal_maps, render_shape
from texcsd.settings import PaintSettings


def rounded_cube() -> Mesh:
    """x^4 + y^4 + z^4 = 1."""
    unit = trimesh.creation.icosphere(subdivisions=3)
    lengths = (unit.vertices**4).sum(1, keepdims=True) ** -0.25
    return make_mesh(lengths * unit.vertices, unit.faces)


def view_of(displacement: Displacement, cameras, size):
    positions, normals = displacement.shape()
    faces, edges = displacement.faces, displacement.edges
    shape = Shape(positions, faces, normals, displacement.normal_faces, edges)
    return render_shape(shape, cameras, size, size)


def fit(displacement: Displacement, target, see, steps, rate) -> None:
    for step in range(steps):
        loss = ((see(displacement) - target) ** 2).sum()
        loss.backward()
        displacement.step(rate * (1 - step / steps))


def test_a_rounded_cube_becomes_a_sphere_by_its_silhouettes_alone():
    cube = fit_to_unit_sphere(rounded_cube())
    cameras = surrounding_cameras(12)

    def see(displacement):
        view = view_of(displacement, cameras, 64)
        return view.antialias(view.surface.coverage)

    ball = fit_to_unit_sphere(sphere())
    ball = Displacement(make_mesh(0.85 * ball.vertices, ball.faces), 0.1, 0.1)
    with torch.no_grad():
        target = see(ball)
    displacement = Displacement(cube, limit=0.4, detail=0.2)
    fit(displacement, target, see, steps=40, rate=0.3)
    radii = torch.linalg.vector_norm(displacement.shape()[0], dim=1)
    spread = torch.linalg.vector_norm(cube.vertices, dim=1).std()
    assert abs(radii.mean() - 0.85) < 0.01
    assert radii.std() < 0.25 * spread


def test_a_known_bump_is_recovered_from_normal_maps():
    ball = fit_to_unit_sphere(sphere(4))
    ball = make_mesh(0.9 * ball.vertices, ball.faces)
    bumpy, flat = (Displacement(ball, limit=0.1, detail=0.05) for _ in range(2))
    towards = bumpy.rest @ torch.tensor([0.0, 0.0, 1.0]) / 0.9
    with torch.no_grad():
        bumpy.heights[:, 0] = 0.04 * torch.exp(-((1 - towards) / 0.05))
    cameras = orbit_cameras(8)

    def see(displacement):
        view = view_of(displacement, cameras, 64)
        return view.antialias(normal_maps(view, cameras))

    with torch.no_grad():
        target = see(bumpy)
    fit(flat, target, see, steps=40, rate=0.15)
    expected, found = bumpy.heights.detach()[:, 0], flat.heights.detach()[:, 0]
    # Normals say nothing of the size of the whole.
    found = found - found[towards < 0].mean()
    assert torch.corrcoef(torch.stack([expected, found]))[0, 1] > 0.99
    assert found.max().item() == pytest.approx(expected.max().item(), rel=0.05)


def refine(path, progress=None, knows_sides=False, **options):
    settings = PaintSettings(
        **{"prompt": "x", "displace": 0.1, "displace_steps": 8, "views": 3} | options
    )
    mesh = fit_to_unit_sphere(sphere())
    denoiser, progress = StripesDenoiser(knows_sides), progress or Progress(8, quiet=True)
    checkpoint = path / "shape.safetensors"
    displacement, warnings = refinement.refine(mesh, denoiser, settings, checkpoint, progress)
    assert warnings == []
    return displacement


@pytest.mark.parametrize("knows_sides", [False, True])
def test_only_models_that_know_things_have_a_say_in_outlines(knows_sides):
    """A square that faces the camera looks the same everywhere but at its outline."""
    corners = 0.5 * torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    size = torch.ones((), requires_grad=True)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    normals = torch.tensor([[0.0, 0, 1]]).expand(4, 3)
    cameras = orbit_cameras(2, elevation_degrees=0)
    view = render_shape(Shape(size * corners, faces, normals, faces), cameras, 32, 32)
    color, generator = torch.tensor([0.9, 0.5, 0.1]), torch.Generator().manual_seed(0)
    images = refinement._images(view, color, cameras, StripesDenoiser(knows_sides), generator)
    assert (images[0].sum() + 2 * images[1].sum()).requires_grad
    (gradient,) = torch.autograd.grad(images[0].sum() + 2 * images[1].sum(), size)
    assert (abs(gradient.item()) > 1) == knows_sides


@pytest.mark.parametrize("knows_sides", [False, True])
def test_the_guidance_moves_vertices_within_the_limit(tmp_path, knows_sides):
    offsets = refine(tmp_path, knows_sides=knows_sides).offsets().detach()
    length = torch.linalg.vector_norm(offsets, dim=1)
    assert offsets.isfinite().all() and 0.005 < length.max() <= 0.1


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path):
    shapes = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        shapes.append(refine(tmp_path / name, seed=seed).heights)
    assert torch.equal(shapes[0], shapes[1]) and not torch.equal(shapes[0], shapes[2])


def test_the_bits_do_not_depend_on_how_threads_share_the_pixels():
    ball = fit_to_unit_sphere(sphere(4))
    cameras, threads = orbit_cameras(4), torch.get_num_threads()

    def gradient():
        displacement = Displacement(ball, limit=0.1, detail=0.05)
        with torch.no_grad():
            displacement.heights.copy_(0.02 * torch.sin(9 * displacement.rest[:, :1]))
        with refinement.deterministic_sums(ball.vertices.device):
            view = view_of(displacement, cameras, 128)
            view.antialias(normal_maps(view, cameras)).square().sum().backward()
        return displacement.heights.grad

    try:
        torch.set_num_threads(2)
        first = gradient()
        assert all(torch.equal(gradient(), first) for _ in range(3))
    finally:
        torch.set_num_threads(threads)
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_interrupted_refinement_ends_with_the_bits_of_an_uninterrupted_one(
    tmp_path, monkeypatch
):
    (tmp_path / "whole").mkdir()
    whole = refine(tmp_path / "whole")
    monkeypatch.setattr(refinement, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        refine(tmp_path, Interrupting(after=5))
    loaded = load_tensors(tmp_path / "shape.safetensors")
    assert loaded is not None and loaded[1]["step"] >= 4
    assert torch.equal(refine(tmp_path).heights, whole.heights)


def test_what_ends_a_refinement_between_two_steps_costs_none_of_them(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        refine(tmp_path, Interrupting(after=5))
    loaded = load_tensors(tmp_path / "shape.safetensors")
    assert loaded is not None and loaded[1]["step"] == 5


def test_what_ends_a_refinement_in_the_midst_of_a_step_leaves_the_last_whole_one(
    tmp_path, monkeypatch
):
    def interrupted(shape, *arguments):
        shape.displacement.heights.data.fill_(7.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refine(tmp_path, Interrupting(after=5))
    before = load_tensors(tmp_path / "shape.safetensors")
    monkeypatch.setattr(refinement, "_take_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        refine(tmp_path)
    after = load_tensors(tmp_path / "shape.safetensors")
    assert before is not None and after is not None
    assert torch.equal(before[0]["heights"], after[0]["heights"])


class OverflowingDenoiser(StripesDenoiser):
    """Predicts what is not finite for the first image of the call with the given number."""

    calls = 0

    def predict_noise(self, noisy, *arguments):
        predicted = super().predict_noise(noisy, *arguments).clone()
        if self.calls == 1:
            predicted[0, 0, 3, 3] = torch.nan
        self.calls += 1
        return predicted


def test_a_prediction_that_is_not_finite_does_not_spoil_the_shape(tmp_path):
    settings = PaintSettings(prompt="x", displace=0.1, displace_steps=8, views=3)
    mesh, checkpoint = fit_to_unit_sphere(sphere()), tmp_path / "shape.safetensors"
    for _ in range(2):  # What is finished still says so.
        displacement, warnings = refinement.refine(
            mesh, OverflowingDenoiser(), settings, checkpoint, Progress(8, quiet=True)
        )
        assert displacement.heights.isfinite().all()
        assert [warning[:25] for warning in warnings] == ["1 of 24 views counted for"]


def test_a_finished_refinement_is_not_computed_again(tmp_path, monkeypatch):
    finished = refine(tmp_path)
    monkeypatch.setattr(refinement, "_take_step", None)
    assert torch.equal(refine(tmp_path).heights, finished.heights)


def test_finer_detail_makes_rougher_relief(tmp_path):
    def roughness(detail):
        (tmp_path / str(detail)).mkdir()
        displacement = refine(tmp_path / str(detail), displace_detail=detail)
        ends = displacement.heights.detach()[displacement.edges.vertices][..., 0]
        return ((ends[:, 0] - ends[:, 1]).abs().mean() / ends.abs().mean()).item()

    fine, coarse = roughness(0.02), roughness(0.5)
    assert math.isfinite(fine) and fine > 2 * coarse


def test_steps_of_the_shape_share_no_random_numbers_with_those_of_the_texture():
    seeds = [
        refinement.step_generator(5, step).initial_seed()
        for step in [*range(-2, 500), *(refinement.FIRST_STEP - k for k in range(500))]
    ]
    assert len(np.unique(seeds)) == len(seeds)
