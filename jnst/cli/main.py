"""`jnst`: the group of commands, and how errors become one line and an exit code.

Exit codes: 0 done; 1 the run failed; 2 bad input; 130 interrupted; 143 terminated.
Commands are imported when called, so that `jnst --help` needs no JAX.
"""

import importlib
import os
import sys
from collections.abc import Sequence

import click

from jnst.cli import stopping
from jnst.cli.mistypes import no_such_command, no_such_option

COMMANDS: dict[str, tuple[str, str]] = {
    # Name: (module and attribute, line of help).
    "stylize": ("transfer:stylize", "Give a photograph the style of a painting."),
    "texture": ("transfer:texture", "Make a new texture like a picture."),
    "resume": ("resume:resume", "Go on with a run that was stopped."),
    "demo": ("demo:demo", "Stylise the picture pair that jnst brings along."),
    "compare": ("compare:compare", "Put style losses side by side."),
    "study": ("study:study", "Compare methods on many pictures, with statistics."),
    "sweep": ("sweep:sweep", "Run a grid of settings on one pair of pictures."),
    "disagree": ("disagree:disagree", "Show what one loss sees and another does not."),
    "score": ("score:score", "Judge results by published metrics."),
    "examine": ("examine:examine", "Report on one loss: is it right, what is it like?"),
    "plan": ("plan:plan", "Say before a run what it needs, and what would fit."),
    "reproduce": ("reproduce:reproduce", "Make a picture again, and compare."),
    "doctor": ("doctor:doctor", "Look whether all is well here."),
    "bench": ("bench:bench", "Measure speed on this machine's device."),
    "app": ("app:app", "Serve a page in the browser, on this machine alone."),
    "features": ("features:features", "Draw feature maps and Gram matrices."),
    "recipes": ("catalogue:recipes", "List recipes, or show one."),
    "losses": ("catalogue:losses", "List losses, or show one."),
    "weights": ("weights_command:weights", "Find, fetch, verify, convert weights."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List commands in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        return getattr(importlib.import_module(f"jnst.cli.{module}"), attribute)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or tell which was meant."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(no_such_command(args[0], self, ctx), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List commands for `--help` without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[1]) for name, row in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jnst")
def cli() -> None:
    """Neural style transfer in JAX."""


LONGEST_LINE = 2000
"""Characters of an error; beyond are values of somebody's who means no good."""


def printable(text: object) -> str:
    """Return a text in one line, with escapes for what could change a terminal."""
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def fail(message: object, code: int) -> int:
    """Print one line on standard error and return the exit code."""
    line = printable(str(message)[: LONGEST_LINE + 1])
    end = "..." if len(line) > LONGEST_LINE else ""
    click.echo(f"jnst: error: {line[:LONGEST_LINE]}{end}", err=True)
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    with stopping.listening():
        code = _main(arguments)
        if arguments is None and stopping.has_come():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # XLA's threads still compute, and would crash in an exit
        return code


def _main(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(args=arguments, prog_name="jnst", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (click.Abort, KeyboardInterrupt):
        return fail(*stopping.end())
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return 2
    except click.NoSuchOption as error:
        given = sys.argv[1:] if arguments is None else arguments
        return fail(no_such_option(error, given), 2)
    except click.ClickException as error:
        return fail(error.format_message(), 2)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has gone: nobody to tell
        return 0
    except OSError as error:
        known = error.filename is not None and error.strerror
        return fail(f"{error.filename!r}: {error.strerror}" if known else error, 2)
    except ValueError as error:
        return fail(error, 2)
    except (FloatingPointError, MemoryError) as error:
        return fail(error or "out of memory; use a smaller --size", 1)
