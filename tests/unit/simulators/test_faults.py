"""Faults are read strictly and strike as often as they should, the same batches each time."""

from statistics import mean

import pytest

from simulators.faults import FaultError, Faults, Mishap, mishap_of, parse_faults


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", Faults()),
        ("dup=0.1", Faults(dup=0.1)),
        ("dup=0", Faults()),
        ("reorder=1,truncate=.5", Faults(reorder=1.0, truncate=0.5)),
        (" disconnect=0.2 , delay=2.5 ,", Faults(disconnect=0.2, delay=2.5)),
        ("dup=1e-3,reorder=0,truncate=0,disconnect=0,delay=0", Faults(dup=0.001)),
    ],
)
def test_faults_are_read(text: str, faults: Faults) -> None:
    assert parse_faults(text) == faults


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dop=0.1", "`dop=0.1` is not one of dup=P,reorder=P,truncate=P,disconnect=P,delay=S"),
        ("dup", "`dup` is not one of"),
        ("dup=", "dup takes a probability from 0 to 1, not ``"),
        ("dup=x", "dup takes a probability from 0 to 1, not `x`"),
        ("dup=1.01", "dup takes a probability from 0 to 1, not `1.01`"),
        ("reorder=-0.1", "reorder takes a probability"),
        ("truncate=nan", "truncate takes a probability"),
        ("delay=-1", "delay takes seconds from 0, not `-1`"),
        ("delay=inf", "delay takes seconds"),
        ("delay=nan", "delay takes seconds"),
        ("dup=0.1,dup=0.2", "`dup` is given twice"),
    ],
)
def test_faults_that_cannot_be_read_are_refused_with_what_would_do(text: str, message: str) -> None:
    with pytest.raises(FaultError) as refusal:
        parse_faults(text)
    assert message in str(refusal.value)


def test_without_faults_nothing_happens() -> None:
    assert all(mishap_of(Faults(), 1, sequence) == Mishap() for sequence in range(200))


def test_what_befalls_a_batch_depends_on_the_seed_and_its_sequence_alone() -> None:
    faults = Faults(dup=0.5, reorder=0.5, truncate=0.5, disconnect=0.5, delay=1.0)
    forwards = [mishap_of(faults, 1, sequence) for sequence in range(50)]
    backwards = [mishap_of(faults, 1, sequence) for sequence in reversed(range(50))]
    assert forwards == backwards[::-1]
    assert forwards != [mishap_of(faults, 2, sequence) for sequence in range(50)]


def test_faults_strike_as_often_as_their_probability() -> None:
    faults = Faults(dup=0.4, reorder=0.3, truncate=0.2, disconnect=0.1, delay=0.25)
    mishaps = [mishap_of(faults, 1, sequence) for sequence in range(5000)]
    assert mean(mishap.sent_again for mishap in mishaps) == pytest.approx(0.2, abs=0.02)
    assert mean(mishap.record_again is not None for mishap in mishaps) == pytest.approx(0.2, abs=0.02)
    assert not any(mishap.sent_again and mishap.record_again is not None for mishap in mishaps)
    assert mean(mishap.held_back > 0 for mishap in mishaps) == pytest.approx(0.3, abs=0.02)
    assert {mishap.held_back for mishap in mishaps} == {0, 1, 2, 3}
    assert mean(mishap.cut_at is not None for mishap in mishaps) == pytest.approx(0.2, abs=0.02)
    assert all(0 < mishap.cut_at < 1 for mishap in mishaps if mishap.cut_at is not None)
    assert all(0 <= mishap.record_again < 1 for mishap in mishaps if mishap.record_again is not None)
    assert mean(mishap.leaves_early for mishap in mishaps) == pytest.approx(0.1, abs=0.02)
    assert {mishap.delay_s for mishap in mishaps} == {0.25}


@pytest.mark.parametrize("faults", [Faults(dup=1.0), Faults(reorder=1.0), Faults(truncate=1.0), Faults(disconnect=1.0)])
def test_a_certain_fault_strikes_every_batch(faults: Faults) -> None:
    assert all(mishap_of(faults, 1, sequence) != Mishap() for sequence in range(200))
