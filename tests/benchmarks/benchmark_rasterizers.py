"""The renderer beside others on a CPU: `python tests/benchmarks/benchmark_rasterizers.py`.

Prints three tables for RESULTS.md. Spheres in 4 views: who finds triangle and barycentrics (others
than texcsd: no derivatives) how fast, once it has the mesh; what making it ready once took (a tree
of triangles, but also loading and compiling; texcsd needs nothing); in how many pixels they agree.
Then the same with the gradient to positions. Then a mip-mapped lookup with its gradient, and the
memory it takes beside texture and pixels. Others take part if they are installed:
`pip install embreex mitsuba warp-lang moderngl`. Best of several times, in ms of the processor on
one thread, of the clock on more: the first table has rows for each number of `--threads`, the
others are measured with the first of them. texcsd, mitsuba and torch share work between threads;
embreex and warp take one, llvmpipe as many as there are cores (or LP_NUM_THREADS).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "rendering"))
from rendering_shapes import make_sphere

from texcsd.geometry.mesh import Mesh
from texcsd.rendering import numba_operations, operations, torch_operations
from texcsd.rendering.cameras import Cameras, orbit_cameras
from texcsd.rendering.own_indices import own_indices

VIEWS = 4
RINGS = {"5k": 36, "80k": 142, "330k": 288, "1M": 501}
"""Of spheres with about so many triangles."""


class Texcsd:
    """The operations measured here."""

    def __init__(self, mesh: Mesh, cameras: Cameras, size: int) -> None:
        self.clip, self.faces, self.size = cameras.clip_positions(mesh.vertices), mesh.faces, size

    def render(self) -> np.ndarray:
        result = operations.rasterize(self.clip, self.faces, (self.size, self.size))
        return result.triangle_ids.numpy()


class TexcsdIds(Texcsd):
    """Without barycentrics, as some of the others have none."""

    def render(self) -> np.ndarray:
        size, faces = (self.size, self.size), own_indices(self.faces).numbers
        return numba_operations.visible_triangles(self.clip, faces, size, None)[0].numpy()


class PureTorch(Texcsd):
    """A z-buffer of torch's operations: ids only, of vertices in front of the eye only."""

    def render(self) -> np.ndarray:
        return np.stack([self.one_view(clip.double()) for clip in self.clip])

    def one_view(self, clip: torch.Tensor) -> np.ndarray:
        corners = ((clip[:, :2] / clip[:, 3:] + 1) / 2 * self.size - 0.5)[self.faces]
        depth = (clip[:, 2] / clip[:, 3])[self.faces]
        first = corners.amin(1).ceil().clamp(min=0)
        boxes = (corners.amax(1).floor().clamp(max=self.size - 1) - first + 1).clamp(min=0).long()
        counts = boxes.prod(1)
        nearest = torch.full((self.size**2,), 2**62)
        # Some million pixels of boxes at a time.
        sizes = (counts.cumsum(0) // (1 << 22)).bincount().tolist()
        for some in torch.arange(len(counts)).split(sizes):
            face = some.repeat_interleave(counts[some])
            before = (counts[some].cumsum(0) - counts[some]).repeat_interleave(counts[some])
            place = torch.arange(len(face)) - before
            column, row = (
                first[face, 0] + place % boxes[face, 0],
                first[face, 1] + place // boxes[face, 0],
            )
            offsets = corners[face] - torch.stack([column, row], 1)[:, None]
            x, y = offsets.unbind(2)
            areas = x.roll(-1, 1) * y.roll(-2, 1) - x.roll(-2, 1) * y.roll(-1, 1)
            inside = (areas >= 0).all(1) | (areas <= 0).all(1)
            z = (areas * depth[face]).sum(1) / areas.sum(1)
            key = ((z + 1) * 2**29).long() * 2**32 + face
            pixel = (row * self.size + column).long()
            nearest.scatter_reduce_(0, pixel[inside], key[inside], "amin")
        ids = torch.where(nearest == 2**62, -1, nearest % 2**32)
        return ids.view(self.size, self.size).int().numpy()


class Embree:
    """embreex, a ray per pixel."""

    def __init__(self, mesh: Mesh, cameras: Cameras, size: int) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self.scene, self.size = EmbreeScene(), size
        TriangleMesh(self.scene, mesh.vertices[mesh.faces].numpy())
        self.rays = camera_rays(cameras, size)
        self.scene.run(*(r[:1] for r in self.rays))  # builds its tree at the first ray

    def render(self) -> np.ndarray:
        return self.scene.run(*self.rays, output=1)["primID"].reshape(VIEWS, self.size, self.size)


class Mitsuba:
    """Mitsuba 3, LLVM: Embree again, rays for all views at once."""

    def __init__(self, mesh: Mesh, cameras: Cameras, size: int) -> None:
        import mitsuba

        mitsuba.set_variant("llvm_ad_rgb")
        import drjit

        drjit.set_thread_count(torch.get_num_threads())
        shape = mitsuba.Mesh("sphere", len(mesh.vertices), len(mesh.faces))
        parameters = mitsuba.traverse(shape)
        parameters["vertex_positions"] = mesh.vertices.numpy().ravel()
        parameters["faces"] = mesh.faces.numpy().astype(np.uint32).ravel()
        parameters.update()
        self.scene, self.size, self.drjit = (
            mitsuba.load_dict({"type": "scene", "s": shape}),
            size,
            drjit,
        )
        origins, directions = (mitsuba.Point3f(r.T) for r in camera_rays(cameras, size))
        self.rays = mitsuba.Ray3f(origins, mitsuba.Vector3f(directions))
        drjit.eval(self.rays)

    def render(self) -> np.ndarray:
        hits = self.scene.ray_intersect_preliminary(self.rays, coherent=True)
        index = self.drjit.select(hits.is_valid(), hits.prim_index, 0xFFFFFFFF)
        self.drjit.eval(index, hits.prim_uv)
        self.drjit.sync_thread()
        return np.array(index).astype(np.int32).reshape(VIEWS, self.size, self.size)


class Warp:
    """NVIDIA Warp's mesh query on the CPU."""

    def __init__(self, mesh: Mesh, cameras: Cameras, size: int) -> None:
        import warp as wp

        wp.config.quiet = True
        points = wp.array(mesh.vertices.numpy(), dtype=wp.vec3, device="cpu")
        indices = wp.array(mesh.faces.numpy().astype(np.int32).ravel(), dtype=int, device="cpu")
        self.mesh, self.wp, self.size = wp.Mesh(points, indices), wp, size
        self.rays = [wp.array(r, dtype=wp.vec3, device="cpu") for r in camera_rays(cameras, size)]
        self.uv = wp.zeros(len(self.rays[0]), dtype=wp.vec2, device="cpu")
        self.ids = wp.zeros(len(self.rays[0]), dtype=int, device="cpu")
        self.kernel = warp_kernel()

    def render(self) -> np.ndarray:
        inputs = [self.mesh.id, *self.rays, self.uv, self.ids]
        self.wp.launch(self.kernel, dim=len(self.ids), inputs=inputs, device="cpu")
        return self.ids.numpy().reshape(VIEWS, self.size, self.size)


class Llvmpipe:
    """OpenGL on the CPU (Mesa) through moderngl: ids only, read back."""

    def __init__(self, mesh: Mesh, cameras: Cameras, size: int) -> None:
        import moderngl

        self.size, context = size, moderngl.create_context(standalone=True, backend="egl")
        program = context.program(
            vertex_shader="#version 330\nin vec4 p; void main() { gl_Position = p; }",
            fragment_shader="#version 330\nout int id; void main() { id = gl_PrimitiveID; }",
        )
        indices = context.buffer(mesh.faces.numpy().astype(np.int32).tobytes())
        clips = cameras.clip_positions(mesh.vertices).numpy()
        self.arrays = [
            context.vertex_array(program, [(context.buffer(c.tobytes()), "4f", "p")], indices)
            for c in clips
        ]
        color = context.renderbuffer((size, size), 1, dtype="i4")
        self.frame = context.framebuffer([color], context.depth_renderbuffer((size, size)))
        self.frame.use()
        context.enable(moderngl.DEPTH_TEST)
        self.context = context

    def render(self) -> np.ndarray:
        images = []
        for array in self.arrays:
            self.frame.clear(depth=1.0)
            array.render()
            data = self.frame.read(components=1, dtype="i4")
            images.append(np.frombuffer(data, np.int32).reshape(self.size, self.size))
        return np.stack(images)


RENDERERS = {
    "texcsd": Texcsd, "texcsd, ids": TexcsdIds, "embreex": Embree, "mitsuba llvm": Mitsuba,
    "warp": Warp, "llvmpipe, ids": Llvmpipe, "torch, ids": PureTorch,
}  # fmt: skip


def warp_kernel():
    """What every ray hits first."""
    import warp as wp

    def hit(
        mesh: wp.uint64,
        origins: wp.array(dtype=wp.vec3),  # pyright: ignore
        directions: wp.array(dtype=wp.vec3),  # pyright: ignore
        uv: wp.array(dtype=wp.vec2),  # pyright: ignore
        ids: wp.array(dtype=int),  # pyright: ignore
    ):
        i = wp.tid()
        query = wp.mesh_query_ray(mesh, origins[i], directions[i], 1.0e6)
        uv[i] = wp.vec2(query.u, query.v)
        ids[i] = wp.where(query.result, query.face, -1)

    # Warp reads annotations as objects, which postponed ones are not.
    array, vector, pair = wp.array, wp.vec3, wp.vec2
    hit.__annotations__ = {
        "mesh": wp.uint64, "origins": array(dtype=vector), "directions": array(dtype=vector),
        "uv": array(dtype=pair), "ids": array(dtype=int),
    }  # fmt: skip
    return wp.kernel(hit)


def camera_rays(cameras: Cameras, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Origins and unit directions float32[view * size * size, 3], row 0 at the bottom."""
    centres = (torch.arange(size) + 0.5) * 2 / size - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    tangent = torch.tan(torch.deg2rad(cameras.fov_degrees) / 2)[:, None, None]
    rays = torch.stack([x * tangent, y * tangent, -torch.ones_like(x).expand(len(cameras), -1, -1)])
    rays = torch.einsum("vij,jvyx->vyxi", cameras.camera_to_world[:, :3, :3], rays)
    rays = torch.nn.functional.normalize(rays, dim=-1)
    origins = cameras.eyes[:, None, None].expand_as(rays)
    return tuple(t.reshape(-1, 3).float().contiguous().numpy() for t in (origins, rays))  # pyright: ignore


def by_grid_sample(image: torch.Tensor, uv: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """Mip-mapped lookups with torch alone: grid_sample of each level, where it is needed."""
    levels = [image.permute(0, 3, 1, 2)]
    while levels[-1].shape[2] > 1:
        levels.append(torch.nn.functional.avg_pool2d(levels[-1], 2))
    detail = torch_operations.level_of_detail(slopes, *image.shape[1:3])
    detail = detail.clamp(0, len(levels) - 1).flatten()
    places, colors = 2 * uv.reshape(-1, 2) - 1, torch.zeros(detail.numel(), image.shape[3])
    for index, level in enumerate(levels):
        (here,) = ((detail - index).abs() < 1).nonzero(as_tuple=True)
        if len(here):
            grid = places[here][None, None]
            found = torch.nn.functional.grid_sample(level, grid, align_corners=False)[0, :, 0].T
            share = 1 - (detail[here] - index).abs()
            colors = colors.index_add(0, here, share[:, None] * found)
    return colors.view(*uv.shape[:3], -1)


def clock() -> float:
    """Seconds: of the processor, as others may use it, too; of the clock if threads share work."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def best_time(function: Callable[[], object], repetitions: int = 5) -> float:
    """Milliseconds, after one call to warm up."""
    function()
    times = []
    for _ in range(repetitions):
        started = clock()
        function()
        times.append(clock() - started)
    return 1000 * min(times)


def extra_memory(function: Callable[[], object]) -> float:
    """GiB that the process takes at most during a call, beside what it has before; Linux only."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = peak_memory(status)
    function()
    return peak_memory(status) - before


def peak_memory(status: Path) -> float:
    """GiB."""
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


class Measured(NamedTuple):
    """One renderer in one cell of the table."""

    milliseconds: float
    made_ready: float
    """Milliseconds, once."""
    same: float
    """Share of the pixels where texcsd sees a triangle in which this one sees the same."""


def measure(
    renderer: str, mesh: Mesh, cameras: Cameras, size: int, expected: np.ndarray
) -> Measured | None:
    """None if it is not installed or does not run."""
    try:
        started = clock()
        instance = RENDERERS[renderer](mesh, cameras, size)
        made_ready = 1000 * (clock() - started)
        ids = instance.render()
        milliseconds = best_time(instance.render)
    except (ImportError, RuntimeError, OSError) as error:
        print(f"{renderer}: left out, {error}", file=sys.stderr)
        return None
    # What shows nothing may be anything in the others.
    return Measured(milliseconds, made_ready, (ids == expected)[expected >= 0].mean())


def measure_renderers(
    faces: list[str], sizes: list[int], threads: list[int], renderers: list[str]
) -> None:
    """Print a table of who finds what is visible how fast, and one of how."""
    found: dict[tuple[str, int, int], list[Measured | None]] = {}
    print_row("faces", "pixels", "threads", *renderers)
    print_row(*["---"] * (3 + len(renderers)))
    for name in faces:
        mesh, cameras = make_sphere(RINGS[name]), orbit_cameras(VIEWS, 20.0)
        for cell in product([name], sizes, threads):
            size = cell[1]
            torch.set_num_threads(cell[2])
            expected = Texcsd(mesh, cameras, size).render()
            row = [measure(renderer, mesh, cameras, size, expected) for renderer in renderers]
            found[cell] = row
            print_row(*cell, *["" if m is None else rounded(m.milliseconds) for m in row])
    torch.set_num_threads(threads[0])
    print()
    print_row("", *renderers)
    print_row(*["---"] * (1 + len(renderers)))
    for name in faces:
        columns = zip(*(row for cell, row in found.items() if cell[0] == name), strict=True)
        ready = [max(m.made_ready if m else 0 for m in column) for column in columns]
        print_row(f"made ready for {name}, ms", *[f"{value:.0f}" for value in ready])
    same = [min(m.same if m else 0 for m in column) for column in zip(*found.values(), strict=True)]
    print_row("the same triangle in", *[f"{share:.2%}" for share in same])


def rounded(milliseconds: float) -> str:
    """As many digits as tell them apart."""
    return f"{milliseconds:.{1 if milliseconds < 10 else 0}f}"


def print_row(*cells: object) -> None:
    """A row of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def measure_gradients(faces: list[str], sizes: list[int]) -> None:
    """Print a table of rasterization with its gradient, beside torch's once ids are known."""
    print("\n| faces | pixels | texcsd, forward | and backward, ms | torch, both, ms | ratio |")
    print("|---|---|---|---|---|---|")
    for name in faces:
        mesh = make_sphere(RINGS[name])
        clip = orbit_cameras(VIEWS, 20.0).clip_positions(mesh.vertices).requires_grad_()
        for size in sizes:
            ids = operations.rasterize(clip.detach(), mesh.faces, (size, size)).triangle_ids
            upstream = [torch.rand(*ids.shape, 4) for _ in range(2)]

            def gradient(
                images: Callable[[], tuple[torch.Tensor, ...]], clip=clip, upstream=upstream
            ) -> None:
                torch.autograd.grad(images(), clip, upstream)

            def ours(clip=clip, mesh=mesh, size=size) -> tuple[torch.Tensor, ...]:
                return operations.rasterize(clip, mesh.faces, (size, size))[:2]

            def torchs(clip=clip, mesh=mesh, ids=ids) -> tuple[torch.Tensor, ...]:
                return torch_operations.barycentrics(clip, mesh.faces, ids)

            forward = best_time(ours)
            both, other = (best_time(lambda f=f: gradient(f), 3) for f in (ours, torchs))
            numbers = f"{forward:.0f} | {both:.0f} | {other:.0f} | {other / both:.1f}"
            print(f"| {name} | {size} | {numbers} |")


def measure_textures(sizes: list[int]) -> None:
    """Print a table of mip-mapped lookups with their gradients."""
    print("\n| texels | lookups | texcsd, ms | GiB | grid_sample, ms | GiB | ratio |")
    print("|---|---|---|---|---|---|---|")
    mesh, cameras = make_sphere(RINGS["5k"]), orbit_cameras(VIEWS, 20.0)
    assert mesh.uv is not None
    seen = operations.rasterize(cameras.clip_positions(mesh.vertices), mesh.faces, (512, 512))
    uv, slopes = operations.interpolate(mesh.uv, seen, mesh.faces, True)
    here = seen.triangle_ids >= 0
    uv, slopes = uv[here][None, None], slopes[here][None, None]  # pyright: ignore
    for size in sizes:
        image = torch.rand(1, size, size, 3).requires_grad_()
        upstream = torch.rand(*uv.shape[:3], 3)

        def run(look_up: Callable[..., torch.Tensor], image=image, upstream=upstream) -> None:
            torch.autograd.grad(look_up(image, uv, slopes), image, upstream)

        both = operations.texture, by_grid_sample
        ours, other = (best_time(lambda f=f: run(f), 3) for f in both)
        gigabytes, others = (extra_memory(lambda f=f: run(f)) for f in both)
        print(
            f"| {size} | {int(here.sum()):,} | {ours:.0f} | {gigabytes:.2f} | {other:.0f} | "
            f"{others:.2f} | {other / ours:.1f} |"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", nargs="+", choices=RINGS, default=[*RINGS])
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512, 1024])
    parser.add_argument("--renderers", nargs="+", choices=RENDERERS, default=[*RENDERERS])
    parser.add_argument("--textures", nargs="+", type=int, default=[1024, 4096])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    arguments = parser.parse_args()
    measure_renderers(arguments.faces, arguments.sizes, arguments.threads, arguments.renderers)
    measure_gradients(arguments.faces, arguments.sizes)
    measure_textures(arguments.textures)


if __name__ == "__main__":
    main()
