"""A lattice that begins as the mesh, stays around its surface, and can be differentiated."""

import numpy as np
import pytest
import torch
import trimesh
from geometry_shapes import make_mesh

from texcsd.geometry.dmtet import THINNEST, DeepMarchingTetrahedra, cell_size, vertex_normals
from texcsd.geometry.edges import find_edges
from texcsd.geometry.mesh import Mesh, SurfaceSampler, load_mesh
from texcsd.geometry.remeshing import describe_topology
from texcsd.geometry.signed_distance import SignedDistance


@pytest.fixture(autouse=True)
def libigl() -> None:
    pytest.importorskip("igl")


def ball(radius=0.8, subdivisions=4) -> Mesh:
    sphere = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return make_mesh(sphere.vertices, sphere.faces)


def hold(mesh: Mesh, resolution=32, limit=0.1, thinnest=None, detail=0.05):
    thinnest = THINNEST * cell_size(resolution) if thinnest is None else thinnest
    distance = SignedDistance(mesh, thinnest)
    return DeepMarchingTetrahedra(distance, SurfaceSampler(mesh), resolution, limit, detail)


def surface(tetrahedra) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        return tetrahedra.surface()


def radii(tetrahedra) -> torch.Tensor:
    return torch.linalg.vector_norm(surface(tetrahedra)[0], dim=1)


def test_it_begins_as_the_mesh_and_the_error_falls_with_the_square_of_the_cell():
    mesh = ball(subdivisions=6)  # far finer than the lattice
    errors = []
    for resolution in (16, 32, 64):
        vertices, faces = surface(hold(mesh, resolution, thinnest=0.0))
        middles = vertices[faces].mean(1)
        errors.append((torch.linalg.vector_norm(middles, dim=1) - 0.8).abs().mean().item())
    assert 3.3 < errors[0] / errors[1] < 4.7 and 3.3 < errors[1] / errors[2] < 4.7


def test_the_band_grows_with_the_surface_and_not_with_the_volume():
    cells = [len(hold(ball(), resolution, thinnest=0.0).cells) for resolution in (32, 64, 128)]
    assert 3.3 < cells[1] / cells[0] < 4.7 and 3.3 < cells[2] / cells[1] < 4.7


def test_a_sheet_becomes_a_plate_without_holes():
    turn = trimesh.transformations.rotation_matrix(0.7, [0.3, -0.5, 0.8])[:3, :3]
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0.0]]) * 0.6
    plate = hold(make_mesh(corners @ turn.T, [[0, 1, 2], [0, 2, 3]]))
    found = describe_topology(*surface(plate))
    assert found["watertight"] and found["components"] == 1 and found["genus"] == 0


def test_an_opening_is_closed_also_where_the_mesh_is_far_away():
    half = ball()
    keep = (half.vertices[half.faces][..., 2] < 0.3).all(1).numpy()
    bowl = make_mesh(half.vertices.numpy(), half.faces.numpy()[keep])
    found = describe_topology(*surface(hold(bowl)))
    assert found["watertight"] and found["genus"] == 0


def test_surfaces_inside_of_others_take_no_cells():
    inner, outer = ball(0.5), ball(0.8)
    both = make_mesh(
        np.concatenate([inner.vertices, outer.vertices]),
        np.concatenate([inner.faces, outer.faces + len(inner.vertices)]),
    )
    # Of vertices on the border between two cells, rounding decides.
    assert len(hold(both).cells) == pytest.approx(len(hold(outer).cells), rel=0.01)


def grown(tetrahedra, steps, direction=-1.0):
    """Lets the surface move outwards as fast as it may."""
    for _ in range(steps):
        tetrahedra.values.grad = torch.zeros_like(tetrahedra.values)
        tetrahedra.values.grad[:, 0] = -direction
        tetrahedra.step(0.2)
        surface(tetrahedra)  # after which the band has followed
    return tetrahedra


def test_the_band_follows_the_surface_as_far_as_it_may_go():
    tetrahedra = hold(ball(0.6), limit=0.3)
    before = tetrahedra.cells
    grown(tetrahedra, 40)
    assert not torch.equal(tetrahedra.cells, before)
    found = radii(tetrahedra)
    assert 0.85 < found.mean() < 0.9 and found.std() < 0.01  # up to the limit, which is 0.9
    assert find_edges(surface(tetrahedra)[1]).paired.all()
    torch.testing.assert_close(
        tetrahedra.rest, torch.linalg.vector_norm(tetrahedra.grid.vertices, dim=1) - 0.6,
        rtol=0, atol=5e-3,
    )  # fmt: skip


