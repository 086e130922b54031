"""Which bill a transaction is on."""

import sqlite3
from bisect import bisect_left, bisect_right


class Coverage:
    """The bills of all accounts, to be asked for the one that covers a transaction: the first whose cycle had not ended
    at its answer and that was made after it came."""

    def __init__(self, bills: dict[str, tuple[list[int], list[int], list[int]]]) -> None:
        """Of each account the ends of the cycles, the last transactions covered and the numbers of its bills, in the
        order of their numbers. The first two only rise."""
        self._bills = bills

    @classmethod
    def load(cls, cx: sqlite3.Connection) -> "Coverage":
        """As the bills say."""
        bills: dict[str, tuple[list[int], list[int], list[int]]] = {}
        for account, *figures in cx.execute(
            "SELECT account, cycle_end, covers_id, number FROM bills WHERE shard = 0 ORDER BY number"
        ):
            for column, figure in zip(bills.setdefault(account, ([], [], [])), figures, strict=True):
                column.append(figure)
        return cls(bills)

    def bill_of(self, account: str, transaction: int, answer_at: int) -> int | None:
        """The number of the bill that a transaction is on; None if it is on none yet."""
        own = self._bills.get(account)
        if own is None:
            return None
        cycle_ends, covered, numbers = own
        first = max(bisect_right(cycle_ends, answer_at), bisect_left(covered, transaction))
        return numbers[first] if first < len(numbers) else None
