"""The page ``/check`` as HTML, in English and Urdu: no script, one form, for any telephone that shows a page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape

from warning.alerts.display import local_time
from warning.operate import schema
from warning.region import Region, named

LANGUAGES = {"en": "English", "ur": "اردو"}
RIGHT_TO_LEFT = frozenset(("ur", "ps", "sd", "fa", "prs"))
WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Is this warning real?",
        "ask": "Write the code from the end of the message (7 letters and digits).",
        "button": "Check",
        "in_force": "Yes: this warning is ours, and it is in force.",
        "replaced": "This message was ours, but it is old. A newer one has replaced it.",
        "ended": "This message was ours. The warning is over.",
        "expired": "This message was ours. It has run out and says nothing about today.",
        "unknown": "No: we did not send a message with this code. Do not follow it and do not pass it on. "
        "If you see water rising, go to higher ground all the same.",
        "malformed": "This is no code of ours: a code has 7 letters and digits, at the end of the message.",
        "document_mark": "5 letters and digits are the mark in a CAP document. It proves nothing: anybody can make it. Compare the "
        "document's identifier with our list of warnings, and its signature with our certificate; "
        "or write the 7 letters and digits that end our message.",
        "rate_limited": "Too many codes were asked about. Try again in a minute. If in doubt, do what the warning says.",
        "unavailable": "We cannot check codes at this moment. If in doubt, do what the warning says.",
        "compare": "Our message with this code says:",
        "other": "If yours says something else, it is not ours.",
        "newest": "What holds now:",
        "sent": "Sent",
        "until": "Holds until",
        "exercise": "EXERCISE. Nothing here is happening.",
    },
    "ur": {
        "title": "کیا یہ انتباہ اصلی ہے؟",
        "ask": "پیغام کے آخر میں دیا گیا کوڈ لکھیں (7 حروف اور ہندسے)۔",
        "button": "جانچیں",
        "in_force": "جی ہاں: یہ انتباہ ہمارا ہے اور اس وقت نافذ ہے۔",
        "replaced": "یہ پیغام ہمارا تھا، لیکن پرانا ہو چکا ہے۔ اس کی جگہ نیا پیغام آ گیا ہے۔",
        "ended": "یہ پیغام ہمارا تھا۔ انتباہ ختم ہو چکا ہے۔",
        "expired": "یہ پیغام ہمارا تھا۔ اس کی مدت ختم ہو چکی ہے اور یہ آج کے بارے میں کچھ نہیں بتاتا۔",
        "unknown": "نہیں: ہم نے اس کوڈ کا کوئی پیغام نہیں بھیجا۔ اس پر عمل نہ کریں اور آگے نہ بھیجیں۔ "
        "اگر پانی بڑھتا نظر آئے تو پھر بھی اونچی جگہ چلے جائیں۔",
        "malformed": "یہ ہمارا کوڈ نہیں: کوڈ پیغام کے آخر میں 7 حروف اور ہندسوں کا ہوتا ہے۔",
        "document_mark": "5 حروف اور ہندسے CAP دستاویز کا نشان ہیں۔ اس سے کچھ ثابت نہیں ہوتا: اسے کوئی بھی بنا سکتا ہے۔ دستاویز کی شناخت "
        "ہماری فہرست سے اور دستخط ہمارے سرٹیفکیٹ سے ملائیں، یا پیغام کے آخر کے 7 حروف اور ہندسے لکھیں۔",
        "rate_limited": "بہت زیادہ کوڈ پوچھے گئے۔ ایک منٹ بعد دوبارہ کوشش کریں۔ شک ہو تو انتباہ پر عمل کریں۔",
        "unavailable": "اس وقت کوڈ کی جانچ ممکن نہیں۔ شک ہو تو انتباہ پر عمل کریں۔",
        "compare": "اس کوڈ والا ہمارا پیغام یہ ہے:",
        "other": "اگر آپ کا پیغام کچھ اور کہتا ہے تو وہ ہمارا نہیں۔",
        "newest": "اب یہ نافذ ہے:",
        "sent": "بھیجا گیا",
        "until": "نافذ رہے گا",
        "exercise": "مشق۔ حقیقت میں کچھ نہیں ہو رہا۔",
    },
}


def language_of(wanted: str, accepted: str) -> str:
    """What was asked for, else what the browser prefers, else English."""
    for one in (wanted, *(part.split(";")[0].strip() for part in accepted.split(","))):
        if (short := one.lower().split("-")[0]) in LANGUAGES:
            return short
    return "en"


def page(region: Region, language: str, code: str, state: str, found: schema.CheckAnswer | None) -> str:
    """The whole page. ``state`` "": nothing was asked yet."""
    words = WORDS[language]
    others = " ".join(
        f'<a href="/check?language={one}&amp;code={escape(_plain(code))}" lang="{one}">{name}</a>'
        for one, name in LANGUAGES.items()
        if one != language
    )
    direction = "rtl" if language in RIGHT_TO_LEFT else "ltr"
    return f"""<!doctype html>
<html lang="{language}" dir="{direction}">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<title>{words["title"]}</title><link rel="stylesheet" href="/page/check.css">
</head>
<body>
<header><p>{escape(named(region.names, language))}</p><nav>{others}</nav></header>
<main>
<h1>{words["title"]}</h1>
<form action="/check" method="get">
<label for="code">{words["ask"]}</label>
<input type="hidden" name="language" value="{language}">
<input id="code" name="code" value="{escape(code)}" dir="ltr" lang="en" maxlength="20" required
 autocomplete="off" autocapitalize="characters" spellcheck="false">
<button>{words["button"]}</button>
</form>
{_answer(region, language, state, found) if state else ""}
</main>
</body>
</html>
"""


def _plain(code: str) -> str:
    """For a link: what could be a code."""
    return "".join(character for character in code if character.isascii() and character.isalnum())


def _answer(region: Region, language: str, state: str, found: schema.CheckAnswer | None) -> str:
    words = WORDS[language]
    lines = [f'<section class="{state}" role="status">', f'<p class="answer">{words[state]}</p>']
    if found is not None and found.messages:
        if found.status != "Actual":
            lines.insert(1, f'<p class="exercise">{words["exercise"]}</p>')
        if found.newest:
            lines.append(f"<h2>{words['newest']}</h2>{_said(_first(found.newest, language))}")
        lines.append(f"<h2>{words['compare']}</h2>")
        lines += [_said(one) for one in sorted(found.messages.items(), key=lambda one: one[0] != language)]
        lines.append(f"<p>{words['other']}</p>")
        times = [("sent", found.sent)] + ([("until", found.until)] if state == "in_force" else [])
        told = [f"<dt>{words[name]}</dt><dd>{escape(local_time(_ms(at), region, language))}</dd>" for name, at in times if at]
        lines.append(f"<dl>{''.join(told)}</dl>")
    return "\n".join([*lines, "</section>"])


def _first(texts: Mapping[str, str], language: str) -> tuple[str, str]:
    return (language, texts[language]) if language in texts else next(iter(texts.items()))


def _said(text: tuple[str, str]) -> str:
    language, words = text
    return f'<blockquote lang="{language}" dir="{"rtl" if language in RIGHT_TO_LEFT else "ltr"}">{escape(words)}</blockquote>'


def _ms(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000)
