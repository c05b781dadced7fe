"""Every error that clip_assets raises on purpose: each says what is wrong with what, and what is allowed.

What to do about it is for the caller to say, who knows how it was called.
"""


class ClipAssetsError(Exception):
    """Base of all errors of clip_assets. Its message is written for the person who runs the extraction."""


class SettingsError(ClipAssetsError):
    """A setting or an argument has a value that is not allowed; the message names it and what is allowed."""


class LibraryError(ClipAssetsError):
    """The library of videos can't be listed, or a path isn't a video of it."""


class LibraryUnreadableError(LibraryError):
    """The library's folder is missing, is no folder, or can't be read."""


class PartitionKeyError(ClipAssetsError):
    """A path can't be a partition key, or a key doesn't name a video inside the library."""


class OutsideLibraryError(PartitionKeyError):
    """A path doesn't lead into the library."""


class VideoError(ClipAssetsError):
    """Base of all that is wrong with one video; it fails that video alone."""


class VideoUnreadableError(VideoError):
    """The file is missing, is no video, has no video stream, or holds no frame that can be decoded."""


class VideoMissingError(VideoUnreadableError):
    """There is nothing where the video should be."""


class VideoNotFetchedError(VideoError):
    """The video lies elsewhere, and can't be read from there or brought to this machine, which says nothing of it."""


class VideoDamagedError(VideoError):
    """The video ends early or holds corrupt packets: fewer frames decode than the container promises."""


class DecoderFailedError(VideoDamagedError):
    """A decoder other than the default one broke down over this video, damaged or not."""


class VideoTimeoutError(VideoError):
    """The decoder delivered no frame within the allowed time and was stopped."""


class DecoderRefusedError(VideoError):
    """The chosen decoder isn't there, or would get this video wrong; the message says why."""


class VideoChangedError(VideoError):
    """The video's content is another than that whose frames were chosen."""


class FramesOutdatedError(VideoError):
    """An older version chose the video's frames."""


class SamplingError(ClipAssetsError):
    """The sampling asked for can't be had: contradictory options, or more samples than frames."""


class ModelError(ClipAssetsError):
    """A model can't be loaded: unknown name, wrong or missing checkpoint, weights that can't be fetched."""


class ModelAbsentError(ModelError):
    """A published model isn't on this machine yet, and without its files nobody knows its identity."""


class OtherModelError(ModelError):
    """Features were made by another model than the one that encodes the sentences."""


class TextError(ClipAssetsError):
    """A sentence can't be encoded, as when it has more tokens than the model's context."""


class MatchingError(ClipAssetsError):
    """Features can't be compared: shapes that don't fit together, or a feature that is zero or not finite."""


class QueryError(ClipAssetsError):
    """A question that can't be asked of the library: empty, of another form than allowed, or of nothing it holds."""


class DeviceError(ClipAssetsError):
    """A device was asked for that this machine doesn't have."""


class ExportError(ClipAssetsError):
    """Results can't be exported as asked: there are none, a library is missing, or a number doesn't fit."""


class ExportFolderError(ExportError):
    """The folder to export to holds something else, or another export is being written to it."""


class StoreError(ClipAssetsError):
    """Base of what can go wrong with stored results."""


class ResultUnwritableError(StoreError):
    """A result can't be written where it is to be stored: no room, no permission, no such place."""


class ResultMissingError(StoreError):
    """Nothing whole is stored for this asset and partition key."""


class ResultCorruptError(StoreError):
    """Stored bytes differ from what the manifest promises."""
