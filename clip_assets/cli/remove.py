"""``clip-assets remove``: videos that are no partitions any more, as after they left a watched folder."""

import difflib
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence

from clip_assets.core.errors import LibraryError, SettingsError
from clip_assets.core.library.named import Named, registered_keys
from clip_assets.core.store import Store
from clip_assets.orchestration.instance import forget, held_keys, open_instance, registered
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.project import load_settings
from clip_assets.settings import LibrarySettings


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of ``remove``."""
    parser.add_argument(
        "named",
        nargs="*",
        type=Named.parse,
        metavar="KEY | FOLDER",
        help="registered videos; a folder: all below it; after --, also names that begin with -",
    )
    parser.add_argument("--gone", action="store_true", help="those whose file isn't in the library")
    parser.add_argument(
        "--results", choices=["keep", "trash"], help="what becomes of what is stored (default: CLIP_ASSETS_REMOVED)"
    )
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Forget videos; 1 if a run holds one, which stays."""
    settings = load_settings(arguments.library)
    names = LibraryNames.of(settings)
    results = arguments.results or settings.removed
    with open_instance() as instance:
        order = registered(instance, names)
        keys = chosen_keys(settings, arguments.named, order, gone=arguments.gone)
        held = held_keys(instance, names, order).intersection(keys)
        free = [key for key in keys if key not in held]
        for key in forget(instance, names, Store(settings.output), free, results):
            sys.stdout.write(f"removed {key}\n")
    for line in forgotten(settings, free, results):
        sys.stdout.write(f"{line}\n")
    for key in sorted(held):
        sys.stderr.write(f"clip-assets: {key} stays: a run holds it. Cancel the run, or wait until it has ended.\n")
    return 1 if held else 0


def chosen_keys(settings: LibrarySettings, named: Sequence[Named], order: Sequence[str], *, gone: bool) -> list[str]:
    """The partition keys that are meant, in order of registration.

    Args:
        settings: The deployment's.
        named: Keys and folders.
        order: The registered keys.
        gone: Of these only those whose file isn't there; of all, where none are named.

    Raises:
        SettingsError: Nothing is named.
        LibraryError: A name is that of no registered video; or all are gone, and the library is empty.
    """
    if not named and not gone:
        raise SettingsError("Name videos or folders to remove, or --gone for all whose file isn't there.")
    chosen: set[str] = set()
    for name in named:
        found = registered_keys(settings.source, name, order)
        if not found:
            near = difflib.get_close_matches(name.text, order, n=1)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            raise LibraryError(f"No registered video is, or lies below, {name.text!r}.{guess}")
        chosen.update(found)
    keys = [key for key in order if key in chosen or not named]
    if not gone:
        return keys
    source = settings.source
    source.check_listable()
    seen = source.signatures(keys)
    keys = [key for key in keys if seen[key] is None and source.is_gone(key)]
    if keys and not source.listing().videos:
        raise LibraryError(
            f"There is no video at all in {source.where()}: is a disk unmounted? Nothing is removed. "
            "Name the videos or folders to remove them all the same."
        )
    return keys


def forgotten(settings: LibrarySettings, removed: Sequence[str], results: str) -> Iterator[str]:
    """What is to be known after videos were forgotten: where their results are, and which come back.

    Args:
        settings: The deployment's.
        removed: Their partition keys.
        results: What became of what is stored, ``keep`` or ``trash``.
    """
    if not removed:
        yield "Nothing to remove."
        return
    yield f"Results are {'kept in' if results == 'keep' else 'in trash/ below'} {settings.output}."
    if present := sum(seen is not None for seen in settings.source.signatures(removed).values()):
        yield (
            f"{present} of them {'is' if present == 1 else 'are'} still in the library: a watched folder, "
            "clip-assets add and clip-assets run take them again. Move the files away to be rid of them."
        )
