"""`tollkeeper simulate`: one simulator, for testers."""

import argparse
from typing import Any

from mediation.cli.options import add_command
from simulators import nas, pop, switch


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "simulate", run, "run one simulator, for testers",
        "Run a simulator; its own options follow its name: `tollkeeper simulate pop --help` teaches them.",
    )  # fmt: skip
    parser.add_argument("kind", choices=("pop", "switch", "nas"), help="what to simulate")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="the simulator's own options")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return {"pop": pop.main, "switch": switch.main, "nas": nas.main}[str(args.kind)](args.options)
