"""`tollkeeper check-config`: whether a configuration can be used."""

import argparse
import sys
from typing import Any

from mediation.cli.options import add_command, add_config, add_json, configuration, print_json


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "check-config", run, "say what is wrong with a configuration",
        "Exit 0 if the configuration can be used, 2 with a line that names file, key and remedy"
        " if not.",
    )  # fmt: skip
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    folder = config.store.path.parent
    if not folder.is_dir():  # it may be there on the machine that the configuration is for
        print(f"{config.file}: store.url: there is no directory {folder} here: make it before serve", file=sys.stderr)
    unserved = config.unserved()
    for table in unserved:
        print(f"{config.file}: [{table}] is understood, but this version does not serve it", file=sys.stderr)
    if args.json:
        print_json({"ok": True, "store": str(config.store.path), "unserved": list(unserved)})
    else:
        print(f"{config.file}: fine")
    return 0
