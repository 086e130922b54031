"""What operations can see of the pipeline."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram

from mediation.pipeline.activity import SourceActivity
from rating.store.batch import Batch, Outcome

_COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class PipelineMetrics:
    """Counted once a batch or commit, never once a record."""

    def __init__(self, registry: CollectorRegistry, sources: Mapping[str, int]) -> None:
        records = Counter(
            "tollkeeper_records_total", "Records by source and outcome", ["source", "outcome"], registry=registry
        )
        self._records = records
        self._by_source: dict[int, tuple[Counter, ...]] = {}
        self.activity: dict[int, SourceActivity] = {}
        """By the source's number."""
        self.know(sources)
        self._refused = Counter(
            "tollkeeper_batches_refused_total", "Batches whose position was taken by another body", registry=registry
        )
        self._commits = Histogram(
            "tollkeeper_commit_seconds", "Store transactions, from begin to durable", buckets=_COMMIT_SECONDS,
            registry=registry,
        )  # fmt: skip
        self._commit_records = Counter("tollkeeper_commit_records_total", "Records in all commits", registry=registry)

    def know(self, sources: Mapping[str, int]) -> None:
        """Count for these sources too, which a reload may have added."""
        for source, number in sources.items():
            if number not in self._by_source:
                outcomes = ("accepted", "duplicate", "suspended")
                self._by_source[number] = tuple(self._records.labels(source, outcome) for outcome in outcomes)
                self.activity[number] = SourceActivity(source)

    def count(self, batch: Batch, outcome: Outcome) -> None:
        """What became of a batch."""
        if outcome.conflict:
            self._refused.inc()
            return
        numbers = (outcome.accepted, outcome.duplicate, outcome.suspended)
        for counter, number in zip(self._by_source[batch.source], numbers, strict=True):
            if number:
                counter.inc(number)
        self.activity[batch.source].count(batch, outcome)

    def committed(self, seconds: float, records: int) -> None:
        """A store transaction is durable."""
        self._commits.observe(seconds)
        self._commit_records.inc(records)
