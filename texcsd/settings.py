"""Every option of painting and editing: once, with its help, its default and its limits."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import inspect
import math
import re
import sys
import textwrap
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from texcsd.errors import TexcsdError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

WEIGHT_NAMES = ("positive", "negative", "unconditional", "noise", "later")
LARGEST_TEXTURE = 8192
"""Texels per side."""
RESOLUTIONS = (32, 64, 128, 256)
"""Of deep marching tetrahedra."""
USUAL_VIEWS = 6
"""In each step."""
LEAST_PATTERN, LARGEST_PATTERN = 0.35, 2.8
"""Times the usual size of a pattern: what the embedded model was found to know, see RESULTS.md."""
LARGEST_SHOWN = 10**30
"""Of whole numbers in a message. Python prints none of thousands of digits."""
CHECKED = (
    "texture_size", "steps", "views", "displace", "displace_steps", "displace_detail", "dmtet",
    "dmtet_resolution", "dmtet_steps", "target_faces",
)  # fmt: skip
"""Settings of a painting that `check` counts in."""


@dataclass(frozen=True)
class PaintSettings:
    """What a painted texture depends on, besides the mesh.

    The docstring below a field is its help text; the command line is derived from these fields.
    Timesteps are fractions of the model's noise schedule: 0 is no noise, 1 is noise only.
    """

    prompt: str
    """What the object is to look like, such as "a leather armchair"."""
    negative_prompt: str = ""
    """What it is not to look like; empty takes the model's own, if it has one."""
    model: str = "embedded"
    """The diffusion model: "embedded", "stable-diffusion-1.5", "stable-diffusion-2-depth",
    "stable-diffusion-2.1", "sdxl", "deepfloyd-if", a folder in diffusers' format, or a hub id."""
    controlnet: str = "auto"
    """Tells a latent model the depth: "auto" (its own, if it has one), "none", a folder or a hub
    id."""
    controlnet_scale_start: float = 1.0
    """Weight of what the ControlNet adds in the first step."""
    controlnet_scale_end: float = 1.0
    """Weight of what the ControlNet adds in the last step; linear in between."""
    vae: str = "auto"
    """Autoencoder of a latent model: "auto" (its own), "tiny" (TAESD: far less time and memory,
    somewhat less exact), a folder or a hub id."""
    vae_checkpointing: Literal["auto", "on", "off"] = "auto"
    """For latent models: encode each view twice rather than keep all that the VAE computes; "auto"
    decides by the memory of the GPU."""
    steps: int = 150
    """Optimisation steps."""
    views: int = 0
    """Random views rendered in each step; 0 for 6, or for as many of these as a GPU has memory for
    with the model, which is said."""
    texture_size: int = 1024
    """Width and height of the texture, in texels."""
    texture: Literal["auto", "pyramid", "field"] = "auto"
    """What is learned: texels at several resolutions, a field of colours in space that is baked in
    the end, or "auto": the field for latent models, which make raw texels noisy, else texels."""
    seed: int = 0
    """Of all randomness; the same seed gives the same texture, bit for bit on one CPU."""
    unwrap: Literal["auto", "always", "never"] = "auto"
    """When to make new UVs: only if the mesh has no usable ones, always, or never."""
    format: Literal["auto", "same", "glb", "obj", "gltf"] = "auto"
    """Mesh files to write: "auto" for a GLB and the input's own OBJ or glTF, "same" for the latter
    alone, or one of the others."""
    per_material: Literal["auto", "on", "off"] = "auto"
    """A texture for every material whose UVs are usable (those that shared an image share one), or
    one texture for all. "auto" is "on" unless there would be too many texels."""
    only: str = ""
    """Name of the material, node or object to paint; the others stay exactly as they are."""
    displace: float = 0.0
    """Refine the shape before it is painted: most that a vertex may move, in radii of the object,
    such as 0.03; 0 leaves the shape as it is. Faces, UVs and names stay."""
    displace_steps: int = 100
    """Optimisation steps for the shape."""
    displace_detail: float = 0.03
    """About the size of the finest relief, in radii of the object, also with dmtet; larger is
    smoother."""
    dmtet: bool = False
    """Make the shape anew before it is painted, with faces and UVs of its own, by deep marching
    tetrahedra: the surface may then move, open and close (needs texcsd[dmtet])."""
    dmtet_resolution: int = 128
    """How finely dmtet resolves the shape: layers of lattice points across the object, 32, 64, 128
    or 256. Parts thinner than 4.5 / resolution radii are made that thick."""
    dmtet_strength: float = 0.03
    """Most that the surface may move with dmtet, in radii of the object: 0.01 engraves it, 0.05
    models it, 0.2 reshapes it."""
    dmtet_steps: int = 150
    """Optimisation steps for the shape with dmtet."""
    isosurface: Literal["auto", "tetrahedra", "kaolin", "flexicubes"] = "auto"
    """How dmtet finds the surface: our marching tetrahedra, or kaolin's, the same but slower, or
    kaolin's FlexiCubes; "auto" is kaolin's marching tetrahedra if it is installed, else ours."""
    target_faces: int = 0
    """Reduce what dmtet made to about this many triangles; 0 for half of them, which loses slivers
    and hardly anything of the shape."""
    strict: bool = False
    """Refuse to reshape with dmtet what it cannot represent well, instead of warning."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    rasterizer: Literal["auto", "numba", "nvdiffrast"] = "auto"
    """What renders on a GPU: nvdiffrast (not part of texcsd, non-commercial), numba (finds what is
    visible on the CPU), or "auto": nvdiffrast if it is installed. A CPU has numba only."""
    learning_rate: float = 0.05
    """Of the texture's optimiser, Adam, in the first step; it falls to a tenth."""
    guidance: Literal["csd", "sds", "nfsd", "bridge", "asd"] = "csd"
    """How noise predictions become a direction: classifier score distillation, or a relative."""
    guidance_scale: float = 7.5
    """Pull towards the prompt, as diffusers defines it, for sds, nfsd and asd."""
    negative_scale_start: float = 0.0
    """Push away from the negative prompt in the first step, for csd."""
    negative_scale_end: float = 0.5
    """Push away from the negative prompt in the last step; linear in between, 0 without one."""
    prior_scale: float = -1.0
    """Pull towards whole pictures of the prompt, beside the classifier score, for csd; -1 for 3
    with a model that is told places, such as the embedded one, and 0 with others."""
    weights: str = ""
    """Weights of the noise predictions instead of those of the guidance, as in "positive=1,
    negative=-1:-0.5, unconditional=0:-0.5, noise=0, later=0"; a:b goes from the first step's to the
    last's, and what is not named is 0."""
    perp_neg: float = 0.0
    """Push away from the front and the side where they are not in view, against faces on every side
    (Perp-Neg, 1 as in its paper); 0 for not at all. For models that know words for sides."""
    timestep_max_start: float = 0.98
    """Most noise added in the first step."""
    timestep_max_end: float = 0.9
    """Most noise added in the last step."""
    timestep_schedule: Literal["constant", "linear", "square-root", "two-stage"] = "linear"
    """How the most noise goes from the first step's to the last's: two-stage jumps halfway."""
    timestep_min: float = 0.25
    """Least noise added."""
    timestep_weight: Literal["uniform", "noise", "balanced"] = "uniform"
    """How much a view counts: alike, by its noise, or by the mean of its noise and its image."""
    chunk: int = 0
    """Noise predictions computed at once: fewer take less memory; 0 for a choice by image size."""
    pattern_scale: float = 1.0
    """Size of the material's pattern, for models that are told positions: 0.35 to 2.8."""
    side_prompts: Literal["auto", "off"] = "auto"
    """Add the side looked at, such as "back view", to the prompt: if the model knows words for it,
    or never."""
    up: Literal["y+", "z+", "x+", "y-", "z-", "x-"] = "y+"
    """The axis that points up where the object stands; "z+" in many programs for construction."""
    front: Literal["auto", "z+", "x+", "y+", "z-", "x-", "y-"] = "auto"
    """The axis that the front of the object faces; "auto" for "z+", or "y-" where z is upright."""
    close_up_fraction: float = 0.5
    """Share of the views that look at a part of the object; the others show all of it."""

    least_texture_size: ClassVar[int] = 16

    def __post_init__(self) -> None:
        for option in options(type(self)):
            object.__setattr__(self, option.name, _checked(option, getattr(self, option.name)))
        if not self.prompt.strip():
            raise TexcsdError('the prompt is empty; say what to paint, such as "red leather"')
        _refuse_broken_text("prompt", self.prompt)
        _refuse_broken_text("negative_prompt", self.negative_prompt)
        if not self.model.strip():
            raise TexcsdError("model is empty; choose embedded, a folder or a hub id")
        if not self.vae.strip():
            raise TexcsdError("vae is empty; choose auto, tiny, a folder or a hub id")
        if not self.controlnet.strip():
            raise TexcsdError("controlnet is empty; choose auto, none, a folder or a hub id")
        self._check_range("controlnet_scale_start", 0.0, 10.0)
        self._check_range("controlnet_scale_end", 0.0, 10.0)
        self._check_range("steps", 1, 1_000_000)
        self._check_range("views", 0, 256)
        self._check_range("texture_size", self.least_texture_size, LARGEST_TEXTURE)
        self._check_range("seed", 0, 2**63 - 1)
        self._check_range("displace", 0.0, 0.1)
        self._check_range("displace_steps", 1, 1_000_000)
        self._check_range("displace_detail", 0.001, 1.0)
        if self.displace and self.only:
            raise TexcsdError("displace bends the whole mesh; leave out --only, or --displace")
        if self.dmtet and self.displace:
            raise TexcsdError("dmtet and displace are two ways to refine the shape; choose one")
        if self.dmtet and self.only:
            raise TexcsdError("dmtet makes one mesh of all parts; leave out --only, or --dmtet")
        if self.dmtet and self.unwrap == "never":
            raise TexcsdError("unwrap is never, but dmtet makes new faces, which need new uv")
        if self.dmtet_resolution not in RESOLUTIONS:
            choices = ", ".join(map(str, RESOLUTIONS))
            raise TexcsdError(
                f"dmtet_resolution is {self.dmtet_resolution}; choose one of {choices}"
            )
        self._check_range("dmtet_strength", 0.001, 0.5)
        self._check_range("dmtet_steps", 1, 1_000_000)
        self._check_range("target_faces", 0, 100_000_000)
        self._check_range("learning_rate", 1e-6, 1.0)
        self._check_range("guidance_scale", 0.0, 1000.0)
        self._check_range("negative_scale_start", 0.0, 100.0)
        self._check_range("negative_scale_end", 0.0, 100.0)
        self._check_range("prior_scale", -1.0, 100.0)
        self._check_range("perp_neg", 0.0, 100.0)
        parse_weights(self.weights)
        if self.front[0] == self.up[0]:
            raise TexcsdError(
                f"front is {self.front} and up {self.up}; they must be two different axes"
            )
        self._check_range("timestep_min", 0.0, 1.0)
        # A span of zero would make every view equally noisy.
        self._check_range("timestep_max_start", self.timestep_min, 1.0, above=True)
        self._check_range("timestep_max_end", self.timestep_min, 1.0, above=True)
        self._check_range("chunk", 0, 1_000_000)
        self._check_range("pattern_scale", LEAST_PATTERN, LARGEST_PATTERN)
        self._check_range("close_up_fraction", 0.0, 1.0)

    @property
    def axes(self) -> tuple[str, str]:
        """Up, and the front."""
        facing = "y-" if self.up[0] == "z" else "z+"
        return self.up, facing if self.front == "auto" else self.front

    @property
    def most_views(self) -> int:
        """Of a step: those asked for, else the usual number."""
        return self.views or USUAL_VIEWS

    def to_json(self) -> dict[str, Any]:
        """All fields by name, as plain JSON values."""
        return dataclasses.asdict(self)

    def _check_range(self, name: str, least: float, most: float, above: bool = False) -> None:
        value = getattr(self, name)
        if not least <= value <= most or (above and value == least):
            lower = f"above {least:g}" if above else f"from {least}"
            raise TexcsdError(f"{name} is {_quoted(value)}; choose a number {lower} to {most}")


