import gc

import numpy as np
import pytest
import rendering_oracles as oracles
import torch
from rendering_shapes import make_sphere, merge

from texcsd.rendering import numba_operations, operations
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.numba_blocks import BLOCK, find_blocks, find_candidates, no_candidates

PART = BLOCK // 2
"""Triangles that are one block, whatever their order."""


def shuffled_sphere(rings=48):
    mesh = make_sphere(rings)
    return mesh.vertices, mesh.faces[torch.randperm(len(mesh.faces))]


def shells():
    """Spheres in one another, so that most is hidden; triangles in no order."""
    mesh = merge(*(make_sphere(rings, 1 - 0.2 * n) for n, rings in enumerate((30, 24, 16))))
    return mesh.vertices, mesh.faces[torch.randperm(len(mesh.faces))]


def views(vertices, name):
    """Clip positions float32[view, vertex, 4] of an orbit, close to it, or from inside it."""
    if name == "inside":
        cameras = orbit_cameras(2, elevation_degrees=20, view_width=0.01)
        return cameras.clip_positions(0.9 * vertices - vertices.new_tensor([0.0, 0.0, 0.7]))
    return orbit_cameras(
        2, elevation_degrees=20, view_width=2.2 if name == "all" else 0.4
    ).clip_positions(vertices)


def nearest_of_parts(clip, faces, size):
    """What `rasterize` must find: the nearest of what it finds in parts that are one block each."""
    best, ids = torch.full((len(clip), *size), 2.0), torch.full((len(clip), *size), -1)
    for first in range(0, len(faces), PART):
        found = operations.rasterize(clip, faces[first : first + PART], size)
        depth = torch.where(found.triangle_ids >= 0, found.rast[..., 2], 3.0)
        ids = torch.where(depth < best, found.triangle_ids + first, ids)
        best = torch.minimum(depth, best)
    return ids


@pytest.mark.parametrize("name", ["all", "close", "inside"])
def test_passing_over_blocks_changes_no_pixel(name):
    torch.manual_seed(3)
    vertices, faces = shells()
    clip, size = views(vertices, name), (90, 120)
    expected = nearest_of_parts(clip, faces, size)
    found = operations.rasterize(clip, faces, size).triangle_ids
    assert (expected >= 0).float().mean() > 0.2
    # Where two faces meet, parts and the whole may name one or the other.
    assert (found != expected).float().mean() < 1e-3


