from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from calotype.core import atomic
from calotype.core.atomic import saving, sweep, write_atomic
from calotype.core.errors import UnsafeFile, WriteError
from tests import nursery
from tests.toy import Toy, same

OLD = {"a.bin": b"old a" * 1000, "sub/b.bin": b"old b" * 1000, "index.json": b"old index"}
NEW = {"a.bin": b"new a" * 2000, "sub/b.bin": b"new b" * 3000, "c.bin": b"new c", "index.json": b"new index"}


class Faults:
    """The operating system, of which the ``nth`` call that changes something fails."""

    def __init__(self, nth: int, number: int = errno.ENOSPC) -> None:
        self.left, self.number = nth, number

    def count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(self.number, os.strerror(self.number))

    def __getattr__(self, name: str):
        found = getattr(os, name)
        if name not in ("replace", "fsync", "open"):
            return found

        def counted(*arguments, **named):
            self.count()
            return found(*arguments, **named)

        return counted

    def opened(self, *arguments, **named):
        """``open`` for files of which each write counts, and writes no more than a part."""
        self.count()
        file, faults = open(*arguments, **named), self  # noqa: SIM115

        class Counted:
            def write(self, data):
                faults.count()
                return file.write(memoryview(data)[:4000])

            def __getattr__(self, name):
                return getattr(file, name)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

        return Counted()


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def write_all(folder: Path, files: dict[str, bytes]) -> None:
    with saving(folder) as save:
        for name, data in files.items():
            save.write(name, [data[:1000], memoryview(data)[1000:]])


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EMFILE])
def test_whichever_step_fails_all_is_old_or_all_is_new(tmp_path, monkeypatch, number, links):
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    outcomes = []
    for nth in range(1, 100):
        folder = tmp_path / str(nth)
        write_all(folder, OLD)
        faults = Faults(nth, number)
        monkeypatch.setattr(atomic, "os", faults)
        monkeypatch.setattr(atomic, "open", faults.opened, raising=False)
        try:
            write_all(folder, NEW)
            outcomes.append(NEW)
        except WriteError as error:
            assert str(folder) in str(error)
            outcomes.append(OLD)
        finally:
            monkeypatch.setattr(atomic, "os", os)
            monkeypatch.setattr(atomic, "open", open)
        assert contents(folder) == outcomes[-1], nth
        if faults.left > 0:
            break
    assert outcomes.count(NEW) == 1 and outcomes[-1] is NEW and len(outcomes) > 15


def test_a_full_disk_is_told_in_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "open", Faults(2).opened, raising=False)
    with pytest.raises(WriteError, match=r"x\.bin.*at least 5,000 bytes are needed, [\d,]+ are free.*untouched"):
        write_atomic(tmp_path / "x.bin", [bytes(1000), bytes(4000)])
    assert contents(tmp_path) == {}


def test_a_real_limit_of_the_system_is_an_error_and_nothing_is_lost(tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    code = f"""
import resource, signal
from calotype.core.atomic import write_atomic
from calotype.core.errors import WriteError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    write_atomic({str(tmp_path / "x")!r}, [bytes(9000)])
except WriteError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "could not be written" in told
    assert contents(tmp_path) == {"x": b"old"}


def test_an_error_between_two_files_leaves_all_as_it_was(tmp_path):
    write_all(tmp_path, OLD)
    with pytest.raises(ZeroDivisionError), saving(tmp_path) as save:
        save.write("a.bin", [b"new"])
        raise ZeroDivisionError
    assert contents(tmp_path) == OLD


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="file/x"):
        write_atomic(tmp_path / "file" / "x", [b""])


def test_names_cannot_leave_the_folder(tmp_path):
    for name in ("../x", "/x", "a/../../x", "C:x", ""):
        with pytest.raises(UnsafeFile), saving(tmp_path / "inner") as save:
            save.write(name, [b""])
    assert contents(tmp_path) == {}


def test_what_becomes_stale_goes_only_when_the_rest_is_there(tmp_path):
    write_all(tmp_path, OLD)
    with saving(tmp_path) as save:
        save.write("c.bin", [b"c"])
        save.remove("a.bin")
        assert (tmp_path / "a.bin").exists()
    assert sorted(contents(tmp_path)) == ["c.bin", "index.json", "sub/b.bin"]


def test_leftovers_of_the_dead_are_swept_and_those_of_the_living_kept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    tag = atomic._tag()
    names = {
        f".x.{tag}-{dead.pid}-0.tmp": False,
        f".x.{tag}-{os.getpid()}-0.tmp": True,
        ".x.00000000-1-0.tmp": True,  # of another machine, written just now
        ".old.00000000-1-0.tmp": False,  # of another machine, written long ago
        ".own.tmp": True,
        "x.bin": True,
    }
    for name in names:
        (tmp_path / name).write_text("")
    os.utime(tmp_path / ".old.00000000-1-0.tmp", (0, time.time() - 90_000))
    sweep(tmp_path)
    assert {name: (tmp_path / name).exists() for name in names} == names


CHILD = """
import sys, torch
from tests.toy import Toy
one, other = (Toy.from_pretrained(folder) for folder in sys.argv[2:])
print("ready", flush=True)
while True:
    other.save_pretrained(sys.argv[1], max_shard_size=300)
    one.save_pretrained(sys.argv[1], max_shard_size=300)
"""


def test_a_process_killed_while_saving_leaves_every_file_whole(tmp_path):
    torch.manual_seed(0)
    networks = [Toy(), Toy()]
    for network, name in zip(networks, "ab", strict=True):
        network.save_pretrained(tmp_path / name)
    target, draw = tmp_path / "target", random.Random(0)
    networks[0].save_pretrained(target, max_shard_size=300)
    for _ in range(3):
        child = nursery.start(CHILD, target, tmp_path / "a", tmp_path / "b")
        while child.said() != "ready\n":
            time.sleep(0.01)
        time.sleep(draw.uniform(0.01, 0.1))
        child.process.kill()
        assert child.result().returncode == -signal.SIGKILL
        loaded = Toy.from_pretrained(target)
        parts = {key: [torch.equal(n.state_dict()[key], t) for n in networks] for key, t in loaded.state_dict().items()}
        assert all(any(which) for which in parts.values())
    networks[1].save_pretrained(target)
    assert sorted(os.listdir(target)) == ["config.json", "diffusion_pytorch_model.safetensors"]
    assert same(Toy.from_pretrained(target), networks[1])
