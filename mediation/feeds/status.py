"""How a feed stands, as the people see it who watch the feeds."""

import msgspec

from mediation.pipeline.activity import SourceActivity


class SourceStatus(msgspec.Struct):
    """One source of a feed."""

    source: str
    state: str
    """`live`, `silent` (nothing for longer than the feed's quiet_after) or `waiting` (nothing since the start)."""
    activity: SourceActivity
    """Over all feeds of the source."""
    per_minute: int
    gaps: int = 0
    """Sequences that are missing between the first and the last of an epoch."""
    streams: int = 0
    """WebSocket connections that are open."""
    connects: int = 0
    """WebSocket connections since the start."""


class FeedStatus(msgspec.Struct):
    """One [feeds.NAME]."""

    name: str
    type: str
    where: str
    """The address or directory."""
    state: str
    """`open`, or `closed` while the daemon ends."""
    sources: list[SourceStatus]
    notes: list[str] = msgspec.field(default_factory=list)
    """What somebody should look at: files that wait, files that could not be read."""
    live_sessions: int | None = None
    """RADIUS sessions that are live now; None for a feed that knows of none."""
