"""The guard of tests/conftest.py: unit tests start no program and stay on this machine."""

import socket
import subprocess

import pytest

REFUSED = pytest.fail.Exception


def test_programs_are_refused() -> None:
    with pytest.raises(REFUSED, match="started"):
        subprocess.run(["true"], check=False)


def test_other_machines_are_refused() -> None:
    with socket.socket() as connection, pytest.raises(REFUSED, match="reached for"):
        connection.connect(("192.0.2.1", 80))


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
