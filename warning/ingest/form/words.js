"use strict";
// The words of the page. Urdu is a draft for a native speaker of the agency to approve.
const WORDS = {
  en: {
    title: "Gauge reading", exercise: "EXERCISE: nothing here is a real warning.", station: "Gauge", parameter: "What",
    value: "Reading", when: "When", now: "now", then: "at another time", photo: "Photo of the staff gauge (if you can)",
    send: "Send", yes: "Yes, it is right", change: "Change it", sent_title: "Your readings",
    queued: "waiting", sending: "sending", sent: "received", refused: "refused", no_photo: "received, without the photo",
    no_key: "Open this page by your own link: it has your key in it.", bad_key: "Your key is not valid any more. Ask the flood office for a new link.",
    offline: "No connection. Your readings are kept here and sent when it is back.", not_reader: "This key is for no gauge reader.",
    no_number: "Write the reading as a number, such as 54.2", no_time: "Write the time of the reading", future: "This time has not come yet.",
    sure_last: "Last time it was {last}. Now {now}?", sure_range: "{now} has never been seen here. Is it right?",
    clock: "The clock of this phone is {minutes} minutes wrong. Set it, please.", full: "This phone cannot keep more readings.",
    stage: "water level", discharge: "flow", inflow: "inflow", outflow: "outflow", rain: "rain", temperature: "temperature", humidity: "humidity",
    ft: "ft", m: "m", cm: "cm", cusec: "cusec", "m3/s": "m3/s", mm: "mm", in: "in", degC: "°C", degF: "°F", "%": "%",
    NORMAL: "Below flood level", months: "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
  },
  ur: {
    title: "گیج کی پیمائش", exercise: "مشق: یہاں کچھ بھی حقیقی وارننگ نہیں۔", station: "گیج", parameter: "کیا",
    value: "پیمائش", when: "کب", now: "ابھی", then: "کسی اور وقت", photo: "گیج کی تصویر (اگر ممکن ہو)",
    send: "بھیجیں", yes: "ہاں، درست ہے", change: "تبدیل کریں", sent_title: "آپ کی پیمائشیں",
    queued: "انتظار میں", sending: "بھیجا جا رہا ہے", sent: "مل گئی", refused: "نہیں لی گئی", no_photo: "مل گئی، تصویر کے بغیر",
    no_key: "یہ صفحہ اپنے ذاتی لنک سے کھولیں: اسی میں آپ کی کلید ہے۔", bad_key: "آپ کی کلید اب درست نہیں۔ فلڈ آفس سے نیا لنک لیں۔",
    offline: "رابطہ نہیں ہے۔ پیمائشیں یہاں محفوظ ہیں اور رابطہ ہوتے ہی بھیج دی جائیں گی۔", not_reader: "یہ کلید کسی گیج ریڈر کی نہیں۔",
    no_number: "پیمائش عدد میں لکھیں، جیسے 54.2", no_time: "پیمائش کا وقت لکھیں", future: "یہ وقت ابھی نہیں آیا۔",
    sure_last: "پچھلی بار {last} تھی۔ اب {now}؟", sure_range: "{now} یہاں کبھی نہیں دیکھی گئی۔ کیا یہ درست ہے؟",
    clock: "اس فون کی گھڑی {minutes} منٹ غلط ہے۔ درست کر لیں۔", full: "یہ فون مزید پیمائشیں نہیں رکھ سکتا۔",
    stage: "پانی کی سطح", discharge: "بہاؤ", inflow: "آمد", outflow: "اخراج", rain: "بارش", temperature: "درجہ حرارت", humidity: "نمی",
    ft: "فٹ", m: "میٹر", cm: "سینٹی میٹر", cusec: "کیوسک", "m3/s": "مکعب میٹر فی سیکنڈ", mm: "ملی میٹر", in: "انچ", degC: "°C", degF: "°F", "%": "%",
    NORMAL: "سیلاب کی سطح سے نیچے", months: "جنوری فروری مارچ اپریل مئی جون جولائی اگست ستمبر اکتوبر نومبر دسمبر",
  },
};
