"""Every material has a texture of its own and keeps its uv, if they are any good."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from geometry_shapes import CUBE_FACES, CUBE_VERTICES, make_mesh

from texcsd.errors import TexcsdError
from texcsd.geometry.file_materials import Materials
from texcsd.geometry.file_part import GltfSource
from texcsd.geometry.mesh import Mesh, Part
from texcsd.geometry.texture_layout import lay_out_textures, refuse_shared_primitives

SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
WHITE = (1.0, 1.0, 1.0)


def squares(*uv: np.ndarray) -> Mesh:
    """Squares side by side with these uv, float[4, 2] each, two faces each."""
    vertices = [np.pad(SQUARE + np.array([2 * n, 0]), ((0, 0), (0, 1))) for n in range(len(uv))]
    faces = [np.array([[0, 1, 2], [0, 2, 3]]) + 4 * n for n in range(len(uv))]
    return make_mesh(np.concatenate(vertices), np.concatenate(faces), np.concatenate(uv))


def worn(names: str, images: list[str | None] | None = None) -> Materials:
    """One material for every two faces, by the letters of `names`; "-" for none."""
    known = sorted(set(names) - {"-"})
    numbers = [known.index(name) if name != "-" else -1 for name in names]
    shown = tuple(images) if images else (None,) * len(known)
    return Materials(tuple(known), shown, (WHITE,) * len(known), np.repeat(numbers, 2))


def lay_out(mesh: Mesh, materials: Materials, size: int = 64, **options):
    choices = {"per_material": "auto", "unwrap": "auto"} | options
    return lay_out_textures(mesh, materials, texture_size=size, **choices)


def numbers(layout) -> list[int]:
    return layout.mesh.texture_numbers()[::2].tolist()


def test_materials_over_the_same_square_of_uv_have_a_texture_each() -> None:
    mesh = squares(SQUARE, SQUARE, SQUARE / 2)
    layout = lay_out(mesh, worn("aba"), unwrap="auto")
    assert layout.mesh.uv is mesh.uv and torch.equal(layout.mesh.uv_faces, mesh.uv_faces)
    assert numbers(layout) == [0, 1, 0]
    assert [slot.name for slot in layout.slots] == ["a", "b"]
    assert [slot.uv_source for slot in layout.slots] == ["input", "input"]
    assert layout.slots[0].shared_fraction == pytest.approx(1 / 4, abs=0.01)
    assert layout.slots[1].shared_fraction == 0
    assert len(layout.warnings) == 1 and layout.warnings[0].startswith("a: 25% of the used texture")


def test_materials_that_showed_one_image_go_on_sharing_one() -> None:
    mesh = squares(SQUARE / 2, SQUARE / 2 + 0.5, SQUARE)
    layout = lay_out(mesh, worn("abc", ["skin.png", "skin.png", "eye.png"]))
    assert numbers(layout) == [0, 0, 1]
    assert [slot.materials for slot in layout.slots] == [("a", "b"), ("c",)]


def test_one_material_or_one_texture_for_all_is_what_it_was_without_materials() -> None:
    mesh = squares(SQUARE / 2, SQUARE / 2 + 0.5)
    for layout in (lay_out(mesh, worn("aa")), lay_out(mesh, worn("ab"), per_material="off")):
        assert layout.mesh is mesh and layout.slots[0].name == "base_color"
    stacked = lay_out(squares(SQUARE, SQUARE), worn("ab"), per_material="off")
    assert [slot.uv_source for slot in stacked.slots] == ["xatlas"]


def test_what_has_no_usable_uv_gets_an_atlas_and_the_rest_keeps_its_own() -> None:
    tiled, point = SQUARE * 5, np.full((4, 2), 0.5)
    mesh = squares(SQUARE, tiled, point, SQUARE)
    layout = lay_out(mesh, worn("abc-"))
    assert numbers(layout) == [0, 2, 2, 1]
    assert [slot.name for slot in layout.slots] == ["a", "base_color", "atlas"]
    assert layout.slots[2].materials == ("b", "c") and layout.slots[2].uv_source == "xatlas"
    assert mesh.uv is not None and layout.mesh.uv is not None
    before, after = mesh.uv[mesh.uv_faces], layout.mesh.uv[layout.mesh.uv_faces]
    kept = [0, 1, 6, 7]
    assert torch.equal(before[kept], after[kept])
    assert 0 <= after.min() and after.max() <= 1
    assert len(layout.mesh.uv) == 16  # what was unwrapped leaves nothing behind
    assert "textures that repeat" in layout.warnings[0] and "no area" in layout.warnings[1]


def test_without_any_usable_uv_there_is_one_atlas() -> None:
    mesh = make_mesh(CUBE_VERTICES, CUBE_FACES)
    layout = lay_out(mesh, worn("aabbcc"))
    assert layout.mesh.textures is None
    assert [slot.materials for slot in layout.slots] == [("a", "b", "c")]
    always = lay_out(squares(SQUARE, SQUARE), worn("ab"), unwrap="always")
    assert [slot.uv_source for slot in always.slots] == ["xatlas"] and not always.warnings


def test_uv_that_must_stay_stay_whatever_they_are_worth() -> None:
    layout = lay_out(squares(SQUARE, SQUARE * 3), worn("ab"), unwrap="never")
    assert numbers(layout) == [0, 1]
    assert "were kept as asked" in layout.warnings[0]


def test_only_what_was_chosen_is_painted_and_the_rest_is_numbered_by_its_material() -> None:
    mesh = squares(SQUARE, SQUARE, SQUARE * 3, SQUARE)
    chosen = np.repeat([False, True, False, False], 2)
    layout = lay_out(mesh, worn("abb-"), chosen=chosen)
    assert numbers(layout) == [-2, 0, -3, -1]
    assert [slot.name for slot in layout.slots] == ["b"]
    assert layout.mesh.uv is mesh.uv


def test_chosen_faces_without_uv_get_some_and_the_rest_stays_without() -> None:
    mesh = make_mesh(CUBE_VERTICES, CUBE_FACES)
    layout = lay_out(mesh, worn("aabbcc"), chosen=np.arange(12) < 4)
    uv = layout.mesh.uv[layout.mesh.uv_faces]
    assert (uv[:4] != uv[:4].roll(1, 1)).any(2).all()
    assert (uv[4:] == uv[4:, :1]).all()


def test_more_texels_than_the_largest_texture_has_are_not_begun() -> None:
    mesh, materials = squares(SQUARE / 2, SQUARE / 2 + 0.5), worn("ab")
    layout = lay_out(mesh, materials, size=8192)
    assert layout.mesh is mesh and "2 textures of 8192 x 8192 are too many" in layout.warnings[0]
    with pytest.raises(TexcsdError, match="lower --texture-size, or choose --per-material off"):
        lay_out(mesh, materials, size=8192, per_material="on")


def test_a_primitive_that_two_nodes_show_is_painted_for_both_or_for_none() -> None:
    mesh = squares(SQUARE, SQUARE)
    parts = tuple(
        Part(name, 2 * n, 2, GltfSource(0, 0)) for n, name in enumerate(["left", "right"])
    )
    mesh = replace(mesh, parts=parts)
    refuse_shared_primitives(Path("x.glb"), mesh, np.ones(4, bool))
    with pytest.raises(TexcsdError, match="right and left show the same geometry"):
        refuse_shared_primitives(Path("x.glb"), mesh, np.arange(4) < 2)
