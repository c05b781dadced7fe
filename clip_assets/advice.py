"""What to do about an error: `core` says what is wrong and what is allowed, here is the way out for who meets it."""

from collections.abc import Mapping

from clip_assets.core.errors import (
    ClipAssetsError,
    DecoderFailedError,
    DecoderRefusedError,
    ExportFolderError,
    FramesOutdatedError,
    LibraryUnreadableError,
    OtherModelError,
    OutsideLibraryError,
    ResultCorruptError,
    ResultMissingError,
    ResultUnwritableError,
    VideoChangedError,
    VideoDamagedError,
    VideoMissingError,
    VideoNotFetchedError,
    VideoTimeoutError,
    VideoUnreadableError,
)

Advice = Mapping[type[ClipAssetsError], str]
"""A way out for each kind of error that has one."""

PLATFORM: Advice = {
    LibraryUnreadableError: "Name another: CLIP_ASSETS_VIDEOS.",
    OutsideLibraryError: "Move or link it there, or set CLIP_ASSETS_VIDEOS to a folder that contains it.",
    VideoUnreadableError: "Put a copy that can be read in its place, or take it away.",
    VideoNotFetchedError: "Try again, or let copies be kept where there is room: CLIP_ASSETS_CACHE.",
    VideoDamagedError: "Put a whole copy of the video in its place, or keep what decodes: CLIP_ASSETS_ON_DAMAGE=keep.",
    VideoTimeoutError: "Give it more time: CLIP_ASSETS_VIDEO_TIMEOUT. If decord hangs, decode it with PyAV: "
    "CLIP_ASSETS_DECODER=pyav.",
    DecoderFailedError: "Put a whole copy of the video in its place, or decode it with PyAV: CLIP_ASSETS_DECODER=pyav.",
    DecoderRefusedError: "Decode it with PyAV: CLIP_ASSETS_DECODER=pyav.",
    VideoChangedError: "Materialize frame_indices of it again.",
    FramesOutdatedError: "Materialize frame_indices of it again.",
    OtherModelError: "Materialize clip_features again, or go back to that model.",
    ExportFolderError: "Name another folder.",
    ResultMissingError: "Materialize it first.",
    ResultUnwritableError: "Make room there, or let results be stored elsewhere: CLIP_ASSETS_OUTPUT.",
    ResultCorruptError: "Materialize it again with force.",
}
"""For who has a deployment, in the UI and the terminal."""

EXTRACT: Advice = {
    VideoMissingError: "Name a video, or a folder with videos.",
    VideoUnreadableError: "Put a copy that can be read in its place, or leave it out.",
    VideoNotFetchedError: "Try again.",
    VideoDamagedError: "Put a whole copy of the video in its place, or keep what decodes: on_damage=keep.",
    VideoTimeoutError: "Give it more time: video_timeout. If decord hangs, decode it with PyAV: decoder=pyav.",
    DecoderFailedError: "Put a whole copy of the video in its place, or decode it with PyAV: decoder=pyav.",
    DecoderRefusedError: "Decode it with PyAV: decoder=pyav.",
    ResultCorruptError: "Extract it again: --force.",
    ResultUnwritableError: "Make room there, or choose another output_path.",
}
"""For who calls ``clip-assets extract``."""


def explain(error: Exception, advice: Advice) -> str:
    """What is wrong, and then the way out: that of the nearest kind that has one."""
    way_out = next((advice[kind] for kind in type(error).__mro__ if kind in advice), "")
    return f"{str(error).removesuffix('.')}. {way_out}" if way_out else str(error)
