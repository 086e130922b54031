"""Whose an account is: who may see it, asked the same way on every page that shows one."""

from aiohttp import web

from control.users import Principal, Role
from rating.account import Account
from web.refusals import NotFound
from web.request import principal_of
from web.site import Site


def may_see(principal: Principal, account: Account) -> bool:
    """Staff see every account, a customer the own one, an agent those that accounts.csv gives to them."""
    match principal.role:
        case Role.STAFF:
            return True
        case Role.CUSTOMER:
            return principal.account == account.account
        case Role.AGENT:
            return principal.name == account.agent
    return False


def visible_account(site: Site, request: web.Request) -> Account:
    """The account of a request's path, if who asks may see it. Raises NotFound."""
    account = site.directory.accounts.get(request.match_info["account"])
    if account is None or not may_see(principal_of(request), account):
        raise NotFound
    return account


def accounts_of_agent(site: Site, agent: str) -> list[Account]:
    """The accounts that belong to an agent, by number."""
    own = [account for account in site.directory.accounts.values() if account.agent == agent]
    return sorted(own, key=lambda account: account.account)
