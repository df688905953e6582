"""Kernels of `hash_grid` for CUDA, in Triton, which comes with CUDA builds of PyTorch on Linux.

A program takes some positions at one level, two features an entry. Arithmetic of entries is modulo
2^32, which leaves the lower bits, all that counts, as they are.
"""

from __future__ import annotations

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

BLOCK = 256
"""Positions of a program."""


def read(table: Tensor, positions: Tensor, levels: Tensor) -> Tensor:
    """float32[n, level * 2]; `levels` is int32[level, 4]: cells, first, entries, hashed."""
    output = torch.empty(len(positions), 2 * len(levels), device=table.device)
    programs = (triton.cdiv(len(positions), BLOCK), len(levels))
    if len(positions):
        _read[programs](table, positions, levels, output, len(positions), BLOCK)  # pyright: ignore[reportIndexIssue]
    return output


def add(gradient: Tensor, positions: Tensor, levels: Tensor, upstream: Tensor) -> None:
    """Adds the gradient of the entries, float32[entry, 2], for upstream float32[n, level * 2]."""
    programs = (triton.cdiv(len(positions), BLOCK), len(levels))
    if len(positions):
        _add[programs](gradient, positions, levels, upstream, len(positions), BLOCK)  # pyright: ignore[reportIndexIssue]


@triton.jit
def _read(table, positions, levels, output, count, BLOCK: tl.constexpr):
    level, point = tl.program_id(1), tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = point < count
    cells, first = tl.load(levels + 4 * level), tl.load(levels + 4 * level + 1)
    entries, hashed = tl.load(levels + 4 * level + 2), tl.load(levels + 4 * level + 3)
    x, right = _cell(tl.load(positions + 3 * point, mask=mask, other=0.0), cells)
    y, up = _cell(tl.load(positions + 3 * point + 1, mask=mask, other=0.0), cells)
    z, near = _cell(tl.load(positions + 3 * point + 2, mask=mask, other=0.0), cells)
    one, two = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    for corner in tl.static_range(8):
        # Names would turn what is known when this is compiled into tensors.
        weight = _share(right, corner & 1) * _share(up, corner >> 1 & 1) * _share(near, corner >> 2)
        entry = first + _entry(
            x + (corner & 1), y + (corner >> 1 & 1), z + (corner >> 2), cells, entries, hashed
        )
        one += weight * tl.load(table + 2 * entry, mask=mask, other=0.0)
        two += weight * tl.load(table + 2 * entry + 1, mask=mask, other=0.0)
    place = output + point.to(tl.int64) * (2 * tl.num_programs(1)) + 2 * level
    tl.store(place, one, mask=mask)
    tl.store(place + 1, two, mask=mask)


@triton.jit
def _add(gradient, positions, levels, upstream, count, BLOCK: tl.constexpr):
    level, point = tl.program_id(1), tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = point < count
    cells, first = tl.load(levels + 4 * level), tl.load(levels + 4 * level + 1)
    entries, hashed = tl.load(levels + 4 * level + 2), tl.load(levels + 4 * level + 3)
    x, right = _cell(tl.load(positions + 3 * point, mask=mask, other=0.0), cells)
    y, up = _cell(tl.load(positions + 3 * point + 1, mask=mask, other=0.0), cells)
    z, near = _cell(tl.load(positions + 3 * point + 2, mask=mask, other=0.0), cells)
    place = upstream + point.to(tl.int64) * (2 * tl.num_programs(1)) + 2 * level
    one = tl.load(place, mask=mask, other=0.0)
    two = tl.load(place + 1, mask=mask, other=0.0)
    for corner in tl.static_range(8):
        # Names would turn what is known when this is compiled into tensors.
        weight = _share(right, corner & 1) * _share(up, corner >> 1 & 1) * _share(near, corner >> 2)
        entry = first + _entry(
            x + (corner & 1), y + (corner >> 1 & 1), z + (corner >> 2), cells, entries, hashed
        )
        tl.atomic_add(gradient + 2 * entry, weight * one, mask=mask)
        tl.atomic_add(gradient + 2 * entry + 1, weight * two, mask=mask)


@triton.jit
def _cell(coordinate, cells):
    """The cell along one axis, and how far in it."""
    place = (tl.minimum(tl.maximum(coordinate, -1.0), 1.0) + 1.0) * (cells / 2.0)
    cell = tl.minimum(tl.floor(place), cells - 1.0)
    return cell.to(tl.uint32), place - cell


@triton.jit
def _share(beyond, upper: tl.constexpr):
    return beyond if upper else 1.0 - beyond


@triton.jit
def _entry(x, y, z, cells, entries, hashed):
    side = (cells + 1).to(tl.uint32)
    dense = x + side * (y + side * z)
    mixed = x ^ (y * 2654435761).to(tl.uint32) ^ (z * 805459861).to(tl.uint32)
    mixed = mixed & (entries - 1).to(tl.uint32)
    return tl.where(hashed != 0, mixed, dense).to(tl.int32)
