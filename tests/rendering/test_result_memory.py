"""Memory of results is used again, but never while anything still shows it."""

import gc
import threading

import numpy as np
import pytest
import torch
from rendering_shapes import make_sphere

from texcsd.rendering import operations, result_memory
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.result_memory import LARGE, MOST, new_image

SHAPE = (2, 256, 256, 4)


@pytest.fixture(autouse=True)
def no_memory_of_other_tests():
    gc.collect()
    result_memory._free.clear()


def address(image):
    return image.__array_interface__["data"][0]


def kept():
    return sum(len(memory) for memory in result_memory._free)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_memory_comes_back_with_the_last_view_of_it(dtype):
    image = new_image(SHAPE, dtype)
    assert image.shape == SHAPE and image.dtype == dtype and image.flags.c_contiguous
    place, tensor = address(image), torch.from_numpy(image)
    views = [tensor[1, 3:].numpy(), tensor.view(-1)[5:], image[0].reshape(-1)[::2]]
    del image, tensor
    while views:
        assert kept() == 0 and address(new_image(SHAPE)) != place
        result_memory._free.clear()
        views.pop()
    assert kept() == 4 * 2 * 256 * 256 * 4
    assert address(new_image(SHAPE)) == place


def test_what_a_gradient_needs_is_not_used_again():
    mesh = make_sphere(8)
    clip = orbit_cameras(2).clip_positions(mesh.vertices)

    def square_sum(size):
        positions = clip.clone().requires_grad_()
        found = operations.rasterize(positions, mesh.faces, (size, size))
        values, _ = operations.interpolate(mesh.vertices, found, mesh.faces)
        return positions, (values**2).sum()

    positions, total = square_sum(256)
    for _ in range(3):
        square_sum(256)
    (found,) = torch.autograd.grad(total, positions)
    positions, total = square_sum(256)
    (expected,) = torch.autograd.grad(total, positions)
    assert torch.equal(found, expected) and found.abs().sum() > 0


def test_results_that_are_kept_do_not_change():
    mesh = make_sphere(8)
    clips = [orbit_cameras(2, seed).clip_positions(mesh.vertices) for seed in (0, 20, 40)]
    kept_results = [operations.rasterize(clip, mesh.faces, (256, 256)) for clip in clips]
    copies = [[tensor.clone() for tensor in result] for result in kept_results]
    for clip in reversed(clips):
        operations.rasterize(clip, mesh.faces, (256, 256))
    for result, copy in zip(kept_results, copies, strict=True):
        assert all(torch.equal(*pair) for pair in zip(result, copy, strict=True))


def test_only_so_much_is_kept_and_what_was_used_last_goes_last():
    images = [new_image((LARGE // 4 + index,)) for index in range(MOST // LARGE + 20)]
    last = address(images[-1])
    shape = images[-1].shape
    while images:
        del images[0]
    assert MOST - 2 * LARGE < kept() <= MOST
    assert address(new_image(shape)) == last
    before, too_large = kept(), new_image((MOST // 4 + 1,))
    del too_large
    assert kept() == before


def test_memory_is_used_again_only_for_as_much():
    image = new_image(SHAPE)
    place = address(image)
    del image
    half, double = new_image((1, *SHAPE[1:])), new_image((4, *SHAPE[1:]))
    assert half.shape[0] == 1 and double.shape[0] == 4
    assert place not in (address(half), address(double))


def test_small_images_are_left_to_the_system():
    image = new_image((LARGE // 4 - 1,))
    del image
    assert kept() == 0


def test_no_two_threads_get_the_same_memory():
    barrier, places = threading.Barrier(4), []

    def work():
        for _ in range(200):
            image = new_image(SHAPE)
            image[:] = threading.get_ident() % 1000
            places.append(bool((image == threading.get_ident() % 1000).all()))
            barrier.wait()
            places.append(bool((image == threading.get_ident() % 1000).all()))
            del image

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(places) == 1600 and all(places) and kept() <= MOST
