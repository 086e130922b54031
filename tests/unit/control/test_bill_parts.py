"""A long bill's document by parts: whatever is asked for, the parts one after the other are the whole."""

import pytest

from control.billing.bill import Call, Document, LineSection, ProviderSection, pack
from control.billing.letterhead import Letterhead
from control.billing.parts import Part, part_of
from rating.cdr import MICROS

START = 1_790_827_200 * MICROS


def a_document(*sections: list[int]) -> Document:
    """Of so many calls on each line of each provider, numbered through."""
    made, number = [], 0
    for index, counts in enumerate(sections):
        lines = []
        for line, count in enumerate(counts):
            own = [a_call(number + nth) for nth in range(1, count + 1)]
            number += count
            lines.append(LineSection(f"+1212555{line:04}", sum(call.charge_micros for call in own), own))
        made.append(ProviderSection(f"P{index}", sum(line.charges_micros for line in lines), lines))
    return Document("UTC", made, letterhead=Letterhead("Transcontinental", ("1 Main Street",)))


def a_call(number: int) -> Call:
    return Call(
        START, 0, "+442079460018", None, None, "direct", "local", MICROS, 1, number * 10_000, number, units=number,
        reverses=1,
    )  # fmt: skip


DOCUMENT = a_document([3, 1, 5], [1], [4, 2])
CALLS = 16


def numbers(part: Part) -> list[int]:
    return [
        call.transaction for section in part.document.sections for line in section.lines for call in line.calls
    ]  # fmt: skip


@pytest.mark.parametrize("most", [1, 2, 3, 5, 7, 15, 16, 17, 2_000])
def test_the_parts_are_the_whole_in_its_order(most: int) -> None:
    stored = pack(DOCUMENT)
    parts = [part_of(stored, first, most) for first in range(1, CALLS + 1, most)]
    assert [number for part in parts for number in numbers(part)] == list(range(1, CALLS + 1))
    for part in parts:
        assert (part.calls, part.document.calls) == (CALLS, min(most, CALLS + 1 - part.first))
        assert part.last == part.first + part.document.calls - 1


def test_a_part_that_holds_all_is_the_document() -> None:
    part = part_of(pack(DOCUMENT), 1, CALLS)
    assert part.document == DOCUMENT
    assert part.in_all == [[3, 1, 5], [1], [4, 2]]


def test_a_part_has_every_section_with_its_sums_and_of_the_lines_those_with_calls_in_it() -> None:
    part = part_of(pack(DOCUMENT), 8, 4)
    assert numbers(part) == [8, 9, 10, 11]
    whole = DOCUMENT.sections
    assert [(one.provider, one.charges_micros) for one in part.document.sections] == [
        (one.provider, one.charges_micros) for one in whole
    ]
    assert [[line.line for line in one.lines] for one in part.document.sections] == [
        ["+12125550002"], ["+12125550000"], ["+12125550000"],
    ]  # fmt: skip
    assert part.in_all == [[5], [1], [4]]
    assert part.document.sections[0].lines[0].charges_micros == whole[0].lines[2].charges_micros, "of the whole line"


@pytest.mark.parametrize(("first", "most"), [(17, 5), (10**18, 5), (1, 0)])
def test_where_there_are_no_calls_there_are_none(first: int, most: int) -> None:
    part = part_of(pack(DOCUMENT), first, most)
    assert (numbers(part), part.in_all, part.calls, part.last) == ([], [[], [], []], CALLS, first - 1)
    assert part.document.charges_micros == DOCUMENT.charges_micros


def test_an_empty_document_has_an_empty_part() -> None:
    part = part_of(pack(a_document()), 1, 5)
    assert (part.document.sections, part.calls) == ([], 0)
