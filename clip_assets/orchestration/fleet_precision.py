"""Whether all machines of an instance compute in the same number format where the settings leave it to the device."""

import json
import platform
import time

import dagster as dg

from clip_assets.core.errors import SettingsError
from clip_assets.core.model.devices import expected_precision
from clip_assets.models import family_of
from clip_assets.orchestration.dagster_storage import InstancePages
from clip_assets.settings import LibrarySettings, variable_name

_REMEMBERED_SECONDS = 7 * 24 * 60 * 60.0
"""After which a machine that wasn't started since counts no more."""


def check_same_precision(instance: dg.DagsterInstance, settings: LibrarySettings) -> None:
    """Note in which precision this machine would compute a library, unless the settings say.

    Raises:
        SettingsError: Another machine noted another one. Results depend on it, so each would take the other's for
            stale.
    """
    if settings.precision != "auto":
        return
    on_gpus = family_of(settings.model_name).gpu_precision
    here, now = expected_precision("auto", settings.device_ids, on_gpus), time.time()
    pages: InstancePages[str] = InstancePages(instance, "precision")
    library = settings.name or "-"
    noted = json.loads(pages.read([library]).get(library, "{}"))
    noted = {host: told for host, told in noted.items() if told["at"] > now - _REMEMBERED_SECONDS}
    this_host = platform.node()
    noted[this_host] = {"precision": here, "at": now}
    for host, told in noted.items():
        if told["precision"] != here:
            raise SettingsError(
                f"{variable_name('precision')} is auto, which is {here} on {this_host} and {told['precision']} on "
                f"{host}: each would take the other's results for stale. Set it to one of them on all machines."
            )
    pages.write(library, json.dumps(noted))
