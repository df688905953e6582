"""A lattice without gaps, and surfaces that are closed, oriented and right."""

import pytest
import torch

from texcsd.geometry.edges import find_edges
from texcsd.geometry.tetrahedra import TetrahedralGrid, lattice, marching_tetrahedra


def block(cells: int) -> TetrahedralGrid:
    """A cube of side 2 around the origin."""
    axis = torch.arange(-cells // 2, cells // 2)
    return lattice(torch.cartesian_prod(axis, axis, axis), 2 / cells)


def ball(grid: TetrahedralGrid, radius: float = 0.7) -> torch.Tensor:
    centre = torch.tensor([0.013, -0.021, 0.017])
    return torch.linalg.vector_norm(grid.vertices - centre, dim=1) - radius


def volumes(vertices, tetrahedra):
    a, b, c, d = vertices.double()[tetrahedra].unbind(1)
    return (torch.linalg.cross(b - a, c - a) * (d - a)).sum(1) / 6


def enclosed(vertices, faces):
    a, b, c = vertices.double()[faces].unbind(1)
    return (torch.linalg.cross(a, b) * c).sum() / 6


def test_the_tetrahedra_are_alike_and_fill_the_space_between_the_middles_of_the_cells():
    grid = block(4)
    found = volumes(grid.vertices, grid.tetrahedra)
    torch.testing.assert_close(found, torch.full_like(found, 0.5**3 / 12))
    # Each of the inner faces has two pyramids, each a sixth of a cell.
    assert found.sum().item() == pytest.approx(3 * 3 * 16 * 0.5**3 / 3)
    pairs = grid.tetrahedra[:, [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]].sort(-1).values
    assert torch.equal(grid.edges[grid.edges_of], pairs)
    assert len(grid.vertices.unique(dim=0)) == len(grid.vertices)


def test_a_few_cells_anywhere_make_a_part_of_the_whole_lattice():
    axis = torch.arange(-7, 5)
    cells = torch.cartesian_prod(axis, axis + 3, axis - 9)
    some = cells[torch.randperm(len(cells), generator=torch.Generator().manual_seed(0))[:900]]
    whole, part = lattice(cells, 0.3), lattice(some, 0.3)

    def middles(grid):
        return {tuple(m) for m in (grid.vertices[grid.tetrahedra].mean(1) * 1e3).round().tolist()}

    assert volumes(part.vertices, part.tetrahedra).min() > 0
    assert middles(part) <= middles(whole) and len(middles(part)) == len(part.tetrahedra)


def test_a_ball_gives_a_closed_surface_that_faces_outwards():
    grid = block(12)
    vertices, faces = marching_tetrahedra(grid, grid.vertices, ball(grid))
    edges = find_edges(faces)
    assert edges.paired.all() and len(faces.unique()) == len(vertices)
    assert len(vertices) - len(edges.vertices) + len(faces) == 2  # Euler
    directed = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert len(directed.unique(dim=0)) == len(directed)  # wound consistently
    assert enclosed(vertices, faces) > 0


def test_every_combination_of_signs_is_closed_and_consistently_wound():
    grid = block(6)
    signs = torch.randn(len(grid.vertices), generator=torch.Generator().manual_seed(1))
    signs[grid.vertices.abs().amax(1) > 0.6] = 1.0
    _, faces = marching_tetrahedra(grid, grid.vertices, signs)
    directed = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    keys = directed[:, 0] * 10**6 + directed[:, 1]
    reverse = directed[:, 1] * 10**6 + directed[:, 0]
    assert torch.equal(keys.sort().values, reverse.sort().values)


def test_the_error_of_the_volume_falls_with_the_square_of_the_cell():
    true = 4 / 3 * torch.pi * 0.7**3
    errors = []
    for cells in (8, 16, 32):
        grid = block(cells)
        volume = enclosed(*marching_tetrahedra(grid, grid.vertices, ball(grid)))
        errors.append(abs(volume.item() - true))
    assert 3.3 < errors[0] / errors[1] < 4.7 and 3.3 < errors[1] / errors[2] < 4.7


def test_the_gradient_is_that_of_finite_differences():
    grid = block(8)
    generator = torch.Generator().manual_seed(2)
    distances = ball(grid).double().requires_grad_()
    positions = grid.vertices.double().requires_grad_()

    def volume(positions, distances):
        return enclosed(*marching_tetrahedra(grid, positions, distances))

    move = torch.randn(positions.shape, generator=generator, dtype=torch.float64) * 0.01
    grow = torch.randn(distances.shape, generator=generator, dtype=torch.float64) * 0.01
    slopes = torch.autograd.grad(volume(positions, distances), [positions, distances])
    expected = (slopes[0] * move).sum() + (slopes[1] * grow).sum()
    step = 1e-4
    more, less = [volume(positions + s * move, distances + s * grow) for s in (step, -step)]
    assert expected.item() == pytest.approx((more - less).item() / (2 * step), rel=1e-5)
