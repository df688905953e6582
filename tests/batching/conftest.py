"""What tests of batches share. The painting itself is replaced by a quick fake."""

from pathlib import Path

import pytest
from batching_fakes import FakeSynthesis

from texcsd import painting

CORNERS = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
UV = "vt .1 .1\nvt .4 .1\nvt .1 .4\nvt .6 .1\nvt .9 .1\nvt .6 .4\n"
UV += "vt .1 .6\nvt .4 .6\nvt .1 .9\nvt .6 .6\nvt .9 .6\nvt .6 .9\n"
TRIANGLES = f"{CORNERS}{UV}f 1/1 3/2 2/3\nf 1/4 2/5 4/6\nf 1/7 4/8 3/9\nf 2/10 3/11 4/12\n"
"""A tetrahedron with usable uv: to make new ones takes longer than all else."""


@pytest.fixture
def synthesis(monkeypatch: pytest.MonkeyPatch, no_pictures: None) -> FakeSynthesis:
    fake = FakeSynthesis()
    monkeypatch.setattr(painting, "synthesize", fake)
    monkeypatch.setattr(painting, "load_denoiser", fake.load_denoiser)
    return fake


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """Three meshes, one of them in a folder of its own, and a broken one."""
    folder = tmp_path / "assets"
    (folder / "chairs").mkdir(parents=True)
    for name in ("cube.obj", "vase.obj", "chairs/stool.obj"):
        (folder / name).write_text(f"# {name}\n{TRIANGLES}")
    (folder / "points.obj").write_text("v 0 0 0\n")
    return folder
