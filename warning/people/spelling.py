"""Words as people type them on a phone: case, script, digits and marks forgiven. Pure."""

from __future__ import annotations

import re
import unicodedata

# One letter, several code points: what keyboards of Arabic, Urdu and Sindhi write for the same.
_SAME = str.maketrans(
    {"ي": "ی", "ى": "ی", "ئ": "ی", "ك": "ک", "ه": "ہ", "ة": "ہ", "ۃ": "ہ", "ۂ": "ہ", "ھ": "ہ", "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا"}
    | {"ؤ": "و", "ـ": "", "\u200c": "", "\u200d": "", "ء": ""}
)
_MARKS = {ord(mark): None for mark in "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c\ufeff"}
_DECIMAL = re.compile(r"(?<=\d)[٫·](?=\d)|(?<=\d)۔(?=\d)")
_GROUP = re.compile(r"(?<=\d)[،٬](?=\d)")
_MINUS = re.compile(r"(?<!\w)[−–](?=\d)")


def plain(text: str) -> str:
    """The text with our digits, ``.`` and ``,`` as marks in numbers, composed letters, without marks of direction."""
    # What looks like a digit and is none (5² is not 52, ½ not 1 2) stays what it is: no number is made of it.
    text = "".join(
        letter if unicodedata.category(letter) == "No" else unicodedata.normalize("NFKC", letter)
        for letter in unicodedata.normalize("NFC", text.translate(_MARKS))
    )
    digits = "".join(str(unicodedata.decimal(letter)) if letter.isdecimal() else letter for letter in text)
    return _MINUS.sub("-", _GROUP.sub(",", _DECIMAL.sub(".", digits)))


def folded(word: str) -> str:
    """A word so that spellings of it meet: small letters without accents, one code point a letter, no blanks and hyphens."""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", word).casefold().translate(_SAME))
    # Vowel signs of Sinhala and Tamil are letters there; marks of Arabic and Latin are none that people write.
    return "".join(letter for letter in parts if letter.isalnum() or letter in "%/" or "\u0900" <= letter <= "\u0dff")


def distance(one: str, other: str, most: int) -> int:
    """Letters to change, add, drop or swap with their neighbour to make the one the other (optimal string alignment); more: most + 1."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, its in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != its))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == its:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return min(row[-1], most + 1)
