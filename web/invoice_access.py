"""Who may see which invoices: staff all, agents those of their accounts, customers their own once they are enrolled."""

from control.billing import bill_rows
from control.billing.bill import Bill
from control.users import Principal, Role
from web.ownership import accounts_of_agent, may_see
from web.refusals import NotFound
from web.site import Site


def may_see_invoices(site: Site, principal: Principal, account: str) -> bool:
    """Whether somebody may see the invoices of an account."""
    known = site.directory.accounts.get(account)
    if known is None or not may_see(principal, known):
        return False
    return principal.role is not Role.CUSTOMER or site.enrolments.is_enrolled(account)


async def visible_bills(
    site: Site, principal: Principal, account: str | None, *, limit: int, before: int | None
) -> list[Bill]:
    """The newest bills first that somebody may see, of one account or of all; none of an account that is not theirs."""
    if account is None and principal.role is Role.CUSTOMER:
        account = principal.account
    if account is not None:
        if not may_see_invoices(site, principal, account):
            return []
        return await site.readers.read(lambda cx: bill_rows.bills_of(cx, account, limit=limit, before=before))
    own = [one.account for one in accounts_of_agent(site, principal.name)] if principal.role is Role.AGENT else None
    return await site.readers.read(lambda cx: bill_rows.newest_bills(cx, own, limit=limit, before=before))


async def visible_bill(site: Site, principal: Principal, number: int) -> Bill:
    """The bill of an invoice, if who asks may see it. Raises NotFound."""
    bill = await site.readers.read(bill_rows.bill, number)
    if bill is None or not may_see_invoices(site, principal, bill.account):
        raise NotFound
    return bill
