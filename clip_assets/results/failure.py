"""That a video failed: why, and with what it was tried."""

from collections.abc import Mapping
from dataclasses import dataclass

from clip_assets.core.library.signatures import Signature


@dataclass(frozen=True)
class Attempt:
    """With what a step was tried.

    Attributes:
        asset: The step's.
        settings: Digest of the deployment's settings, see `versions.attempt_digests`.
        signatures: Of the files of the videos that it reads, by partition key.
    """

    asset: str
    settings: str
    signatures: Mapping[str, Signature | None]


@dataclass(frozen=True)
class Failure:
    """Why a video failed.

    Attributes:
        key: Its partition key.
        reason: In words.
        attempt: With what it was tried; None where the fault isn't its own, or that wasn't recorded.
    """

    key: str
    reason: str
    attempt: Attempt | None = None

    def would_repeat(self, settings: Mapping[str, str], signature: Signature | None) -> bool:
        """Whether the video would fail again for all that is known.

        Args:
            settings: Digests of the settings, see `versions.attempt_digests`.
            signature: Of its file, as it is by now.
        """
        tried = self.attempt
        if tried is None or settings.get(tried.asset) != tried.settings:
            return False
        return self.key not in tried.signatures or tried.signatures[self.key] == signature
