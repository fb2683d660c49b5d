// The words of the page, by language. Names of classes, zones and districts come from the region.
// "{x}" is filled in by say(). A word that a language lacks is shown in English.

const WORDS = {
  en: {
    _name: "English", _locale: "en-GB", _dir: "ltr",
    title: "Flood warnings", skip: "Skip to the alerts", map: "Map of the gauges",
    alerts: "Warnings in force", none: "No warning is in force.", past: "Earlier events", deliveries: "Deliveries",
    no_deliveries: "Nothing has been sent yet.", sensors: "Sensors", silent_list: "Silent gauges", silent: "Silent series",
    rejected: "Readings rejected", flagged: "Readings flagged",
    exercise: "EXERCISE. No real flood is being reported here.", replay: "EXERCISE. A flood of the past is being replayed; nothing here is happening now.",
    unreachable: "No connection to the warning system since {since}. What you see may be old.",
    still: "The clock of the warning system has stood still for {span}. What you see may be old.",
    reading: "What you see is incomplete: {why}",
    UNKNOWN: "Unknown (silent)", NORMAL: "Normal", LOW: "Low", MEDIUM: "Medium", HIGH: "High", VERY_HIGH: "Very high", EXCEPTIONAL: "Exceptional",
    raise: "raised", upgrade: "upgraded", downgrade: "downgraded", arrival: "arrival changed", certainty: "certainty changed", renew: "renewed", clear: "cleared", expire: "expired",
    as_of: "As of {time}", at_gauge: "{value} on {time}", silent_since: "silent since {time}", never: "no reading has ever arrived",
    expected: "expected: {level}, {probability} %", arrives: "Water expected {time}", sent: "Sent {time}", valid: "in force until {time}",
    areas: "Areas", document: "CAP document", summary: "{alerts} in force · {unknown} of {zones} gauges unknown", limit_ring: "Ring: warning in force",
    expected_ring: "Dashed ring: higher class expected", observed: "observed", forecast: "forecast", span: "{percent} % of the forecast's spread", failed: "failed the quality check",
    inflow: "inflow", outflow: "outflow", discharge: "discharge", stage: "stage", rain: "rain",
    temperature: "temperature", humidity: "humidity", heat_index: "heat index", wet_bulb: "wet-bulb temperature",
    rain_1h: "rain in 1 h", rain_3h: "rain in 3 h", rain_6h: "rain in 6 h", rain_24h: "rain in 24 h", rain_72h: "rain in 72 h",
    heat: "Heat", heavy_rain: "Heavy rain", flash_flood: "Flash flood",
    exposed: "Who and what lies there", people: "{number} people", unsized: "population unknown",
    untold: "NOBODY is told of this warning (since {since})", without_way: "{number} contacts cannot be reached", nobody_left: "{number} contacts were not reached, and nobody is left to be told instead",
    when: "Time", zone: "Place", level: "Class", contact: "Contact", channel: "Channel", state: "State", parts: "Parts",
    waiting: "waiting", sending: "sending", accepted: "accepted", delivered: "delivered", failed_state: "failed", unknown: "unknown", overtaken: "overtaken", refused: "refused",
    doubled: "perhaps twice", borders: "Borders are those of Natural Earth and imply no opinion on any territory.",
    credits: "Rivers, lakes, borders: Natural Earth (public domain). Towns: GeoNames (CC BY 4.0).", feed: "CAP feed", approximate: "position approximate", now: "now", comma: ", ", Exercise: "Exercise", Test: "Test",
  },
  ur: {
    _name: "اردو", _locale: "ur-PK-u-nu-latn", _dir: "rtl",
    title: "سیلاب کی وارننگ", skip: "وارننگ پر جائیں", map: "دریائی گیجز کا نقشہ",
    alerts: "نافذ وارننگ", none: "اس وقت کوئی وارننگ نافذ نہیں۔", past: "گزشتہ واقعات", deliveries: "ترسیل",
    no_deliveries: "ابھی تک کچھ نہیں بھیجا گیا۔", sensors: "سینسر", silent_list: "خاموش گیجز", silent: "خاموش گیجز",
    rejected: "مسترد ریڈنگز", flagged: "مشکوک ریڈنگز",
    exercise: "مشق۔ یہاں کسی حقیقی سیلاب کی اطلاع نہیں دی جا رہی۔", replay: "مشق۔ ماضی کا ایک سیلاب دوبارہ چلایا جا رہا ہے؛ یہ سب اس وقت نہیں ہو رہا۔",
    unreachable: "وارننگ کے نظام سے رابطہ {since} سے منقطع ہے۔ یہ معلومات پرانی ہو سکتی ہیں۔",
    still: "وارننگ کے نظام کی گھڑی {span} سے رکی ہوئی ہے۔ یہ معلومات پرانی ہو سکتی ہیں۔",
    reading: "یہ معلومات نامکمل ہیں: {why}",
    UNKNOWN: "نامعلوم (خاموش)", NORMAL: "معمول", LOW: "نچلا درجہ", MEDIUM: "درمیانہ", HIGH: "اونچا", VERY_HIGH: "بہت اونچا", EXCEPTIONAL: "انتہائی اونچا",
    raise: "جاری", upgrade: "درجہ بڑھا", downgrade: "درجہ گھٹا", arrival: "آمد کا وقت بدلا", certainty: "یقین بدلا", renew: "تجدید", clear: "ختم", expire: "میعاد ختم",
    as_of: "تازہ ترین: {time}", at_gauge: "{value}، {time}", silent_since: "{time} سے خاموش", never: "کبھی کوئی ریڈنگ موصول نہیں ہوئی",
    expected: "متوقع: {level}، {probability} فیصد", arrives: "پانی کی متوقع آمد: {time}", sent: "ارسال: {time}", valid: "{time} تک نافذ",
    areas: "علاقے", document: "CAP دستاویز", summary: "{alerts} وارننگ نافذ · {zones} میں سے {unknown} گیج نامعلوم", limit_ring: "حلقہ: وارننگ نافذ",
    expected_ring: "ٹوٹا حلقہ: اونچا درجہ متوقع", observed: "مشاہدہ", forecast: "پیش گوئی", span: "پیش گوئی کا {percent} فیصد پھیلاؤ", failed: "معیار کی جانچ میں ناکام",
    inflow: "آمد", outflow: "اخراج", discharge: "بہاؤ", stage: "سطح", rain: "بارش",
    temperature: "درجہ حرارت", humidity: "نمی", heat_index: "محسوس ہونے والی گرمی", wet_bulb: "گیلے بلب کا درجہ حرارت",
    rain_1h: "1 گھنٹے کی بارش", rain_3h: "3 گھنٹے کی بارش", rain_6h: "6 گھنٹے کی بارش", rain_24h: "24 گھنٹے کی بارش", rain_72h: "72 گھنٹے کی بارش",
    heat: "شدید گرمی", heavy_rain: "شدید بارش", flash_flood: "اچانک سیلاب",
    exposed: "وہاں کون اور کیا ہے", people: "آبادی {number}", unsized: "آبادی نامعلوم",
    untold: "یہ وارننگ کسی کو بھی نہیں بتائی جا رہی ({since} سے)", without_way: "{number} رابطوں تک پہنچنے کا کوئی ذریعہ نہیں", nobody_left: "{number} رابطوں تک نہیں پہنچا، اور ان کی جگہ بتانے کو کوئی نہیں بچا",
    when: "وقت", zone: "مقام", level: "درجہ", contact: "رابطہ", channel: "ذریعہ", state: "حالت", parts: "حصے",
    waiting: "منتظر", sending: "زیر ارسال", accepted: "قبول", delivered: "پہنچ گیا", failed_state: "ناکام", unknown: "نامعلوم", overtaken: "متروک", refused: "روکا گیا",
    doubled: "شاید دو بار", borders: "سرحدیں Natural Earth کی ہیں اور کسی علاقے کے بارے میں کسی رائے کا اظہار نہیں کرتیں۔",
    credits: "دریا، جھیلیں، سرحدیں: Natural Earth (عوامی ملکیت)۔ شہر: GeoNames (CC BY 4.0)۔", feed: "CAP فیڈ", approximate: "مقام تخمینی ہے", now: "ابھی", comma: "، ", Exercise: "مشق", Test: "آزمائش",
  },
  si: {
    _name: "සිංහල", _locale: "si-LK", _dir: "ltr",
    title: "ගංවතුර අනතුරු ඇඟවීම්", skip: "අනතුරු ඇඟවීම් වෙත යන්න", map: "ගංගා මාපක සිතියම",
    alerts: "බලපැවැත්වෙන අනතුරු ඇඟවීම්", none: "බලපැවැත්වෙන අනතුරු ඇඟවීමක් නැත.", past: "පෙර සිදුවීම්", deliveries: "බෙදාහැරීම්",
    no_deliveries: "තවම කිසිවක් යවා නැත.", sensors: "සංවේදක", silent_list: "නිහඬ මාපක", silent: "නිහඬ මාපක",
    rejected: "ප්‍රතික්ෂේපිත කියවීම්", flagged: "සැක සහිත කියවීම්",
    exercise: "පුහුණුවක්. මෙහි සැබෑ ගංවතුරක් වාර්තා නොවේ.", replay: "පුහුණුවක්. අතීත ගංවතුරක් නැවත පෙන්වයි; මෙය දැන් සිදු නොවේ.",
    UNKNOWN: "නොදනී (නිහඬ)", NORMAL: "සාමාන්‍ය", LOW: "අඩු", MEDIUM: "මධ්‍යම", HIGH: "ඉහළ", VERY_HIGH: "ඉතා ඉහළ", EXCEPTIONAL: "අතිශය ඉහළ",
    as_of: "{time} වන විට", areas: "ප්‍රදේශ", when: "වේලාව", zone: "ස්ථානය", level: "මට්ටම", forecast: "පුරෝකථනය", now: "දැන්", never: "කිසිදු කියවීමක් ලැබී නැත",
    silent_since: "{time} සිට නිහඬයි", sent: "යවන ලදී {time}", valid: "{time} දක්වා වලංගුයි", temperature: "උෂ්ණත්වය", humidity: "ආර්ද්‍රතාවය", heat_index: "තාප දර්ශකය", heat: "අධික උෂ්ණත්වය", heavy_rain: "අධික වර්ෂාව", flash_flood: "හදිසි ගංවතුර",
    stage: "ජල මට්ටම", rain: "වර්ෂාපතනය", Exercise: "පුහුණුව",
  },
};

let language = "en";

export const languages = () => Object.keys(WORDS);
export const current = () => language;
export const direction = () => WORDS[language]._dir;
export const locale = () => WORDS[language]._locale;
export const nameOf = (code) => WORDS[code]._name;

export function choose(code) {
  language = code in WORDS ? code : "en";
  document.documentElement.lang = language;
  document.documentElement.dir = direction();
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = say(element.dataset.t);
}

export function say(key, values = {}) {
  const text = WORDS[language][key] ?? WORDS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// The name of something that the region names in several languages.
export const named = (names) => names?.[language] ?? names?.en ?? Object.values(names ?? {})[0] ?? "";
