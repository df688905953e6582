"""Paint every mesh of a folder in two worker processes: minutes on a laptop's CPU.

Stop it at any moment and run it again: it does only what is missing.
"""

from pathlib import Path

import texcsd

ASSETS = Path(__file__).parent.parent / "assets"

# Worker processes import this file, too; only the first one shall begin a batch.
if __name__ == "__main__":
    result = texcsd.batch(
        ASSETS, "painted", prompt="blue and white stripes", exclude=["animal.obj"],
        workers=2, steps=60, texture_size=512,
    )  # fmt: skip
    for one in result.results:
        print(f"{one.status:<16}{one.job.name}  {one.reason}")
    print(f"gallery         {result.folder / 'index.html'}")
