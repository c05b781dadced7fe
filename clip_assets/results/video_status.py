"""What is known of a video: the state of each of its assets, and what follows for the video."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from clip_assets.results.staleness import Differing, in_words

State = Literal["failed", "stale", "missing", "done", "gone"]
"""``done``: what the settings ask for is stored; ``failed``: the last run for it failed; ``stale``: something else is
stored; ``missing``: nothing whole is; ``gone``: the video's file isn't in the library, whatever is stored."""

_RANKS: Mapping[State, int] = {"failed": 0, "stale": 1, "missing": 2, "done": 3, "gone": 4}
"""The worst first."""

_NOTHING: Differing = {}


class AssetState(NamedTuple):
    """What is stored of one asset for one partition.

    Attributes:
        state: See `State`.
        reason: Why it failed, or is stale; empty otherwise.
        created: When what is stored was written, UTC, ISO 8601; empty where nothing is.
        differing: Where it is stale, in what; see `staleness`.
        failed_as_before: Whether it failed, and neither its file nor the settings have changed since.
    """

    state: State
    reason: str = ""
    created: str = ""
    differing: Differing = _NOTHING
    failed_as_before: bool = False


@dataclass(frozen=True)
class VideoStatus:
    """What is stored of one video.

    Attributes:
        key: Its partition key.
        assets: The state of each asset, by the asset's name; whoever comes later depends on those before.
        frames: Number of its features; None where none are stored.
        model: Name of the model that these were made with; None where none are stored.
    """

    key: str
    assets: Mapping[str, AssetState]
    frames: int | None = None
    model: str | None = None

    @property
    def state(self) -> State:
        """The worst of its assets' states; if it is gone, all of them are."""
        return self._worst.state

    @property
    def reason(self) -> str:
        """Why it failed, or why any of its assets is stale; empty otherwise."""
        if self.state != "stale":
            return self._worst.reason
        differing: dict[str, tuple[Any, Any]] = {}
        for asset in reversed(list(self.assets.values())):
            differing |= asset.differing
        return "; ".join(in_words(differing)) or self._worst.reason

    @property
    def is_wanted(self) -> bool:
        """Whether a run should take it: it isn't done, and it isn't to fail as it did before."""
        if self.state != "failed":
            return self.state in ("stale", "missing")
        for asset in self.assets.values():
            if asset.failed_as_before:
                return False
            if asset.state != "done":
                return True
        return False

    @cached_property
    def _worst(self) -> AssetState:
        return min(self.assets.values(), key=lambda asset: _RANKS[asset.state])