def test_no_vertex_moves_farther_than_the_limit_and_no_tetrahedron_turns_over():
    tetrahedra = hold(ball(), limit=0.02)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        tetrahedra.values.copy_(3 * torch.randn(tetrahedra.values.shape, generator=generator))
    assert tetrahedra.changes().abs().max() <= 0.02
    assert torch.linalg.vector_norm(tetrahedra.offsets(), dim=1).max() <= 0.02 + 1e-6
    tetrahedra.largest_offset = 0.25 * tetrahedra.cell_size
    moved = tetrahedra.grid.vertices + tetrahedra.offsets()
    a, b, c, d = moved[tetrahedra.grid.tetrahedra].unbind(1)
    assert (torch.linalg.cross(b - a, c - a) * (d - a)).sum(1).min() > 0


def test_thin_parts_are_not_eaten_away():
    plate = trimesh.creation.box([1.2, 1.2, 0.2])
    tetrahedra = hold(make_mesh(plate.vertices, plate.faces), resolution=64, limit=0.15)
    grown(tetrahedra, 40, direction=1.0)
    vertices, _ = surface(tetrahedra)
    middle = vertices[vertices[:, :2].abs().amax(1) < 0.4]
    # At most a quarter from either side, though the limit would allow for more than there is.
    assert 0.05 <= middle[:, 2].abs().min() and middle[:, 2].abs().max() < 0.08


@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_what_is_as_thin_as_the_lattice_can_hold_is_not_torn(turn):
    """A plate that may hardly be thinner, also across the lattice, pushed in with all force."""
    plate = trimesh.creation.box([1.2, 1.2, 1.2 * cell_size(64)])
    plate.apply_transform(trimesh.transformations.euler_matrix(turn, turn, 0))
    tetrahedra = hold(make_mesh(plate.vertices, plate.faces), resolution=64, limit=0.03)
    grown(tetrahedra, 20, direction=1.0)
    vertices, faces = surface(tetrahedra)
    topology = describe_topology(vertices, faces)
    assert topology["watertight"] and topology["components"] == 1 and topology["genus"] == 0


def test_thick_parts_may_be_engraved_as_deep_as_the_limit():
    tetrahedra = hold(ball(), resolution=64, limit=0.01)
    grown(tetrahedra, 20, direction=1.0)
    assert surface(tetrahedra)[0].norm(dim=1).mean().item() == pytest.approx(0.8 - 0.01, abs=0.002)


def test_faces_do_not_shrink_to_points_where_the_surface_meets_the_lattice():
    tetrahedra = hold(ball())
    with torch.no_grad():
        tetrahedra.rest[tetrahedra.rest.abs() < 0.3 * tetrahedra.cell_size] = 0.0
        vertices, _ = tetrahedra.surface()
    assert len(vertices.unique(dim=0)) == len(vertices)


def test_the_gradient_is_that_of_finite_differences():
    tetrahedra = hold(ball(), resolution=16)
    generator = torch.Generator().manual_seed(2)
    start = 0.01 * torch.randn(tetrahedra.values.shape, generator=generator)
    direction = torch.randn(tetrahedra.values.shape, generator=generator).double()
    # Away from the least distance, on which there is a kink.
    rest = tetrahedra.rest.double()
    tetrahedra.rest = torch.where(rest < 0, rest.clamp(max=-0.1), rest.clamp(min=0.1))

    def volume(values):
        tetrahedra.values = values
        a, b, c = tetrahedra.surface()[0][tetrahedra.surface()[1]].unbind(1)
        return (torch.linalg.cross(a, b) * c).sum() / 6

    values = start.double().requires_grad_()
    (slope,) = torch.autograd.grad(volume(values), values)
    more, less = (volume(start.double() + s * direction).item() for s in (1e-6, -1e-6))
    expected = (slope * direction).sum().item()
    assert expected == pytest.approx((more - less) / 2e-6, rel=1e-4)


def test_what_was_saved_goes_on_with_the_same_bits():
    whole, first, second = (hold(ball(0.6), limit=0.3) for _ in range(3))
    grown(whole, 12)
    saved = {name: tensor.detach().clone() for name, tensor in grown(first, 7).tensors().items()}
    second.restore(saved, 7)
    grown(second, 5)
    assert torch.equal(second.values, whole.values) and torch.equal(second.rest, whole.rest)
    assert torch.equal(surface(second)[0], surface(whole)[0])


def test_normals_point_outwards_and_slivers_have_no_say():
    vertices, faces = surface(hold(ball(), resolution=64))
    cosines = (vertex_normals(vertices, faces) * vertices).sum(1) / 0.8
    assert cosines.min() > 0.98


@pytest.mark.parametrize("name", ["armchair.obj", "mug.obj", "teapot.obj", "table_and_stool.glb"])
def test_meshes_of_several_parts_become_closed_and_manifold(name):
    from geometry_shapes import ASSETS

    from texcsd.geometry.mesh import fit_to_unit_sphere

    mesh = fit_to_unit_sphere(load_mesh(ASSETS / name))
    vertices, faces = surface(hold(mesh))
    directed = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forwards, backwards = (
        (pairs[:, 0] * len(vertices) + pairs[:, 1]).sort().values
        for pairs in (directed, directed.flip(1))
    )
    assert torch.equal(forwards, backwards) and len(forwards.unique()) == len(forwards)
