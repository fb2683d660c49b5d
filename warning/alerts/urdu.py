"""Urdu. A draft: written for this project, not yet reviewed by a native speaker of the flood service."""

from __future__ import annotations

from warning.alerts.phrases import Phrases
from warning.model import Level

URDU = Phrases(
    language="ur",
    draft=True,
    event="سیلاب",
    exercise="مشق: ",
    test="آزمائش: ",
    exercise_note="یہ ایک مشق ہے۔ اس میں بیان کردہ کوئی بات حقیقت میں نہیں ہو رہی؛ صرف نامزد شرکاء اس پر عمل کریں۔",
    classes={
        Level.UNKNOWN: "نامعلوم",
        Level.NORMAL: "سیلاب کی سطح سے نیچے",
        Level.LOW: "نچلے درجے کا سیلاب",
        Level.MEDIUM: "درمیانے درجے کا سیلاب",
        Level.HIGH: "اونچے درجے کا سیلاب",
        Level.VERY_HIGH: "بہت اونچے درجے کا سیلاب",
        Level.EXCEPTIONAL: "انتہائی اونچے درجے کا سیلاب",
    },
    actions={
        Level.NORMAL: "سیلاب کی وارننگ ختم۔",
        Level.LOW: "دریا سے دور رہیں۔",
        Level.MEDIUM: "مویشی اور سامان کنارے سے ہٹا لیں۔",
        Level.HIGH: "دریا کا کنارہ اور نشیبی علاقہ خالی کریں۔",
        Level.VERY_HIGH: "نشیبی علاقہ فوراً خالی کریں۔",
        Level.EXCEPTIONAL: "فوراً اونچی جگہ چلے جائیں۔",
    },
    instructions={
        Level.NORMAL: "وارننگ ختم ہو گئی ہے۔ ٹوٹی ہوئی سڑکیں، پل اور پشتے اب بھی خطرناک ہیں؛ صرف مقامی انتظامیہ کے کہنے پر واپس جائیں۔",
        Level.LOW: "دریا میں نہ اتریں اور اس کے ٹاپوؤں پر نہ جائیں۔ مزید پیغامات کا انتظار کریں۔",
        Level.MEDIUM: "لوگوں، مویشیوں اور سامان کو دریا کے کنارے اور ٹاپوؤں سے ہٹا "
        "لیں۔ علاقہ چھوڑنے کے لیے تیار رہیں۔ زیر آب سڑکیں پار نہ کریں۔",
        Level.HIGH: "دریا کا کنارہ اور ساتھ کا نشیبی علاقہ خالی کریں۔ بچوں، بزرگوں اور "
        "بیماروں کو پہلے نکالیں۔ ضروری کاغذات، دوائیں اور پینے کا پانی ساتھ لیں۔ "
        "سیلابی پانی میں پیدل یا گاڑی پر نہ جائیں۔ مقامی انتظامیہ کی ہدایات پر عمل کریں۔",
        Level.VERY_HIGH: "دریا کے قریب نشیبی علاقہ فوراً خالی کریں، اس سے پہلے کہ پانی راستے "
        "بند کر دے۔ بچوں، بزرگوں اور بیماروں کو پہلے نکالیں۔ بجلی بند کر دیں۔ "
        "سیلابی پانی میں پیدل یا گاڑی پر نہ جائیں۔ مقامی انتظامیہ کی ہدایات پر عمل کریں۔",
        Level.EXCEPTIONAL: "فوراً اونچی جگہ چلے جائیں۔ سامان بچانے کے لیے نہ رکیں۔ بچوں، بزرگوں "
        "اور بیماروں کو پہلے نکالیں۔ پشتوں سے دور رہیں: وہ ٹوٹ سکتے ہیں۔ "
        "سیلابی پانی میں پیدل یا گاڑی پر نہ جائیں۔ مقامی انتظامیہ کی ہدایات پر عمل کریں۔",
    },
    sentences={
        "expected": "{place} پر {level} متوقع، تقریباً {time}۔",
        "expected_untimed": "{place} پر {level} متوقع۔",
        "observed": "{place} پر {level} ({time})۔",
        "upgrade_expected": "درجہ بڑھا: {place} پر {level} متوقع، تقریباً {time}۔",
        "upgrade_expected_untimed": "درجہ بڑھا: {place} پر {level} متوقع۔",
        "upgrade_observed": "درجہ بڑھا: {place} پر {level} ({time})۔",
        "downgrade_expected": "درجہ گھٹا: {place} پر {level} متوقع، تقریباً {time}۔",
        "downgrade_expected_untimed": "درجہ گھٹا: {place} پر {level} متوقع۔",
        "downgrade_observed": "درجہ گھٹا: {place} پر {level} ({time})۔",
        "arrival": "نیا وقت: {place} پر {level} متوقع، تقریباً {time}۔",
        "arrived": "{level} {place} پہنچ گیا ({time})۔",
        "silent": "{place}: گیج خاموش ہے ({time})، وارننگ برقرار: {level}۔",
        "stands": "{place}: وارننگ برقرار ({time}): {level}۔",
        "in_force": "{place}: وارننگ، {level} ({time})۔",
        "clear": "{place} پر پانی وارننگ کی سطح سے نیچے آ گیا ({time})۔",
    },
    reasons={
        "observed_above": (
            "{observed} پر {parameter} {value}: حد {limit} ({level}) کے برابر یا اس سے اوپر",
            "{observed} پر {parameter} {value}: {limit} کے برابر یا اس سے اوپر",
            "{parameter} {value}: {limit} کے برابر یا اس سے اوپر",
            "پیمائش حد سے اوپر ہے",
        ),
        "observed_below": (
            "{observed} پر {parameter} {value}: {limit} سے نیچے",
            "{observed} پر {parameter} {value}: ہر حد سے نیچے",
            "{parameter} {value}: ہر حد سے نیچے",
            "پیمائش ہر حد سے نیچے ہے",
        ),
        "unconfirmed": ("{value} کی ایک پیمائش {level} بتاتی ہے؛ ابھی تصدیق نہیں ہوئی", "ایک پیمائش کی ابھی تصدیق نہیں ہوئی"),
        "suspect": (
            "{observed} کی مشکوک پیمائش {value} استعمال نہیں کی گئی ({cause})",
            "ایک مشکوک پیمائش استعمال نہیں کی گئی ({cause})",
            "ایک مشکوک پیمائش استعمال نہیں کی گئی",
        ),
        "silent_since": ("{observed} کے بعد گیج سے کوئی درست پیمائش نہیں آئی", "گیج سے کبھی کوئی درست پیمائش نہیں آئی"),
        "never_spoke": ("گیج سے کبھی کوئی درست پیمائش نہیں آئی",),
        "trend": (
            "پچھلی {points} پیمائشوں میں {rate} فی گھنٹہ اضافہ، اگلے {horizon} گھنٹے تک جاری مانا گیا",
            "{rate} فی گھنٹہ اضافہ",
            "پانی بڑھ رہا ہے",
        ),
        "trend_falling": ("پچھلی {points} پیمائشوں میں {rate} فی گھنٹہ کمی", "{rate} فی گھنٹہ کمی", "پانی کم ہو رہا ہے"),
        "wave": (
            "{upstream} کا ریلا ({upstream_value}، {upstream_level}) {travel_low} سے {travel_high} گھنٹے لیتا ہے، آمد تقریباً {arrival}",
            "{upstream} کا ریلا ({upstream_value}، {upstream_level}) {travel_low} سے {travel_high} گھنٹے لیتا ہے",
            "{upstream} سے ریلا آ رہا ہے ({upstream_level})",
            "{upstream} سے ریلا آ رہا ہے",
            "اوپر سے ریلا آ رہا ہے",
        ),
        "expected": (
            "{level} ({limit} سے) تقریباً {arrival} متوقع، امکان {probability}",
            "{level} ({limit} سے) متوقع، امکان {probability}",
            "{level} متوقع، امکان {probability}",
            "{level} متوقع",
        ),
        "neighbour_confirms": ("{upstream} کا گیج پیمائش کی تصدیق کرتا ہے", "قریبی گیج پیمائش کی تصدیق کرتا ہے"),
        "second_reading_confirms": ("دوسری پیمائش نے تصدیق کر دی",),
        "peak": ("زیادہ سے زیادہ تقریباً {value}، {peak} کے قریب متوقع", "زیادہ سے زیادہ تقریباً {value} متوقع"),
        "out_of_service": ("{parameter} کا سینسر بند ہے ({cause})", "{parameter} کا سینسر بند ہے", "ایک سینسر بند ہے"),
        "stale_reading": ("تازہ ترین پیمائش {age} گھنٹے پرانی ہے", "تازہ ترین پیمائش پرانی ہے"),
        "end_unconfirmed": ("کوئی پیمائش خطرہ ختم ہونے کی تصدیق نہیں کرتی، اس لیے وارننگ برقرار ہے",),
    },
    parameters={"stage": "پانی کی سطح", "discharge": "بہاؤ", "inflow": "آمد", "outflow": "اخراج", "rain": "بارش"},
    causes={
        "none": "وجہ درج نہیں",
        "missing": "غائب",
        "sentinel": "سینسر نے غائب بتایا",
        "future": "وقت آئندہ کا ہے",
        "stale": "بہت پرانی",
        "gross_range": "ممکنہ حد سے باہر",
        "duplicate": "دہرائی گئی",
        "revision": "درست کی گئی",
        "spike": "اچانک اچھال",
        "rate_of_rise": "بہت تیزی سے بڑھی",
        "rate_of_fall": "بہت تیزی سے گری",
        "flat_line": "ایک ہی قدر پر رکی ہوئی",
        "manual": "عملے نے مقرر کی",
        "internal": "اندرونی خرابی",
    },
    units={"m": "میٹر", "ft": "فٹ", "m3/s": "مکعب میٹر فی سیکنڈ", "cusec": "کیوسک", "mm": "ملی میٹر"},
    months=("جنوری", "فروری", "مارچ", "اپریل", "مئی", "جون", "جولائی", "اگست", "ستمبر", "اکتوبر", "نومبر", "دسمبر"),
    words={
        "value_stage": "سطح {value}۔",
        "value_discharge": "بہاؤ {value}۔",
        "code": "کوڈ {code}",
        "limits": "{place} کی حدیں: {limits} ({source})۔",
        "districts": "اضلاع: {districts}۔",
        "age": "اجرا کے وقت تازہ ترین درست پیمائش {age} پرانی تھی۔",
        "minutes": "{number} منٹ",
        "hours": "{number} گھنٹے",
        "days": "{number} دن",
        "before": "پہلے: {level}۔",
        "area": "{place} سے نیچے دریا: {districts}",
        "area_alone": "{place} سے نیچے دریا",
        "comma": "، ",
        "stop": "۔",
    },
)
