"""From the processor's memory to a GPU's without waiting."""

from __future__ import annotations

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; what a GPU has been asked to do before may still be under way.

    An ordinary copy to a GPU waits until it has done all its work, and then the GPU waits in turn
    for what the processor asks next.
    """
    if tensor.device.type != "cpu" or device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
