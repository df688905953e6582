"""Normals of a surface close by: along a ray first, at the nearest point otherwise."""

import numpy as np
import torch
from guided_shapes import make_mesh

from texcsd.geometry.close_surface import CloseSurface

UP = torch.tensor([[0.0, 1.0, 0.0]])


def square(centre, normal, size):
    normal = np.array(normal) / np.linalg.norm(normal)
    side = np.array([0.0, 0.0, 1.0])
    other = np.cross(side, normal)
    corners = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    points = [np.array(centre) + size * (a * side + b * other) for a, b in corners]
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    first, second = points[1] - points[0], points[2] - points[0]
    return np.stack(points), faces if np.cross(first, second) @ normal > 0 else faces[:, ::-1]


def surface(*squares):
    vertices, faces, count = [], [], 0
    for points, own in squares:
        vertices.append(points)
        faces.append(own + count)
        count += len(points)
    return CloseSurface(make_mesh(np.concatenate(vertices), np.concatenate(faces)))


def test_what_the_ray_meets_counts_and_not_what_is_nearer_beside_it():
    above = square((0, 0.3, 0), (0, 1, 0), 0.1)
    beside = square((0.2, 0, 0), (1, 1, 0), 0.01)
    found = surface(above, beside).normals(torch.zeros(1, 3), UP)
    torch.testing.assert_close(found, UP)


def test_far_along_the_ray_is_another_part_and_the_nearest_point_counts():
    above = square((0, 2, 0), (0, 1, 0), 0.1)
    beside = square((0.2, 0, 0), (1, 1, 0), 0.01)
    found = surface(above, beside).normals(torch.zeros(1, 3), UP)
    torch.testing.assert_close(found, torch.tensor([[0.5**0.5, 0.5**0.5, 0.0]]))


def test_a_surface_that_faces_the_other_way_gives_the_direction_itself():
    found = surface(square((0, 0.1, 0), (0, -1, 0), 0.1)).normals(torch.zeros(1, 3), UP)
    torch.testing.assert_close(found, UP)


class TreeWithRemains:
    """A tree whose arrays hold what was in their memory before, where a ray meets nothing."""

    def __init__(self, tree):
        self.squared_distance, self._tree = tree.squared_distance, tree

    def intersect_ray_first(self, *given):
        faces, distance, weights = map(np.array, self._tree.intersect_ray_first(*given))
        distance[faces < 0], weights[faces < 0] = -1e300, 1e300
        return faces, distance, weights


def test_what_is_in_memory_where_a_ray_meets_nothing_does_not_count():
    close = surface(square((0, 0.3, 0), (0, 1, 0), 0.1), square((0.2, 0, 0), (1, 1, 0), 0.01))
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [-1, 0, 0]])
    expected = close.normals(points, UP.expand(3, 3))
    close._tree = TreeWithRemains(close._tree)
    with np.errstate(over="raise", invalid="raise"):
        assert torch.equal(close.normals(points, UP.expand(3, 3)), expected)
