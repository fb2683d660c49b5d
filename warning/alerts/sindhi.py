"""Sindhi. A draft: written for this project, not yet reviewed by a native speaker of the flood service."""

TABLE = """
language: sd
locale: sd
instead: ur
months: wide
date: {day} {month} {time}

[events]
flood: ٻوڏ
flash_flood: اوچتي ٻوڏ
heat: سخت گرمي
heavy_rain: تيز برسات

[flood]
NORMAL: ٻوڏ جي سطح کان هيٺ
LOW: هيٺين درجي جي ٻوڏ
MEDIUM: وچولي درجي جي ٻوڏ
HIGH: اوچي درجي جي ٻوڏ
VERY_HIGH: تمام اوچي درجي جي ٻوڏ
EXCEPTIONAL: انتهائي اوچي درجي جي ٻوڏ

[risk]
UNKNOWN: اڻڄاتل
NORMAL: خطرو ناهي
LOW: گھٽ خطرو
MEDIUM: وچولو خطرو
HIGH: وڏو خطرو
VERY_HIGH: تمام وڏو خطرو
EXCEPTIONAL: انتهائي خطرو

[rain]
NORMAL: تيز برسات ناهي
LOW: ڪجھ تيز برسات
MEDIUM: تيز برسات
HIGH: تمام تيز برسات
VERY_HIGH: انتهائي تيز برسات
EXCEPTIONAL: غير معمولي برسات

[act flood]
NORMAL: ٻوڏ جي وارننگ ختم ٿي وئي.
LOW: درياءَ کان پري رهو.
MEDIUM: چوپايو مال ۽ سامان درياءَ جي ڪناري تان هٽايو.
HIGH: درياءَ جو ڪنارو ۽ هيٺاهان علائقا خالي ڪريو.
VERY_HIGH: درياءَ ويجھو هيٺاهان علائقا فوري خالي ڪريو.
EXCEPTIONAL: فوري مٿانهين جاءِ تي هليا وڃو.

[act flash_flood]
NORMAL: اوچتي ٻوڏ جي وارننگ ختم ٿي وئي.
LOW: نئين ۽ نالن کان پري رهو.
MEDIUM: چوپايو مال ۽ سامان نئين کان پري ڪريو.
HIGH: نئين جا ڪنارا ۽ هيٺاهان علائقا خالي ڪريو.
VERY_HIGH: نئين ويجھو هيٺاهان علائقا فوري خالي ڪريو.
EXCEPTIONAL: فوري مٿانهين جاءِ تي هليا وڃو.

[act heat]
NORMAL: گرمي جي وارننگ ختم ٿي وئي.
LOW: بار بار پاڻي پيئو.
MEDIUM: ڇانوَ ۾ آرام ڪريو، بار بار پاڻي پيئو.
HIGH: اُس ۾ نه نڪرو، بار بار پاڻي پيئو.
VERY_HIGH: ٻاهر ڪم بند ڪريو، ٿڌي جاءِ تي رهو.
EXCEPTIONAL: فوري ٿڌي جاءِ تي وڃو، جسم پاڻيءَ سان ٿڌو ڪريو.

[act heavy_rain]
NORMAL: برسات جي وارننگ ختم ٿي وئي.
LOW: رستن تي پاڻيءَ کان خبردار رهو.
MEDIUM: هيٺاهين جاين ۽ انڊرپاس کان پري رهو.
HIGH: هيٺاهين جاين ۽ لاهين کان پري رهو.
VERY_HIGH: هيٺاهان علائقا ۽ لاهيون خالي ڪريو.
EXCEPTIONAL: فوري مٿانهين جاءِ تي مضبوط گھر ۾ وڃو.

[advice]
ended: وارننگ ختم ٿي وئي آهي.
damaged: ٽٽل رستا، پليون ۽ بند اڃا خطرناڪ آهن؛ رڳو مقامي انتظاميا جي چوڻ تي واپس وڃو.
river: درياءَ ۾ نه لهو ۽ ان جي ٻيٽن تي نه وڃو.
watch: وڌيڪ پيغامن جو انتظار ڪريو.
off_bank: ماڻهن، چوپائي مال ۽ سامان کي درياءَ جي ڪناري ۽ ٻيٽن تان هٽايو.
be_ready: علائقو ڇڏڻ لاءِ تيار رهو.
flooded_roads: پاڻيءَ هيٺ آيل رستا پار نه ڪريو.
leave_bank: درياءَ جو ڪنارو ۽ ڀرسان هيٺاهان علائقا خالي ڪريو.
weak_first: ٻارن، ٻڍن ۽ بيمارن کي پهرين ڪڍو.
take: ضروري ڪاغذ، دوائون ۽ پيئڻ جو پاڻي ساڻ کڻو.
flood_water: ٻوڏ جي پاڻيءَ ۾ پنڌ يا گاڏيءَ تي نه وڃو.
follow: مقامي انتظاميا جي هدايتن تي عمل ڪريو.
leave_low: پاڻي رستا بند ڪري، ان کان اڳ درياءَ ويجھو هيٺاهان علائقا فوري خالي ڪريو.
electricity: بجلي بند ڪريو.
high_ground: فوري مٿانهين جاءِ تي هليا وڃو.
no_goods: سامان بچائڻ لاءِ نه ترسو.
embankments: بندن کان پري رهو: اهي ٽٽي سگھن ٿا.
streams_high: نئين ۾ پاڻي اڃا وڌيڪ ٿي سگھي ٿو؛ ٽٽل رستا ۽ پليون خطرناڪ آهن.
streams: نئين ۽ سڪل نالن ۾ نه وڃو، اتي تنبو يا گاڏي نه بيهاريو.
off_streams: ماڻهن، چوپائي مال ۽ سامان کي نئين ۽ سڪل نالن کان هٽايو.
within_hour: پاڻي هڪ ڪلاڪ اندر اچي سگھي ٿو، اتي به جتي برسات نه هجي.
leave_streams: نئين جا ڪنارا، سڪل نالا ۽ ڀرسان هيٺاهان علائقا خالي ڪريو.
leave_streams_now: پاڻي رستا بند ڪري، ان کان اڳ نئين ويجھو هيٺاهان علائقا فوري خالي ڪريو.
rooms_hot: ڪمرا ڪيترائي ڪلاڪ گرم رهن ٿا: پاڻي پيئندا رهو، اڄ رات ٻڍن ۽ بيمارن جو خيال رکو.
drink: اڃ نه هجي تڏهن به بار بار پاڻي پيئو.
shade: ڇانوَ ۾ آرام ڪريو.
no_car: ٻارن يا جانورن کي بيٺل گاڏيءَ ۾ ڪڏهن به نه ڇڏيو.
heavy_work: ڳرو ڪم رڳو صبح ۽ شام جو ڪريو ۽ ڇانوَ ۾ ساهي پٽيو.
weak_look: ٻارن، ڳورهارين عورتن، ٻڍن ۽ بيمارن جو خيال رکو.
sun: 11 کان 17 وڳي تائين اُس ۾ نه نڪرو، ٻاهر ڳرو ڪم بند ڪريو.
clothes: ويڪرا هلڪا ڪپڙا پايو، جسم ۽ ڪپڙا آلا رکو.
heat_stroke: منجھيل ڳالهيون، بيهوشي يا تتل چمڙي لُوءَ لڳڻ جون نشانيون آهن: فوري پاڻيءَ سان ٿڌو ڪريو ۽ ڊاڪٽر سڏايو.
stop_work: ٻاهر ڪم بند ڪريو.
coolest: سڀ کان ٿڌي جاءِ تي رهو.
visit: ٻڍن، بيمارن ۽ اڪيلن ماڻهن جي خبر لهو، رات جو به.
heat_kills: اهڙي گرمي صحتمند ماڻهن کي به ماري ٿي، رڳو پکو ڪافي ناهي.
slopes: درياءَ اڃا چڙهي سگھن ٿا ۽ آليون لاهيون ترڪي سگھن ٿيون.
water_roads: رستن ۽ تهخانن ۾ پاڻي اچي سگھي ٿو.
wires: ڪريل تارن ۽ ڪمزور ڀتين کان پري رهو.
underpasses: انڊرپاس، تهخانن ۽ نالن ۾ نه وڃو.
off_low: سامان ۽ چوپايو مال هيٺاهين جاين تان هٽايو.
indoors: گھر اندر رهو، هيٺاهين جاين، نئين ۽ لاهين کان پري.
leave_slopes: هيٺاهان علائقا، نئين جا ڪنارا ۽ لاهيون خالي ڪريو.
strong_building: فوري مٿانهين جاءِ تي مضبوط عمارت ۾ وڃو، نئين ۽ لاهين کان پري.

[sentences]
expected: {place}: {level} متوقع، لڳ ڀڳ {time}.
expected_untimed: {place}: {level} متوقع.
observed: {place}: {level} ({time}).
raised: خطرو وڌيو:
lowered: خطرو گھٽيو:
new_time: نئون وقت:
arrived: {place}: {level} پهچي وئي ({time}).
silent: {place}: {level}، وارننگ برقرار؛ گيج خاموش آهي ({time}).
stands: {place}: {level}، وارننگ برقرار ({time}).
in_force: {place}: {level}، وارننگ ({time}).
clear: {place}: پاڻي خطري جي سطح کان هيٺ اچي ويو ({time}).
station_silent: {place}: {level}، وارننگ برقرار؛ اسٽيشن خاموش آهي ({time}).
clear_flash_flood: {place}: برسات هاڻي ٻوڏ جي حد کان گھٽ آهي ({time}).
clear_heat: {place}: گرمي خطري جي حد کان هيٺ اچي وئي ({time}).
clear_heavy_rain: {place}: برسات خطري جي حد کان هيٺ اچي وئي ({time}).

[reasons]
observed_above: {parameter} {value}[ ({observed})]: حد {limit} جي برابر يا مٿي[، {level}][ ({source})] | ماپ حد کان مٿي آهي
observed_below: {parameter} {value}[ ({observed})]: {limit} کان هيٺ | {parameter} {value}[ ({observed})]: سڀني حدن کان هيٺ
 | ماپ سڀني حدن کان هيٺ آهي
unconfirmed: هڪ ماپ {value} جو مطلب {level} آهي، اڃا تصديق ناهي ٿي | هڪ ماپ جي اڃا تصديق ناهي ٿي
suspect: مشڪوڪ ماپ[ {value}][ ({observed})] استعمال نه ڪئي وئي[ ({cause})]
silent_since: {observed} کان گيج جي ڪا درست ماپ ناهي آئي | گيج جي ڪڏهن به درست ماپ ناهي آئي
never_spoke: گيج جي ڪڏهن به درست ماپ ناهي آئي
trend: چڙهي رهيو آهي[، في ڪلاڪ {rate}][، آخري {points} ماپن موجب][، اڳتي {horizon} ڪلاڪ]
trend_falling: لهي رهيو آهي[، في ڪلاڪ {rate}][، آخري {points} ماپن موجب]
wave: {upstream} کان ريلو ({upstream_value}، {upstream_level}) {travel_low} کان {travel_high} ڪلاڪن ۾ پهچندو[، لڳ ڀڳ {arrival}]
 | {upstream} کان ريلو اچي رهيو آهي[ ({upstream_level})] | مٿان کان ريلو اچي رهيو آهي
expected: {level}[ ({limit} کان)] متوقع[، لڳ ڀڳ {arrival}][، امڪان {probability}]
likelihood: يقين: {likelihood} ({probability})[؛ حد تائين {lead_low} کان {lead_high} ڪلاڪن ۾، {early} ۽ {late} جي وچ ۾]
 | يقين: {likelihood} ({probability})؛ حد تائين {early} کان اڳ نه، {lead_low} ڪلاڪن ۾ | يقين: {likelihood} ({probability})
exposure: {area}: {exposed}
neighbour_confirms: {upstream} جو گيج ماپ جي تصديق ڪري ٿو | ويجھو گيج ماپ جي تصديق ڪري ٿو
second_reading_confirms: ٻي ماپ تصديق ڪري ٿي
peak: وڌ ۾ وڌ لڳ ڀڳ {value}[، لڳ ڀڳ {peak}]
out_of_service: {parameter} جو سينسر بند آهي[ ({cause})] | هڪ سينسر بند آهي
stale_reading: آخري ماپ {age} ڪلاڪ پراڻي آهي | آخري ماپ پراڻي آهي
end_unconfirmed: ڪا ماپ خطري جي ختم ٿيڻ جي تصديق نٿي ڪري، وارننگ برقرار آهي
station_silent_since: {observed} کان اسٽيشن جي ڪا درست ماپ ناهي آئي | اسٽيشن جي ڪڏهن به درست ماپ ناهي آئي
station_never_spoke: اسٽيشن جي ڪڏهن به درست ماپ ناهي آئي
flash_flood: {duration} ڪلاڪن ۾ {rain} برسات؛ {wetness} آلي زمين تي {threshold} سان ٻوڏ اچي ٿي (اڳوڻي برسات {antecedent})؛
 برسات ماپيل آهي، پاڻي رستي ۾ آهي
heat_of: گرمي پد {temperature} ({temperature_at}) ۽ گھم {humidity} ({humidity_at}) موجب
rain_fell: {duration} ڪلاڪن ۾ {rain} برسات پئي؛ هي ماپ آهي، اڳڪٿي ناهي: نيون ڪجھ ڪلاڪن ۾ چڙهن ٿيون

[parameters]
stage: پاڻيءَ جي سطح
discharge: وهڪرو
inflow: آمد
outflow: اخراج
rain: برسات
temperature: گرمي پد
humidity: گھم
heat_index: محسوس ٿيندڙ گرمي
wet_bulb: آلي بلب جو گرمي پد
rain_hours: {hours} ڪلاڪن جي برسات
flash_flood: ٻوڏ جي حد جي مقابلي ۾ برسات

[causes]
none: سبب نه ڄاڻايل
missing: موجود ناهي
sentinel: سينسر چيو ته موجود ناهي
future: وقت اڃا ناهي آيو
stale: تمام پراڻي
gross_range: ممڪن حد کان ٻاهر
duplicate: ورجايل
revision: درست ڪيل
spike: اوچتو ٽپو
rate_of_rise: تمام تيز چڙهي
rate_of_fall: تمام تيز لٿي
flat_line: هڪ جاءِ تي بيٺل
manual: عملي طرفان مقرر
internal: اندروني غلطي
gap: وقفي کان پوءِ پهرين
climatology: موسم لاءِ غير معمولي
rise_without_rain: برسات کان سواءِ چڙهي
rain_without_rise: برسات باوجود نه چڙهي
neighbour: ويجھا گيج ٻيو ڪجھ ٻڌائين ٿا
attenuated: تقريبن نٿي بدلجي
datum_shift: ٻڙي شايد سرڪي وئي آهي
wrong_unit: يونٽ شايد ٻيو آهي
outside_rating: وهڪري جي جدول کان ٻاهر

[units]
m: ميٽر
ft: فوٽ
m3/s: ڪيوبڪ ميٽر في سيڪنڊ
cusec: ڪيوسڪ
mm: ملي ميٽر
degC: درجا
degF: درجا فارنهائيٽ
%: سيڪڙو
ratio: سيڪڙو

[likelihoods]
virtually_certain: تقريبن يقيني
very_likely: تمام گھڻو امڪان
likely: امڪان آهي
more_likely_than_not: ٿيڻ جو امڪان وڌيڪ
about_as_likely_as_not: ٿيڻ نه ٿيڻ تقريبن برابر
unlikely: گھٽ امڪان
very_unlikely: تمام گھٽ امڪان
exceptionally_unlikely: تقريبن ناممڪن

[assets]
border_post: سرحدي چوڪيون
port: بندرگاهون
dry_port: خشڪ بندرگاهون
highway: شاهراهون
bridge: پليون
railway: ريلوي پليون
airport: هوائي اڏا
power: بجلي گھر
grid: گرڊ اسٽيشنون
fibre: فائبر مرڪز
dam: ڊيم
hospital: اسپتالون
water: پاڻيءَ جا مرڪز

[counts]
10000000: {number} ڪروڙ
100000: {number} لک

[words]
exercise: مشق:
test: آزمائش:
exercise_note: هيءَ مشق آهي. ان ۾ ٻڌايل ڪا به ڳالهه حقيقت ۾ نٿي ٿئي؛ رڳو مقرر ڪيل شريڪ عمل ڪن.
value_stage: سطح {value}.
value_discharge: وهڪرو {value}.
value_flash_flood: برسات ٻوڏ جي حد جو {value}.
value_heat_index: محسوس گرمي {value}.
value_wet_bulb: آلو بلب {value}.
value_rain: {hours} ڪلاڪن ۾ {value}.
code: ڪوڊ {code}
limits: {place} جون حدون: {limits} ({source}).
districts: ضلعا: {districts}.
age: جاري ڪرڻ وقت آخري درست ماپ {age} پراڻي هئي.
minutes: {number} منٽ
hours: {number} ڪلاڪ
days: {number} ڏينهن
before: اڳ: {level}.
area: درياءُ {place} کان هيٺ: {districts}
area_alone: درياءُ {place} کان هيٺ
area_streams: {place} جون نيون: {districts}
area_streams_alone: {place} جون نيون
area_place: {place}: {districts}
area_polygon: درياءَ سان گڏ {km} ڪلوميٽر ويڪر ۾ (هي پاڻي هيٺ اچڻ جو نقشو ناهي)
area_distance: گيج کان {km} ڪلوميٽرن اندر (هي پاڻي هيٺ اچڻ جو نقشو ناهي)
area_station: اسٽيشن کان {km} ڪلوميٽرن اندر
area_districts: ان جي ضلعن ۾
one_town: 1 شهر، آبادي {people}
towns: {number} شهر، آبادي {people}
unsized: اڻڄاتل آباديءَ وارا شهر: {number}
no_town: فهرست جو ڪو شهر ناهي
at_risk: خطري ۾: {assets}.
people: اتي شهرن جي آبادي {people}.
comma: ،
stop: .
"""
