"""The command line: `keras-dynamic VERB --flag=value`, then Beam's options."""

import difflib
import importlib
import logging as standard_logging
import os
import pathlib
import sys
import types
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from pipeline.cli.verbs import FLAGS, STAGES, VERBS, usage, usage_of
from pipeline.processes import interruption, printing

# Characters: an error tells what it received, which may be a whole file.
_LONGEST_ERROR = 4000


class UsageError(ValueError):
    """A command line that cannot be carried out."""


def main() -> None:
    """Entry point of the console script."""
    with interruption.in_order():
        _main()


def _main() -> None:
    arguments, beam_args = _cut(sys.argv[1:])
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        printing.show(usage())
        sys.exit(0 if arguments else 2)
    verb, rest = arguments[0], [_spelled(each) for each in arguments[1:]]
    if verb in VERBS and {"-h", "--help"} & set(rest):
        printing.show(usage_of(verb))
        if hasattr(module := _module(verb), "define"):
            module.define(flags)
            # Its first line names the module.
            said = flags.FLAGS.module_help(module)
            printing.show(said.split("\n", 2)[-1])
        sys.exit(0)
    try:
        if verb not in VERBS:
            raise UsageError(
                f"`verb` must be one of {', '.join(VERBS)}. "
                f"Received: {verb!r}{_hint(verb, VERBS)}"
            )
        command = _command(verb, beam_args)
        parse = _parser(verb, rest)
    except (ValueError, ImportError) as error:
        _fail(error)
    app.run(
        lambda positional: _guarded(command, positional[1:]),
        argv=[sys.argv[0], *rest],
        flags_parser=parse,
    )


def _cut(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separates our arguments from Beam's, which follow `--`."""
    arguments = list(arguments)
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _spelled(argument: str) -> str:
    """Spells `--max-drop=1` as absl does, `--max_drop=1`."""
    flag, equals, value = argument.partition("=")
    if not flag.startswith("--"):
        return argument
    return f"--{flag[2:].replace('-', '_')}{equals}{value}"


def _parser(verb: str, rest: list[str]) -> Callable:
    """Defines the flags; returns what parses them for `app.run`."""
    for flag in (*VERBS[verb].needs, *VERBS[verb].takes):
        if flag != "config":
            FLAGS[flag].define(flags, flag)
            continue
        from ml_collections import config_flags

        _resolve_config(rest)
        config_flags.DEFINE_config_file("config", lock_config=True)
    if hasattr(module := _module(verb), "define"):
        module.define(flags)

    def parse(argv: list[str]) -> list[str]:
        try:
            return flags.FLAGS(argv)
        except (
            flags.Error,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            _fail(error)

    return parse


def _resolve_config(rest: list[str]) -> None:
    """Replaces the configuration's name by its file; checks what overrides it.

    Raises:
        ConfigError: If it cannot be loaded or does not have the overridden key.
    """
    from pipeline import config

    if "--config" in rest[:-1]:
        at = rest.index("--config")
        rest[at : at + 2] = [f"--config={rest[at + 1]}"]
    loaded = None
    for i, argument in enumerate(rest):
        flag, _, value = argument.partition("=")
        if flag == "--config":
            loaded = config.load(value)
            rest[i] = f"--config={config.path_of(value)}"
        elif flag.startswith("--config.") and loaded is not None:
            config.check_override(loaded, flag.removeprefix("--config."))


def _command(verb: str, beam_args: list[str]) -> Callable:
    """What carries the verb out, given the positional arguments."""
    if beam_args and not VERBS[verb].beam:
        takers = [name for name, each in VERBS.items() if each.beam]
        raise UsageError(
            f"Beam options may follow `--` after {', '.join(takers)} only. "
            f"Received: {' '.join(beam_args)}"
        )

    def run(positional: list[str]) -> None:
        values = flags.FLAGS
        for flag in VERBS[verb].needs:
            if getattr(values, flag) is None:
                raise UsageError(f"keras-dynamic {verb} needs --{flag}")
        for flag in (*VERBS[verb].needs, *VERBS[verb].takes):
            # As a path it would be the current directory.
            if getattr(values, flag) == "":
                raise UsageError(f"`{flag}` must not be empty. Received: ''")
        if "" in positional:
            raise UsageError(
                f"{VERBS[verb].files or 'arguments'} must not be empty. "
                f"Received: {positional}"
            )
        if positional and not VERBS[verb].files:
            raise UsageError(
                f"keras-dynamic {verb} takes nothing but flags. "
                f"Received: {' '.join(positional)}"
            )
        logging.set_verbosity(max(logging.INFO, values.verbosity))
        logging.get_absl_handler().addFilter(_visible)
        if _is_staged(verb):
            _quieten_libraries()
            from pipeline.cli import stage_verb

            stage_verb.run(verb, values, beam_args, positional)
            return
        if VERBS[verb].beam:
            _quieten_libraries()
            _module(verb).run(values, positional, beam_args)
        else:
            _module(verb).run(values, positional)

    return run


def _is_staged(verb: str) -> bool:
    """Whether a verb is a stage, or all of them."""
    return verb in (*STAGES, "run")


def _module(verb: str) -> types.ModuleType | None:
    """What carries out a verb that is no stage."""
    if _is_staged(verb):
        return None
    return importlib.import_module(f"pipeline.cli.{verb}_verb")


def _guarded(command: Callable, positional: list[str]) -> None:
    try:
        command(positional)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        if flags.FLAGS.verbosity > 0:
            raise
        _fail(error)


def _fail(error: BaseException) -> None:
    if isinstance(error, ModuleNotFoundError):
        error = f"{error}; all verbs work with keras-dynamic[all] installed"
    code = getattr(error, "exit_code", 1)
    text = f"keras-dynamic: error: {error}"
    if len(text) > _LONGEST_ERROR:
        text = f"{text[:_LONGEST_ERROR]} ..."
    printing.show(text, sys.stderr)
    sys.exit(code)


def _hint(word: str, valid) -> str:
    near = difflib.get_close_matches(word, list(valid), n=1)
    return f". Did you mean {near[0]!r}?" if near else ""


def _visible(record: standard_logging.LogRecord) -> bool:
    """Makes a log record one that a terminal can be given, and keeps it."""
    record.msg, record.args = printing.lines(record.getMessage()), None
    return True


def _quieten_libraries() -> None:
    """Leaves their warnings, and of what they only tell nothing."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # Without it convolutions are a third slower where there is no AVX-512.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    ours = str(pathlib.Path(__file__).parents[2])
    libraries = os.sep + "site-packages" + os.sep

    def from_here(record) -> bool:
        if record.levelno >= standard_logging.ERROR:
            # Beam's workers log the pages of an error that comes up anyway.
            return "apache_beam" not in record.pathname or logging.vlog_is_on(1)
        here = record.pathname.startswith(ours)
        return record.levelno >= standard_logging.WARNING or (
            here and libraries not in record.pathname.removeprefix(ours)
        )

    logging.get_absl_handler().addFilter(from_here)
