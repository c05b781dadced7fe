"""`clip_assets.open_library`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_assets.asking.library import Library

if TYPE_CHECKING:
    import os


def open_library(
    output: str | os.PathLike[str] | None = None,
    *,
    videos: str | os.PathLike[str] | None = None,
    model: str | None = None,
) -> Library:
    """The library whose results are stored in an output.

    Args:
        output: The folder, or an fsspec URL; by default the settings'.
        videos: The folder of the videos; by default the settings'.
        model: A model's name; by default the one that the environment or ``.env`` sets, else the one that most stored
            videos have.

    Raises:
        SettingsError: A setting, or the model's name, isn't allowed.
    """
    from clip_assets.settings import Settings, load_env_file

    load_env_file()
    given = {"output": output and str(output), "videos": videos, "model_name": model}
    settings = Settings.from_environment(**{name: value for name, value in given.items() if value is not None})
    return Library(settings)
