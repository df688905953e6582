"""Paint one mesh from Python: a minute or two on a laptop's CPU."""

from pathlib import Path

import texcsd

ASSETS = Path(__file__).parent.parent / "assets"

result = texcsd.paint(ASSETS / "armchair.obj", "a leather armchair")
print(f"mesh      {result.glb}")
print(f"texture   {result.base_color}")
print(f"preview   {result.preview}")
print(f"seconds   {result.report['seconds']}")
