"""What a painting did to the user's mesh: files are read back and compared, nothing is assumed.

Surfaces are compared as triangles; a glTF or an OBJ that was patched also in all else it holds.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from texcsd.errors import TexcsdError
from texcsd.geometry.file_materials import (
    Materials,
    kept_materials,
    library_blocks,
    library_text,
    read_materials,
)
from texcsd.geometry.gltf_document import open_document
from texcsd.geometry.mesh import Mesh, load_mesh, with_faces
from texcsd.geometry.names import unique_names
from texcsd.output.gltf import pieces
from texcsd.output.gltf_damage import compare_gltf
from texcsd.output.gltf_reshape import only_reshaped, reshape_gltf
from texcsd.output.obj_damage import compare_obj
from texcsd.output.obj_reshape import reshape_obj

BoolArray = NDArray[np.bool_]
ROUNDING = 1e-6
"""Of the mesh's size or of the texture's, where numbers are written anew, as float32."""


def measure_damage(
    before: Path,
    after: Path,
    painted: Mesh,
    uv_kept: BoolArray | bool,
    shape: Mesh | None = None,
    old: Mesh | None = None,
) -> dict[str, float | int | bool | None]:
    """Compare a written file with the input; what has to be equal and is not is an error.

    Args:
        before: The input.
        after: The written GLB, glTF or OBJ.
        painted: The input as it was loaded to be painted; its uv are those that were painted.
        uv_kept: Whether these are the input's, bool[face], or for all.
        shape: The same mesh with its vertices displaced, if they were to be.
        old: The input, loaded for comparisons; None to load it.

    Returns:
        By name: `max_position_delta` in units of the input, `max_uv_delta` in textures (None
        where uv are new), True for all that was found equal, and how much seams have added. Of a
        displaced mesh also `max_displaced_position_delta`, from where its vertices were to go.

    Raises:
        TexcsdError: It names the first difference.
    """
    old = load_mesh(before) if old is None else old
    kept = np.broadcast_to(uv_kept, len(old.faces))
    if shape is not None:
        return _measure_displaced(before, after, old, painted, kept, shape)
    return _measure(before, after, old, painted, kept)


def _measure_displaced(
    before: Path, after: Path, old: Mesh, painted: Mesh, uv_kept: BoolArray, shape: Mesh
) -> dict[str, Any]:
    """Compare with the input, its vertices apart; and these with where they were to go."""
    if after.suffix.lower() == ".obj":
        # How polygons are cut into triangles depends on their shape: so in that of the input.
        rest = painted.vertices.cpu().numpy()
        with TemporaryDirectory() as folder:
            # The name stays: parts may be called by it.
            paths = Path(folder) / "before" / before.name, Path(folder) / "after" / after.name
            for path, source in zip(paths, (before, after), strict=True):
                path.parent.mkdir()
                path.write_bytes(reshape_obj(source.read_bytes(), rest, respell=True))
            input_in_pose = load_mesh(paths[0])
            found = _measure(*paths, input_in_pose, painted, uv_kept, files=(before, after))
        reached = _positions(replace(shape, vertices=load_mesh(after).vertices))
    else:
        expected = replace(old, vertices=shape.vertices.cpu())
        found = _measure(before, after, expected, painted, uv_kept, shape)
        reached = _positions(load_mesh(after))
    found["max_displaced_position_delta"] = _largest_difference(_positions(shape), reached)
    size = float(np.ptp(_positions(shape), axis=(0, 1)).max())
    _refuse(
        after,
        {"max_displaced_position_delta": found["max_displaced_position_delta"]},
        ROUNDING * size,
    )
    found["max_position_delta"] = _largest_difference(_positions(painted), _positions(shape))
    return found


def _measure(
    before: Path,
    after: Path,
    old: Mesh,
    painted: Mesh,
    uv_kept: BoolArray,
    shape: Mesh | None = None,
    files: tuple[Path, Path] | None = None,
) -> dict[str, Any]:
    """Compare the file `after` with the mesh `old`, and with the file `before` in all else.

    Material libraries are beside `files`, if these are copies.
    """
    new = load_mesh(after)
    suffixes = {path.suffix.lower() for path in (before, after)}
    gltf, obj = suffixes <= {".glb", ".gltf"}, suffixes == {".obj"}
    names = _names(old)
    if not (gltf or obj):
        names, order = _pieces(painted)
        old, painted = (with_faces(mesh, torch.from_numpy(order)) for mesh in (old, painted))
        uv_kept = uv_kept[order]
    _refuse(after, {"faces": len(old.faces) == len(new.faces), "part_names": names == _names(new)})
    found: dict[str, Any] = {"faces": True, "part_names": True}
    found["max_position_delta"] = _largest_difference(_positions(old), _positions(new))
    painted_uv, shown = _uv(painted), painted.texture_numbers().cpu().numpy() >= 0
    # Faces without uv have a point; which one, is of no account where there are others with new uv.
    kept = uv_kept & (_have_area(_uv(old)) | uv_kept.all())
    found["max_uv_delta"] = (
        _largest_difference(_uv(old)[kept], _uv(new)[kept]) if kept.any() else None
    )
    sound = (_have_area(painted_uv) | uv_kept.all()) & shown
    found["max_painted_uv_delta"] = _largest_difference(painted_uv[sound], _uv(new)[sound])
    # Poses of nodes and skins are computed, numbers of another format written anew: both round.
    size = float(np.ptp(_positions(old), axis=(0, 1)).max())
    reach = max(1.0, float(np.abs(painted_uv).max()))
    _refuse(after, found, ROUNDING * size, ROUNDING * reach)
    if gltf:
        document = open_document(before)
        if shape is not None:
            reshaped = reshape_gltf(document, shape)
            found["all_but_shape"] = only_reshaped(document, reshaped)
            document = reshaped
        found |= compare_gltf(document, open_document(after), painted, shape is not None)
    elif obj:
        found |= compare_obj(before.read_bytes(), after.read_bytes(), bool(uv_kept.all()))
        own_before, own_after = files or (before, after)
        now = read_materials(own_after, new)
        found["materials_of_the_painted"] = _one_image_each(now, painted)
        if not shown.all():
            was = read_materials(own_before, old)
            found["materials_of_the_rest"] = _same_names(was, now, ~shown) and _same_blocks(
                was, ~shown, own_before, own_after
            )
    if gltf or obj:
        exact = {name: found[name] for name in found if name != "max_painted_uv_delta"}
        _refuse(after, exact)
    return found


def _pieces(mesh: Mesh) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the parts, and the order of the faces, in a file that `new_gltf` makes of a mesh."""
    names, order = [], []
    for part, name in zip(mesh.parts, unique_names(_names(mesh)), strict=True):
        rows = [rows for _, rows in pieces(mesh, part)]
        names += [name] if len(rows) == 1 else [f"{name}_{n + 1}" for n in range(len(rows))]
        order += rows
    return names, np.concatenate(order)


