"""The texture a mesh came with: what an editing starts from, and what of it may change."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt

from texcsd.errors import TexcsdError
from texcsd.geometry.file_materials import (
    MOST_NAMES,
    Materials,
    moved_lookups,
    named_faces,
    other_slots,
    read_image,
    read_materials,
)
from texcsd.geometry.mesh import Mesh, with_faces
from texcsd.geometry.signed_distance import SignedDistance
from texcsd.geometry.uv_wrapping import wrap_uv
from texcsd.rendering.rasterize import rasterize_uv

MOST_PIXELS = 1 << 26
"""Of an image file, 8192 x 8192; larger ones are not unpacked."""

GREY = (0.5, 0.5, 0.5)
"""Of surfaces without a material that are not painted."""

BoolArray = NDArray[np.bool_]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Original:
    """The base colour of a mesh before it is edited. Arrays have row 0 on top."""

    pixels: Picture
    """uint8[size, size, 3], sRGB."""
    alpha: Picture | None
    """uint8[size, size]; None for an opaque image. It is passed on as it is."""
    may_change: BoolArray
    """bool[size, size]."""
    shown: BoolArray
    """bool[face], those that show this image; the others are in view as they are."""
    materials: tuple[str, ...]
    """Names of the materials that show it."""
    warnings: list[str]

    @property
    def size(self) -> int:
        """Texels per side."""
        return len(self.pixels)


def read_original(mesh_path: Path, mesh: Mesh, size: int, mask: str, only: str) -> Original:
    """Read the base colour of a mesh file and find the texels that may change.

    Args:
        mesh_path: GLB, glTF or OBJ.
        mesh: As loaded from it.
        size: Texels per side, 0 for those it has.
        mask: Path of a picture of the image's size whose white part may change; empty for all.
        only: Name of a material, node or object; texels that others show, too, or are nearer to,
            do not change. Empty for all.

    Raises:
        TexcsdError: There is no such texture, or more than one; mask or name fit nothing.
    """
    if mesh.uv is None:
        raise TexcsdError(f"{mesh_path}: has no UVs, so it shows no texture; use texcsd paint")
    materials = read_materials(mesh_path, mesh)
    everything = np.ones(len(mesh.faces), bool)
    chosen = named_faces(mesh_path, mesh, materials, only) if only else everything
    image = _one_image(mesh_path, materials, chosen)
    shown = _faces_with(materials, image)
    _refuse_uv_without_numbers(mesh_path, mesh, shown)
    content = read_image(mesh_path, image)
    pixels = _decode(content, f"{mesh_path}: its texture")
    keep_size = bool(mask) or bool((shown & ~chosen).any())
    pixels, warnings = _resized(pixels, size, mesh_path, keep_size)
    warnings += [
        f"the picture is also the {slot}, which stays as it was"
        for slot in other_slots(mesh_path, image)
    ]
    warnings += [
        f'the MTL shows the picture through "{options}", which stays there, but the GLB and the '
        "views while editing are without it"
        for options in moved_lookups(mesh_path, image)
    ]
    may_change = _nearer_to(mesh, chosen & shown, shown & ~chosen, len(pixels))
    may_change &= _read_mask(mask, len(pixels)) if mask else True
    if not may_change.any():
        raise TexcsdError(
            f"{mesh_path}: no texel may change: what --mask and --only allow is shown nowhere, or "
            "by other parts, too"
        )
    alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
    pairs = zip(materials.names, materials.images, strict=True)
    names = tuple(name for name, its_image in pairs if its_image == image)
    return Original(pixels[..., :3], alpha, may_change, shown, names, warnings)


def read_looks(
    mesh_path: Path, mesh: Mesh, materials: Materials
) -> tuple[dict[int, Picture], list[str]]:
    """Read what the faces of a mesh show that are not painted, by the numbers of their textures.

    Args:
        mesh_path: The input.
        mesh: As `lay_out_textures` returns it.
        materials: Of its faces.

    Returns:
        uint8[rows, columns, 3] each, a single texel for a plain colour, and warnings.
    """
    looks: dict[int, Picture] = {}
    warnings = []
    for number in mesh.texture_numbers().unique().tolist():
        if number >= 0:
            continue
        material = -2 - number
        color = materials.colors[material] if material >= 0 else GREY
        looks[number] = np.full((1, 1, 3), np.rint(np.array(color) * 255), np.uint8)
        image = materials.images[material] if material >= 0 else None
        if image is not None:
            try:
                content = read_image(mesh_path, image)
                what = f"{mesh_path}: the texture of {materials.names[material]}"
                looks[number] = _decode(content, what)[..., :3]
            except TexcsdError as error:
                warnings.append(f"{error}; it is shown in one colour meanwhile")
    return looks, warnings


def carried_over(mesh_path: Path, mesh: Mesh, reshaped: Mesh, size: int) -> Original | None:
    """The base colour of a mesh on another shape of it: of each texel, that of the nearest place.

    Args:
        mesh_path: Where the mesh was loaded from.
        mesh: As loaded.
        reshaped: In the same pose; has uv.
        size: Texels per side of the result.

    Returns:
        A texture of which all may change; None if the mesh does not show one texture all over.
    """
    try:
        original = read_original(mesh_path, mesh, 0, "", "")
    except TexcsdError:
        return None
    if not original.shown.all() or mesh.uv is None or mesh.uv_faces is None:
        return None
    surface = rasterize_uv(reshaped, size, size)
    covered = surface.coverage[0, ..., 0].cpu() > 0
    faces, weights = SignedDistance(mesh, 0.0).nearest(surface.positions[0].cpu()[covered])
    uv = (mesh.uv[mesh.uv_faces[faces]] * weights[..., None]).sum(1).numpy()
    column, row = (
        np.floor(places * original.size).astype(int) for places in (uv[:, 0], 1 - uv[:, 1])
    )
    pixels = np.zeros((size, size, 3), np.uint8)
    pixels[covered.numpy()] = original.pixels[row % original.size, column % original.size]
    nearest = distance_transform_edt(~covered.numpy(), return_distances=False, return_indices=True)
    assert nearest is not None
    pixels = pixels[nearest[0], nearest[1]]
    everything = np.ones((size, size), bool), np.ones(len(reshaped.faces), bool)
    return Original(pixels, None, *everything, (), [])


def changing_part(mesh: Mesh, original: Original) -> Mesh:
    """The faces of a mesh whose centres may change, for close-ups to look at; all if none does."""
    assert mesh.uv is not None and mesh.uv_faces is not None
    size = original.size
    u, v = mesh.uv[mesh.uv_faces].mean(1).cpu().numpy().T
    column, row = np.floor(u * size).astype(int) % size, np.floor((1 - v) * size).astype(int) % size
    faces = torch.from_numpy(original.may_change[row, column])
    return with_faces(mesh, faces) if faces.any() else mesh


def _refuse_uv_without_numbers(path: Path, mesh: Mesh, faces: BoolArray) -> None:
    assert mesh.uv is not None and mesh.uv_faces is not None
    if not mesh.uv[mesh.uv_faces[torch.from_numpy(faces)]].isfinite().all():
        raise TexcsdError(f"{path}: has UVs that are no numbers; unwrap it, or paint it anew")


def _one_image(path: Path, materials: Materials, chosen: BoolArray) -> str:
    numbers = [number for number in np.unique(materials.of_faces[chosen]).tolist() if number >= 0]
    by_image: dict[str, str] = {}
    for number in numbers:
        image = materials.images[number]
        if image is not None:
            by_image.setdefault(image, materials.names[number])
    if not by_image:
        raise TexcsdError(
            f"{path}: has no base colour texture to edit there; paint it with texcsd paint"
        )
    if len(by_image) > 1:
        names = ", ".join([*by_image.values()][:MOST_NAMES])
        raise TexcsdError(
            f"{path}: shows {len(by_image)} textures, and one is edited at a time; choose with "
            f"--only, such as one of the materials {names}"
        )
    return next(iter(by_image))


def _faces_with(materials: Materials, image: str) -> BoolArray:
    """bool[face]: those that show the image."""
    numbers = [number for number, shown in enumerate(materials.images) if shown == image]
    return np.isin(materials.of_faces, numbers)


def _decode(content: bytes, what: str) -> Picture:
    """uint8[height, width, 3], or 4 with an alpha that is not 1 all over."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise TexcsdError(
                    f"{what} has {image.width} x {image.height} texels; make it smaller first"
                )
            if image.mode.startswith("I;16"):  # Pillow would cut the values off at 255.
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            has_alpha = "A" in image.getbands() or "transparency" in image.info
            pixels = np.asarray(image.convert("RGBA" if has_alpha else "RGB"))
    except TexcsdError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, beyond ours
        raise TexcsdError(
            f"{what} has more than {MOST_PIXELS} texels; make it smaller first"
        ) from error
    except Exception as error:  # Each of Pillow's readers has its own way to fail.
        raise TexcsdError(
            f"{what} cannot be read ({type(error).__name__}); save it as PNG or JPEG"
        ) from error
    opaque = has_alpha and bool((pixels[..., 3] == 255).all())
    return pixels[..., :3] if opaque else pixels


