"""Child process of uv_atlas: `python -m texcsd.geometry._unwrap INPUT.npz OUTPUT.npz` runs xatlas.

xatlas crashes on some meshes and runs for hours on others, and never releases the interpreter lock;
in a process of its own it can be stopped. Imports nothing of the package, so that it starts fast.
"""

import sys

import numpy as np

NO_XATLAS = 3
"""Exit status when xatlas cannot be imported: there is no wheel for every platform."""


def main(source: str, target: str) -> int:
    """Unwrap the arrays in the source file into the target file.

    Source: vertices float32[vertex, 3], faces uint32[face, 3], groups int[face] (no chart crosses
    from one group to another), resolution, padding, max_cost and max_chart_area.
    Target: uv float32[texture_vertex, 2] in texels, uv_faces int64[face, 3], size int[2].
    """
    try:
        import xatlas
    except ImportError:
        return NO_XATLAS
    inputs = dict(np.load(source))
    atlas = xatlas.Atlas()
    groups = [np.flatnonzero(inputs["groups"] == group) for group in np.unique(inputs["groups"])]
    for members in groups:
        corners, used = np.unique(inputs["faces"][members], return_inverse=True)
        atlas.add_mesh(inputs["vertices"][corners], used.reshape(-1, 3).astype(np.uint32))
    charts, packing = xatlas.ChartOptions(), xatlas.PackOptions()
    charts.max_cost = float(inputs["max_cost"])
    charts.max_chart_area = float(inputs["max_chart_area"])
    packing.resolution = int(inputs["resolution"])
    packing.padding = int(inputs["padding"])
    packing.bilinear = True
    atlas.generate(charts, packing)
    # Charts in a second atlas would lie over those of the first.
    if atlas.atlas_count != 1:
        raise RuntimeError(f"xatlas made {atlas.atlas_count} atlases")
    uv, uv_faces, count = [], np.zeros(inputs["faces"].shape, np.int64), 0
    for index, members in enumerate(groups):
        _, faces, coordinates = atlas[index]
        uv_faces[members] = faces.astype(np.int64) + count
        uv.append(coordinates)
        count += len(coordinates)
    size = np.array([atlas.width, atlas.height])
    np.savez(target, uv=np.concatenate(uv) * size, uv_faces=uv_faces, size=size)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
