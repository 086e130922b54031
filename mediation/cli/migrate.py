"""`tollkeeper migrate`: create or upgrade the store."""

import argparse
from typing import Any

from mediation.cli.options import add_command, add_config, add_json, configuration, print_json
from mediation.daemon import wall_clock
from mediation.schema import all_migrations
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
    steps = all_migrations()
    applied = migrate_store(config.store.path, steps, wall_clock())
    names = [f"{step.package} {step.number} {step.name}" for step in applied]
    if args.json:
        schema = {step.package: step.number for step in steps}
        print_json({"store": str(config.store.path), "applied": names, "schema": schema})
    elif applied:
        print(f"{config.store.path}: applied {', '.join(names)}")
    else:
        print(f"{config.store.path}: up to date")
    return 0
