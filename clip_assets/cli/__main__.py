"""``python -m clip_assets.cli``: as ``clip-assets``."""

import sys

from clip_assets.cli.main import main

sys.exit(main())
