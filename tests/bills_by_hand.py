"""Bills for tests of what comes after them: issued for so much, over one call that costs all of it."""

from typing import Final

from control.billing import bill_rows
from control.billing.bill import Bill, Call, Document, LineSection, ProviderSection, pack
from control.billing.billed import Billed
from control.billing.biller import Biller
from control.billing.charges import Charges
from control.billing.cycles import cycle_beginning_in
from control.ledger import Ledger
from rating.store.port import Store
from tests.builders import ACCOUNT, CALLED

ZONE: Final = "America/New_York"
BILLER: Final = "the bill run"


def some_charges(
    charges_micros: int, account: str = ACCOUNT, *, period: str = "2026-10", follows: int = 0, zone: str = ZONE
) -> Charges:
    """An account's charges of a cycle that begins with the month; `follows` is its bill before."""
    cycle = cycle_beginning_in(period, zone, 1)
    call = Call(cycle.start, -240, CALLED, None, "London", "direct", "local", 61_000_000, 61, charges_micros, 1)
    line = LineSection("+12125550142", charges_micros, [call])
    document = Document(zone, [ProviderSection("Transcontinental", charges_micros, [line])])
    return Charges(
        account, "Ada Lovelace", "USD", zone, cycle.period, cycle.start, cycle.end, 0, follows, charges_micros, 1,
        pack(document),
    )  # fmt: skip


async def issue_bill(store: Store, ledger: Ledger, now: int, charges: Charges) -> Bill:
    """Issue a bill, and have the balances follow."""
    posted = await Biller(store, lambda: now, ledger.balances, Billed()).post([charges], BILLER)
    assert posted.bills == 1, posted
    bill = await store.read(bill_rows.latest_of, charges.account)
    assert bill is not None
    return bill
