"""Handing charges of a bill run over to whoever owns the store."""

from control.billing.billed import Billed
from control.billing.biller import Biller, Posted
from control.billing.charges import Charges
from control.ledger.balances import Balances
from mediation.cli.desk import Way
from mediation.cli.users_change import actor
from mediation.daemon import wall_clock
from mediation.writer_bills import PATH, Order, packed, unpacked
from rating.store.sqlite import SqliteStore


def bill_way() -> Way[list[Charges], Posted]:
    """How charges become bills, in the name of who gives the command."""
    issued_by = actor()

    async def alone(store: SqliteStore, charged: list[Charges]) -> Posted:
        # Nobody looks at what this process has in memory: the daemon's next start loads its own.
        return await Biller(store, wall_clock, Balances(), Billed()).post(charged, issued_by)

    return Way(PATH, lambda charged: packed(Order(charged, issued_by)), unpacked, alone, "bills made")
