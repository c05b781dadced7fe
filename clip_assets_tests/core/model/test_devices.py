"""Devices: what is asked for is there, or the error lists what is."""

from __future__ import annotations

import logging
import sys
from unittest.mock import Mock

import pytest

from clip_assets.core.errors import DeviceError
from clip_assets.core.model import devices
from clip_assets.core.model.devices import default_batch_size, expected_precision, resolve_devices, resolve_precision


@pytest.fixture
def cuda_count(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(devices, "_cuda_device_count", lambda: request.param)
    devices._fall_back_to_cpu.cache_clear()


@pytest.mark.parametrize("cuda_count", [0], indirect=True)
@pytest.mark.usefixtures("cuda_count")
def test_auto_without_a_gpu_is_the_cpu_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert resolve_devices("auto") == ("cpu",)
        assert resolve_devices("auto") == ("cpu",)
    assert [record.message for record in caplog.records] == ["No CUDA device is present: computing on the CPU."]


@pytest.mark.parametrize("cuda_count", [3], indirect=True)
@pytest.mark.usefixtures("cuda_count")
@pytest.mark.parametrize(
    ("asked", "expected"),
    [("auto", ("cuda:0",)), ("cpu", ("cpu",)), ([0, 2], ("cuda:0", "cuda:2")), (["cpu", "cpu"], ("cpu", "cpu"))],
)
def test_devices_are_named_as_torch_names_them(asked: object, expected: tuple[str, ...]) -> None:
    assert resolve_devices(asked) == expected


@pytest.mark.parametrize(
    ("cuda_count", "asked", "message"),
    [(0, [0], "CUDA device 0 is not there; CUDA devices present: none"), (2, [0, 5], "5 is not there.*present: 0, 1")],
    indirect=["cuda_count"],
)
@pytest.mark.usefixtures("cuda_count")
def test_an_absent_device_is_an_error_that_lists_those_present(asked: list[int], message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        resolve_devices(asked)


@pytest.mark.parametrize(
    ("asked", "on", "expected"),
    [
        ("auto", ("cpu",), "fp32"),
        ("auto", ("cuda:0", "cuda:1"), "fp16"),
        ("auto", ("cuda:0", "cpu"), "fp32"),
        ("bf16", ("cpu",), "bf16"),
    ],
)
def test_auto_precision_is_half_on_gpus_alone(asked: str, on: tuple[str, ...], expected: str) -> None:
    assert resolve_precision(asked, on, "fp16") == expected


@pytest.mark.parametrize(
    ("on", "image_flops", "expected"),
    [
        (("cpu",), 8_800_000_000, 9),
        (("cpu",), 382_000_000_000, 1),
        (("cpu", "cpu"), 14_000_000, 128),
        (("cuda:0", "cpu"), 8_800_000_000, 9),
        (("cuda:0", "cuda:1"), 8_800_000_000, 256),
    ],
)
def test_cpus_encode_the_fewer_pictures_together_the_larger_the_model(
    on: tuple[str, ...], image_flops: int, expected: int
) -> None:
    assert default_batch_size(on, image_flops) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="drivers are looked for on Linux alone")
def test_without_a_driver_torch_is_not_imported_to_ask_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "Path", lambda path: Mock(exists=lambda: False))
    monkeypatch.setattr(devices.ctypes, "CDLL", Mock(side_effect=OSError("libcuda.so.1: cannot open shared object")))
    monkeypatch.setitem(sys.modules, "torch", None)
    assert devices._cuda_device_count() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="drivers are looked for on Linux alone")
@pytest.mark.parametrize(("kfd", "error"), [(False, None), (True, OSError("no libcuda.so.1"))], ids=["nvidia", "amd"])
def test_with_a_driver_torch_is_asked(monkeypatch: pytest.MonkeyPatch, kfd: bool, error: OSError | None) -> None:
    monkeypatch.setattr(devices, "Path", lambda path: Mock(exists=lambda: kfd))
    monkeypatch.setattr(devices.ctypes, "CDLL", Mock(side_effect=error))
    cuda = Mock(is_available=lambda: True, device_count=lambda: 2)
    monkeypatch.setitem(sys.modules, "torch", Mock(cuda=cuda))
    monkeypatch.setattr(devices, "_machine", lambda: "")
    assert devices._cuda_device_count() == 2


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("auto", "fp16"), ("cpu", "fp32"), ([0, 5], "fp16"), ([0, "cpu"], "fp32"), (["cpu"], "fp32")],
)
def test_the_precision_of_a_machine_with_a_gpu_is_told_without_torch_once_that_was_asked(
    asked: object, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = Mock()
    torch.cuda.device_count.return_value = 2
    monkeypatch.setattr(devices, "_may_have_gpu", lambda: True)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(devices, "_machine", lambda: "two GPUs")
    resolve_devices("auto")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert expected_precision("auto", asked, "fp16") == expected
    assert expected_precision("bf16", asked, "fp16") == "bf16"


def test_another_torch_driver_or_choice_of_devices_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = Mock()
    torch.cuda.device_count.return_value = 1
    monkeypatch.setattr(devices, "_may_have_gpu", lambda: True)
    monkeypatch.setitem(sys.modules, "torch", torch)
    torch.__spec__ = Mock(origin=__file__)
    assert expected_precision("auto", "auto", "fp16") == "fp16"
    torch.cuda.is_available.return_value = False
    assert expected_precision("auto", "auto", "fp16") == "fp16"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert expected_precision("auto", "auto", "fp16") == "fp32"
    monkeypatch.setattr(devices, "_may_have_gpu", lambda: False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert expected_precision("auto", "auto", "fp16") == "fp32"