@pytest.mark.parametrize("before", [1e-4, -1e-4])
def test_bits_just_before_a_slanted_surface_are_seen_and_those_just_behind_it_are_not(before):
    random = np.random.default_rng(5)
    surface = np.array([[-1, -1, -0.9], [1, -1, 0.9], [-1, 1, -0.9], [1, 1, 0.9]])
    centres = random.uniform(0.2, 0.8, (8 * BLOCK, 1, 3))
    bits = centres + random.uniform(-0.1, 0.1, (8 * BLOCK, 3, 3))
    bits[..., 2] = 0.9 * bits[..., 0] - before * random.uniform(1, 100, (8 * BLOCK, 1))
    clip = torch.ones(1, 4 + bits.size // 3, 4)
    clip[0, :, :3] = torch.from_numpy(np.concatenate([surface, bits.reshape(-1, 3)]))
    faces = torch.cat(
        [torch.tensor([[0, 1, 2], [2, 1, 3]]), 4 + torch.arange(bits.size // 3).view(-1, 3)]
    )
    size = (80, 80)
    expected = nearest_of_parts(clip, faces, size)
    assert (expected > 1).float().mean() > 0.05 if before > 0 else (expected <= 1).all()
    assert torch.equal(operations.rasterize(clip, faces, size).triangle_ids, expected.int())


def test_every_triangle_alone_equals_the_oracle_also_where_it_reaches_behind_the_eye():
    covered = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        clip = torch.from_numpy(random.normal(size=(1, 3, 4)).astype(np.float32))
        clip[..., 0] += random.choice([0, 2, 5])
        triangle = torch.arange(3).view(1, 3)
        found = operations.rasterize(clip, triangle, (6, 6)).triangle_ids
        expected, _, _ = oracles.rasterize(clip[0].numpy(), triangle.numpy(), 6, 6)
        np.testing.assert_array_equal(found[0].numpy(), expected)
        covered += bool((found >= 0).any())
    assert covered > 40


def test_a_block_outside_the_image_or_behind_what_is_drawn_is_passed_over():
    mesh = make_sphere(22)
    positions, size = views(mesh.vertices, "all")[0].numpy(), (90, 90)
    blocks = find_blocks(positions, mesh.faces.int().numpy(), (0, BLOCK))

    def count(image, depth):
        nearest, memory = np.full(size, depth), no_candidates()
        image = tuple(np.float32(bound) for bound in image)
        return find_candidates(positions, blocks, 0, 0, image, size, nearest, memory)

    assert count((0, 89, 0, 89), 2.0) > BLOCK // 2
    assert count((0, 89, 0, 89), -1.0) == 0
    assert count((0, 2, 0, 89), 2.0) == count((0, 89, 87, 89), 2.0) == 0


def test_blocks_hold_every_triangle_once_with_its_own_vertices():
    torch.manual_seed(1)
    vertices, faces = shuffled_sphere()
    positions, numbers = views(vertices, "all")[0].numpy(), faces.int().numpy()
    for span in ((0, len(faces)), (700, 700 + 2 * BLOCK + 5), (5, 6), (9, 9)):
        blocks = find_blocks(positions, numbers, span)
        np.testing.assert_array_equal(np.sort(blocks.order), np.arange(*span))
        starts = blocks.starts[np.arange(span[1] - span[0]) // BLOCK]
        vertices_of = blocks.vertices[starts + blocks.corners.astype(int)].T
        np.testing.assert_array_equal(vertices_of, numbers[blocks.order])


def test_triangles_of_a_block_are_neighbours_however_they_are_listed():
    torch.manual_seed(2)
    vertices, faces = shuffled_sphere(96)
    blocks = find_blocks(views(vertices, "all")[0].numpy(), faces.int().numpy(), (0, len(faces)))
    assert len(blocks.starts) > 10
    # A mesh has half as many vertices as triangles; blocks share only those at their borders.
    assert len(blocks.vertices) < 0.75 * len(faces)


def test_vertices_that_are_not_finite_spoil_only_their_own_triangles():
    torch.manual_seed(4)
    vertices, faces = shells()
    clip = views(vertices, "all")
    spoilt = torch.randperm(len(vertices))[:20]
    bad = clip.clone()
    bad[:, spoilt[:10], 0], bad[:, spoilt[10:], 3] = torch.nan, torch.inf
    sound = ~torch.isin(faces, spoilt).any(1)
    found = operations.rasterize(bad, faces, (64, 64)).triangle_ids
    numbers = torch.cat([sound.nonzero()[:, 0], torch.tensor([-1])])
    expected = operations.rasterize(clip, faces[sound], (64, 64)).triangle_ids.long()
    assert torch.equal(found, numbers[expected].to(found))


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
def test_triangles_that_are_changed_in_place_are_looked_at_anew(kind):
    vertices, faces = shuffled_sphere(16)
    clip, numbers = views(vertices, "all"), faces.to(kind).numpy().copy()
    shared = torch.from_numpy(numbers)
    before = operations.rasterize(clip, shared, (32, 32)).triangle_ids
    numbers[:] = numbers[::-1].copy()  # which torch cannot know of
    after = operations.rasterize(clip, shared, (32, 32)).triangle_ids
    assert torch.equal(after, torch.where(before < 0, before, len(faces) - 1 - before))


def test_blocks_are_found_once_and_are_gone_with_their_triangles(monkeypatch):
    calls = []

    def find(*arguments):
        calls.append(arguments[2])
        return find_blocks(*arguments)

    monkeypatch.setattr(numba_operations, "find_blocks", find)
    vertices, faces = shuffled_sphere(8)
    gc.collect()  # the triangles of other tests
    clip, known = views(vertices, "all"), len(numba_operations._known_blocks)
    for _ in range(3):
        operations.rasterize(clip, faces, (8, 8))
    assert calls == [(0, len(faces))]
    ranges = torch.tensor([[0, 40], [40, 40], [0, 40]], dtype=torch.int32)
    for _ in range(2):
        operations.rasterize(clip[0], faces, (8, 8), ranges)
    assert calls[1:] == [(0, 40), (40, 80)]
    assert len(numba_operations._known_blocks) == known + 1
    del faces
    gc.collect()
    assert len(numba_operations._known_blocks) == known
