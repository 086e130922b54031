"""What `tollkeeper import KIND --help` says: the kinds, their columns, and a file of each to begin with."""

import argparse
from typing import Any, Final

ACCOUNTS: Final = """A CSV with a header row.
Columns: account,name,email,currency,timezone,credit_limit,tariff,agent,cycle_day;
optional: fax,pager,phone,language,segment. Needed are account, name, currency (ISO 4217) and timezone (an IANA name);
without a credit limit there is none, without a tariff [rating] default_tariff rates the calls, and the bill cycle
begins on day 1. An account that is there already is given these values.

  account,name,email,currency,timezone,credit_limit,tariff,agent,cycle_day
  4000012345,Ada Lovelace,ada@customers.example,USD,America/New_York,2500.00,standard,agnes,1"""

LINES: Final = """A CSV with a header row. Columns: line,account,provider,service,switch; optional: tariff,from.
A line is a number in E.164, or sip:user@host, ip:address, card:NUMBER. A line with several services has a row for each;
calls that name no service take its first. `switch` names a [switches.NAME] of the configuration, where it is barred, or
is empty. `from` is the date since when the account has the line.

  line,account,provider,service,switch
  +12125550142,4000012345,Transcontinental,long-distance,kam1
  +12125550142,4000012345,Transcontinental,voice-mail,kam1"""

FAVOURITES: Final = """A CSV with a header row. Columns: account,number: what the account calls for less,
where its tariff says so. The numbers of the accounts in the file are those of the file alone,
and none with an empty number.

  account,number
  4000012345,+442079460018"""

TARIFF: Final = """A TOML file, with the rate deck that it names, as a new version of the tariff. `--preview` says what
it changes.

  # standard.toml
  name = "standard"
  currency = "USD"
  timezone = "America/New_York"
  decimals = 4
  rounding = "half-up"
  deck = "standard.csv"

  # standard.csv: connect fee, then rate per per_s seconds, in increments (60/6: the first 60 s, then 6 s)
  prefix,destination,period,after_s,connect_fee,rate,per_s,increments
  4420,London,,0,0.05,0.60,60,1/1
  ,World,,0,0.10,1.50,60,60/60"""

RULES: Final = """A TOML file, as a new version: bills that are made from then on, and their payments, go by it.

  name = "standard"
  [early_payment_discount]
  percent = "2"            # of the new charges
  days = 10                # paid within so many
  [payment]
  due_days = 30"""

ENROLMENTS: Final = """A CSV with a header row. Columns: account,enrolled (true or false): whose invoices are online.
Agents are mailed what changes.

  account,enrolled
  4000012345,true"""

OF_KIND: Final = {
    "accounts": ACCOUNTS,
    "lines": LINES,
    "favourites": FAVOURITES,
    "tariff": TARIFF,
    "rules": RULES,
    "enrolments": ENROLMENTS,
}

ALL: Final = """Import a file, all or nothing. While the daemon runs it does the work and follows at once.

  accounts FILE.csv     customers: zone, currency, credit limit, tariff, agent, day of the bill cycle
  lines FILE.csv        their numbers, by service, and the switch where each is barred
  favourites FILE.csv   numbers that accounts call for less
  tariff FILE.toml      with the rate deck that it names, as a new version; --preview says what it changes
  rules FILE.toml       early-payment discount, days to pay within, what is not collected; as a new version
  enrolments FILE.csv   whose invoices are online

`tollkeeper import KIND --help` has the columns of each, and a file to begin with."""


class HelpOfKind(argparse.Action):
    """`--help`: of the kind that stands before it, else of them all."""

    def __init__(self, option_strings: Any, dest: str = argparse.SUPPRESS, **_more: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="show this help and end")

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, _values: Any, _option: str | None = None
    ) -> None:
        """Print it, and end."""
        kind = getattr(namespace, "kind", None)
        if kind is not None:
            parser.description = f"Import {kind}, all or nothing, also while the daemon runs.\n\n{OF_KIND[kind]}"
        parser.print_help()
        parser.exit()
