"""The hash grid is a trilinear lookup, the same on every device."""

import importlib.util
import itertools
import os
import subprocess
import sys

import pytest
import torch

from texcsd.rendering import hash_grid, numba_hash_grid
from texcsd.rendering.hash_grid import encode_positions, grid_levels

CORNERS_AND_BEYOND = torch.tensor(
    [[1, 1, 1], [-1, -1, -1], [1, 0, -1], [0, 0, 0], [0.999999, -1, 0.25], [1.5, -3, 0.1]]
)


def positions(count=300):
    drawn = 2 * torch.rand(count, 3, generator=torch.Generator().manual_seed(1)) - 1
    return torch.cat([CORNERS_AND_BEYOND, drawn])


def table_of(levels, features=2):
    entries = sum(level.entries for level in levels)
    return torch.randn(entries, features, generator=torch.Generator().manual_seed(2))


def some_levels():
    """The first ones are dense, the last ones hashed."""
    levels = grid_levels(6, 3, 40, 1 << 9)
    assert [level.hashed for level in levels] == [False, False, True, True, True, True]
    return levels


def test_resolutions_grow_geometrically_and_levels_lie_one_after_another():
    levels = grid_levels(16, 16, 2048, 1 << 19)
    cells = [level.cells for level in levels]
    assert (cells[0], cells[-1]) == (16, 2048)
    ratios = [after / before for before, after in itertools.pairwise(cells)]
    assert max(ratios) / min(ratios) < 1.1
    assert levels[3].first == sum(level.entries for level in levels[:3])


def test_a_grid_that_holds_a_linear_function_gives_it_everywhere():
    (level,) = grid_levels(1, 5, 5, 1 << 12)
    axis = torch.linspace(-1, 1, 6)
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")  # x runs fastest.
    table = torch.stack([x + 2 * y - z, z], -1).reshape(-1, 2)
    points = positions()[len(CORNERS_AND_BEYOND) :]
    found = encode_positions(table, points, [level])
    expected = torch.stack([points @ torch.tensor([1.0, 2.0, -1.0]), points[:, 2]], 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_positions_outside_the_cube_take_the_values_of_its_border():
    levels = some_levels()
    outside = torch.tensor([[1.5, -3.0, 0.1], [0.2, 0.3, 7.0]])
    table = table_of(levels)
    inside = encode_positions(table, outside.clamp(-1, 1), levels)
    assert torch.equal(encode_positions(table, outside, levels), inside)


@pytest.mark.parametrize("features", [1, 2, 3])
def test_the_kernels_of_the_cpu_give_what_torch_gives(features):
    levels, points = some_levels(), positions()
    table = table_of(levels, features)
    found = numba_hash_grid.read(table, points, levels)
    torch.testing.assert_close(found, hash_grid.read_with_torch(table, points, levels))
    by_numba, by_torch = torch.zeros_like(table), torch.zeros_like(table)
    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(3))
    numba_hash_grid.add(by_numba, points, levels, upstream)
    hash_grid.add_with_torch(by_torch, points, levels, upstream)
    torch.testing.assert_close(by_numba, by_torch)


def test_the_gradient_is_the_transpose_of_the_lookup():
    levels, points = some_levels(), positions()
    table = table_of(levels).requires_grad_()
    other = torch.randn(table.shape, generator=torch.Generator().manual_seed(4))
    found = encode_positions(table, points, levels)
    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(5))
    (gradient,) = torch.autograd.grad(found, table, upstream)
    along = (encode_positions(other, points, levels).double() * upstream).sum()
    torch.testing.assert_close((gradient.double() * other).sum(), along, rtol=1e-5, atol=1e-4)


def test_any_number_of_threads_gives_the_same_bits():
    levels, points = some_levels(), positions(5000)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            table = table_of(levels).requires_grad_()
            found = encode_positions(table, points, levels)
            found.square().sum().backward()
            results.append((found, table.grad))
    finally:
        torch.set_num_threads(before)
    (found, gradient), (same, same_gradient) = results
    assert torch.equal(found, same) and torch.equal(gradient, same_gradient)


def test_no_positions_give_no_values():
    levels = some_levels()
    assert encode_positions(table_of(levels), torch.empty(0, 3), levels).shape == (0, 12)


TRITON_AGAINST_TORCH = """
import torch
from test_hash_grid import positions, some_levels, table_of
from texcsd.rendering import hash_grid, triton_hash_grid

levels, points = some_levels(), positions()
table, rows = table_of(levels), hash_grid._level_table(tuple(levels), torch.device("cpu"))
found = triton_hash_grid.read(table, points, rows)
torch.testing.assert_close(found, hash_grid.read_with_torch(table, points, levels))
by_triton, by_torch = torch.zeros_like(table), torch.zeros_like(table)
triton_hash_grid.add(by_triton, points, rows, found)
hash_grid.add_with_torch(by_torch, points, levels, found)
torch.testing.assert_close(by_triton, by_torch)
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="no Triton")
def test_the_kernels_of_triton_interpreted_give_what_torch_gives():
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    here = os.path.dirname(__file__)
    subprocess.run(
        [sys.executable, "-c", TRITON_AGAINST_TORCH], env=environment, cwd=here, check=True
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("with_triton", [True, False])
def test_a_gpu_gives_what_the_cpu_gives(monkeypatch, with_triton):
    device = torch.device("cuda")
    if with_triton and not hash_grid.takes_triton(device):
        pytest.skip("no Triton")
    monkeypatch.setattr(hash_grid, "takes_triton", lambda _: with_triton)
    levels, results = some_levels(), []
    for place in (torch.device("cpu"), device):
        table = table_of(levels).to(place).requires_grad_()
        found = encode_positions(table, positions().to(place), levels)
        found.square().sum().backward()
        results.append((found.detach().cpu(), table.grad.cpu()))
    torch.testing.assert_close(*(result[0] for result in results))
    torch.testing.assert_close(*(result[1] for result in results))
