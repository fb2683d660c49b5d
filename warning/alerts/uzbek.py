"""Uzbek in Latin letters that GSM-7 has (o' and g' with a plain apostrophe). A draft: written for this project, not yet reviewed."""

TABLE = """
language: uz
locale: uz
numbers: uz
months: wide
date: {day}-{month} {time}

[events]
flood: Toshqin
flash_flood: Sel
heat: Jazirama issiq
heavy_rain: Kuchli yomg'ir

[flood]
NORMAL: Xavfli sathdan past
LOW: Kuchsiz toshqin
MEDIUM: O'rtacha toshqin
HIGH: Kuchli toshqin
VERY_HIGH: Juda kuchli toshqin
EXCEPTIONAL: Favqulodda kuchli toshqin

[risk]
UNKNOWN: Noma'lum
NORMAL: xavf yo'q
LOW: past xavf
MEDIUM: o'rtacha xavf
HIGH: yuqori xavf
VERY_HIGH: juda yuqori xavf
EXCEPTIONAL: favqulodda xavf

[rain]
NORMAL: Kuchli yomg'ir yo'q
LOW: Ancha kuchli yomg'ir
MEDIUM: Kuchli yomg'ir
HIGH: Juda kuchli yomg'ir
VERY_HIGH: Jala
EXCEPTIONAL: Favqulodda jala

[act flood]
NORMAL: Toshqin xavfi tugadi.
LOW: Daryodan uzoq turing.
MEDIUM: Chorva va buyumlarni daryo bo'yidan olib keting.
HIGH: Daryo bo'yi va past joylardan chiqib keting.
VERY_HIGH: Daryo yaqinidagi past joylardan darhol chiqib keting.
EXCEPTIONAL: DARHOL baland joyga chiqing.

[act flash_flood]
NORMAL: Sel xavfi tugadi.
LOW: Soy va jilg'alardan uzoq turing.
MEDIUM: Chorva va buyumlarni soylardan olib keting.
HIGH: Soy bo'yi va past joylardan chiqib keting.
VERY_HIGH: Soy yaqinidagi past joylardan darhol chiqib keting.
EXCEPTIONAL: DARHOL baland joyga chiqing.

[act heat]
NORMAL: Jazirama xavfi tugadi.
LOW: Tez-tez suv iching.
MEDIUM: Soyada dam oling, tez-tez suv iching.
HIGH: Quyoshga chiqmang, tez-tez suv iching.
VERY_HIGH: Tashqarida ishlamang, salqin joyda bo'ling.
EXCEPTIONAL: DARHOL salqin joyga o'ting, suv bilan soviting.

[act heavy_rain]
NORMAL: Kuchli yomg'ir xavfi tugadi.
LOW: Yo'llardagi suvdan ehtiyot bo'ling.
MEDIUM: Past joylar va yer osti yo'llaridan uzoq turing.
HIGH: Past joylar va tik yonbag'irlardan uzoq turing.
VERY_HIGH: Past joylar va tik yonbag'irlardan chiqib keting.
EXCEPTIONAL: DARHOL baland joydagi mustahkam uyga o'ting.

[advice]
ended: Ogohlantirish tugadi.
damaged: Shikastlangan yo'llar, ko'priklar va dambalar hali xavfli; faqat mahalliy hokimiyat aytganda qayting.
river: Daryoga tushmang, sayozlik va orollarga chiqmang.
watch: Keyingi xabarlarni kuting.
off_bank: Odamlar, chorva va buyumlarni daryo bo'yidan va orollardan olib chiqing.
be_ready: Ketishga tayyor turing.
flooded_roads: Suv bosgan yo'llardan o'tmang.
leave_bank: Daryo bo'yidan va yonidagi past joylardan chiqib keting.
weak_first: Avval bolalar, keksalar va kasallarga chiqishga yordam bering.
take: Hujjatlar, dorilar va ichimlik suvini oling.
flood_water: Toshqin suvida piyoda ham, mashinada ham yurmang.
follow: Mahalliy hokimiyat ko'rsatmalariga amal qiling.
leave_low: Suv yo'llarni to'smasdan, daryo yaqinidagi past joylardan darhol chiqib keting.
electricity: Elektrni o'chiring.
high_ground: Darhol baland joyga chiqing.
no_goods: Buyumlarni qutqarish uchun to'xtamang.
embankments: Dambalardan uzoq turing: ular yorilishi mumkin.
streams_high: Soylarda suv hali baland bo'lishi mumkin; shikastlangan yo'llar va ko'priklar xavfli.
streams: Soy va quruq o'zanlarga tushmang, u yerda to'xtamang va mashina qo'ymang.
off_streams: Odamlar, chorva va buyumlarni soy va quruq o'zanlardan olib chiqing.
within_hour: Suv bir soat ichida kelishi mumkin, yomg'ir yog'magan joyga ham.
leave_streams: Soy bo'ylari, quruq o'zanlar va yonidagi past joylardan chiqib keting.
leave_streams_now: Suv yo'llarni to'smasdan, soy yaqinidagi past joylardan darhol chiqib keting.
rooms_hot: Xonalar yana bir necha soat issiq bo'ladi: suv ichishda davom eting, bu kecha keksalar va kasallardan xabar oling.
drink: Chanqamasangiz ham tez-tez suv iching.
shade: Soyada dam oling.
no_car: Bolalar va hayvonlarni to'xtab turgan mashinada hech qachon qoldirmang.
heavy_work: Og'ir ishni faqat ertalab va kechqurun qiling, soyada dam oling.
weak_look: Bolalar, homilador ayollar, keksalar va kasallarga qarang.
sun: Soat 11 dan 17 gacha quyoshga chiqmang, tashqaridagi og'ir ishni to'xtating.
clothes: Keng va yengil kiyim kiying, badan va kiyimni ho'llang.
heat_stroke: Es-hushi og'ish, hushdan ketish yoki qizigan teri - issiq urishi: darhol suv bilan soviting va shifokor chaqiring.
stop_work: Tashqarida ishlamang.
coolest: Eng salqin joyda bo'ling.
visit: Keksalar, kasallar va yolg'izlardan xabar oling, kechasi ham.
heat_kills: Bunday issiq sog'lom odamni ham o'ldiradi, ventilyatorning o'zi yetmaydi.
slopes: Daryolar yana ko'tarilishi, nam yonbag'irlar surilishi mumkin.
water_roads: Yo'llarda va yerto'lalarda suv bo'lishi mumkin.
wires: Uzilgan simlar va zaif devorlardan uzoq turing.
underpasses: Yer osti yo'llari, yerto'lalar va soy o'zanlariga kirmang.
off_low: Buyumlar va chorvani past joylardan olib chiqing.
indoors: Uyda qoling, past joylar, soylar va tik yonbag'irlardan uzoq bo'ling.
leave_slopes: Past joylar, soy bo'ylari va tik yonbag'irlardan chiqib keting.
strong_building: Darhol baland joydagi mustahkam binoga o'ting, soylar va tik yonbag'irlardan uzoqda.

[sentences]
expected: {place}: {level}, taxminan {time} da kutiladi.
expected_untimed: {place}: {level} kutiladi.
observed: {place}: {level} ({time}).
raised: Xavf oshdi:
lowered: Xavf pasaydi:
new_time: Yangi vaqt:
arrived: {place}: {level} yetib keldi ({time}).
silent: {place}: {level}, ogohlantirish kuchda; o'lchov posti jim ({time}).
stands: {place}: {level}, ogohlantirish kuchda ({time}).
in_force: {place}: {level}, ogohlantirish ({time}).
clear: {place}: suv xavfli sathdan pastga tushdi ({time}).
station_silent: {place}: {level}, ogohlantirish kuchda; stansiya jim ({time}).
clear_flash_flood: {place}: yomg'ir endi sel keltiradigan darajada emas ({time}).
clear_heat: {place}: issiq xavfli darajadan pasaydi ({time}).
clear_heavy_rain: {place}: yomg'ir xavfli darajadan pasaydi ({time}).

[reasons]
observed_above: {parameter} {value}[, {observed}]: chegara {limit} yoki undan yuqori[ ({level})][ ({source})] | o'lchov chegaradan yuqori
observed_below: {parameter} {value}[, {observed}]: {limit} dan past | {parameter} {value}[, {observed}]: barcha chegaralardan past
 | o'lchov barcha chegaralardan past
unconfirmed: bitta o'lchov {value}: {level} demakdir, hali tasdiqlanmagan | bitta o'lchov hali tasdiqlanmagan
suspect: shubhali o'lchov[ {value}][, {observed}] hisobga olinmadi[ ({cause})]
silent_since: {observed} dan beri postdan yaroqli o'lchov yo'q | postdan hech qachon yaroqli o'lchov kelmagan
never_spoke: postdan hech qachon yaroqli o'lchov kelmagan
trend: ko'tarilmoqda[, soatiga {rate}][, oxirgi o'lchovlar: {points}][, {horizon} soat oldinga]
trend_falling: pasaymoqda[, soatiga {rate}][, oxirgi o'lchovlar: {points}]
wave: {upstream} dan to'lqin ({upstream_value}, {upstream_level}) {travel_low}-{travel_high} soat keladi[, taxminan {arrival} da yetadi]
 | {upstream} dan to'lqin kelmoqda[ ({upstream_level})] | yuqoridan to'lqin kelmoqda
expected: {level}[ ({limit} dan)] kutiladi[, taxminan {arrival}][, ehtimoli {probability}]
likelihood: ishonch: {likelihood} ({probability})[; chegaraga {lead_low}-{lead_high} soatda, {early} va {late} orasida]
 | ishonch: {likelihood} ({probability}); chegaraga {early} dan oldin emas, {lead_low} soatda | ishonch: {likelihood} ({probability})
exposure: {area}: {exposed}
neighbour_confirms: {upstream} posti o'lchovni tasdiqlaydi | qo'shni post o'lchovni tasdiqlaydi
second_reading_confirms: ikkinchi o'lchov tasdiqlaydi
peak: eng yuqori qiymat taxminan {value}[, {peak} atrofida kutiladi]
out_of_service: {parameter} datchigi ishlamayapti[ ({cause})] | datchik ishlamayapti
stale_reading: oxirgi o'lchov {age} soatlik | oxirgi o'lchov eskirgan
end_unconfirmed: xavf tugaganini hech bir o'lchov tasdiqlamaydi, ogohlantirish qoladi
station_silent_since: {observed} dan beri stansiyadan yaroqli o'lchov yo'q | stansiyadan hech qachon yaroqli o'lchov kelmagan
station_never_spoke: stansiyadan hech qachon yaroqli o'lchov kelmagan
flash_flood: {duration} soatda {rain} yomg'ir; tuproq namligi {wetness} bo'lganda {threshold} sel keltiradi (oldingi yomg'ir {antecedent});
 yomg'ir o'lchangan, suv yo'lda
heat_of: harorat {temperature} ({temperature_at}) va namlik {humidity} ({humidity_at}) bo'yicha
rain_fell: {duration} soatda {rain} yog'di; bu o'lchov, prognoz emas: soylar bir necha soatda ko'tariladi

[parameters]
stage: suv sathi
discharge: suv sarfi
inflow: kelayotgan suv
outflow: chiqayotgan suv
rain: yomg'ir
temperature: havo harorati
humidity: namlik
heat_index: his qilinadigan harorat
wet_bulb: nam termometr harorati
rain_hours: {hours} soatlik yomg'ir
flash_flood: sel chegarasiga nisbatan yomg'ir

[causes]
none: sababi aytilmagan
missing: yo'q
sentinel: datchik yo'q deb bildirdi
future: vaqti hali kelmagan
stale: juda eski
gross_range: mumkin bo'lgan chegaradan tashqarida
duplicate: takror
revision: tuzatilgan
spike: keskin sakrash
rate_of_rise: juda tez ko'tarilgan
rate_of_fall: juda tez pasaygan
flat_line: bir qiymatda qotgan
manual: xodim belgilagan
internal: ichki xato
gap: uzilishdan keyingi birinchi
climatology: mavsumga xos emas
rise_without_rain: yomg'irsiz ko'tarilgan
rain_without_rise: yomg'irga qaramay ko'tarilmagan
neighbour: qo'shnilari boshqacha ko'rsatadi
attenuated: deyarli o'zgarmaydi
datum_shift: nol sathi siljigan bo'lishi mumkin
wrong_unit: birligi boshqa bo'lishi mumkin
outside_rating: sarf egri chizig'idan tashqarida

[units]
m: m
ft: fut
m3/s: m3/s
cusec: kusek
mm: mm
degC: C
degF: F
%: %
ratio: %

[likelihoods]
virtually_certain: deyarli aniq
very_likely: ehtimoli juda katta
likely: ehtimoli katta
more_likely_than_not: bo'lishi bo'lmasligidan ehtimolroq
about_as_likely_as_not: ellikka ellik
unlikely: ehtimoli kam
very_unlikely: ehtimoli juda kam
exceptionally_unlikely: deyarli mumkin emas

[assets]
border_post: chegara postlari
port: portlar
dry_port: quruq portlar
highway: katta yo'llar
bridge: ko'priklar
railway: temir yo'l ko'priklari
airport: aeroportlar
power: elektr stansiyalari
grid: podstansiyalar
fibre: aloqa tugunlari
dam: to'g'onlar
hospital: kasalxonalar
water: suv inshootlari

[counts]
1000000: {number} mln

[words]
exercise: MASHQ.
test: SINOV.
exercise_note: Bu mashq. Aytilganlarning hech biri sodir bo'layotgani yo'q; faqat belgilangan ishtirokchilar harakat qiladi.
value_stage: Suv sathi {value}.
value_discharge: Suv sarfi {value}.
value_flash_flood: Yomg'ir sel chegarasining {value}.
value_heat_index: Seziladigan harorat {value}.
value_wet_bulb: Nam termometr {value}.
value_rain: {hours} soatda {value}.
code: Kod {code}
limits: {place} chegaralari: {limits} ({source}).
districts: Tumanlar: {districts}.
age: E'lon qilinganda oxirgi yaroqli o'lchov {age} oldin bo'lgan.
minutes: {number} daqiqa
hours: {number} soat
days: {number} kun
before: Oldin: {level}.
area: {river} daryosi, {place} dan quyida: {districts}
area_alone: {river} daryosi, {place} dan quyida
area_streams: {place} soylari: {districts}
area_streams_alone: {place} soylari
area_place: {place}: {districts}
area_polygon: daryo bo'ylab {km} km kenglikda (bu suv bosish xaritasi emas)
area_distance: postdan {km} km ichida (bu suv bosish xaritasi emas)
area_station: stansiyadan {km} km ichida
area_districts: uning tumanlarida
one_town: 1 shahar, aholisi {people}
towns: {number} shahar, aholisi {people}
unsized: aholisi noma'lum shaharlar: {number}
no_town: ro'yxatda shahar yo'q
at_risk: Xavf ostida: {assets}.
people: U yerdagi shaharlar aholisi {people}.
comma: ,
stop: .
"""
