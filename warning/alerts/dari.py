"""Dari, the Persian of Afghanistan. A draft: written for this project, not yet reviewed by a native speaker of the flood service."""

TABLE = """
language: fa
locale: fa_AF
instead: ur
months: wide
date: {day} {month} {time}

[events]
flood: سیلاب
flash_flood: سیلاب ناگهانی
heat: گرمای شدید
heavy_rain: بارندگی شدید

[flood]
NORMAL: پایین‌تر از سطح سیلاب
LOW: سیلاب خفیف
MEDIUM: سیلاب متوسط
HIGH: سیلاب شدید
VERY_HIGH: سیلاب بسیار شدید
EXCEPTIONAL: سیلاب فوق‌العاده شدید

[risk]
UNKNOWN: نامعلوم
NORMAL: خطر نیست
LOW: خطر کم
MEDIUM: خطر متوسط
HIGH: خطر زیاد
VERY_HIGH: خطر بسیار زیاد
EXCEPTIONAL: خطر فوق‌العاده

[rain]
NORMAL: بارندگی شدید نیست
LOW: بارندگی نسبتاً شدید
MEDIUM: بارندگی شدید
HIGH: بارندگی بسیار شدید
VERY_HIGH: بارندگی سیل‌آسا
EXCEPTIONAL: بارندگی فوق‌العاده

[act flood]
NORMAL: خطر سیلاب پایان یافت.
LOW: از دریا دور باشید.
MEDIUM: مواشی و اموال را از کنار دریا دور کنید.
HIGH: کنار دریا و جاهای پست را ترک کنید.
VERY_HIGH: جاهای پست نزدیک دریا را فوراً ترک کنید.
EXCEPTIONAL: فوراً به جای بلند بروید.

[act flash_flood]
NORMAL: خطر سیلاب ناگهانی پایان یافت.
LOW: از جوی‌ها و دره‌ها دور باشید.
MEDIUM: مواشی و اموال را از جوی‌ها دور کنید.
HIGH: کنار جوی‌ها و جاهای پست را ترک کنید.
VERY_HIGH: جاهای پست نزدیک جوی‌ها را فوراً ترک کنید.
EXCEPTIONAL: فوراً به جای بلند بروید.

[act heat]
NORMAL: خطر گرما پایان یافت.
LOW: زود زود آب بنوشید.
MEDIUM: در سایه استراحت کنید، زود زود آب بنوشید.
HIGH: زیر آفتاب نروید، زود زود آب بنوشید.
VERY_HIGH: کار بیرون را بس کنید، در جای سرد بمانید.
EXCEPTIONAL: فوراً به جای سرد بروید، بدن را تر کنید.

[act heavy_rain]
NORMAL: خطر بارندگی پایان یافت.
LOW: متوجه آب روی سرک‌ها باشید.
MEDIUM: از جاهای پست و زیرگذرها دور باشید.
HIGH: از جاهای پست و دامنه‌های تیز دور باشید.
VERY_HIGH: جاهای پست و دامنه‌های تیز را ترک کنید.
EXCEPTIONAL: فوراً به خانهٔ محکم در جای بلند بروید.

[advice]
ended: هشدار پایان یافت.
damaged: سرک‌ها، پل‌ها و بندهای آسیب‌دیده هنوز خطرناک‌اند؛ تنها با اجازهٔ مقام‌های محلی برگردید.
river: داخل دریا نشوید و به جزیره‌های آن نروید.
watch: منتظر پیام‌های بعدی باشید.
off_bank: مردم، مواشی و اموال را از کنار دریا و جزیره‌ها دور کنید.
be_ready: برای رفتن آماده باشید.
flooded_roads: از سرک‌های زیر آب نگذرید.
leave_bank: کنار دریا و جاهای پست نزدیک آن را ترک کنید.
weak_first: نخست به کودکان، کهن‌سالان و بیماران کمک کنید که بیرون شوند.
take: اسناد، دوا و آب آشامیدنی با خود بگیرید.
flood_water: در آب سیلاب پیاده یا با موتر نروید.
follow: هدایات مقام‌های محلی را پیروی کنید.
leave_low: پیش از آنکه آب راه‌ها را ببندد، جاهای پست نزدیک دریا را فوراً ترک کنید.
electricity: برق را قطع کنید.
high_ground: فوراً به جای بلند بروید.
no_goods: برای نجات اموال نمانید.
embankments: از بندها دور باشید: ممکن است بشکنند.
streams_high: ممکن است آب جوی‌ها هنوز بلند باشد؛ سرک‌ها و پل‌های آسیب‌دیده خطرناک‌اند.
streams: داخل جوی‌ها و سیل‌برهای خشک نشوید، آنجا خیمه نزنید و موتر ایستاد نکنید.
off_streams: مردم، مواشی و اموال را از جوی‌ها و سیل‌برهای خشک دور کنید.
within_hour: آب ممکن است در یک ساعت برسد، حتا جایی که باران نیست.
leave_streams: کنار جوی‌ها، سیل‌برهای خشک و جاهای پست نزدیک آن‌ها را ترک کنید.
leave_streams_now: پیش از آنکه آب راه‌ها را ببندد، جاهای پست نزدیک جوی‌ها را فوراً ترک کنید.
rooms_hot: اتاق‌ها ساعت‌ها گرم می‌مانند: آب بنوشید و امشب متوجه کهن‌سالان و بیماران باشید.
drink: اگر تشنه هم نیستید زود زود آب بنوشید.
shade: در سایه استراحت کنید.
no_car: هرگز کودکان یا حیوانات را در موتر ایستاده تنها نگذارید.
heavy_work: کار سنگین را تنها صبح و شام کنید و در سایه دم بگیرید.
weak_look: متوجه کودکان، زنان حامله، کهن‌سالان و بیماران باشید.
sun: از ساعت 11 تا 17 زیر آفتاب نروید و کار سنگین بیرون را بس کنید.
clothes: لباس فراخ و سبک بپوشید، پوست و لباس را تر کنید.
heat_stroke: گیجی، بیهوشی یا پوست داغ نشانهٔ گرمازدگی است: فوراً با آب سرد کنید و داکتر بخواهید.
stop_work: کار بیرون را بس کنید.
coolest: در سردترین جا بمانید.
visit: از کهن‌سالان، بیماران و کسانی که تنها هستند خبر بگیرید، شب هم.
heat_kills: این گرما آدم سالم را هم می‌کشد، پکه به تنهایی بس نیست.
slopes: ممکن است دریاها هنوز بالا بیایند و دامنه‌های تر بلغزند.
water_roads: ممکن است روی سرک‌ها و در زیرزمینی‌ها آب باشد.
wires: از سیم‌های افتاده و دیوارهای سست دور باشید.
underpasses: به زیرگذرها، زیرزمینی‌ها و جوی‌ها نروید.
off_low: اموال و مواشی را از جاهای پست دور کنید.
indoors: در خانه بمانید، دور از جاهای پست، جوی‌ها و دامنه‌های تیز.
leave_slopes: جاهای پست، کنار جوی‌ها و دامنه‌های تیز را ترک کنید.
strong_building: فوراً به ساختمان محکم در جای بلند بروید، دور از جوی‌ها و دامنه‌های تیز.

[sentences]
expected: {place}: {level}، حدود {time} انتظار می‌رود.
expected_untimed: {place}: {level} انتظار می‌رود.
observed: {place}: {level} ({time}).
raised: خطر بلند رفت:
lowered: خطر پایین آمد:
new_time: وقت جدید:
arrived: {place}: {level} رسید ({time}).
silent: {place}: {level}، هشدار برجاست؛ آب‌سنج خاموش است ({time}).
stands: {place}: {level}، هشدار برجاست ({time}).
in_force: {place}: {level}، هشدار ({time}).
clear: {place}: آب از سطح خطر پایین آمد ({time}).
station_silent: {place}: {level}، هشدار برجاست؛ ایستگاه خاموش است ({time}).
clear_flash_flood: {place}: باران دیگر به اندازهٔ سیلاب نیست ({time}).
clear_heat: {place}: گرما از سطح خطر پایین آمد ({time}).
clear_heavy_rain: {place}: باران از سطح خطر پایین آمد ({time}).

[reasons]
observed_above: {parameter} {value}[ در {observed}]: برابر یا بالاتر از حد {limit}[ برای {level}][ ({source})] | اندازه‌گیری بالاتر از حد است
observed_below: {parameter} {value}[ در {observed}]: پایین‌تر از {limit} | {parameter} {value}[ در {observed}]: پایین‌تر از همهٔ حدها
 | اندازه‌گیری پایین‌تر از همهٔ حدهاست
unconfirmed: یک اندازه‌گیری {value} نشان‌دهندهٔ {level} است، هنوز تأیید نشده | یک اندازه‌گیری هنوز تأیید نشده
suspect: اندازه‌گیری مشکوک[ {value}][ در {observed}] استفاده نشد[ ({cause})]
silent_since: از {observed} به این سو از آب‌سنج اندازه‌گیری درست نیامده | از آب‌سنج هرگز اندازه‌گیری درست نیامده
never_spoke: از آب‌سنج هرگز اندازه‌گیری درست نیامده
trend: در حال بلند رفتن[، ساعتی {rate}][، از {points} اندازه‌گیری اخیر][، تا {horizon} ساعت بعد]
trend_falling: در حال پایین آمدن[، ساعتی {rate}][، از {points} اندازه‌گیری اخیر]
wave: موج از {upstream} ({upstream_value}، {upstream_level}) در {travel_low} تا {travel_high} ساعت می‌رسد[، حدود {arrival}]
 | موج از {upstream} در راه است[ ({upstream_level})] | موج از بالا در راه است
expected: {level}[ (از {limit})] انتظار می‌رود[، حدود {arrival}][، احتمال {probability}]
likelihood: اطمینان: {likelihood} ({probability})[؛ رسیدن به حد در {lead_low} تا {lead_high} ساعت، میان {early} و {late}]
 | اطمینان: {likelihood} ({probability})؛ رسیدن به حد نه پیش از {early}، در {lead_low} ساعت | اطمینان: {likelihood} ({probability})
exposure: {area}: {exposed}
neighbour_confirms: آب‌سنج {upstream} اندازه‌گیری را تأیید می‌کند | آب‌سنج نزدیک اندازه‌گیری را تأیید می‌کند
second_reading_confirms: اندازه‌گیری دوم تأیید می‌کند
peak: بیشترین حدود {value}[، حدود {peak}]
out_of_service: حسگر {parameter} کار نمی‌کند[ ({cause})] | یک حسگر کار نمی‌کند
stale_reading: آخرین اندازه‌گیری {age} ساعت پیش است | آخرین اندازه‌گیری کهنه است
end_unconfirmed: هیچ اندازه‌گیری پایان خطر را تأیید نمی‌کند، هشدار برجاست
station_silent_since: از {observed} به این سو از ایستگاه اندازه‌گیری درست نیامده | از ایستگاه هرگز اندازه‌گیری درست نیامده
station_never_spoke: از ایستگاه هرگز اندازه‌گیری درست نیامده
flash_flood: در {duration} ساعت {rain} باران؛ روی زمینی که {wetness} تر است {threshold} سیلاب می‌آورد (باران پیشین {antecedent})؛
 باران اندازه شده، آب در راه است
heat_of: از دمای {temperature} ({temperature_at}) و رطوبت {humidity} ({humidity_at})
rain_fell: در {duration} ساعت {rain} باران بارید؛ این اندازه‌گیری است نه پیش‌بینی: جوی‌ها در چند ساعت بلند می‌شوند

[parameters]
stage: سطح آب
discharge: جریان آب
inflow: آب ورودی
outflow: آب خروجی
rain: باران
temperature: دمای هوا
humidity: رطوبت
heat_index: گرمای احساس‌شده
wet_bulb: دمای حباب تر
rain_hours: باران {hours} ساعته
flash_flood: باران نسبت به حد سیلاب

[causes]
none: دلیل گفته نشده
missing: نیست
sentinel: حسگر گفت که نیست
future: وقت آن هنوز نرسیده
stale: بسیار کهنه
gross_range: بیرون از حد ممکن
duplicate: تکراری
revision: اصلاح‌شده
spike: جهش ناگهانی
rate_of_rise: بسیار تند بلند رفته
rate_of_fall: بسیار تند پایین آمده
flat_line: بند مانده
manual: به دست کارمند
internal: خطای داخلی
gap: نخستین پس از وقفه
climatology: برای این فصل غیرعادی
rise_without_rain: بی باران بلند رفته
rain_without_rise: با باران بلند نرفته
neighbour: آب‌سنج‌های نزدیک چیز دیگری می‌گویند
attenuated: تقریباً تغییر نمی‌کند
datum_shift: شاید صفر آن جابه‌جا شده
wrong_unit: شاید واحد آن دیگر است
outside_rating: بیرون از جدول جریان

[units]
m: متر
ft: فوت
m3/s: متر مکعب در ثانیه
cusec: فوت مکعب در ثانیه
mm: میلی‌متر
degC: درجه
degF: درجهٔ فارنهایت
%: فیصد
ratio: فیصد

[likelihoods]
virtually_certain: تقریباً یقینی
very_likely: بسیار محتمل
likely: محتمل
more_likely_than_not: محتمل‌تر از نشدن
about_as_likely_as_not: شدن و نشدن تقریباً برابر
unlikely: کم‌احتمال
very_unlikely: بسیار کم‌احتمال
exceptionally_unlikely: تقریباً ناممکن

[assets]
border_post: پاسگاه‌های سرحدی
port: بندرها
dry_port: بندرهای خشک
highway: شاهراه‌ها
bridge: پل‌ها
railway: پل‌های راه‌آهن
airport: میدان‌های هوایی
power: دستگاه‌های برق
grid: سب‌ستیشن‌های برق
fibre: مراکز فایبر
dam: بندهای آب
hospital: شفاخانه‌ها
water: دستگاه‌های آب

[counts]
1000000: {number} میلیون

[words]
exercise: تمرین:
test: آزمایش:
exercise_note: این یک تمرین است. آنچه گفته شده واقعاً رخ نمی‌دهد؛ تنها اشتراک‌کنندگان تعیین‌شده عمل کنند.
value_stage: سطح آب {value}.
value_discharge: جریان {value}.
value_flash_flood: باران {value} حد سیلاب.
value_heat_index: گرمای احساس‌شده {value}.
value_wet_bulb: حباب تر {value}.
value_rain: {value} در {hours} ساعت.
code: کد {code}
limits: حدهای {place}: {limits} ({source}).
districts: ولسوالی‌ها: {districts}.
age: هنگام صدور، آخرین اندازه‌گیری درست {age} پیش بود.
minutes: {number} دقیقه
hours: {number} ساعت
days: {number} روز
before: پیشتر: {level}.
area: دریا پایین‌تر از {place}: {districts}
area_alone: دریا پایین‌تر از {place}
area_streams: جوی‌های {place}: {districts}
area_streams_alone: جوی‌های {place}
area_place: {place}: {districts}
area_polygon: در نواری به پهنای {km} کیلومتر کنار دریا (نقشهٔ زیر آب شدن نیست)
area_distance: در {km} کیلومتری آب‌سنج (نقشهٔ زیر آب شدن نیست)
area_station: در {km} کیلومتری ایستگاه
area_districts: در ولسوالی‌های آن
one_town: 1 شهر، جمعیت {people}
towns: {number} شهر، جمعیت {people}
unsized: شهرهای با جمعیت نامعلوم: {number}
no_town: هیچ شهر فهرست نیست
at_risk: در خطر: {assets}.
people: جمعیت شهرهای آنجا {people}.
comma: ،
stop: .
"""