def _resized(pixels: Picture, size: int, path: Path, keep_size: bool) -> tuple[Picture, list[str]]:
    """The image as a square of that size, 0 for its longer side; and what to tell the user."""
    height, width = pixels.shape[:2]
    wanted = size or max(height, width)
    if (height, width) == (wanted, wanted):
        return pixels, []
    if keep_size:
        raise TexcsdError(
            f"{path}: its texture is {width} x {height}, and of what is to stay only a square one "
            "of unchanged size keeps the bits; leave --texture-size out, or resize it first"
        )
    resized = Image.fromarray(pixels).resize((wanted, wanted), Image.Resampling.LANCZOS)
    return np.asarray(resized), [
        f"the texture was {width} x {height}, the edited one is {wanted} x {wanted}"
    ]


def _read_mask(mask: str, size: int) -> BoolArray:
    try:
        content = Path(mask).read_bytes()
    except OSError as error:
        raise TexcsdError(f"{mask}: the mask cannot be read ({error.strerror})") from error
    pixels = _decode(content, f"{mask}: the mask")
    if pixels.shape[:2] != (size, size):
        raise TexcsdError(
            f"{mask}: the mask is {pixels.shape[1]} x {pixels.shape[0]}, the texture {size} x "
            f"{size}; they have to be of one size"
        )
    return pixels[..., :3].mean(axis=2) >= 128


def _nearer_to(mesh: Mesh, chosen: BoolArray, others: BoolArray, size: int) -> BoolArray:
    """bool[size, size]: texels nearer to a chart of the chosen faces than to any of the others."""
    if not others.any():
        return np.ones((size, size), bool)
    return _distance(mesh, chosen, size) < _distance(mesh, others, size)


def _distance(mesh: Mesh, faces: BoolArray, size: int) -> NDArray[np.float64]:
    """float64[size, size], in texels, to the nearest one whose centre lies in one of the faces."""
    some = with_faces(mesh, torch.from_numpy(faces))
    covered = rasterize_uv(wrap_uv(some), size, size).coverage[0, ..., 0].cpu().numpy() > 0
    if not covered.any():
        return np.full((size, size), np.inf)
    distance = distance_transform_edt(~covered)
    assert isinstance(distance, np.ndarray)
    return distance
