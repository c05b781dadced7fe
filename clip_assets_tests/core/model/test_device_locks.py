"""Tests of the locks that keep two processes from computing on one device at once."""

import multiprocessing
from multiprocessing.connection import Connection

from clip_assets.core.model.device_locks import held_alone


def _hold(device: str, told: Connection) -> None:
    with held_alone([device], told.send) as waited:
        told.send(waited)


def test_another_process_waits_for_a_device_and_is_told_that_it_did() -> None:
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    other = context.Process(target=_hold, args=("cpu", theirs))
    with held_alone(["cpu"], lambda line: None) as waited:
        assert not waited
        other.start()
        assert mine.recv() == "Waits: another process encodes on cpu."
        assert not mine.poll(0.2)
    assert mine.recv() is True
    other.join()


def test_other_devices_are_not_waited_for() -> None:
    with held_alone(["cpu"], lambda line: None), held_alone(["meta"], lambda line: None) as waited:
        assert not waited


def test_a_device_that_is_named_twice_is_held_once() -> None:
    with held_alone(["cpu", "cpu"], lambda line: None) as waited:
        assert not waited
