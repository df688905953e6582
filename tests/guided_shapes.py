"""Shapes to be changed, and a denoiser that says how."""

import numpy as np
import torch
import trimesh

from texcsd.geometry.mesh import Mesh, Part
from texcsd.geometry.normals import smooth_normals
from texcsd.progress import Progress


def make_mesh(vertices, faces) -> Mesh:
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
    normals, normal_faces = map(torch.from_numpy, smooth_normals(vertices, faces))
    vertices, faces = torch.from_numpy(vertices), torch.from_numpy(faces)
    parts = (Part("shape", 0, len(faces)),)
    return Mesh(vertices, faces, None, None, normals, normal_faces, parts)


def sphere(subdivisions=3) -> Mesh:
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions)
    return make_mesh(mesh.vertices, mesh.faces)


class StripesDenoiser:
    """Wants the upper half of every picture bright and the lower one dark."""

    name = licence = weights_sha256 = ""
    image_size = 16
    default_negative_prompt = ""
    takes_positions = False
    takes_latents = False
    controlnet_scale, most_predictions = 1.0, 0
    alphas_cumprod = torch.linspace(0.999, 0.01, 1000)

    def __init__(self, knows_sides=False):
        self.knows_sides = knows_sides

    def pattern_scale(self, prompt):
        return 1.0

    def encode_prompts(self, prompts):
        return torch.tensor([[[float(prompt != "")]] for prompt in prompts])

    def encode_images(self, images):
        return images.permute(0, 3, 1, 2) * 2 - 1

    def encode_geometry(self, geometry):
        return geometry.depth

    def predict_noise(self, noisy, timestep, embeddings, condition, view_width):
        alpha = self.alphas_cumprod[timestep].view(-1, 1, 1, 1)
        wanted = embeddings[:, 0, :, None, None] * torch.linspace(1, -1, 16)[:, None]
        return (1 - alpha).sqrt() * (noisy - alpha.sqrt() * wanted) / (1.01 - 0.99 * alpha)


class Interrupting(Progress):
    def __init__(self, after):
        super().__init__(1000, quiet=True)
        self.after = after

    def update(self, step):
        if step == self.after:
            raise KeyboardInterrupt
