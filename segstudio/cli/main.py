"""The `segstudio` command: arguments, exit codes, and which function does what.

Exit codes: 0 done, 1 failed, 2 wrong usage or input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

from segstudio import __version__
from segstudio.cli import console
from segstudio.errors import Cancelled, UserError

# Each command names its function as module:name and is loaded when it is called, so that
# `segstudio export` does not wait for torch.
_OURS: Final = ("function", "command", "self_test")
_FOLDER: Final = "project folder, or any folder of pictures"


class _UsageError(Exception):
    """Arguments that cannot be; `usage` is the command's short help."""

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message)
        self.usage = usage


class _Parser(argparse.ArgumentParser):
    """Raises where argparse ends the program, so that --json is answered with JSON."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(message, self.format_usage().rstrip())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    try:
        options = parser.parse_args(_with_command(arguments, parser))
    except _UsageError as error:
        console.note(error.usage)
        return _failed("--json" in arguments, str(error), console.USAGE)
    try:
        code, result = _run(options)
    except UserError as error:
        return _failed(options.json, str(error), console.USAGE)
    except (Cancelled, KeyboardInterrupt):
        return _failed(options.json, "Interrupted; what was finished stays.", console.INTERRUPTED)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # nobody listens
        return console.FAILED
    except Exception as error:
        if os.environ.get("SEGSTUDIO_DEBUG"):
            traceback.print_exc()
        what = f"Something went wrong: {type(error).__name__}: {error}"
        return _failed(options.json, f"{what} (SEGSTUDIO_DEBUG=1 shows where)", console.FAILED)
    if options.json and result is not None:
        console.say_json(result)
    return code


def _run(options: argparse.Namespace) -> console.Result:
    module, name = options.function.split(":")
    function: console.Command = getattr(import_module(f"segstudio.cli.{module}"), name)
    arguments = {k: v for k, v in vars(options).items() if k not in _OURS}
    return function(**arguments)


def _failed(json: bool, message: str, code: int) -> int:
    console.note(f"segstudio: {message}")
    if json:
        console.say_json({"error": message})
    return code


def _with_command(arguments: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """`segstudio FOLDER` means `segstudio open FOLDER`."""
    if not arguments:
        return ["open"]
    first = arguments[0]
    if first == "--self-test":
        return ["self-test", *arguments[1:]]
    if first in _COMMANDS or first.startswith("-"):
        return arguments
    if Path(first).is_dir():
        return ["open", *arguments]
    near = difflib.get_close_matches(first, _COMMANDS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    usage = parser.format_usage().rstrip()
    raise _UsageError(f"there is no command and no folder {first!r}{hint}", usage)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="segstudio",
        description="Label pictures pixel by pixel, with a model that learns along. "
        "`segstudio FOLDER` opens the window.",
    )
    parser.add_argument(
        "--self-test",
        action="store_true",
        help="prove that the installation works: the sample in the real window, unseen",
    )
    parser.add_argument("--version", action="version", version=f"segstudio {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (function, words, add) in _COMMANDS.items():
        # without words a command works and is not listed
        facts: dict[str, Any] = {"help": words} if words else {}
        command = commands.add_parser(name, description=words, **facts)
        command.add_argument("--json", action="store_true", help="end with one JSON object")
        command.set_defaults(function=function)
        add(command)
    return parser


def _open(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", nargs="?", type=Path, help=_FOLDER)


def _init(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, help="folder of the new project")
    command.add_argument("--images", type=Path, help="folder of pictures, may lie elsewhere")
    command.add_argument("--classes", type=_names, default=(), help="names: road,car,sky")
    command.add_argument("--name", help="name of the project")


def _import(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", type=Path, help="folder of the foreign set")
    command.add_argument("folder", type=Path, help="project folder, made when it is not there")
    command.add_argument("--images", type=Path, help="where the set's pictures are")
    _numbering(command)
    command.add_argument("--format", default="auto", help="labelme, voc, index_png, instance_png")


def _train(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, help=_FOLDER)
    command.add_argument("--arch", help="network, see `segstudio models --architectures`")
    command.add_argument("--minutes", type=_positive, help="wall clock for the whole run")
    command.add_argument(
        "--from", dest="start_from", metavar="ID", help="model to go on from, or `scratch`"
    )
    command.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE",
        help="a number of the recipe, such as batch=2",
    )  # fmt: skip
    command.add_argument(
        "--weak", choices=["boxes", "none"],
        help="rectangles are boxes around things: learn what is in them",
    )  # fmt: skip
    command.add_argument("--seed", type=int, default=0)
    command.add_argument(
        "--resume", action="store_true", help="go on with a run that was cut off, if there is one"
    )
    _device(command)


def _quality(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, help=_FOLDER)
    command.add_argument(
        "--report", type=Path, metavar="FILE", help="write it too, as .html or .csv"
    )


def _segment(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, help=_FOLDER)
    command.add_argument(
        "--model", metavar="ID",
        help="id, number or `starter`; default: the model in force, else the best",
    )  # fmt: skip
    command.add_argument(
        "--from-previous", action="store_true",
        help="instead of a model: frames without labels get those of the frame before, carried "
        "along by the motion between the pictures",
    )  # fmt: skip
    command.add_argument("--only", choices=["all", "unlabelled"], default="all")
    command.add_argument(
        "--thorough", action="store_true",
        help="average scores with those of the mirrored picture, and let tiles overlap by half; "
        "takes twice as long and more, and does again what nobody has looked at yet",
    )  # fmt: skip
    command.add_argument(
        "--accept", action="store_true",
        help="make the drafts the labels of images that have none, not confirmed",
    )  # fmt: skip
    _device(command)


def _evaluate(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, help=_FOLDER)
    command.add_argument(
        "--model", metavar="ID",
        help="id, number or `starter`; default: the model in force, else the best",
    )  # fmt: skip
    command.add_argument(
        "--against", type=Path, metavar="DIR", help="label-map PNGs of the pictures' stems"
    )
    _numbering(command)
    _device(command)


def _export(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, help=_FOLDER)
    command.add_argument("out", type=Path, help="new folder")
    command.add_argument("--format", required=True, help="labelme, voc, index_png or instance_png")
    command.add_argument("--all", action="store_true", help="every image, not only confirmed ones")


def _models(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", nargs="?", type=Path, help="project folder (default: here)")
    action = command.add_mutually_exclusive_group()
    action.add_argument("--promote", metavar="ID|none", help="put a model in force, or none")
    action.add_argument("--roll-back", action="store_true", help="back to the one before")
    action.add_argument("--pin", metavar="ID", help="keep a model for good")
    action.add_argument("--unpin", metavar="ID")
    action.add_argument("--prune", type=int, metavar="N", help="keep N models and pinned ones")
    action.add_argument("--adopt", type=Path, metavar="FILE", help="load a model file or folder")
    action.add_argument("--architectures", action="store_true", help="list the networks instead")
    action.add_argument(
        "--measure", action="store_true", help="measure the networks on this machine"
    )
    command.add_argument(
        "--arch", help="with --adopt: what network the weights are for; with --measure: only this"
    )
    command.add_argument(
        "--map", dest="mapping", action="append", default=[], metavar="THEIRS=OURS",
        help="with --adopt: which of its classes is which of the project's",
    )  # fmt: skip


def _classes(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, help=_FOLDER)
    action = command.add_mutually_exclusive_group()
    action.add_argument("--rename", metavar="OLD=NEW", help="in every label file")
    action.add_argument("--merge", metavar="A=B", help="make all shapes of class A ones of class B")
    action.add_argument("--delete", metavar="NAME", help="the class and all its shapes")
    action.add_argument("--recolour", metavar="NAME=#rrggbb")
    action.add_argument("--undo", action="store_true", help="take the last such change back")
    command.add_argument(
        "--statistics", action="store_true", help="pixels, share of pixels and median area too"
    )


def _runs(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, help=_FOLDER)
    command.add_argument(
        "--undo", type=int, metavar="N", help="take run N back; what a person has decided stays"
    )


def _demo(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", nargs="?", type=Path, help="where to put the sample")
    command.add_argument("--minutes", type=_positive, default=1.0, help="of training")
    command.add_argument("--headless", action="store_true", help="without a window")
    _device(command)


def _measure(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", help="network")
    _device(command)


def _check(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", choices=["torch", "opencv", "qt"])


def _nothing(command: argparse.ArgumentParser) -> None:
    """A command without arguments of its own."""


def _numbering(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--classes", type=_names, default=(), metavar="A,B,C",
        help="the classes of label maps, in order of value",
    )  # fmt: skip
    command.add_argument(
        "--first-value", type=int, choices=[0, 1], default=1,
        help="value of the first class in label maps: 0 when there is no background (default: 1)",
    )  # fmt: skip
    command.add_argument(
        "--void-value", type=int, metavar="N", help="value of unlabelled pixels, beside 255"
    )


def _device(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", choices=["auto", "cuda", "mps", "cpu"], default="auto")


_COMMANDS: Final[dict[str, tuple[str, str, Any]]] = {
    "open": ("window:open_window", "open the window", _open),
    "init": ("folders:init", "make a project", _init),
    "import": ("folders:import_set", "bring a foreign set into a project", _import),
    "train": ("learn:train", "train a model on the labels", _train),
    "segment": ("learn:segment", "let a model segment the pictures", _segment),
    "evaluate": ("learn:evaluate", "score a model", _evaluate),
    "quality": ("learn:quality", "how drafts, time and labels went", _quality),
    "export": ("folders:export_set", "write labels in another format", _export),
    "models": ("models:models", "list and manage models", _models),
    "runs": ("runs:runs", "list batch runs, and take one back", _runs),
    "classes": ("classes:classes", "list, count and change classes", _classes),
    "doctor": ("doctor:doctor", "check this machine", _nothing),
    "demo": ("demo:demo", "the main job on the sample project", _demo),
    "self-test": ("window:self_test", "", _nothing),
    "measure": ("networks:measure_here", "", _measure),
    "check": ("doctor:check", "", _check),
}


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if len(set(names)) != len(names):
        raise argparse.ArgumentTypeError("a name occurs twice")
    return names


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
