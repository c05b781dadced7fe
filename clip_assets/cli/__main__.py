"""``python -m clip_assets.cli``: as ``clip-assets``."""

import sys

from clip_assets.cli.commands import main

sys.exit(main())
