"""The materials of the embedded model's world: patterns, colours, and the words for them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from texcsd.embedded import patterns
from texcsd.embedded.patterns import Style

COLORS: dict[str, tuple[float, float, float]] = {
    "red": (0.80, 0.08, 0.08),
    "orange": (0.95, 0.48, 0.08),
    "yellow": (0.96, 0.84, 0.14),
    "green": (0.12, 0.55, 0.16),
    "cyan": (0.16, 0.74, 0.80),
    "blue": (0.09, 0.22, 0.75),
    "purple": (0.45, 0.14, 0.62),
    "pink": (0.96, 0.52, 0.70),
    "brown": (0.42, 0.24, 0.11),
    "beige": (0.86, 0.77, 0.60),
    "black": (0.06, 0.06, 0.07),
    "white": (0.95, 0.95, 0.94),
    "grey": (0.50, 0.50, 0.51),
}
"""sRGB in [0, 1]."""

COLOR_SYNONYMS = {
    "red": ("red", "red", "crimson", "scarlet"),
    "cyan": ("cyan", "turquoise", "teal"),
    "blue": ("blue", "blue", "navy"),
    "purple": ("purple", "purple", "violet"),
    "beige": ("beige", "cream", "tan"),
    "grey": ("grey", "gray"),
}


Paint = Callable[[Tensor, Tensor, Style], Tensor]
"""(points float[n, 3], normals float[n, 3], style) -> sRGB base colour float[n, 3]."""


RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    """A kind of surface, the words for it, and the colours it comes in."""

    words: tuple[str, ...]
    """What captions call it; each may be several words."""
    paint: Paint
    palette: tuple[tuple[RGB, RGB], ...]
    """Usual (first, second) colours when the caption names none."""
    colors: int = 0
    """How many named colours a caption may give it: 0, 1 or 2."""
    shine: float = 0.0
    """Strength of the highlight in renderings."""
    weight: float = 1.0
    """How often it is drawn, relative to the others."""
    usual: float = 0.6
    """Probability that no colour is named, so that the palette decides."""
    contrast: tuple[str, ...] = field(default=())
    """Names the second colour is drawn from where one is named; empty keeps the palette's."""


_WHITE, _BLACK = COLORS["white"], COLORS["black"]

