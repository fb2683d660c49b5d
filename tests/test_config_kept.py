"""A large region as it was built: the same to the last field, and only as long as nothing that it was made of has changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from warning import config, config_kept
from warning.region import Region

ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(config_kept, "LEAST_BYTES", 1)
    return Path(shutil.copytree(ROOT / "config" / "sri-lanka", tmp_path / "sri-lanka"))


def read(folder: Path, kept_in: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Region, bool]:
    """The region, and whether its files were read."""
    files = []
    with monkeypatch.context() as patch:
        patch.setattr(config, "read", lambda path, really=config.read: (files.append(path), really(path))[1])
        return config.load(folder, kept_in), bool(files)


def kept_file(directory: Path) -> Path:
    (found,) = directory.glob("*.kept")
    return found


@pytest.mark.parametrize("name", ["indus", "sri-lanka"])
def test_what_is_kept_is_the_region_to_the_last_field(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_kept, "LEAST_BYTES", 1)
    whole = config.load(ROOT / "config" / name)
    for anew in (True, False):
        found, files_read = read(ROOT / "config" / name, tmp_path / "data", monkeypatch)
        assert files_read is anew
        assert found == whole
        assert repr(found) == repr(whole), "the types too: no list for a tuple, no 1 for 1.0"
    assert kept_file(tmp_path / "data").stat().st_mode & 0o777 == 0o600, "phone numbers are in it"
    assert len(list((tmp_path / "data").iterdir())) == 1


def test_a_changed_file_counts_at_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, _ = read(folder, tmp_path, monkeypatch)
    contacts = folder / "contacts.csv"
    lines = contacts.read_text(encoding="utf-8").splitlines()
    contacts.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    after, files_read = read(folder, tmp_path, monkeypatch)
    assert files_read and len(after.contacts) == len(before.contacts) - 1
    (folder / "limits.csv").write_text("no table\n", encoding="utf-8")
    with pytest.raises(config.ConfigError):
        config.load(folder, tmp_path)


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_damaged_one_is_none(place: int, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = read(folder, tmp_path, monkeypatch)
    content = bytearray(kept_file(tmp_path).read_bytes())
    content[place] ^= 1
    kept_file(tmp_path).write_bytes(content)
    assert read(folder, tmp_path, monkeypatch) == (whole, True)
    kept_file(tmp_path).write_bytes(content[:100])
    assert read(folder, tmp_path, monkeypatch) == (whole, True)
    assert read(folder, tmp_path, monkeypatch) == (whole, False), "it was written anew"


def test_other_code_reads_the_files_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(folder, tmp_path, monkeypatch)
    monkeypatch.setattr(config_kept, "_code", lambda: b"another version")
    assert read(folder, tmp_path, monkeypatch)[1]


def test_a_small_region_and_a_disk_that_takes_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    assert read(folder, tmp_path / "file", monkeypatch)[1], "a file is no folder: nothing can be kept there"
    monkeypatch.setattr(config_kept, "LEAST_BYTES", 4 << 20)
    for _ in range(2):
        assert read(folder, tmp_path / "data", monkeypatch)[1]
    assert not (tmp_path / "data").exists()
