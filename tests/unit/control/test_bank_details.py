"""A bank account that somebody typed: its check digits, and how little is kept of it."""

import pytest

from control.enrolment import BankDetails, BankDetailsRefused, Scheme, read_bank_details, scheme_of

ROUTING, NUMBER = "021000021", "123456789"
IBAN = "DE89370400440532013000"


def ach(routing: str = ROUTING, number: str = NUMBER, holder: str = "Ada Lovelace") -> BankDetails:
    return read_bank_details(Scheme.ACH, holder=holder, routing=routing, number=number)


def sepa(iban: str, holder: str = "Ada Lovelace") -> BankDetails:
    return read_bank_details(Scheme.SEPA, holder=holder, iban=iban)


def test_of_the_number_only_the_end_is_kept() -> None:
    details = ach(number="1234-5678 9")
    assert details == BankDetails(Scheme.ACH, "Ada Lovelace", ROUTING, "6789")
    assert details.masked == "•••• 6789"
    assert sepa(IBAN) == BankDetails(Scheme.SEPA, "Ada Lovelace", "DE", "3000")
    assert sepa(IBAN).masked == "DE•••• 3000"


@pytest.mark.parametrize("routing", [ROUTING, "011401533", "091000019", " 0210 00021 "])
def test_a_routing_number_with_its_check_digit_is_taken(routing: str) -> None:
    assert ach(routing).bank == routing.replace(" ", "")


@pytest.mark.parametrize(
    "routing",
    ["", "02100002", "0210000210", "021000022", "120000021", "000000000", "02100002x", "٠٢١٠٠٠٠٢١", "-21000021"],
)
def test_another_routing_number_is_refused(routing: str) -> None:
    with pytest.raises(BankDetailsRefused) as refused:
        ach(routing)
    assert refused.value.field == "routing"


def test_every_wrong_digit_of_a_routing_number_is_noticed() -> None:
    """The weights have no common factor with ten."""
    for place, right in enumerate(ROUTING):
        for digit in set("0123456789") - {right}:
            with pytest.raises(BankDetailsRefused):
                ach(ROUTING[:place] + digit + ROUTING[place + 1 :])


@pytest.mark.parametrize("number", ["", "123", "1" * 18, "12x4", "１２３４"])
def test_another_account_number_is_refused(number: str) -> None:
    with pytest.raises(BankDetailsRefused) as refused:
        ach(number=number)
    assert refused.value.field == "number"


@pytest.mark.parametrize(
    "iban",
    [
        IBAN, "GB82 WEST 1234 5698 7654 32", "fr14 2004 1010 0505 0001 3M02 606", "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S", "SA0380000000608010167519",
    ],
)  # fmt: skip
def test_an_iban_with_its_check_digits_is_taken(iban: str) -> None:
    bare = iban.replace(" ", "").upper()
    assert (sepa(iban).bank, sepa(iban).ending) == (bare[:2], bare[-4:])


@pytest.mark.parametrize(
    ("iban", "words"),
    [
        ("", "begins with"),
        ("89DE370400440532013000", "begins with"),
        ("DE88370400440532013000", "check digits"),
        ("DE89370400440532013001", "check digits"),
        ("DE89370400440532010300", "check digits"),  # two neighbours exchanged
        ("DE8937040044053201300", "has 22 characters, this has 21"),
        ("DE89370400440532013000 1", "has 22 characters, this has 23"),
        ("DE89-3704", "begins with"),
        ("DE89370400440532013ÄÄÄ", "begins with"),
    ],
)
def test_another_iban_is_refused(iban: str, words: str) -> None:
    with pytest.raises(BankDetailsRefused, match=words) as refused:
        sepa(iban)
    assert refused.value.field == "iban"


def test_check_digits_that_no_bank_gives_are_refused_though_they_divide() -> None:
    """00, 01 and 99 are as good as 97, 98 and 02 modulo 97."""
    body = next(f"{n:018d}" for n in range(1000) if int(f"{n:018d}131400") % 97 == 1)
    assert int(f"{body}131400") % 97 == 1
    with pytest.raises(BankDetailsRefused, match="check digits"):
        sepa(f"DE00{body}")
    assert sepa(f"DE97{body}").bank == "DE"


@pytest.mark.parametrize("holder", ["", "   ", "x" * 71, "Ada\x07"])
def test_a_holder_has_a_name(holder: str) -> None:
    for read in (lambda: ach(holder=holder), lambda: sepa(IBAN, holder)):
        with pytest.raises(BankDetailsRefused) as refused:
            read()
        assert refused.value.field == "holder"


def test_dollars_are_collected_by_ach_and_all_else_by_iban() -> None:
    assert [scheme_of(currency) for currency in ("USD", "EUR", "GBP")] == [Scheme.ACH, Scheme.SEPA, Scheme.SEPA]
