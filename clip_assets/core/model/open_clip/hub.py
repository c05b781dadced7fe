"""Files of Hugging Face's hub, by its own cache: what is there is taken as it is, and only what isn't is downloaded.

So a model stays the same until somebody clears the cache or names another revision, whatever happens on the hub.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clip_assets.core.errors import ModelAbsentError, ModelError


def cached(repository: str, file: str, revision: str | None = None) -> Path | None:
    """A file that is in the cache; None where it isn't."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, file, revision=revision)
    return Path(found) if isinstance(found, str) else None


def first_cached(repository: str, files: Sequence[str], revision: str | None = None) -> Path:
    """The first of these files that is in the cache.

    Raises:
        ModelAbsentError: None is.
    """
    for file in files:
        if found := cached(repository, file, revision):
            return found
    raise ModelAbsentError(f"{files[-1]} of {repository} isn't on this machine yet. {_other_means(repository)}")


def download_first(repository: str, files: Sequence[str], revision: str | None = None) -> Path:
    """The first of these files that the repository has, downloaded with a progress bar unless one is in the cache.

    Raises:
        ModelError: None can be had: there is no such repository or file, no network, or offline mode is on.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return first_cached(repository, files, revision)
    except ModelAbsentError:
        pass
    missing: Exception | None = None
    for file in files:
        try:
            return Path(hf_hub_download(repository, file, revision=revision))
        except LocalEntryNotFoundError as error:  # no network, or offline
            raise _cannot(repository, file, error) from error
        except EntryNotFoundError as error:
            missing = error
        except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
            raise _cannot(repository, file, error) from error
    raise _cannot(repository, files[-1], missing) from missing


def download_if_there(repository: str, file: str, revision: str | None) -> None:
    """Download a file unless it is in the cache, or the repository has none such; raises as `download_first`."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        if cached(repository, file, revision) is None:
            hf_hub_download(repository, file, revision=revision)
    except LocalEntryNotFoundError as error:
        raise _cannot(repository, file, error) from error
    except EntryNotFoundError:
        return
    except (HfHubHTTPError, OSError) as error:
        raise _cannot(repository, file, error) from error


def _cannot(repository: str, file: str, error: Exception | None) -> ModelError:
    told = str(error).strip().splitlines()
    why = told[0].rstrip(".") if told else type(error).__name__
    return ModelError(f"{file} of {repository} can't be downloaded: {why}. {_other_means(repository)}")


def _other_means(repository: str) -> str:
    return (
        f"On a machine with network `hf download {repository}` puts it into ~/.cache/huggingface/hub: copy its folder "
        f"there, or name the files' folder as open_clip:local-dir:FOLDER."
    )
