"""What is only said by hand: that an alert is withdrawn, on whose word it stands, that it is sent again. English stands in.

An end by hand says nothing of the water: the alert may have been wrong. Drafts for a native speaker, as the texts of their languages are.
"""

from __future__ import annotations

from warning.alerts.languages import language_of

WITHDRAWN = {
    "en": "The warning for {place} is withdrawn ({time}).",
    "ur": "{place} کے لیے وارننگ واپس لے لی گئی ({time})۔",
    "si": "{place}: අනතුරු ඇඟවීම ඉවත් කර ගන්නා ලදී ({time}).",
    "ps": "{place}: خبرداری بېرته واخیستل شو ({time}).",
    "sd": "{place}: خبرداري واپس ورتي وئي ({time}).",
    "fa": "{place}: هشدار پس گرفته شد ({time}).",
    "ru": "{place}: предупреждение отозвано ({time}).",
    "uz": "{place}: ogohlantirish bekor qilindi ({time}).",
    "zh": "{place}：警报已撤销（{time}）。",
    "ta": "{place}: எச்சரிக்கை திரும்பப் பெறப்பட்டது ({time}).",
}
SAID = {
    "en": "said by the duty officer: {said}",
    "ur": "ڈیوٹی افسر کے مطابق: {said}",
    "si": "රාජකාරි නිලධාරියා පවසන පරිදි: {said}",
    "ps": "د نوکریوال افسر په وینا: {said}",
    "sd": "ڊيوٽي آفيسر موجب: {said}",
    "fa": "به گفته افسر نوبت: {said}",
    "ru": "сообщил дежурный: {said}",
    "uz": "navbatchi aytishicha: {said}",
    "zh": "值班人员报告：{said}",
    "ta": "பொறுப்பு அதிகாரி கூறியது: {said}",
}
AGAIN = {  # and where there is no room for it
    "en": ("Sent again.", "Again."),
    "ur": ("دوبارہ بھیجا گیا۔", "دوبارہ۔"),
    "si": ("නැවත යවන ලදී.", "නැවත."),
    "ps": ("بیا لېږل شوی.", "بیا."),
    "sd": ("ٻيهر موڪليل.", "ٻيهر."),
    "fa": ("دوباره فرستاده شد.", "دوباره."),
    "ru": ("Отправлено повторно.", "Повторно."),
    "uz": ("Qayta yuborildi.", "Qayta."),
    "zh": ("再次发送。", "重发。"),
    "ta": ("மீண்டும் அனுப்பப்பட்டது.", "மீண்டும்."),
}


def withdrawn(language: str) -> str:
    """Template with ``place`` and ``time``."""
    return WITHDRAWN.get(language_of(language), WITHDRAWN["en"])


def again(language: str, *, short: bool = False) -> str:
    """That an operator had the same message sent again."""
    return AGAIN.get(language_of(language), AGAIN["en"])[short]


def said(language: str) -> str:
    """Template with ``said``: a person's own words, in whatever language they were written."""
    return SAID.get(language_of(language), SAID["en"])
