"""Slots of accounts: the same for an account however it is found, and never another's."""

from rating.account_slots import AccountSlots
from tests.builders import a_row


def numbered(account: str, number: int, **values: object) -> list[object]:
    """A row as a front makes it."""
    return [*a_row(account=account, **values), number]


def test_an_account_keeps_the_slot_that_it_got_first() -> None:
    slots = AccountSlots()
    assert [slots.slot(account) for account in ("b", "a", "b", "c")] == [0, 1, 0, 2]
    assert (slots.find("c"), slots.find("d"), len(slots)) == (2, None, 3)
    assert [slots.account(slot) for slot in range(3)] == ["b", "a", "c"]
    assert slots.slots_of(["c", "d", "a"]).tolist() == [2, 3, 1]


def test_transactions_with_and_without_a_number_are_counted_in_one_slot() -> None:
    slots = AccountSlots()
    assert slots.counted([a_row(account="a"), a_row(account="b")]).slots.tolist() == [0, 1]
    assert slots.counted([numbered("b", 5), numbered("c", 900), numbered("b", 5)]).slots.tolist() == [1, 2, 1]
    assert slots.counted([numbered("b", 5), a_row(account="a")]).slots.tolist() == [1, 0]
    assert slots.counted([numbered("a", 0), numbered("c", 900)]).slots.tolist() == [0, 2]


def test_a_correction_has_no_number_where_its_further_columns_are() -> None:
    """A row that comes from the store is longer than one that has an account's number."""
    slots = AccountSlots()
    stored = [*a_row(account="b"), 1_795_000_000_000_000, 17]
    assert slots.counted([stored, [*a_row(account="a"), None, None]]).slots.tolist() == [0, 1]


def test_columns_are_those_of_the_rows_also_where_one_list_is_asked_for_again() -> None:
    slots = AccountSlots()
    rows = [numbered("a", 1, answer_at=5, charge_micros=2**63 - 1, duration_us=0), numbered("b", 2, charge_micros=-3)]
    first = slots.counted(rows)
    assert slots.counted(rows) is first
    assert (first.answer_at[0], first.charge_micros.tolist(), first.duration_us[0]) == (5, [2**63 - 1, -3], 0)
    assert slots.counted(rows[1:]).charge_micros.tolist() == [-3]
    assert slots.counted([]).slots.tolist() == []


def test_the_text_that_is_kept_is_the_accounts_own() -> None:
    own = "".join(["4", "0"])
    slots = AccountSlots({"40": own}.__getitem__)
    slots.slot("".join(["40"]))
    assert slots.account(0) is own
