import pytest
import torch
from rendering_shapes import make_sphere, make_square

from texcsd.geometry.mesh import Mesh


@pytest.fixture
def sphere() -> Mesh:
    return make_sphere()


@pytest.fixture
def square() -> Mesh:
    return make_square()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.fixture
def with_threads():
    """Calls a function with a number of torch threads, and puts the old number back afterwards."""
    before = torch.get_num_threads()

    def call(threads, function):
        torch.set_num_threads(threads)
        return function()

    yield call
    torch.set_num_threads(before)