MATERIALS: tuple[Material, ...] = (
    Material(
        ("leather",),
        patterns.leather,
        (((0.45, 0.24, 0.11), _BLACK), ((0.56, 0.31, 0.14), _BLACK), ((0.33, 0.17, 0.09), _BLACK)),
        colors=1,
        shine=0.15,
        weight=3.5,
    ),
    Material(
        ("brick", "bricks", "brick wall"),
        patterns.brick,
        (((0.66, 0.25, 0.17), (0.78, 0.75, 0.70)), ((0.58, 0.20, 0.13), (0.70, 0.68, 0.64))),
        colors=1,
        weight=4.5,
    ),
    Material(
        ("wood", "wooden", "wood", "timber"),
        patterns.wood,
        (
            ((0.62, 0.41, 0.22), (0.38, 0.20, 0.09)),
            ((0.70, 0.48, 0.27), (0.44, 0.25, 0.12)),
            ((0.52, 0.31, 0.15), (0.30, 0.15, 0.07)),
        ),
        weight=3.0,
    ),
    Material(
        ("oak", "pine"), patterns.wood, (((0.76, 0.58, 0.36), (0.53, 0.35, 0.18)),), weight=0.5
    ),
    Material(
        ("walnut", "mahogany"),
        patterns.wood,
        (((0.36, 0.20, 0.11), (0.17, 0.09, 0.05)),),
        weight=0.5,
    ),
    Material(
        ("zebra", "zebra skin"),
        patterns.zebra,
        (((0.06, 0.05, 0.05), (0.94, 0.93, 0.90)),),
        weight=2.5,
    ),
    Material(("tiger", "tiger skin"), patterns.tiger, (((0.92, 0.52, 0.13), (0.07, 0.05, 0.04)),)),
    Material(
        ("leopard", "cheetah", "jaguar"),
        patterns.leopard,
        (((0.85, 0.63, 0.32), (0.10, 0.06, 0.04)),),
    ),
    Material(("giraffe",), patterns.giraffe, (((0.62, 0.35, 0.14), (0.93, 0.84, 0.64)),)),
    Material(("cow", "cow skin"), patterns.cow, (((0.08, 0.07, 0.07), (0.94, 0.92, 0.89)),)),
    Material(
        ("gold", "golden"),
        patterns.metal,
        (((0.90, 0.66, 0.14), (1.0, 0.90, 0.52)), ((0.84, 0.58, 0.10), (1.0, 0.86, 0.42))),
        shine=0.7,
        weight=2.0,
    ),
    Material(
        ("silver", "steel", "metal", "chrome"),
        patterns.metal,
        (((0.62, 0.63, 0.66), (0.93, 0.94, 0.96)),),
        shine=0.7,
    ),
    Material(
        ("copper", "bronze"), patterns.metal, (((0.74, 0.40, 0.24), (0.97, 0.70, 0.52)),), shine=0.7
    ),
    Material(("rust", "rusty", "rusty metal"), patterns.rust, ((_BLACK, _WHITE),)),
    Material(("grass", "grassy", "lawn"), patterns.grass, ((_BLACK, _WHITE),), weight=3.0),
    Material(("moss", "mossy"), patterns.moss, ((_BLACK, _WHITE),)),
    Material(("lava", "magma", "molten lava"), patterns.lava, ((_BLACK, _WHITE),), weight=2.5),
    Material(
        ("plaid", "tartan", "plaid", "checkered cloth"),
        patterns.plaid,
        (((0.74, 0.08, 0.09), (0.05, 0.05, 0.10)),),
        colors=1,
        weight=4.5,
        usual=0.3,
        contrast=("black", "black", "blue", "green"),
    ),
    Material(
        ("stripes", "striped", "stripe"),
        patterns.stripes,
        (((0.80, 0.10, 0.10), _WHITE), ((0.10, 0.22, 0.70), _WHITE), (_BLACK, _WHITE)),
        colors=2,
        weight=5.0,
        usual=0.2,
        contrast=("white",),
    ),
    Material(
        ("polka dots", "dots", "dotted", "polka dot"),
        patterns.dots,
        ((_WHITE, (0.80, 0.10, 0.10)), ((0.10, 0.22, 0.70), _WHITE)),
        colors=2,
        weight=1.5,
        usual=0.2,
        contrast=("white",),
    ),
    Material(
        ("checkerboard", "checkered", "chessboard"),
        patterns.checker,
        ((_BLACK, _WHITE),),
        colors=2,
        weight=1.5,
        usual=0.3,
        contrast=("white",),
    ),
    Material(
        ("tiles", "tile", "tiled"),
        patterns.tiles,
        (
            ((0.25, 0.55, 0.62), _WHITE),
            ((0.12, 0.28, 0.62), _WHITE),
            ((0.86, 0.84, 0.80), (0.5, 0.5, 0.5)),
        ),
        colors=1,
        shine=0.3,
    ),
    Material(
        ("marble",),
        patterns.marble,
        (((0.93, 0.92, 0.90), (0.36, 0.37, 0.40)),),
        colors=1,
        shine=0.25,
        weight=1.2,
    ),
    Material(
        ("stone", "rock", "stony"),
        patterns.stone,
        (((0.60, 0.58, 0.55), _BLACK), ((0.52, 0.52, 0.52), _BLACK)),
    ),
    Material(
        ("cobblestone", "pebbles", "cobblestones"), patterns.cobble, (((0.62, 0.60, 0.57), _BLACK),)
    ),
    Material(
        ("granite",),
        patterns.granite,
        (((0.62, 0.58, 0.57), (0.10, 0.10, 0.10)), ((0.66, 0.50, 0.46), _BLACK)),
    ),
    Material(("concrete", "cement"), patterns.concrete, (((0.64, 0.63, 0.61), _BLACK),)),
    Material(("camouflage", "camo"), patterns.camouflage, ((_BLACK, _WHITE),)),
    Material(("ice", "icy", "frozen"), patterns.ice, ((_BLACK, _WHITE),), shine=0.3),
    Material(("snow", "snowy"), patterns.snow, ((_BLACK, _WHITE),), weight=0.7),
    Material(("denim", "jeans"), patterns.denim, (((0.11, 0.20, 0.42), _WHITE),)),
    Material(
        ("wool", "knitted wool", "woolen", "knitted"),
        patterns.wool,
        (((0.80, 0.72, 0.60), _BLACK), ((0.72, 0.70, 0.66), _BLACK)),
        colors=1,
        weight=1.3,
    ),
    Material(
        ("fur", "furry"),
        patterns.fur,
        (((0.48, 0.31, 0.18), _BLACK), ((0.55, 0.40, 0.25), _BLACK)),
        colors=1,
    ),
    Material(("sand", "sandy"), patterns.sand, (((0.87, 0.74, 0.52), _BLACK),)),
    Material(("water", "ocean"), patterns.water, ((_BLACK, _WHITE),), shine=0.3),
    Material(
        ("plastic", "paint", "painted", "ceramic", ""),
        patterns.plain,
        (((0.90, 0.90, 0.90), _BLACK), ((0.80, 0.10, 0.10), _BLACK), ((0.10, 0.30, 0.80), _BLACK)),
        colors=1,
        shine=0.35,
        weight=3.0,
        usual=0.15,
    ),
)
