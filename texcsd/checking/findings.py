"""What of the facts an artist would want to fix, and what else is worth a look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from texcsd.checking.facts import Facts
from texcsd.geometry.mesh_inspection import SurfaceReport
from texcsd.geometry.uv_atlas import UvReport
from texcsd.geometry.uv_distortion import UvDistortion

MOST_ENCLOSED = 0.01
"""Of the area. A little is hidden wherever two parts touch."""
MOST_UNSEEN = 0.01
MOST_OVERLAP = 0.01
MOST_MIRRORED = 0.001
MOST_WITHOUT_TEXELS = 0.001
MOST_DENSITY_RATIO = 4.0
"""Between the densest and the sparsest twentieth of the surface: two mip levels."""
MOST_ANGLE_STRETCH = 4.0
"""Above it on a twentieth of the surface, patterns look smeared."""
LEAST_COVERED = 0.3
"""Of the texture; a fair atlas covers twice as much."""


@dataclass(frozen=True)
class Finding:
    """One problem."""

    kind: str
    """Stays the same from version to version, for programs."""
    text: str
    """For people, with the numbers."""


def find_problems(facts: Facts) -> list[Finding]:
    """List what an artist would want to fix; none of it keeps the mesh from being painted."""
    problems = [*_surface_problems(facts.surface)]
    hidden = facts.visibility
    if hidden.enclosed_area_fraction > MOST_ENCLOSED:
        text = (
            "faces inside, where no camera sees them and they only take texels away: "
            f"{hidden.enclosed_faces:,} ({hidden.enclosed_area_fraction:.0%} of the area)"
        )
        problems.append(Finding("enclosed_faces", text))
    groups = facts.textures.groups
    for group in groups:
        whose = f"{group.name}: " if len(groups) > 1 else ""
        problems += [
            replace(found, text=whose + found.text) for found in _uv_problems(group.report)
        ]
    if facts.distortion is not None and any(group.kept for group in groups):
        problems += _distortion_problems(facts.distortion)
    return problems


def find_notes(facts: Facts) -> list[str]:
    """List what is no fault but may be a surprise."""
    notes = []
    unseen = facts.visibility.unseen_area_fraction - facts.visibility.enclosed_area_fraction
    if facts.orientation.up != "+y":
        notes.append(
            f"it seems to stand with {facts.orientation.up} up; painting takes +y as up: if the "
            f"picture says so, too, paint with --up {facts.orientation.up[::-1]}"
        )
    elif facts.orientation.front and "+z" not in facts.orientation.front:
        sides = " or ".join(facts.orientation.front)
        notes.append(f"its front seems to be {sides}; painting takes +z, or --front")
    if facts.surface.boundary_edges:
        notes.append(f"open edges, with a face on one side only: {facts.surface.boundary_edges:,}")
    if unseen > MOST_UNSEEN:
        notes.append(
            f"{unseen:.0%} of the area can be seen, but hardly from where painting looks (20 "
            "degrees below the horizon to 75 above); it takes the colours around it"
        )
    if facts.tinted_parts:
        notes.append(
            f"parts with vertex colours, which stay, and by which many viewers multiply a texture: "
            f"{len(facts.tinted_parts):,}"
        )
    if facts.uv.usable and facts.uv.covered_fraction < LEAST_COVERED:
        notes.append(f"the uv use only {facts.uv.covered_fraction:.0%} of the texture")
    return notes


def _surface_problems(surface: SurfaceReport) -> Iterator[Finding]:
    for kind, count, text in (
        ("nonmanifold_edges", surface.nonmanifold_edges, "edges with more than two faces"),
        ("degenerate_faces", surface.degenerate_faces, "faces without area"),
        ("duplicate_faces", surface.duplicate_faces, "faces that repeat another"),
        ("inconsistent_faces", surface.inconsistent_faces, "faces wound against the others"),
    ):
        if count:
            yield Finding(kind, f"{text}: {count:,}")
    if surface.inside_out:
        yield Finding("inside_out", "all of it is inside out: the front sides look inwards")


def _uv_problems(uv: UvReport) -> Iterator[Finding]:
    if not uv.present:
        return
    if uv.reason is not None:
        yield Finding("unusable_uv", f"the uv cannot be used: {uv.reason}")
        return
    if uv.outside_fraction > 0:
        text = f"the uv of {uv.outside_fraction:.1%} of the area leave the unit square"
        yield Finding("uv_outside", text)
    if uv.overlap_fraction > MOST_OVERLAP:
        text = f"{uv.overlap_fraction:.0%} of the charts' area is covered more than once"
        yield Finding("uv_overlap", text)
    if uv.zero_area_fraction > MOST_WITHOUT_TEXELS:
        text = f"{uv.zero_area_fraction:.1%} of the area has no area in the texture"
        yield Finding("uv_without_area", text)


def _distortion_problems(distortion: UvDistortion) -> Iterator[Finding]:
    density, angles = distortion.texels_per_unit, distortion.angle_stretch
    if distortion.mirrored_area_fraction > MOST_MIRRORED:
        yield Finding(
            "uv_mirrored",
            "faces mirrored in the texture, so that letters would read backwards: "
            f"{distortion.mirrored_faces:,} ({distortion.mirrored_area_fraction:.1%} of the area)",
        )
    if density.high > MOST_DENSITY_RATIO * density.low:
        text = f"the density of texels varies {density.high / density.low:.1f}-fold"
        yield Finding("uneven_texel_density", text)
    if angles.high > MOST_ANGLE_STRETCH:
        text = f"the uv stretch a twentieth of the area {angles.high:.1f}-fold or more"
        yield Finding("uv_stretch", text)
