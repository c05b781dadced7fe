import uuid

import pytest


@pytest.fixture(params=["local", "file", "memory"])
def root(request, tmp_path):
    return {
        "local": tmp_path / "out put",
        "file": f"file://{tmp_path.as_posix()}/output",
        "memory": f"memory://{uuid.uuid4()}/output",
    }[request.param]
