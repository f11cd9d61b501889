"""Runs the command line: `keras-dynamic VERB --flag=value -- BEAM OPTIONS`."""

import difflib
import importlib
import logging as standard_logging
import os
import pathlib
import select
import signal
import sys
import types
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from pipeline.cli import extras
from pipeline.cli.help_text import usage, usage_of
from pipeline.cli.verb import EVERYWHERE
from pipeline.cli.verbs import STAGES, VERBS
from pipeline.processes import interruption, libraries, printing

# Characters: an error tells what it received, which may be a whole file.
_LONGEST_ERROR = 4000


class UsageError(ValueError):
    """Says that a command line cannot be carried out."""


def main() -> None:
    """Runs the command line, as entry point of the console script."""
    with interruption.in_order():
        _main()


def _main() -> None:
    arguments, beam_args = _cut(sys.argv[1:])
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        printing.show(usage())
        sys.exit(0 if arguments else 2)
    if arguments[0] == "--version":
        from importlib import metadata

        printing.show(f"keras-dynamic {metadata.version('keras-dynamic')}")
        sys.exit(0)
    verb, rest = arguments[0], [_spelled(each) for each in arguments[1:]]
    if verb in VERBS and {"-h", "--help"} & set(rest):
        printing.show(usage_of(verb))
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
        _fail(error, verb)
    app.run(
        lambda positional: _guarded(verb, command, positional[1:]),
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
    """Defines the flags, and returns a parser of them for `app.run`."""
    configured = False
    for name, flag in VERBS[verb].flags.items():
        if flag.kind == "config":
            configured = True
            _define_config(verb, rest)
        else:
            flag.define(name, flags.FLAGS)

    def parse(argv: list[str]) -> list[str]:
        try:
            positional = flags.FLAGS(argv)
            if configured:
                _check_config()
            return positional
        except flags.UnrecognizedFlagError as error:
            _fail(_unknown_flag(verb, error.flagname), verb)
        except (
            flags.Error,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            _fail(error, verb)

    return parse


def _unknown_flag(verb: str, name: str) -> UsageError:
    """Returns the error for a flag that a verb does not have."""
    known = [f"--{each}" for each in VERBS[verb].flags | EVERYWHERE]
    return UsageError(
        f"The flag of {verb} must be one of {', '.join(known)}. "
        f"Received: '--{name}'{_hint(f'--{name}', known)}"
    )


def _define_config(verb: str, rest: list[str]) -> None:
    """Takes the configuration's name from the arguments, and loads it.

    Raises:
        UsageError: If there is no name.
        ConfigError: If it cannot be loaded, or lacks a key that is overridden.
    """
    from pipeline import config

    name = None
    words = iter(tuple(rest))
    rest.clear()
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in ("--config", "-config"):
            name = value if equals else next(words, "")
        else:
            rest.append(word)
    if name is None:
        raise UsageError(f"keras-dynamic {verb} needs --config")
    config.define(config.load(name), rest, flags.FLAGS)


def _check_config() -> None:
    """Checks the configuration, with its overrides on the command line."""
    from pipeline import config

    config.validated(flags.FLAGS.config.lock())


def _command(verb: str, beam_args: list[str]) -> Callable:
    """Returns a function that runs the verb on the positional arguments."""
    if beam_args and not VERBS[verb].beam:
        takers = [name for name, each in VERBS.items() if each.beam]
        raise UsageError(
            f"Beam options may follow `--` after {', '.join(takers)} only. "
            f"Received: {' '.join(beam_args)}"
        )

    def run(positional: list[str]) -> None:
        values = flags.FLAGS
        for name, flag in VERBS[verb].flags.items():
            # As a path it would be the current directory.
            if flag.default is None and getattr(values, name) == "":
                raise UsageError(f"`{name}` must not be empty. Received: ''")
            if flag.is_path and getattr(values, name):
                setattr(values, name, _at_home(name, getattr(values, name)))
        positional = [
            _at_home(VERBS[verb].files or "arguments", each)
            for each in positional
        ]
        for flag in VERBS[verb].needs:
            if getattr(values, flag) in (None, []):
                raise UsageError(f"keras-dynamic {verb} needs --{flag}")
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


def _at_home(name: str, path: str | list[str]) -> str | list[str]:
    """Replaces a ~ at the beginning, which shells leave in --flag=~/path.

    Raises:
        UsageError: If it names a user that there is not.
    """
    if isinstance(path, list):
        return [_at_home(name, each) for each in path]
    found = os.path.expanduser(path)
    # A file may have such a name; ./~name means it.
    if found.startswith("~"):
        raise UsageError(
            f"`{name}` must begin with ~ only for a home directory. "
            f"Received: {path!r}"
        )
    return found


def _is_staged(verb: str) -> bool:
    """Tells whether a verb is a stage, or `run`, which is all of them."""
    return verb in (*STAGES, "run")


def _module(verb: str) -> types.ModuleType | None:
    """Returns the module that carries out a verb, or None for a stage."""
    if _is_staged(verb):
        return None
    return importlib.import_module(f"pipeline.cli.{verb}_verb")


def _guarded(verb: str, command: Callable, positional: list[str]) -> None:
    try:
        command(positional)
        sys.stdout.flush()
    except BrokenPipeError as error:
        _end_unread()
        _fail(error, verb)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        if flags.FLAGS.verbosity > 0:
            raise
        _fail(error, verb)


def _end_unread() -> None:
    """Ends this process if nobody reads its output any more, as after `head`.

    It prints nothing, and exits with the code that SIGPIPE would give.
    """
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    if any(event & select.POLLERR for _, event in output.poll(0)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def _fail(error: BaseException, verb: str = "") -> None:
    """Ends this process with an error of a verb, in one line."""
    code = getattr(error, "exit_code", 1)
    text = f"keras-dynamic: error: {error}"
    if isinstance(error, ModuleNotFoundError):
        text += f"; {extras.hint(verb, error.name)}"
    if len(text) > _LONGEST_ERROR:
        text = f"{text[:_LONGEST_ERROR]} ..."
    printing.show(text, sys.stderr)
    sys.exit(code)


def _hint(word: str, valid) -> str:
    near = difflib.get_close_matches(word, list(valid), n=1)
    return f". Did you mean {near[0]!r}?" if near else ""


def _visible(record: standard_logging.LogRecord) -> bool:
    """Makes a log record safe to show in a terminal, and keeps it."""
    record.msg, record.args = printing.lines(record.getMessage()), None
    return True


def _quieten_libraries() -> None:
    """Hides what libraries log that is less than a warning."""
    libraries.set_defaults()
    ours = str(pathlib.Path(__file__).parents[2])
    installed = os.sep + "site-packages" + os.sep

    def from_here(record) -> bool:
        if record.levelno >= standard_logging.ERROR:
            # Beam's workers log the pages of an error that comes up anyway.
            return "apache_beam" not in record.pathname or logging.vlog_is_on(1)
        here = record.pathname.startswith(ours)
        return record.levelno >= standard_logging.WARNING or (
            here and installed not in record.pathname.removeprefix(ours)
        )

    logging.get_absl_handler().addFilter(from_here)