def _same_names(was: Materials, now: Materials, faces: BoolArray) -> bool:
    """Tell whether these faces wear materials of the same names; those without one do not count."""
    names = [(*materials.names, None) for materials in (was, now)]
    pairs = set(zip(was.of_faces[faces].tolist(), now.of_faces[faces].tolist(), strict=True))
    return all(names[0][a] in (names[1][b], None) for a, b in pairs)


def _same_blocks(was: Materials, faces: BoolArray, before: Path, after: Path) -> bool:
    """Tell whether the library says of the materials of these faces what it said."""
    old = library_blocks("\n".join(kept_materials(before).blocks.values()))
    new = library_blocks(library_text(after))
    worn = {was.names[number] for number in set(was.of_faces[faces].tolist()) if number >= 0}
    return all(old[name] == new.get(name) for name in worn & old.keys())


def _one_image_each(now: Materials, painted: Mesh) -> bool:
    """Tell whether the faces of each painted texture show an image that those of no other show."""
    numbers = painted.texture_numbers().cpu().numpy()
    worn = np.stack([numbers, now.of_faces], axis=1)[numbers >= 0]
    images = {(n, now.images[m] if m >= 0 else None) for n, m in np.unique(worn, axis=0).tolist()}
    shown = {image for _, image in images}
    return None not in shown and len(shown) == len(images) == len({n for n, _ in images})


def measure_kept_texels(
    path: Path, original: NDArray[np.uint8], may_change: NDArray[np.bool_]
) -> dict[str, int]:
    """Compare a written texture with the one it was edited from, where that was to be kept.

    Args:
        path: The written PNG.
        original: uint8[size, size, 3], row 0 on top.
        may_change: bool[size, size].

    Raises:
        TexcsdError: A texel differs that should not; the file was deleted.
    """
    with Image.open(path) as image:
        written = np.asarray(image)[..., :3]
    changed = (written != original).any(axis=2)
    wrong = int((changed & ~may_change).sum())
    if wrong:
        path.unlink()
        raise TexcsdError(
            f"{path}: read back, {wrong:,} texels differ that were to be kept; it was deleted, "
            "please report this"
        )
    return {"changed_texels": int(changed.sum()), "kept_texels": int((~may_change).sum())}


def _refuse(
    after: Path, found: dict[str, Any], most_moved: float = 0.0, most_uv: float = 0.0
) -> None:
    """Raise for the first thing that should be equal and is not; comparisons with NaN fail."""
    limits = {
        "max_position_delta": most_moved,
        "max_displaced_position_delta": most_moved,
        "max_uv_delta": most_uv,
        "max_painted_uv_delta": most_uv,
    }
    for name, value in found.items():
        if value is False or (name in limits and value is not None and not value <= limits[name]):
            measured = "differ" if value is False else f"is {value:g}"
            raise TexcsdError(
                f"{after}: read back, it is not the input with a texture: {name} {measured}; "
                "it was deleted, please report this"
            )


def _names(mesh: Mesh) -> list[str]:
    return [part.name for part in mesh.parts]


def _positions(mesh: Mesh) -> NDArray[np.float64]:
    """float64[face, 3, 3], of every corner."""
    return mesh.vertices.double().cpu().numpy()[mesh.faces.cpu().numpy()]


def _uv(mesh: Mesh) -> NDArray[np.float64]:
    """float64[face, 3, 2], of every corner; NaN where there are none."""
    if mesh.uv is None or mesh.uv_faces is None:
        return np.full((len(mesh.faces), 3, 2), np.nan)
    return mesh.uv.double().cpu().numpy()[mesh.uv_faces.cpu().numpy()]


def _have_area(uv: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell the faces whose three corners are apart, bool[face]; the others show no texture."""
    return (uv != np.roll(uv, 1, axis=1)).any(axis=2).all(axis=1)


def _largest_difference(old: NDArray[np.float64], new: NDArray[np.float64]) -> float:
    return float(np.abs(new - old).max()) if old.size else 0.0
