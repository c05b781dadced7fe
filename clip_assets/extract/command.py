"""The command: arguments in, exit code out."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from clip_assets.extract.arguments import parse_arguments
from clip_assets.extract.options import FLAGS, KEYS, help_lines, read_request
from clip_assets.extract.printing import note, print_lines
from clip_assets.settings import load_env_file


def run(argv: Sequence[str]) -> int:
    """Extract what the arguments say; the exit code: 0 all done, 1 at least one video failed.

    Raises:
        ClipAssetsError: An argument or a setting is wrong; nothing was done.
    """
    arguments = parse_arguments(argv, KEYS, FLAGS)
    if arguments.wants_help:
        print_lines(help_lines())
        return 0
    load_env_file()
    request = read_request(arguments)
    if request.options.verbose:
        logging.getLogger().setLevel(logging.INFO)
    if {"tmp_path", "keep_tmp_files"} & request.options.model_fields_set:
        note("tmp_path and keep_tmp_files have no effect: nothing is re-encoded.")
    from clip_assets.extract.extraction import Extraction
    from clip_assets.extract.plan import make_plan

    extraction = Extraction(request, make_plan(request))
    extraction.run()
    return 1 if extraction.failed else 0
