"""Ours and kaolin's surfaces; kaolin is optional."""

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree

from texcsd.errors import TexcsdError
from texcsd.geometry.edges import find_edges
from texcsd.geometry.isosurface import FlexiCubes, choose_extraction, kaolin_tetrahedra
from texcsd.geometry.tetrahedra import lattice, marching_tetrahedra


@pytest.fixture
def kaolin() -> None:
    pytest.importorskip("kaolin", reason="NVIDIA's kaolin is not installed")


@pytest.fixture
def grid():
    axis = torch.arange(-6, 6)
    return lattice(torch.cartesian_prod(axis, axis, axis), 1 / 6)


def ball(grid, radius=0.7):
    centre = torch.tensor([0.013, -0.021, 0.017])
    return torch.linalg.vector_norm(grid.vertices - centre, dim=1) - radius


def volume(vertices, faces):
    a, b, c = vertices[faces].unbind(1)
    return (torch.linalg.cross(a, b) * c).sum() / 6


def test_without_kaolin_auto_is_ours_and_its_own_ways_are_refused(monkeypatch):
    monkeypatch.setattr("texcsd.geometry.isosurface.find_spec", lambda name: None)
    assert choose_extraction("auto") == ("tetrahedra", marching_tetrahedra)
    for name in ("kaolin", "flexicubes"):
        with pytest.raises(TexcsdError, match=f"isosurface {name} needs NVIDIA's kaolin"):
            choose_extraction(name)


def test_with_kaolin_auto_is_kaolins_and_ours_can_be_had(monkeypatch):
    monkeypatch.setattr("texcsd.geometry.isosurface.find_spec", lambda name: object())
    assert choose_extraction("auto") == ("kaolin", kaolin_tetrahedra)
    assert choose_extraction("tetrahedra") == ("tetrahedra", marching_tetrahedra)
    assert choose_extraction("flexicubes")[0] == "flexicubes"


def in_one_order(faces):
    """The rows, each beginning with its least vertex, and sorted."""
    turns = (torch.arange(3) + faces.argmin(1, keepdim=True)) % 3
    return faces.gather(1, turns).unique(dim=0)


@pytest.mark.usefixtures("kaolin")
def test_kaolins_triangles_are_ours(grid):
    signs = torch.randn(len(grid.vertices), generator=torch.Generator().manual_seed(1))
    for distances in (ball(grid), signs):
        ours = marching_tetrahedra(grid, grid.vertices, distances)
        theirs = kaolin_tetrahedra(grid, grid.vertices, distances)
        apart, number = KDTree(ours[0].numpy()).query(theirs[0].numpy())
        assert apart.max() < 1e-5 and len(np.unique(number)) == len(ours[0])
        found = in_one_order(torch.from_numpy(number)[theirs[1]])
        assert torch.equal(in_one_order(ours[1]), found)


@pytest.mark.usefixtures("kaolin")
def test_kaolins_gradients_are_ours(grid):
    slopes = []
    for extract in (marching_tetrahedra, kaolin_tetrahedra):
        distances, places = ball(grid).requires_grad_(), grid.vertices.clone().requires_grad_()
        slopes.append(
            torch.autograd.grad(volume(*extract(grid, places, distances)), [distances, places])
        )
    for ours, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)


@pytest.mark.usefixtures("kaolin")
def test_flexicubes_makes_closed_surfaces_that_face_outwards_and_have_gradients(grid):
    distances = ball(grid).requires_grad_()
    vertices, faces = FlexiCubes()(grid, grid.vertices, distances)
    assert find_edges(faces).paired.all()
    # Its vertices are means of crossings, and so a little inside of what is round.
    assert 0.9 < volume(vertices, faces).item() / (4 / 3 * torch.pi * 0.7**3) < 1
    (slope,) = torch.autograd.grad(volume(vertices, faces), distances)
    # Growing everywhere by the same moves the surface inwards by that: minus its area.
    assert slope.sum().item() == pytest.approx(-4 * torch.pi * 0.7**2, rel=0.1)


@pytest.mark.usefixtures("kaolin")
def test_flexicubes_takes_a_lattice_of_a_few_cells(grid):
    axis = torch.arange(-6, 6)
    cells = torch.cartesian_prod(axis, axis, axis)
    middles = torch.linalg.vector_norm((cells + 0.5) / 6, dim=1)
    band = lattice(cells[(middles - 0.7).abs() < 0.4], 1 / 6)
    whole = FlexiCubes()(grid, grid.vertices, ball(grid))
    part = FlexiCubes()(band, band.vertices, ball(band))
    assert volume(*part).item() == pytest.approx(volume(*whole).item(), rel=1e-5)
    assert len(part[1]) == len(whole[1])
