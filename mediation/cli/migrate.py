"""`tollkeeper migrate`: create or upgrade the store."""

import argparse
from typing import Any

from mediation.cli.options import add_command, add_config, add_json, configuration, print_json
from mediation.daemon import wall_clock
from rating.store.migrations import own_migrations
from rating.store.sqlite import migrate_store


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "migrate", run, "create or upgrade the store",
        "Create the store of the configuration, or bring it up to this program's schema. The daemon must not run;"
        " it does the same itself when it starts.",
    )  # fmt: skip
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    steps = own_migrations()
    applied = migrate_store(config.store.path, steps, wall_clock())
    if args.json:
        print_json(
            {"store": str(config.store.path), "applied": [s.number for s in applied], "schema": steps[-1].number}
        )
    elif applied:
        print(f"{config.store.path}: applied {', '.join(f'{step.number} {step.name}' for step in applied)}")
    else:
        print(f"{config.store.path}: up to date")
    return 0
