"""The command line, derived from the settings. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import sys
import traceback
import warnings
import webbrowser
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from texcsd import __version__
from texcsd.batching.command import EPILOG as BATCH_EPILOG
from texcsd.batching.command import add_batch_arguments, run_batch
from texcsd.errors import TexcsdError
from texcsd.settings import CHECKED, EditSettings, Option, chosen_settings, options

if TYPE_CHECKING:
    from texcsd.job import PaintResult

SUCCESS, FAILURE, USAGE = 0, 1, 2
INTERRUPTED = 128 + 2
"""What a shell reports for a process ended by SIGINT."""
PIPE_CLOSED = 128 + 13
"""What a shell reports for a process ended by SIGPIPE."""

GOES_ON = "interrupted; the same command goes on from the last checkpoint"
PROMPT_FLAGS = {"source_prompt": "--from", "prompt": "--to"}
"""Of edit, in this order."""

EPILOG = """\
examples:
  texcsd paint armchair.obj "a leather armchair"
  texcsd paint bust.glb "white marble" -o marble --texture-size 2048 --seed 7
  texcsd edit marble/bust.glb --from "white marble" --to "gold" --mask crown.png
  texcsd view marble
  texcsd check bust.glb -o bust-check
  texcsd batch assets/ --prompt "weathered oak" -o painted

exit status: 0 done, 1 a problem that one line on the standard error stream explains,
2 wrong usage, 130 interrupted (the same command goes on where it stopped)
"""

logger = logging.getLogger("texcsd")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs texcsd, by default with the arguments of the process; returns the exit status."""
    _let_any_name_be_printed()
    try:
        try:
            status = _run(sys.argv[1:] if arguments is None else arguments)
        except SystemExit as exit_request:  # argparse: help, version, wrong usage.
            status = exit_request.code if isinstance(exit_request.code, int) else FAILURE
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more when it ends; give it something to write to.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.dup2(nothing, sys.stderr.fileno())
        return PIPE_CLOSED
    return status


