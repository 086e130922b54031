"""`tollkeeper serve`: the daemon."""

import argparse
import asyncio
import logging
import os
import signal
import threading
from typing import Any

import uvloop

from mediation.cli.options import add_command, add_config, configuration
from mediation.config import Config
from mediation.daemon import Daemon
from mediation.logs import setup_logging
from mediation.pipeline.seam import FrontGone
from mediation.sd_notify import service_manager
from rating.store.errors import StoreError
from rating.tariff import TariffError

log = logging.getLogger(__name__)


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "serve", run, "run the daemon",
        "Run the daemon until SIGTERM or SIGINT: then it takes no more work, stores what it has taken (at most 10 s),"
        " and exits 0. It creates or upgrades its store itself. Logs go to stderr.",
    )  # fmt: skip
    add_config(parser)
    parser.add_argument(
        "--log-level",
        default="info",
        choices=("debug", "info", "warning", "error"),
        help="least severe log lines shown",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    setup_logging(args.log_level.upper())
    code = 0
    try:
        uvloop.run(_serve(config))
    except (StoreError, TariffError, FrontGone) as error:
        log.critical("stopped: %s", error)
        code = 1
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(1.0)
            if thread.is_alive():  # a disk that hangs would keep the process for ever
                logging.shutdown()
                os._exit(code)
    return code


async def _serve(config: Config) -> None:
    stop = asyncio.Event()
    daemon = Daemon(config, manager=service_manager())
    loop = asyncio.get_running_loop()
    for number, asked in ((signal.SIGTERM, stop), (signal.SIGINT, stop), (signal.SIGHUP, daemon.reload)):
        loop.add_signal_handler(number, asked.set)
    await daemon.run(stop)
    log.info("stopped")
