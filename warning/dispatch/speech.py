"""Words -> a WAV file as telephones play it (8000 samples a second, 16 bits, one channel), by espeak-ng."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
import wave
from pathlib import Path

import numpy as np

from warning.errors import Unavailable

PROGRAM = "espeak-ng"
VOICES = {"en": "en-gb", "ur": "ur", "fa": "fa", "prs": "fa", "ru": "ru", "sd": "sd", "si": "si", "ta": "ta", "uz": "uz", "zh": "cmn"}
RATE_HZ = 8000
WORDS_A_MINUTE = "140"  # slower than its 175: it is the first time that somebody hears it
TIMES = 2  # said so often: who picks up misses the beginning
PAUSE_S = 1.0
WITHIN_S = 60.0
TAPS = 63


def spoken(language: str) -> str:
    """The language that is spoken for one that is written: English where there is no voice (Pashto)."""
    base = language.split("-")[0]
    return base if base in VOICES else "en"


def name_of(words: str, language: str) -> str:
    """Of the file: the same words are made once."""
    return hashlib.blake2b(f"{language} {words}".encode(), digest_size=12).hexdigest()


async def say(words: str, language: str, folder: Path) -> Path:
    """The WAV file of these words, made if it is not there. Raises Unavailable where espeak-ng is not or cannot."""
    path = folder / f"{name_of(words, language)}.wav"
    if path.exists():
        with contextlib.suppress(PermissionError):  # another user's, who keeps it
            os.utime(path)  # a call will play it: only the oldest are deleted
        return path
    program = shutil.which(PROGRAM)
    if program is None:
        raise Unavailable("espeak-ng is not installed: no voice can be made (Debian: apt-get install espeak-ng)", reason="unavailable")
    raw = path.with_suffix(f".{secrets.token_hex(8)}.raw")  # of this call alone: thousands are told the same words at once
    command = (program, "-v", VOICES[spoken(language)], "-s", WORDS_A_MINUTE, "-b", "1", "-w", str(raw), "--stdin")
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(WITHIN_S):
                _, wrong = await process.communicate(words.encode())
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode or not raw.exists():
            raise Unavailable(f"espeak-ng: {wrong.decode(errors='replace')[:200]}", reason="unavailable")
        await asyncio.to_thread(_for_telephones, raw, path)
    except TimeoutError as error:
        raise Unavailable(f"espeak-ng said nothing for {WITHIN_S:.0f} s", reason="unavailable") from error
    finally:
        raw.unlink(missing_ok=True)
    return path


def _for_telephones(raw: Path, path: Path) -> None:
    with wave.open(str(raw)) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    once = resampled(samples, rate, RATE_HZ)
    pause = np.zeros(int(PAUSE_S * RATE_HZ))
    whole = np.concatenate([piece for _ in range(TIMES) for piece in (pause, once)])
    fresh = raw.with_suffix(".tmp")
    with wave.open(str(fresh), "wb") as file:
        file.setparams((1, 2, RATE_HZ, len(whole), "NONE", ""))
        file.writeframes(np.clip(np.rint(whole), -32768, 32767).astype("<i2").tobytes())
    fresh.replace(path)


def resampled(samples: np.ndarray, rate_hz: int, to_hz: int) -> np.ndarray:
    """Low-pass below half of the new rate (a windowed sinc, Hamming; Smith 1997, ch. 16), then straight lines between samples.

    ``samples``: float, shape (n,); the result has shape (n * to_hz / rate_hz,).
    """
    cut = 0.45 * to_hz / rate_hz
    at = np.arange(TAPS) - TAPS // 2
    kernel = 2 * cut * np.sinc(2 * cut * at) * np.hamming(TAPS)
    smooth = np.convolve(samples, kernel / kernel.sum(), mode="same")
    count = int(len(samples) * to_hz / rate_hz)
    return np.interp(np.arange(count) * rate_hz / to_hz, np.arange(len(samples)), smooth)
