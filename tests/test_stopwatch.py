"""Stages of a computation and the seconds they took."""

import time

import pytest
import torch

from texcsd.stopwatch import Stopwatch


def test_seconds_add_up_by_stage_and_over_processes():
    watch = Stopwatch(["render", "update"], torch.device("cpu"))
    for _ in range(2):
        with watch.timed("render"):
            time.sleep(0.01)
    watch.add({"update": 2.5})
    seconds = watch.seconds()
    assert 0.02 <= seconds["render"] and seconds["update"] == 2.5
    assert watch.seconds() == seconds


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_the_work_counts_and_not_the_asking():
    watch, matrix = Stopwatch(["multiply"], torch.device("cuda")), torch.rand(4096, 4096).cuda()
    matrix @ matrix
    torch.cuda.synchronize()
    began = time.perf_counter()
    with watch.timed("multiply"):
        for _ in range(50):
            matrix @ matrix
    asking = time.perf_counter() - began
    assert watch.seconds()["multiply"] > asking
