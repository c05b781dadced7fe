"""What would show that a video was replaced or changed, without reading it."""

from clip_assets.core.records import SourceStat

Signature = tuple[int, int, int | str]
"""Size in bytes, time of the last modification in nanoseconds, and of the last change of rights or place; or, in the
last one's stead, what an object store calls this content (then the time is 0)."""


def signature_of(stat: SourceStat) -> Signature:
    """Of a video whose rights and place nobody can tell."""
    return stat.size, stat.mtime_ns, stat.etag


def stat_of(signature: Signature) -> SourceStat:
    """What a result notes of the video."""
    size, mtime_ns, other = signature
    return SourceStat(size, mtime_ns, other if isinstance(other, str) else "")


def written_at_ns(signature: Signature) -> int:
    """When the video was last written to, moved or given other rights, nanoseconds since 1970; 0 where nobody knows."""
    return max(time for time in signature[1:] if isinstance(time, int))
