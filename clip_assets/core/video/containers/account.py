"""What a container's structure says of its wholeness."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    """What a container's structure says of its wholeness.

    Attributes:
        damage: What is missing or broken; empty if nothing is.
        within: Whether `damage` may lie before frames that are there.
        ends: Whether the container's own end is where it should be. Then a count or a duration in a header that says
            more than there is counts for nothing.
        states_length: Whether a header says how long the whole is, where FFmpeg gives a duration.
        gap: What is missing if the frames' times have a gap as well; empty if nothing is.
    """

    damage: str = ""
    within: bool = False
    ends: bool = False
    states_length: bool = True
    gap: str = ""
