"""The materials of the embedded model's world: patterns, colours, and the words for them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from texcsd.embedded import (
    fabrics,
    foods,
    masonry,
    metals,
    minerals,
    patterns,
    plants,
    prints,
    skins,
)
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
    "navy": (0.05, 0.08, 0.30),
    "teal": (0.04, 0.42, 0.44),
    "maroon": (0.40, 0.05, 0.09),
    "olive": (0.42, 0.42, 0.13),
    "lime": (0.60, 0.85, 0.14),
    "magenta": (0.85, 0.10, 0.58),
    "lavender": (0.72, 0.64, 0.88),
}
"""sRGB in [0, 1]."""

COLOR_SYNONYMS = {
    "red": ("red", "red", "crimson", "scarlet"),
    "cyan": ("cyan", "turquoise"),
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
        skins.leather,
        (((0.45, 0.24, 0.11), _BLACK), ((0.56, 0.31, 0.14), _BLACK), ((0.33, 0.17, 0.09), _BLACK)),
        colors=1,
        shine=0.15,
        weight=3.0,
    ),
    Material(
        ("brick", "bricks", "brick wall"),
        masonry.brick,
        (((0.66, 0.25, 0.17), (0.78, 0.75, 0.70)), ((0.58, 0.20, 0.13), (0.70, 0.68, 0.64))),
        colors=1,
        weight=3.0,
    ),
    Material(
        ("wood", "wooden", "wood", "timber"),
        plants.wood,
        (
            ((0.62, 0.41, 0.22), (0.38, 0.20, 0.09)),
            ((0.70, 0.48, 0.27), (0.44, 0.25, 0.12)),
            ((0.52, 0.31, 0.15), (0.30, 0.15, 0.07)),
        ),
        weight=3.0,
    ),
    Material(("oak",), plants.wood, (((0.76, 0.58, 0.36), (0.53, 0.35, 0.18)),), weight=0.7),
    Material(("pine", "birch"), plants.wood, (((0.88, 0.72, 0.48), (0.7, 0.5, 0.28)),), weight=0.7),
    Material(
        ("walnut", "teak"), plants.wood, (((0.4, 0.25, 0.14), (0.19, 0.11, 0.06)),), weight=0.7
    ),
    Material(
        ("mahogany", "cherry wood"),
        plants.wood,
        (((0.48, 0.19, 0.1), (0.26, 0.08, 0.05)),),
        weight=0.7,
    ),
    Material(("ebony",), plants.wood, (((0.17, 0.13, 0.11), (0.06, 0.05, 0.04)),), weight=0.7),
    Material(
        ("zebra", "zebra skin"),
        skins.zebra,
        (((0.06, 0.05, 0.05), (0.94, 0.93, 0.90)),),
        weight=3.0,
    ),
    Material(("tiger", "tiger skin"), skins.tiger, (((0.92, 0.52, 0.13), (0.07, 0.05, 0.04)),)),
    Material(
        ("leopard", "cheetah", "jaguar"),
        skins.leopard,
        (((0.85, 0.63, 0.32), (0.10, 0.06, 0.04)),),
    ),
    Material(("giraffe",), skins.giraffe, (((0.62, 0.35, 0.14), (0.93, 0.84, 0.64)),)),
    Material(("cow", "cow skin"), skins.cow, (((0.08, 0.07, 0.07), (0.94, 0.92, 0.89)),)),
    Material(
        ("gold", "golden"),
        metals.metal,
        (((0.92, 0.65, 0.10), (1.0, 0.86, 0.36)), ((0.88, 0.58, 0.07), (1.0, 0.82, 0.30))),
        shine=0.7,
        weight=3.0,
    ),
    Material(("silver",), metals.metal, (((0.68, 0.69, 0.72), (0.97, 0.97, 0.99)),), shine=0.7),
    Material(("chrome", "mirror"), metals.chrome, ((_BLACK, _WHITE),), shine=0.7),
    Material(
        ("steel", "metal", "brushed steel", "aluminium"),
        metals.brushed,
        (((0.66, 0.67, 0.69), _WHITE),),
        shine=0.5,
    ),
    Material(
        ("copper", "bronze"), metals.metal, (((0.74, 0.40, 0.24), (0.97, 0.70, 0.52)),), shine=0.7
    ),
    Material(("rust", "rusty", "rusty metal"), metals.rust, ((_BLACK, _WHITE),)),
    Material(("grass", "grassy", "lawn"), plants.grass, ((_BLACK, _WHITE),), weight=3.0),
    Material(("moss", "mossy"), plants.moss, ((_BLACK, _WHITE),)),
    Material(("lava", "magma", "molten lava"), minerals.lava, ((_BLACK, _WHITE),), weight=3.0),
    Material(
        ("plaid", "tartan", "plaid", "checkered cloth"),
        fabrics.plaid,
        (((0.74, 0.08, 0.09), (0.05, 0.05, 0.10)),),
        colors=1,
        weight=3.0,
        usual=0.3,
        contrast=("black", "black", "blue", "green"),
    ),
    Material(
        ("stripes", "striped", "stripe"),
        patterns.stripes,
        (((0.80, 0.10, 0.10), _WHITE),),
        colors=2,
        weight=3.0,
        usual=0.3,
        contrast=("white",),
    ),
    Material(
        ("polka dots", "dots", "dotted", "polka dot"),
        patterns.dots,
        ((_WHITE, (0.80, 0.10, 0.10)),),
        colors=2,
        weight=1.5,
        usual=0.3,
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
        masonry.tiles,
        (((0.25, 0.55, 0.62), _WHITE),),
        colors=1,
        shine=0.3,
    ),
    Material(
        ("marble",),
        minerals.marble,
        (((0.93, 0.92, 0.90), (0.36, 0.37, 0.40)),),
        colors=1,
        shine=0.25,
        usual=0.3,
    ),
    Material(
        ("stone", "rock", "stony"),
        minerals.stone,
        (((0.60, 0.58, 0.55), _BLACK), ((0.52, 0.52, 0.52), _BLACK)),
    ),
    Material(
        ("cobblestone", "pebbles", "cobblestones"), minerals.cobble, (((0.62, 0.60, 0.57), _BLACK),)
    ),
    Material(
        ("granite",),
        minerals.granite,
        (((0.62, 0.58, 0.57), (0.10, 0.10, 0.10)),),
    ),
    Material(("concrete", "cement"), minerals.concrete, (((0.64, 0.63, 0.61), _BLACK),)),
    Material(("camouflage", "camo"), prints.camouflage, ((_BLACK, _WHITE),)),
    Material(("ice", "icy", "frozen"), minerals.ice, ((_BLACK, _WHITE),), shine=0.3),
    Material(("snow", "snowy"), minerals.snow, ((_BLACK, _WHITE),)),
    Material(("denim", "jeans"), fabrics.denim, (((0.11, 0.20, 0.42), _WHITE),)),
    Material(
        ("wool", "knitted wool", "woolen", "knitted"),
        fabrics.wool,
        (((0.80, 0.72, 0.60), _BLACK),),
        colors=1,
    ),
    Material(
        ("fur", "furry"),
        skins.fur,
        (((0.84, 0.68, 0.46), _BLACK), ((0.78, 0.60, 0.38), _BLACK)),
        colors=1,
    ),
    Material(("sand", "sandy"), minerals.sand, (((0.87, 0.74, 0.52), _BLACK),)),
    Material(("water", "ocean"), minerals.water, ((_BLACK, _WHITE),), shine=0.3),
    Material(
        ("plastic", "paint", "painted", "ceramic", ""),
        patterns.plain,
        (((0.90, 0.90, 0.90), _BLACK),),
        colors=1,
        shine=0.35,
        weight=3.0,
        usual=0.15,
    ),
    # Cloth.
    Material(
        ("gingham", "picnic cloth"),
        fabrics.gingham,
        (((0.80, 0.10, 0.10), _WHITE),),
        colors=1,
    ),
    Material(
        ("velvet",),
        fabrics.velvet,
        (((0.62, 0.04, 0.10), _BLACK),),
        colors=1,
    ),
    Material(
        ("silk", "satin", "silky"),
        fabrics.silk,
        (((0.78, 0.62, 0.68), _WHITE),),
        colors=1,
        shine=0.3,
    ),
    Material(
        ("burlap", "linen", "canvas", "fabric"),
        fabrics.burlap,
        (((0.72, 0.57, 0.38), _BLACK), ((0.78, 0.68, 0.52), _BLACK)),
    ),
    Material(
        ("quilted", "quilt", "padded"),
        fabrics.quilted,
        (((0.80, 0.76, 0.70), _WHITE),),
        colors=1,
    ),
    Material(("houndstooth",), fabrics.houndstooth, ((_WHITE, _BLACK),)),
    Material(
        ("argyle", "diamonds", "harlequin"),
        fabrics.argyle,
        (((0.12, 0.25, 0.45), (0.62, 0.12, 0.16)),),
        colors=2,
        contrast=("white", "black", "beige"),
    ),
    Material(
        ("wicker", "rattan", "basket"),
        fabrics.wicker,
        (((0.80, 0.60, 0.35), _BLACK), ((0.66, 0.45, 0.24), _BLACK)),
    ),
    Material(("patchwork",), fabrics.patchwork, ((_WHITE, _BLACK),)),
    Material(("rope", "ropes"), fabrics.rope, (((0.80, 0.66, 0.44), _BLACK),)),
    # Skins.
    Material(
        ("dalmatian", "spotted"), skins.dalmatian, ((_WHITE, (0.07, 0.06, 0.06)),), weight=0.4
    ),
    Material(
        ("scales", "scaly", "reptile", "mermaid"),
        skins.scales,
        (((0.16, 0.50, 0.34), (0.62, 0.82, 0.42)),),
        colors=1,
        shine=0.3,
    ),
    Material(("peacock", "peacock feathers"), skins.peacock, ((_BLACK, _WHITE),)),
    Material(
        ("snake", "snakeskin", "python"), skins.snake, ((_BLACK, _WHITE),), shine=0.15, weight=0.4
    ),
    Material(
        ("crocodile", "alligator", "crocodile skin"),
        skins.crocodile,
        (((0.34, 0.38, 0.19), _BLACK),),
        shine=0.15,
    ),
    # Ground, rocks and gems.
    Material(
        ("terracotta", "clay"), minerals.terracotta, (((0.78, 0.42, 0.27), _BLACK),), weight=0.4
    ),
    Material(
        ("sandstone", "canyon", "layered rock"),
        minerals.sandstone,
        ((_BLACK, _WHITE),),
    ),
    Material(
        ("mud", "cracked mud", "cracked earth", "desert"),
        minerals.mud,
        (((0.62, 0.47, 0.33), _BLACK),),
    ),
    Material(("fire", "flames", "burning"), minerals.fire, ((_BLACK, _WHITE),)),
    Material(
        ("crystal", "amethyst", "crystals", "gemstone"),
        minerals.crystal,
        (((0.52, 0.24, 0.72), _WHITE),),
        colors=1,
        shine=0.5,
        usual=0.7,
    ),
    Material(
        ("galaxy", "space", "starry", "nebula"), minerals.galaxy, ((_BLACK, _WHITE),), weight=0.4
    ),
    Material(("clouds", "sky", "cloudy"), minerals.sky, ((_BLACK, _WHITE),)),
    # Plants.
    Material(
        ("planks", "boards", "wooden planks"),
        plants.planks,
        (((0.60, 0.42, 0.26), _BLACK), ((0.50, 0.43, 0.36), _BLACK)),
    ),
    Material(("bark",), plants.bark, (((0.46, 0.34, 0.25), _BLACK),)),
    Material(("bamboo",), plants.bamboo, (((0.74, 0.70, 0.36), _BLACK),)),
    Material(("straw", "hay", "thatch"), plants.straw, (((0.86, 0.70, 0.38), _BLACK),)),
    Material(
        ("leaves", "ivy", "foliage"),
        plants.leaves,
        (((0.16, 0.44, 0.12), (0.36, 0.60, 0.16)),),
    ),
    Material(
        ("floral", "flowers", "flowery"),
        plants.floral,
        (((0.90, 0.25, 0.42), (0.95, 0.92, 0.84)),),
        colors=1,
    ),
    # Built and technical.
    Material(("roof", "roof tiles"), masonry.roof, (((0.72, 0.34, 0.21), _BLACK),)),
    Material(("slate", "shingles"), masonry.shingles, (((0.36, 0.39, 0.43), _BLACK),)),
    Material(
        ("graffiti", "splatter", "paint splatter"),
        masonry.graffiti,
        ((_BLACK, _WHITE),),
    ),
    Material(
        ("honeycomb", "hexagons", "hexagon"),
        patterns.honeycomb,
        (((0.93, 0.62, 0.10), (0.46, 0.25, 0.04)),),
        colors=1,
        usual=0.7,
        contrast=("black", "white"),
    ),
    Material(
        ("diamond plate", "tread plate"),
        metals.diamond_plate,
        (((0.60, 0.61, 0.63), _BLACK),),
        shine=0.4,
    ),
    Material(
        ("chainmail", "chain mail", "chain"),
        metals.chain_mail,
        (((0.74, 0.75, 0.78), _BLACK),),
        shine=0.3,
    ),
    Material(
        ("circuit board", "circuit", "electronics"),
        metals.circuit,
        (((0.05, 0.34, 0.16), _BLACK),),
        shine=0.15,
    ),
    Material(
        ("carbon fiber", "carbon"),
        metals.carbon_fiber,
        (((0.20, 0.20, 0.22), _BLACK),),
        shine=0.4,
    ),
    Material(
        ("neon grid", "neon", "tron"),
        metals.neon_grid,
        (((0.05, 0.85, 0.95), _BLACK),),
        colors=1,
    ),
    Material(
        ("hazard stripes", "hazard", "caution", "warning"),
        patterns.hazard,
        (((0.97, 0.78, 0.05), (0.06, 0.06, 0.06)),),
    ),
    # Things to eat.
    Material(("watermelon",), foods.watermelon, ((_BLACK, _WHITE),), shine=0.2),
    Material(
        ("chocolate",), foods.chocolate, (((0.36, 0.19, 0.10), _BLACK),), shine=0.2, weight=0.4
    ),
    Material(("cheese", "swiss cheese"), foods.cheese, (((0.97, 0.80, 0.32), _BLACK),)),
    Material(
        ("sprinkles", "donut", "icing"),
        foods.sprinkles,
        (((0.97, 0.66, 0.78), _WHITE),),
        colors=1,
    ),
    Material(("strawberry",), foods.strawberry, ((_BLACK, _WHITE),), shine=0.3),
    Material(
        ("candy cane", "candy"),
        patterns.candy_cane,
        (((0.84, 0.06, 0.08), _WHITE),),
        shine=0.3,
    ),
    # Prints and sheets.
    Material(
        ("zigzag", "chevron", "zigzags"),
        patterns.zigzag,
        (((0.10, 0.22, 0.60), _WHITE),),
        colors=2,
        usual=0.3,
        contrast=("white",),
    ),
    Material(("rainbow",), prints.rainbow, ((_BLACK, _WHITE),)),
    Material(
        ("hearts", "heart"),
        prints.hearts,
        (((0.88, 0.08, 0.18), (0.97, 0.90, 0.91)),),
        colors=2,
        contrast=("white",),
    ),
    Material(
        ("stars", "star"),
        prints.stars,
        (((0.97, 0.84, 0.20), (0.08, 0.14, 0.42)),),
        colors=2,
        contrast=("white", "blue"),
    ),
    Material(
        ("porcelain", "china", "delft"),
        prints.porcelain,
        ((_BLACK, _WHITE),),
        shine=0.5,
    ),
    Material(("stained glass", "glass"), prints.glass, ((_BLACK, _WHITE),), shine=0.5),
    # Floors, walls and stones.
    Material(
        ("terrazzo",),
        minerals.terrazzo,
        (((0.90, 0.88, 0.84), _BLACK),),
        shine=0.25,
    ),
    Material(("asphalt", "tarmac"), minerals.asphalt, (((0.22, 0.22, 0.23), (0.70, 0.70, 0.68)),)),
    Material(("gravel",), minerals.gravel, (((0.60, 0.59, 0.58), _BLACK),)),
    Material(("malachite",), minerals.malachite, ((_BLACK, _WHITE),), shine=0.4),
    Material(("jade",), minerals.jade, (((0.25, 0.60, 0.38), (0.78, 0.92, 0.80)),), shine=0.4),
    Material(
        ("plaster", "stucco"),
        minerals.plaster,
        (((0.93, 0.91, 0.86), _BLACK),),
        colors=1,
        usual=0.7,
    ),
    Material(
        ("mosaic",),
        masonry.mosaic,
        (((0.12, 0.34, 0.62), (0.20, 0.62, 0.62)),),
        colors=1,
        shine=0.25,
    ),
    Material(
        ("peeling paint", "chipped paint"),
        masonry.peeling,
        (((0.30, 0.56, 0.60), _BLACK),),
        colors=1,
    ),
    Material(("parquet",), plants.parquet, (((0.66, 0.44, 0.24), _BLACK),), shine=0.25),
    Material(("cork",), plants.cork, (((0.76, 0.56, 0.36), (0.34, 0.20, 0.10)),)),
    # More sheets, cloth, skins and food.
    Material(
        ("corduroy",),
        fabrics.corduroy,
        (((0.56, 0.36, 0.18), _BLACK),),
        colors=1,
    ),
    Material(
        ("iridescent", "holographic", "opal"), prints.iridescent, ((_BLACK, _WHITE),), shine=0.6
    ),
    Material(("paper", "crumpled paper"), prints.paper, (((0.95, 0.93, 0.88), _BLACK),), colors=1),
    Material(
        ("feathers", "feathered"),
        skins.feathers,
        (((0.92, 0.90, 0.86), (0.99, 0.98, 0.95)),),
        colors=1,
    ),
    Material(("brass",), metals.metal, (((0.72, 0.58, 0.26), (0.97, 0.90, 0.62)),), shine=0.7),
    Material(("cookie", "biscuit"), foods.cookie, (((0.82, 0.58, 0.32), (0.24, 0.12, 0.07)),)),
)
