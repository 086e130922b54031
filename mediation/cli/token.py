"""`tollkeeper token`: programs that may call the API."""

import argparse
from typing import Any

from control.users import ApiToken, Role, UserRefused, check_registration
from control.users.rows import all_tokens
from mediation.cli.options import add_command, add_config, add_json, configuration, print_json, reading
from mediation.cli.user import add_role
from mediation.cli.users_change import change
from mediation.failure import Failure
from mediation.writer_users import AddToken, RevokeToken
from rating.store.reading import instant_text

_DESCRIPTION = """API tokens, each with a role. While the daemon runs it makes the change, which is in force at once."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "token", run, "programs that may call the API", _DESCRIPTION)
    doing = parser.add_subparsers(dest="doing", metavar="WHAT", required=True)
    add = doing.add_parser(
        "add", help="add an API token",
        description="Print a new API token, once: it is the only line on standard output, and is not kept in the"
        " store. A program sends it as Authorization: Bearer TOKEN.",
    )  # fmt: skip
    add.add_argument("name", metavar="NAME", help="what the audit log calls the program; an agent's is the agent's")
    add_role(add)
    add_config(add)
    listing = doing.add_parser("list", help="all API tokens", description="Every API token, the revoked ones too.")
    add_config(listing)
    add_json(listing)
    revoke = doing.add_parser(
        "revoke", help="let an API token be in force no longer",
        description="Revoke an API token. Its name may be given to a new one afterwards.",
    )  # fmt: skip
    revoke.add_argument("name", metavar="NAME")
    add_config(revoke)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    if args.doing == "list":
        with reading(config) as cx:
            _show(all_tokens(cx), args.json)
    elif args.doing == "revoke":
        change(config, RevokeToken(args.name))
        print(f"token {args.name} revoked")
    else:
        role = Role(args.role)
        try:
            check_registration(args.name, role, args.account)
        except UserRefused as refused:
            raise Failure(str(refused), 2) from None
        print(change(config, AddToken(args.name, role, args.account)).token)
    return 0


def _show(tokens: list[ApiToken], as_json: bool) -> None:
    if as_json:
        print_json({"tokens": [_described(token) for token in tokens]})
        return
    width = max((len(token.name) for token in tokens), default=0)
    for token in tokens:
        state = f"  revoked {instant_text(token.revoked_at)}" if token.revoked_at is not None else ""
        account = f" {token.account}" if token.account else ""
        print(f"{token.name:<{width}}  {token.role}{account}{state}")


def _described(token: ApiToken) -> dict[str, str | None]:
    return {
        "name": token.name,
        "role": token.role,
        "account": token.account,
        "created_at": instant_text(token.created_at),
        "revoked_at": None if token.revoked_at is None else instant_text(token.revoked_at),
    }
