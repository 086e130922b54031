"""The journal keeps what nobody acknowledged, in order, and across a restart where it has a directory."""

from pathlib import Path

import pytest

from simulators.journal import Batch, DirectoryJournal, Journal, JournalError

ONE, TWO, THREE = b'{"id":"1"}', b'{"id":"2"}', b'{"id":"3","place":"S\xc3\xa3o Paulo"}'


@pytest.fixture(params=["memory", "directory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    return Journal("e1") if request.param == "memory" else DirectoryJournal(tmp_path, "e1")


def test_a_batch_is_its_lines_at_a_position() -> None:
    batch = Batch("e1", 7, (ONE, THREE))
    assert batch.position == "e1/7"
    assert batch.body == ONE + b"\n" + THREE + b"\n"
    assert batch.ids == ("1", "3")


def test_sequences_count_up_from_one_and_are_never_used_again(journal: Journal) -> None:
    first, second = journal.append([ONE]), journal.append([TWO])
    assert (first.position, second.position) == ("e1/1", "e1/2")
    journal.forget(second)
    assert journal.append([THREE]).position == "e1/3"
    assert [batch.sequence for batch in journal] == [1, 3]
    assert journal.records == 2


def test_a_batch_that_is_split_keeps_its_position_for_the_first_half(journal: Journal) -> None:
    batch = journal.append([ONE, TWO, THREE])
    other = journal.append([ONE])
    first, second = journal.split(batch)
    assert (first.position, first.records) == ("e1/1", (ONE,))
    assert (second.position, second.records) == ("e1/3", (TWO, THREE))
    assert list(journal) == [first, other, second]


def test_a_batch_that_is_renumbered_leaves_its_position(journal: Journal) -> None:
    moved = journal.renumber(journal.append([ONE, TWO]))
    assert (moved.position, moved.records) == ("e1/2", (ONE, TWO))
    assert list(journal) == [moved]


def test_a_directory_gives_back_epoch_sequence_and_open_batches(tmp_path: Path) -> None:
    first = DirectoryJournal(tmp_path / "new", "e1")
    batches = [first.append([ONE, THREE]), first.append([TWO]), first.append([ONE])]
    first.forget(batches[1])
    halves = first.split(batches[0])
    again = DirectoryJournal(tmp_path / "new", "e2")
    assert again.epoch == "e1"
    assert list(again) == [halves[0], batches[2], halves[1]]
    assert again.append([TWO]).position == "e1/5"


def test_the_sequence_persists_when_everything_is_acknowledged(tmp_path: Path) -> None:
    first = DirectoryJournal(tmp_path, "e1")
    first.forget(first.append([ONE]))
    assert DirectoryJournal(tmp_path, "e2").append([TWO]).position == "e1/2"


def test_a_batch_whose_position_was_not_noted_any_more_is_not_overwritten(tmp_path: Path) -> None:
    """The process may end between writing a batch and writing the position that follows it."""
    first = DirectoryJournal(tmp_path, "e1")
    position = (tmp_path / "position.json").read_bytes()
    batch = first.append([ONE])
    (tmp_path / "position.json").write_bytes(position)
    again = DirectoryJournal(tmp_path, "e2")
    assert list(again) == [batch]
    assert again.append([TWO]).sequence == 2


def test_only_a_directory_survives(tmp_path: Path) -> None:
    assert not Journal("e1").survives
    assert DirectoryJournal(tmp_path, "e1").survives


@pytest.mark.parametrize("position", [b"", b"[]", b'{"epoch":"e1"}', b'{"epoch":"e1","next":"x"}'])
def test_a_journal_that_cannot_be_read_is_an_error_with_a_remedy(tmp_path: Path, position: bytes) -> None:
    (tmp_path / "position.json").write_bytes(position)
    with pytest.raises(JournalError, match="give a directory"):
        DirectoryJournal(tmp_path, "e2")


def test_a_file_in_the_directorys_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="file"):
        DirectoryJournal(tmp_path / "file", "e1")
