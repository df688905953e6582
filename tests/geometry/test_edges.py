"""Edges of small meshes that can be counted by hand."""

import torch
from geometry_shapes import CUBE_FACES

from texcsd.geometry.edges import find_edges


def test_a_closed_mesh_has_each_edge_once_and_all_paired():
    edges = find_edges(torch.from_numpy(CUBE_FACES))
    assert len(edges.vertices) == 8 + len(CUBE_FACES) - 2  # Euler
    assert len(edges.vertices.unique(dim=0)) == len(edges.vertices)
    assert edges.paired.all()


def test_borders_and_edges_of_three_faces_are_not_paired():
    edges = find_edges(torch.tensor([[0, 1, 2], [1, 0, 3], [0, 1, 4]]))
    assert edges.vertices[~edges.paired].tolist() == edges.vertices.tolist()
    edges = find_edges(torch.tensor([[0, 1, 2], [1, 0, 3]]))
    assert edges.vertices[edges.paired].tolist() == [[0, 1]]
    assert sorted(edges.opposite[edges.paired][0].tolist()) == [2, 3]


def test_edges_know_the_faces_that_their_opposite_vertices_are_of():
    faces = torch.from_numpy(CUBE_FACES)
    faces = torch.cat([torch.tensor([[0, 0, 1]]), faces])  # one that lacks edges moves no number
    edges = find_edges(faces)
    for side in (0, 1):
        corners = torch.cat([edges.vertices, edges.opposite[:, side, None]], 1)
        assert torch.equal(corners.sort(1)[0], faces[edges.faces[:, side]].sort(1)[0])
    assert (edges.faces[:, 0] <= edges.faces[:, 1]).all()


def test_edges_of_some_faces_are_those_that_touch_them_and_stay_paired():
    strip = torch.tensor([[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]])
    edges = find_edges(strip).of_faces(1, 3)
    assert edges.vertices.tolist() == [[1, 2], [1, 3], [2, 3], [2, 4], [3, 4]]
    assert edges.paired.tolist() == [True, False, True, False, True]
    assert len(find_edges(strip).of_faces(0, 0).vertices) == 0


def test_winding_makes_no_difference():
    faces = torch.from_numpy(CUBE_FACES)
    turned = torch.where(torch.arange(len(faces))[:, None] % 2 == 0, faces, faces.flip(1))
    assert torch.equal(find_edges(faces).vertices, find_edges(turned).vertices)
    assert find_edges(turned).paired.all()


def test_a_face_that_uses_a_vertex_twice_has_no_edge_from_it_to_itself():
    assert (find_edges(torch.tensor([[0, 0, 1]])).vertices == torch.tensor([[0, 1]])).all()
    assert len(find_edges(torch.zeros(0, 3, dtype=torch.int64)).vertices) == 0
