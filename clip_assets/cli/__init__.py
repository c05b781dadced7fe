"""``clip-assets``: the platform from a terminal, a file for each command.

What belongs here reads arguments and says what came of it. The work is done elsewhere, where the UI and the assets find
it too.
"""

from clip_assets.cli.commands import main

__all__ = ["main"]
