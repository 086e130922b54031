"""`tollkeeper user`: people who may sign in."""

import argparse
import getpass
import sys
from typing import Any, Final

from control.users import Role, User, UserRefused, check_registration
from control.users.passwords import check_password
from control.users.registration import check_name
from control.users.rows import all_users
from mediation.cli.options import add_command, add_config, add_json, configuration, print_json, reading
from mediation.cli.users_change import change
from mediation.failure import Failure
from mediation.writer_users import AddUser, Change, DisableUser, EnableUser, SetPassword
from rating.store.reading import instant_text

_LONGEST_LINE: Final = 10_000

_DESCRIPTION = """Users, each with a role. While the daemon runs it makes the change, which is in force at once.

A password is read from standard input, one line; at a terminal it is asked for twice and not shown."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "user", run, "people who may sign in", _DESCRIPTION)
    doing = parser.add_subparsers(dest="doing", metavar="WHAT", required=True)
    add = doing.add_parser(
        "add", help="add a user",
        description="Add a user; the password is read from standard input. An agent's NAME is what accounts.csv calls"
        " agent; a customer has an account.",
    )  # fmt: skip
    add.add_argument("name", metavar="NAME")
    add_role(add)
    add.add_argument("--email", metavar="E", help="where mail reaches the user")
    add_config(add)
    listing = doing.add_parser(
        "list", help="all users", description="Every user: role, account, e-mail address, state."
    )
    add_config(listing)
    add_json(listing)
    for word, help_text in (
        ("disable", "let a user no longer sign in, and end their sessions"),
        ("enable", "let a disabled user sign in again"),
        ("password", "give a user another password, and end their sessions"),
    ):
        one = doing.add_parser(word, help=help_text, description=f"{help_text.capitalize()}.")
        one.add_argument("name", metavar="NAME")
        add_config(one)


def add_role(parser: argparse.ArgumentParser) -> None:
    """`--role R` and `--account N`."""
    parser.add_argument(
        "--role", required=True, choices=[str(role) for role in Role], help="what they are, and so what they may do"
    )
    parser.add_argument("--account", metavar="N", help="the account; for a customer, and for nobody else")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    if args.doing == "list":
        with reading(config) as cx:
            _show(all_users(cx), args.json)
        return 0
    wanted, done = _wanted(args)
    change(config, wanted)
    print(f"user {args.name} {done}")
    return 0


def _wanted(args: argparse.Namespace) -> tuple[Change, str]:
    """The change, and how it is called when it is done."""
    name = args.name
    if args.doing == "disable":
        return DisableUser(name), "disabled"
    if args.doing == "enable":
        return EnableUser(name), "enabled"
    try:
        # Refused here, with exit 2, before anybody is asked for a password.
        if args.doing == "add":
            check_registration(name, Role(args.role), args.account, args.email)
        else:
            check_name(name)
    except UserRefused as refused:
        raise Failure(str(refused), 2) from None
    password = _password(name)
    if args.doing == "add":
        return AddUser(name, Role(args.role), args.account, args.email, password), "added"
    return SetPassword(name, password), "has another password"


def _password(name: str) -> str:
    """The password that is given. Raises Failure."""
    if sys.stdin.isatty():
        password = getpass.getpass(f"Password for {name}: ")
        if getpass.getpass("Once more: ") != password:
            raise Failure("the two passwords are not the same: try again")
    else:
        try:
            password = sys.stdin.buffer.readline(_LONGEST_LINE).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise Failure("the password is not UTF-8: give it as UTF-8, one line on standard input") from None
        if not password:
            raise Failure("there is no password: give it as one line on standard input")
    try:
        check_password(name, password)
    except UserRefused as refused:
        raise Failure(str(refused)) from None
    return password


def _show(users: list[User], as_json: bool) -> None:
    if as_json:
        print_json({"users": [_described(user) for user in users]})
        return
    width = max((len(user.name) for user in users), default=0)
    for user in users:
        state = f"  disabled {instant_text(user.disabled_at)}" if user.disabled_at is not None else ""
        email = f"  {user.email}" if user.email else ""
        account = f" {user.account}" if user.account else ""
        print(f"{user.name:<{width}}  {user.role}{account}{email}{state}")


def _described(user: User) -> dict[str, str | None]:
    return {
        "name": user.name,
        "role": user.role,
        "account": user.account,
        "email": user.email,
        "created_at": instant_text(user.created_at),
        "disabled_at": None if user.disabled_at is None else instant_text(user.disabled_at),
    }
