"""Digests: equal for equal parameters, whatever the order of keys, and different for all else."""

from __future__ import annotations

import pytest

from clip_assets.core.digests import digest


def test_the_order_of_keys_does_not_matter() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})


@pytest.mark.parametrize("other", [{"a": 2}, {"a": "1"}, {"a": 1.5}, {"b": 1}, {"a": 1, "b": None}, {"a": [1]}])
def test_different_parameters_have_different_digests(other: dict[str, object]) -> None:
    assert digest({"a": 1}) != digest(other)


def test_a_digest_never_changes_between_versions() -> None:
    assert digest({"texts": ["a dog"]}) == "99a51530f396861d60d35e83484fe279ecbf4f19c3d0a03d748e422b65c21698"


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError):
        digest({"a": object()})