def _let_any_name_be_printed() -> None:
    """A name of a file that the streams' encoding lacks must not end what was going well."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: Sequence[str]) -> int:
    # Read once, when torch is loaded. Threads that spin while they wait are 5 to 20 times slower
    # on a machine that has other work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    parsed = _parser().parse_args(_with_hyphens(arguments))
    _configure_messages(parsed.quiet, parsed.verbose)
    try:
        parsed.run(parsed)
    except TexcsdError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        _fail(parsed.interrupted)
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except MemoryError:
        return _fail("out of memory; lower --texture-size or --views")
    except Exception as error:
        if parsed.verbose:
            traceback.print_exc()
        kind = type(error).__name__
        return _fail(f"internal error, {kind}: {error}; please report it with what --verbose shows")
    return SUCCESS


def _paint(parsed: argparse.Namespace) -> None:
    settings = chosen_settings(vars(parsed), parsed.config)

    from texcsd.job import paint

    result = paint(
        parsed.mesh,
        settings.pop("prompt"),
        parsed.output,
        overwrite=parsed.overwrite,
        quiet=parsed.quiet,
        offline=parsed.offline,
        **_live_arguments(parsed),
        **settings,
    )
    _print_result(parsed, result, "painted")


def _edit(parsed: argparse.Namespace) -> None:
    settings = chosen_settings(vars(parsed), parsed.config, EditSettings)

    from texcsd.job import edit

    result = edit(
        parsed.mesh,
        settings.pop("source_prompt"),
        settings.pop("prompt"),
        parsed.output,
        overwrite=parsed.overwrite,
        quiet=parsed.quiet,
        offline=parsed.offline,
        **_live_arguments(parsed),
        **settings,
    )
    _print_result(parsed, result, "edited")


def _live_arguments(parsed: argparse.Namespace) -> dict[str, Any]:
    if parsed.live_port is None:
        return {"live": parsed.live}
    if not parsed.live:
        raise TexcsdError("live_port is of the live view; add --live, or leave --live-port out")
    return {"live": True, "live_port": parsed.live_port}


def _print_result(parsed: argparse.Namespace, result: PaintResult, done: str) -> None:
    if not parsed.quiet:
        print(f"{'already ' if result.already_painted else ''}{done}: {result.folder}")
        print(*_summary(result.report), sep="\n")


def _view(parsed: argparse.Namespace) -> None:
    page: Path = parsed.folder / "viewer.html"
    if not page.is_file():
        raise TexcsdError(
            f"{parsed.folder}: holds no viewer.html; give the folder of a finished painting"
        )
    address = page.resolve().as_uri()
    print(address)
    if not webbrowser.open(address):
        raise TexcsdError(f"no browser was found to open {page}; open it in one by hand")


def _check(parsed: argparse.Namespace) -> None:
    from texcsd.checking.check import check
    from texcsd.checking.table import check_table

    given = {name: value for name in CHECKED if (value := getattr(parsed, name)) is not None}
    result = check(parsed.mesh, parsed.output, **given)
    if parsed.json:
        print(json.dumps(result.report, indent=2))
    elif not parsed.quiet:
        print(*check_table(result.report), sep="\n")
        if result.folder is not None:
            print(f"written: {result.folder}")
    if parsed.strict and result.problems:
        problems = "; ".join(result.problems)
        raise TexcsdError(f"{parsed.mesh}: {len(result.problems)} problem(s): {problems}")


def _summary(report: dict[str, Any]) -> list[str]:
    unseen, texels, seconds = report["unseen_texels"], report["texels"], report["seconds"]
    kept = report.get("edit", {}).get("kept_texels", 0)
    return [
        *(f"  {name}" for name in report["outputs"].values()),
        *_textures_lines(report.get("textures", [])),
        _damage_line(report["damage"].values()),
        *_seams_line(report["seams"]),
        *([f"  read back: {kept:,} texels are the original's, to the bit"] if kept else []),
        f"  {unseen:,} of {texels:,} texels were hardly in view and took the colours around them",
        "  seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()),
    ]


def _textures_lines(textures: list[dict[str, Any]]) -> list[str]:
    """Which materials each texture is of, where there are several."""
    if len(textures) < 2:
        return []
    return [
        f"  {texture['file']}: {', '.join(texture['materials']) or 'what has no material'}"
        f" ({'their own' if texture['uv_source'] == 'input' else 'new'} UVs)"
        for texture in textures
    ]


def _seams_line(seams: dict[str, Any]) -> list[str]:
    across, within = seams["across_seams"], seams["within_charts"]
    if across is None or within is None:
        return []
    return [f"  colours differ by {across:.1f} of 255 across seams, by {within:.1f} elsewhere"]


def _damage_line(files: Collection[dict[str, Any]]) -> str:
    """What was measured between the input and the mesh files, together."""
    moved = max((found["max_position_delta"] for found in files), default=0)
    displaced = any("max_displaced_position_delta" in found for found in files)
    uv = [found["max_uv_delta"] for found in files if found["max_uv_delta"] is not None]
    uv_text = f"UVs by at most {max(uv):.2g}" if uv else "UVs are new"
    split = [
        f"{noun} {count:,}"
        for key, noun in (("vertices_copied", "vertices"), ("polygons_cut", "polygons"))
        if (count := max((found.get(key, 0) for found in files), default=0))
    ]
    seams = f"; split at seams: {', '.join(split)}" if split else ""
    plain = max((found.get("primitives_decompressed", 0) for found in files), default=0)
    seams += f"; decompressed, to hold new UVs: primitives {plain:,}" if plain else ""
    positions = "positions were displaced" if displaced else "positions differ"
    rest = "all else but normals and their maps equal" if displaced else "all else equal"
    return f"  read back: {positions} by at most {moved:.2g}, {uv_text}, {rest}{seams}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="texcsd",
        description="Text to texture for the meshes you already have.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"texcsd {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    paint = commands.add_parser(
        "paint",
        help="paint a mesh from a prompt",
        description="Paints a mesh from a prompt. The mesh itself is only read.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_paint_arguments(paint)
    paint.set_defaults(run=_paint, interrupted=GOES_ON)
    edit = commands.add_parser(
        "edit",
        help="change the texture a mesh has, from one prompt to another",
        description="Changes the base colour texture of a GLB, glTF or OBJ from what one prompt"
        " says to what another says. The mesh itself is only read.",
        allow_abbrev=False,
    )
    _add_edit_arguments(edit)
    edit.set_defaults(run=_edit, interrupted=GOES_ON)
    check = commands.add_parser(
        "check",
        help="tell what painting a mesh will run into",
        description="Tells what painting a mesh will run into: its surface, its UVs, what cameras"
        " see of it, and what painting will take. No model is loaded. Exit status 0 if the mesh can"
        " be painted.",
        allow_abbrev=False,
    )
    _add_check_arguments(check)
    check.set_defaults(run=_check, interrupted="interrupted")
    view = commands.add_parser(
        "view",
        help="turn a painted object in the browser",
        description="Opens the viewer.html of a result folder in the browser.",
        allow_abbrev=False,
    )
    view.add_argument("folder", metavar="DIR", type=Path, help="Where the results are.")
    view.set_defaults(run=_view, interrupted="interrupted", quiet=False, verbose=False)
    batch = commands.add_parser(
        "batch",
        help="paint many meshes; repeated, it does only what is missing",
        description="Paints many meshes. One that fails does not stop the others, and the same"
        " command again does only what is missing.",
        epilog=BATCH_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_batch_arguments(batch)
    _add_settings(batch, options())
    _add_loudness(batch)
    batch.set_defaults(
        run=run_batch, interrupted="interrupted; the same command does what is missing"
    )
    return parser


def _add_check_arguments(check: argparse.ArgumentParser) -> None:
    _add_mesh(check)
    check.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        help="Write report.json, orbit.png, coverage.png and uv_layout.png there.",
    )
    for option in options():
        if option.name in CHECKED:
            _add_option(check, option)
    check.add_argument(
        "--json", action="store_true", help="The report as JSON instead of a table, and no more."
    )
    check.add_argument(
        "--strict",
        action="store_true",
        help="Exit with status 1 also if there is any problem, not only if it cannot be painted.",
    )
    _add_loudness(check)


def _add_paint_arguments(paint: argparse.ArgumentParser) -> None:
    _add_mesh(paint)
    for option in options():
        if option.name == "prompt":
            paint.add_argument("prompt", metavar="PROMPT", help=option.help)
    _add_output(paint, "<mesh>-<prompt>")
    _add_settings(paint, options())
    _add_live(paint)
    _add_loudness(paint)


def _add_edit_arguments(edit: argparse.ArgumentParser) -> None:
    edit.add_argument("mesh", metavar="MESH", type=Path, help="GLB, glTF or OBJ with a texture")
    for option in options(EditSettings):
        if option.name in PROMPT_FLAGS:
            flag, text = PROMPT_FLAGS[option.name], option.help
            edit.add_argument(flag, dest=option.name, metavar="T", required=True, help=text)
    _add_output(edit, "<mesh>-<from>-to-<to>")
    _add_settings(edit, options(EditSettings))
    _add_live(edit)
    _add_loudness(edit)


def _add_output(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        help=f"Where the results go. (default: outputs/{name})",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="Delete what texcsd wrote into the folder before, and begin anew.",
    )


def _add_settings(parser: argparse.ArgumentParser, settings: Iterable[Option]) -> None:
    """All settings but the prompts, and where else they may come from."""
    for option in settings:
        if option.name not in PROMPT_FLAGS:
            _add_option(parser, option)
    parser.add_argument(
        "--config",
        metavar="FILE.toml",
        type=Path,
        help="Options from a file, as in `steps = 200`; those given here count more.",
    )
    parser.add_argument(
        "--offline",
        action="store_true",
        help="Download no model; use what was downloaded before.",
    )


def _add_live(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--live",
        action="store_true",
        help="Show the object in a browser while it is painted (needs texcsd[live]).",
    )
    parser.add_argument(
        "--live-port",
        metavar="N",
        type=int,
        help="Where on this machine; if it is taken, another one serves. (default: 8080)",
    )


def _add_mesh(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mesh", metavar="MESH", type=Path, help="OBJ, GLB, glTF, PLY, STL or OFF")


def _add_loudness(parser: argparse.ArgumentParser) -> None:
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("--quiet", action="store_true", help="Only warnings and errors.")
    loudness.add_argument("--verbose", action="store_true", help="Also how things are done.")


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    if option.kind is bool:
        parser.add_argument(
            f"--{option.name.replace('_', '-')}",
            action=argparse.BooleanOptionalAction,
            dest=option.name,
            help=option.help.replace("%", "%%"),
        )
        return
    default = "" if option.default == "" else f" (default: {option.default})"
    letter = {str: "T", int: "N", float: "X"}[option.kind]
    parser.add_argument(
        f"--{option.name.replace('_', '-')}",
        dest=option.name,
        type=option.kind,
        choices=option.choices or None,
        metavar=None if option.choices else letter,
        help=f"{option.help}{default}".replace("%", "%%"),
    )


def _with_hyphens(arguments: Sequence[str]) -> list[str]:
    """The arguments with `--texture_size` written `--texture-size`; not those after `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [
        _hyphenated(argument) if argument.startswith("--") and index < end else argument
        for index, argument in enumerate(arguments)
    ]


def _hyphenated(argument: str) -> str:
    flag, equals, value = argument.partition("=")
    return flag.replace("_", "-") + equals + value


def _configure_messages(quiet: bool, verbose: bool) -> None:
    """Our own messages as plain lines; those of the libraries only with --verbose."""
    handler = logging.StreamHandler()
    handler.setFormatter(_LineFormatter())
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)
    if not verbose:
        warnings.simplefilter("ignore")
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_VERBOSITY", "error")


class _LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"texcsd: {level}{record.getMessage()}"


def _fail(message: str) -> int:
    print(f"texcsd: {' '.join(message.split())}", file=sys.stderr)
    return FAILURE
