"""Draw every material the embedded model was trained on, as a labelled sheet."""

import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from texcsd.embedded.captions import usual_look
from texcsd.embedded.materials import MATERIALS
from texcsd.embedded.scenes import IMAGE_SIZE, random_scenes

SHAPES, COLUMNS, LABEL, MARGIN = 5, 3, 14, 8

generator = torch.Generator().manual_seed(3)
looks = [usual_look(material) for material in MATERIALS]
scenes = random_scenes(SHAPES, len(looks), generator, looks=looks)
pixels = (scenes.images * 255).round().to(torch.uint8)
pixels = pixels.view(SHAPES, len(looks), IMAGE_SIZE, IMAGE_SIZE, 3)

cell_width, cell_height = SHAPES * IMAGE_SIZE + MARGIN, IMAGE_SIZE + LABEL + MARGIN
rows = -(-len(looks) // COLUMNS)
sheet = Image.new("RGB", (COLUMNS * cell_width, rows * cell_height), "white")
draw = ImageDraw.Draw(sheet)
for index, look in enumerate(looks):
    left, top = index // rows * cell_width, index % rows * cell_height
    draw.text((left + 2, top), look.caption, fill="black")
    strip = torch.cat(list(pixels[:, index]), dim=1).numpy()
    sheet.paste(Image.fromarray(strip), (left, top + LABEL))

path = Path(sys.argv[1] if len(sys.argv) > 1 else "embedded-world.png")
sheet.save(path)
print(path)
