"""What an event says of a stored partition: where it is, where to see it, and its pictures or where they are."""

import re
import shlex
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import dagster as dg

from clip_assets.core.errors import StoreError
from clip_assets.core.picture import Picture
from clip_assets.core.store import Store
from clip_assets.core.store.manifest import Manifest
from clip_assets.results.facts import sampling_words


def stored_metadata(
    store: Store, manifest: Manifest, described: Any, browse_url: str | None, warn: Callable[[str], object]
) -> dict[str, Any]:
    """What is known of a stored partition, for its materialization event.

    Args:
        store: Where it is.
        manifest: What is stored.
        described: What its asset makes of the stored summary: metadata by name.
        browse_url: Address of the pages that show each video, if there are any.
        warn: Takes why pictures can't be shown: the result counts all the same.
    """
    path = store.path(manifest.asset, manifest.partition_key)
    return {
        **({"video": _page(browse_url, "video", manifest.partition_key)} if browse_url else {}),
        **_pictures(store, manifest, browse_url, warn),
        "sampling": sampling_words(manifest.parameters),
        **described,
        "path": dg.MetadataValue.path(str(path)),
        "created": dg.MetadataValue.timestamp(datetime.fromisoformat(manifest.created)),
    }


def _pictures(
    store: Store, manifest: Manifest, browse_url: str | None, warn: Callable[[str], object]
) -> dict[str, dg.MetadataValue]:
    """The pictures; of results elsewhere where to see them: a million videos' would fill 100 GB of the log."""
    key = manifest.partition_key
    if not store.is_local:
        shown = [name for name, picture in manifest.pictures.items() if picture.shown]
        if not browse_url:
            command = f"clip-assets show {shlex.quote(key)} --html FILE"
            told = dg.MetadataValue.text(f"stored beside the result; see them with: {command}")
            return {"pictures": told} if shown else {}
        asset = manifest.asset
        return {name.rpartition(".")[0]: _page(browse_url, "stored", key, asset=asset, name=name) for name in shown}
    try:
        pictures = store.pictures(manifest)
    except StoreError as error:
        warn(f"{key}: pictures can't be shown: {error}")
        return {}
    return {picture.name: _as_markdown(picture) for picture in pictures}


def _page(browse_url: str, kind: str, key: str, **asked: str) -> dg.UrlMetadataValue:
    """The address of what `clip-assets browse` has of a video."""
    question = f"?{urlencode(asked)}" if asked else ""
    return dg.MetadataValue.url(f"{browse_url.rstrip('/')}/{kind}/{quote(key, safe='/')}{question}")


def _as_markdown(picture: Picture) -> dg.MarkdownMetadataValue:
    """The picture itself, and below it what it shows, in words."""
    words = re.sub(r"([^\w\s.,:;%()-])", r"\\\1", " ".join(picture.alt.split()))
    return dg.MetadataValue.md(f"![{words}]({picture.data_url})\n\n{words}")
