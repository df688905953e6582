"""A shape rendered with gradients: the same surface as in painting, and the true derivatives."""

from dataclasses import replace

import pytest
import torch
import trimesh
from rendering_shapes import make_mesh

from texcsd.geometry.edges import find_edges
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import rasterize_mesh
from texcsd.rendering.shading import Lights, camera_lights, shade
from texcsd.rendering.shape import Shape, normal_maps, render_shape, shade_shape
from texcsd.rendering.texture import Material

GREY = torch.tensor([0.4, 0.5, 0.6])
WHITE = torch.ones(2, 1, 1, 3)


def sphere_shape() -> Shape:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=0.9)
    vertices, faces = torch.tensor(mesh.vertices).float(), torch.tensor(mesh.faces)
    # Half of the faces inside out: that must not matter.
    faces = torch.where(torch.arange(len(faces))[:, None] % 2 == 0, faces.flip(1), faces)
    normals = torch.nn.functional.normalize(vertices, dim=1)
    return Shape(vertices, faces, normals, faces, find_edges(faces))


def as_mesh(shape: Shape):
    uv = torch.zeros(len(shape.vertices), 2)
    return make_mesh(shape.vertices, shape.faces, uv, shape.normals)


def test_the_surface_is_that_of_painting():
    shape, cameras = sphere_shape(), orbit_cameras(2)
    found = render_shape(shape, cameras, 48, 48).surface
    expected = rasterize_mesh(as_mesh(shape), cameras, 48, 48)
    for name in ("coverage", "triangle_ids", "positions", "normals", "depth"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), atol=2e-5, rtol=0)


def test_shading_is_that_of_painting():
    shape, cameras = sphere_shape(), orbit_cameras(2)
    lights = camera_lights(cameras)
    image = shade_shape(render_shape(shape, cameras, 48, 48), GREY, lights, WHITE)
    surface = rasterize_mesh(as_mesh(shape), cameras, 48, 48)
    expected = shade(Material(GREY.expand_as(surface.positions)), surface, lights, WHITE)
    torch.testing.assert_close(image, expected)


def test_normal_maps_are_blue_where_the_surface_faces_the_camera():
    middle = normal_maps(render_shape(sphere_shape(), orbit_cameras(3), 33, 33), orbit_cameras(3))
    torch.testing.assert_close(
        middle[:, 16, 16], torch.tensor([[0.5, 0.5, 1.0]] * 3), atol=0.05, rtol=0
    )
    right, top = middle[:, 16, 26], middle[:, 6, 16]
    assert (right[:, 0] > 0.7).all() and (top[:, 1] > 0.7).all()


@pytest.mark.parametrize("what", ["shading", "normals"])
def test_gradients_are_those_of_finite_differences(what):
    shape, cameras = sphere_shape(), orbit_cameras(2)
    lights = Lights(torch.tensor([[0.6, 0.0, 0.8]] * 2), torch.full((2,), 0.3), torch.ones(2))
    ramp = torch.linspace(0.2, 1.0, 192)[:, None, None] * torch.tensor([1.0, -0.5, 0.7])

    def weighed(offset, turn):
        normals = torch.nn.functional.normalize(shape.normals + turn, dim=1)
        changed = replace(shape, vertices=shape.vertices + offset, normals=normals)
        view = render_shape(changed, cameras, 192, 192)
        if what == "normals":
            images = normal_maps(view, cameras)
        else:
            images = shade_shape(view, GREY, lights, WHITE)
        return (view.antialias(images) * ramp).double().sum()

    x, y, z = shape.vertices.unbind(1)
    offset = torch.stack([(3 * y).sin(), 0.5 + x, (2 * z).cos()], 1)
    turn = torch.stack([(2 * z).sin(), (3 * x).cos(), y], 1)
    zero = torch.zeros_like(offset)
    # Towards a limb normals turn ever faster, which pixels of any size catch only in part.
    for move, tolerance in (((offset, zero), 0.12), ((zero, turn), 0.001), ((offset, turn), 0.02)):
        start = [torch.zeros_like(part, requires_grad=True) for part in move]
        gradients = torch.autograd.grad(weighed(*start), start)
        more, less = [weighed(*(s * part for part in move)).item() for s in (0.01, -0.01)]
        slope = sum((g * part).sum().item() for g, part in zip(gradients, move, strict=True))
        assert slope == pytest.approx((more - less) / 0.02, rel=tolerance)


def test_colours_of_vertices_are_seen_where_they_are_and_learn_from_what_is_seen():
    shape, cameras = sphere_shape(), orbit_cameras(2)
    colors = (shape.vertices / 2 + 0.5).requires_grad_()
    view = render_shape(replace(shape, colors=colors), cameras, 48, 48)
    assert view.colors is not None
    covered = view.surface.coverage[..., 0] > 0
    expected = view.surface.positions[covered].detach() / 2 + 0.5
    torch.testing.assert_close(view.colors[covered], expected, atol=2e-5, rtol=0)
    view.colors.sum().backward()
    assert colors.grad is not None
    assert colors.grad.sum().item() == pytest.approx(3 * covered.sum().item(), rel=1e-4)
    assert render_shape(shape, cameras, 48, 48).colors is None
