from __future__ import annotations

import gc

from clip_assets.core.garbage import uncollected


def test_nothing_is_collected_meanwhile_and_again_afterwards_whoever_ends_first() -> None:
    first, second = uncollected(), uncollected()
    with first:
        assert not gc.isenabled()
        second.__enter__()
    assert gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()