@dataclass(frozen=True)
class EditSettings(PaintSettings):
    """What an edited texture depends on, besides the mesh and the texture it has.

    The method is CSD with the source prompt in the place of the negative one (arXiv 2310.19415,
    Section 4.4): towards the prompt, away from the source, and nowhere where they agree.
    """

    prompt: str
    """What it is to look like, such as "wood"."""
    source_prompt: str = ""
    """What the texture looks like now, such as "brick"."""
    mask: str = ""
    """A picture of the texture's size: what is white in it may change, the rest keeps its bits."""
    only: str = ""
    """Name of the material, node or object to edit; the others keep their texels, to the bit."""
    texture_size: int = 0
    """Width and height of the texture, in texels; 0 for the size it has."""
    texture: Literal["auto", "pyramid", "field"] = "auto"
    """What is learned: the texels, or a field of colours in space that is added to those there are
    and baked in the end, or "auto": the field for latent models, which make raw texels noisy."""
    steps: int = 200
    """Optimisation steps: more lead farther away from the texture."""
    negative_scale_start: float = 1.0
    """Push away from the source prompt in the first step."""
    negative_scale_end: float = 0.0
    """Push away from the source prompt in the last step; linear in between."""
    prior_scale: float = 0.8
    """Pull towards whole pictures of the prompt, beside the classifier score: holds the colours."""

    least_texture_size: ClassVar[int] = 0
    not_offered: ClassVar[tuple[str, ...]] = (
        "negative_prompt", "guidance", "guidance_scale", "weights", "unwrap", "per_material",
        "displace", "displace_steps", "displace_detail", "dmtet", "dmtet_resolution",
        "dmtet_strength", "dmtet_steps", "isosurface", "target_faces", "strict",
    )  # fmt: skip
    """The source prompt, the method, the UVs and the shape leave no choice here."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.source_prompt.strip():
            raise TexcsdError(
                "the source prompt is empty; say what the texture looks like now, as in "
                '--from "brick"'
            )
        _refuse_broken_text("source_prompt", self.source_prompt)
        for name in self.not_offered:
            if getattr(self, name) != getattr(PaintSettings, name):
                raise TexcsdError(f"{name} is not a setting of edit; leave it out")


@dataclass(frozen=True)
class Option:
    """One field of PaintSettings or EditSettings, for those who show or read it."""

    name: str
    kind: type[str] | type[int] | type[float] | type[bool]
    choices: tuple[str, ...]
    """What may be chosen; empty if anything may."""
    default: Any
    """None for the prompt, which has none."""
    help: str


def parse_weights(text: str) -> dict[str, tuple[float, float]]:
    """Explicit weights of predictions, in the first step and in the last, by name.

    Raises:
        TexcsdError: The text says something else.
    """
    weights: dict[str, tuple[float, float]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, values = (side.strip() for side in part.partition("="))
        try:
            start, *end = (float(value) for value in values.split(":"))
        except ValueError:
            start, end = math.nan, []
        if len(end) > 1 or not all(map(math.isfinite, (start, *end))):
            raise TexcsdError(
                f'weights "{part}" cannot be read; write them as in "positive=1, negative=-1:-0.5"'
            )
        if name not in WEIGHT_NAMES:
            raise TexcsdError(f'weights name "{name}", which is none of {", ".join(WEIGHT_NAMES)}')
        if name in weights:
            raise TexcsdError(f"weights names {name} twice; leave one out")
        weights[name] = (start, end[0] if end else start)
    if text and not any(map(any, weights.values())):
        raise TexcsdError(
            f'weights "{text}" gives every prediction the weight 0; leave it out, or write it as '
            'in "positive=1, negative=-1:-0.5"'
        )
    return weights


@functools.cache
def options(settings: type[PaintSettings] = PaintSettings) -> tuple[Option, ...]:
    """Every field that may be chosen, in order."""
    hints = typing.get_type_hints(settings)
    docstrings = _attribute_docstrings(settings)
    not_offered = settings.not_offered if issubclass(settings, EditSettings) else ()
    return tuple(
        Option(
            name=field.name,
            kind=str if typing.get_origin(hints[field.name]) is Literal else hints[field.name],
            choices=typing.get_args(hints[field.name]),
            default=None if field.default is dataclasses.MISSING else field.default,
            help=docstrings[field.name],
        )
        for field in dataclasses.fields(settings)
        if field.name not in not_offered
    )


def read_settings(
    path: str | Path, settings_class: type[PaintSettings] = PaintSettings
) -> dict[str, Any]:
    """The settings in a TOML file, by field name; `texture-size` is as good as `texture_size`.

    Names are checked here, values by PaintSettings.
    """
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise TexcsdError(f"{path}: cannot be read ({error.strerror}); check --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TexcsdError(f"{path}: is not valid TOML ({error}); correct it") from error
    known = [option.name for option in options(settings_class)]
    settings = {key.replace("-", "_"): value for key, value in content.items()}
    for name in settings:
        if name not in known:
            (nearest,) = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise TexcsdError(f'{path}: unknown setting "{name}"; did you mean "{nearest}"?')
    return settings


def chosen_settings(
    given: Mapping[str, Any],
    config: Path | None,
    settings_class: type[PaintSettings] = PaintSettings,
) -> dict[str, Any]:
    """The settings of a TOML file, if there is one, and over them those given.

    Args:
        given: By field name; None is as good as absent, and what is no setting is passed over.
        config: See `read_settings`; None for no file.
        settings_class: Of painting or of editing.
    """
    settings = {} if config is None else read_settings(config, settings_class)
    names = (option.name for option in options(settings_class))
    return settings | {name: given[name] for name in names if given.get(name) is not None}


def _checked(option: Option, value: Any) -> Any:
    """The value in the type of the field; a whole number is a float, too, but true is no number."""
    if option.choices and value not in option.choices:
        choices = " or ".join([", ".join(option.choices[:-1]), option.choices[-1]])
        raise TexcsdError(f"{option.name} {_quoted(value)} is unknown; choose {choices}")
    accepted = (int, float) if option.kind is float else option.kind
    if not isinstance(value, accepted) or isinstance(value, bool) != (option.kind is bool):
        expected = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        expected = expected[option.kind]
        raise TexcsdError(f"{option.name} is {_quoted(value)}; expected {expected}")
    try:
        return option.kind(value)
    except OverflowError as error:
        raise TexcsdError(f"{option.name} is {_quoted(value)}; expected a number") from error


def _refuse_broken_text(name: str, text: str) -> None:
    """Half letters can be written to no file: such come of bytes that are no UTF-8, and of JSON."""
    if found := re.search("[\ud800-\udfff]", text):
        raise TexcsdError(
            f"{name} has no letter at place {found.start() + 1}, but {ord(found[0]):#x}, half of "
            "one; write it in UTF-8"
        )


def _quoted(value: object) -> str:
    if isinstance(value, int) and abs(value) > LARGEST_SHOWN:
        return "a number of too many digits"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _attribute_docstrings(settings: type[PaintSettings]) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(settings))
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    inherits = settings is not PaintSettings
    docstrings = _attribute_docstrings(PaintSettings) if inherits else {}
    for field, following in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(following, ast.Expr):
            name, text = ast.unparse(field.target), ast.literal_eval(following.value)
            docstrings[name] = " ".join(text.split())
    return docstrings
