"""Pashto. A draft: written for this project, not yet reviewed by a native speaker of the flood service."""

TABLE = """
language: ps
locale: ps
instead: ur
months: wide
date: {day} {month} {time}

[events]
flood: سېلاب
flash_flood: ناڅاپي سېلاب
heat: سخته ګرمي
heavy_rain: سخت باران

[flood]
NORMAL: د سېلاب له کچې ښکته
LOW: د ټیټې کچې سېلاب
MEDIUM: د منځنۍ کچې سېلاب
HIGH: د لوړې کچې سېلاب
VERY_HIGH: د ډېرې لوړې کچې سېلاب
EXCEPTIONAL: د خورا لوړې کچې سېلاب

[risk]
UNKNOWN: نامعلوم
NORMAL: خطر نشته
LOW: لږ خطر
MEDIUM: منځنی خطر
HIGH: زیات خطر
VERY_HIGH: ډېر زیات خطر
EXCEPTIONAL: خورا زیات خطر

[rain]
NORMAL: سخت باران نشته
LOW: یو څه سخت باران
MEDIUM: سخت باران
HIGH: ډېر سخت باران
VERY_HIGH: خورا سخت باران
EXCEPTIONAL: بې ساری باران

[act flood]
NORMAL: د سېلاب خبرداری پای ته ورسېد.
LOW: له سیند لرې اوسئ.
MEDIUM: څاروي او سامان د سیند له غاړې لرې کړئ.
HIGH: د سیند غاړه او ټیټې سیمې پرېږدئ.
VERY_HIGH: سیند ته نږدې ټیټې سیمې سمدستي پرېږدئ.
EXCEPTIONAL: سمدستي لوړ ځای ته لاړ شئ.

[act flash_flood]
NORMAL: د ناڅاپي سېلاب خبرداری پای ته ورسېد.
LOW: له خوړونو لرې اوسئ.
MEDIUM: څاروي او سامان له خوړونو لرې کړئ.
HIGH: د خوړونو غاړې او ټیټې سیمې پرېږدئ.
VERY_HIGH: خوړونو ته نږدې ټیټې سیمې سمدستي پرېږدئ.
EXCEPTIONAL: سمدستي لوړ ځای ته لاړ شئ.

[act heat]
NORMAL: د ګرمۍ خبرداری پای ته ورسېد.
LOW: ژر ژر اوبه وڅښئ.
MEDIUM: په سیوري کې دمه وکړئ، ژر ژر اوبه وڅښئ.
HIGH: لمر ته مه وځئ، ژر ژر اوبه وڅښئ.
VERY_HIGH: بهر کار بند کړئ، په سوړ ځای کې اوسئ.
EXCEPTIONAL: سمدستي سوړ ځای ته لاړ شئ، ځان په اوبو سوړ کړئ.

[act heavy_rain]
NORMAL: د باران خبرداری پای ته ورسېد.
LOW: پر سړکونو اوبو ته پام کوئ.
MEDIUM: له ټیټو ځایونو او لاندې لارو لرې اوسئ.
HIGH: له ټیټو ځایونو او تېزو غونډیو لرې اوسئ.
VERY_HIGH: ټیټې سیمې او تېزې غونډۍ پرېږدئ.
EXCEPTIONAL: سمدستي په لوړ ځای کې ټینګ کور ته لاړ شئ.

[advice]
ended: خبرداری پای ته ورسېد.
damaged: خراب سړکونه، پلونه او بندونه لا هم خطرناک دي؛ یوازې د ځایي چارواکو په اجازه بېرته راشئ.
river: سیند ته مه ورګډېږئ او د هغه ټاپوګانو ته مه ځئ.
watch: نورو پیغامونو ته پام وکړئ.
off_bank: خلک، څاروي او سامان د سیند له غاړې او ټاپوګانو لرې کړئ.
be_ready: د وتلو لپاره چمتو اوسئ.
flooded_roads: له هغو سړکونو مه تېرېږئ چې اوبو نیولي وي.
leave_bank: د سیند غاړه او ورسره نږدې ټیټې سیمې پرېږدئ.
weak_first: لومړی ماشومان، زاړه او ناروغان وباسئ.
take: اسناد، درمل او د څښاک اوبه درسره واخلئ.
flood_water: د سېلاب په اوبو کې پلي یا په موټر کې مه ځئ.
follow: د ځایي چارواکو لارښوونې ومنئ.
leave_low: مخکې له دې چې اوبه لارې بندې کړي، سیند ته نږدې ټیټې سیمې سمدستي پرېږدئ.
electricity: برېښنا بنده کړئ.
high_ground: سمدستي لوړ ځای ته لاړ شئ.
no_goods: د سامان د ژغورلو لپاره مه درېږئ.
embankments: له بندونو لرې اوسئ: کېدای شي مات شي.
streams_high: کېدای شي په خوړونو کې لا هم ډېرې اوبه وي؛ خراب سړکونه او پلونه خطرناک دي.
streams: خوړونو او وچو خوړونو ته مه ورځئ، هلته خیمه یا موټر مه دروئ.
off_streams: خلک، څاروي او سامان له خوړونو او وچو خوړونو لرې کړئ.
within_hour: اوبه کېدای شي په یوه ساعت کې راورسېږي، هلته هم چې باران نه وي.
leave_streams: د خوړونو غاړې، وچ خوړونه او ورسره نږدې ټیټې سیمې پرېږدئ.
leave_streams_now: مخکې له دې چې اوبه لارې بندې کړي، خوړونو ته نږدې ټیټې سیمې سمدستي پرېږدئ.
rooms_hot: کوټې څو ساعته نورې هم ګرمې وي: اوبه څښئ، او نن شپه د زړو او ناروغانو پام ساتئ.
drink: که تږي هم نه یاست، ژر ژر اوبه وڅښئ.
shade: په سیوري کې دمه وکړئ.
no_car: ماشومان یا څاروي په ولاړ موټر کې هېڅکله مه پرېږدئ.
heavy_work: درانه کارونه یوازې سهار او ماښام وکړئ او په سیوري کې دمه وکړئ.
weak_look: د ماشومانو، امیندوارو ښځو، زړو او ناروغانو پام ساتئ.
sun: له 11 تر 17 بجو لمر ته مه وځئ او بهر درانه کارونه بند کړئ.
clothes: پراخې او سپکې جامې واغوندئ، بدن او جامې لمدې کړئ.
heat_stroke: ګډوډې خبرې، بې هوښي یا ګرم پوستکی د ګرمۍ وهلو نښې دي: سمدستي یې په اوبو سوړ کړئ او ډاکټر وغواړئ.
stop_work: بهر کار بند کړئ.
coolest: په تر ټولو سوړ ځای کې اوسئ.
visit: د زړو، ناروغانو او یوازې کسانو پوښتنه وکړئ، د شپې هم.
heat_kills: دا ګرمي روغ کسان هم وژني، یوازې پکه بس نه ده.
slopes: سیندونه لا هم لوړېدای شي او لمدې غونډۍ ښویېدای شي.
water_roads: کېدای شي پر سړکونو او په تهکاویو کې اوبه وي.
wires: له لوېدلو سیمونو او کمزورو دېوالونو لرې اوسئ.
underpasses: لاندې لارو، تهکاویو او خوړونو ته مه ځئ.
off_low: سامان او څاروي له ټیټو ځایونو لرې کړئ.
indoors: په کور کې اوسئ، له ټیټو ځایونو، خوړونو او تېزو غونډیو لرې.
leave_slopes: ټیټې سیمې، د خوړونو غاړې او تېزې غونډۍ پرېږدئ.
strong_building: سمدستي په لوړ ځای کې ټینګې ودانۍ ته لاړ شئ، له خوړونو او تېزو غونډیو لرې.

[sentences]
expected: {place}: {level}، تمه ده شاوخوا {time}.
expected_untimed: {place}: {level}، تمه ده.
observed: {place}: {level} ({time}).
raised: خطر لوړ شو:
lowered: خطر کم شو:
new_time: نوی وخت:
arrived: {place}: {level} راورسېد ({time}).
silent: {place}: {level}، خبرداری پر ځای دی؛ ګېج غلی دی ({time}).
stands: {place}: {level}، خبرداری پر ځای دی ({time}).
in_force: {place}: {level}، خبرداری ({time}).
clear: {place}: اوبه د خطر له کچې ښکته شوې ({time}).
station_silent: {place}: {level}، خبرداری پر ځای دی؛ سټېشن غلی دی ({time}).
clear_flash_flood: {place}: باران نور د سېلاب له حده کم دی ({time}).
clear_heat: {place}: ګرمي د خطر له کچې ښکته شوه ({time}).
clear_heavy_rain: {place}: باران د خطر له کچې ښکته شو ({time}).

[reasons]
observed_above: {parameter} {value}[ ({observed})]: له {limit} سره برابر یا لوړ[، {level}][ ({source})] | اندازه له حده لوړه ده
observed_below: {parameter} {value}[ ({observed})]: له {limit} ښکته | {parameter} {value}[ ({observed})]: له ټولو حدونو ښکته
 | اندازه له ټولو حدونو ښکته ده
unconfirmed: یوه اندازه {value} د {level} معنا لري، لا تایید شوې نه ده | یوه اندازه لا تایید شوې نه ده
suspect: شکمنه اندازه[ {value}][ ({observed})] ونه کارول شوه[ ({cause})]
silent_since: له {observed} راهیسې د ګېج سمه اندازه نه ده راغلې | د ګېج سمه اندازه هېڅکله نه ده راغلې
never_spoke: د ګېج سمه اندازه هېڅکله نه ده راغلې
trend: مخ په لوړېدو[، په ساعت کې {rate}][، د وروستیو {points} اندازو له مخې][، تر {horizon} ساعتونو پورې]
trend_falling: مخ په ټیټېدو[، په ساعت کې {rate}][، د وروستیو {points} اندازو له مخې]
wave: له {upstream} څخه څپه ({upstream_value}، {upstream_level}) په {travel_low} تر {travel_high} ساعتونو کې رارسېږي[، شاوخوا {arrival}]
 | له {upstream} څخه څپه په لاره ده[ ({upstream_level})] | له پورته څپه په لاره ده
expected: {level}[ (له {limit})]، تمه ده[، شاوخوا {arrival}][، احتمال {probability}]
likelihood: ډاډ: {likelihood} ({probability})[؛ حد ته په {lead_low} تر {lead_high} ساعتونو کې، د {early} او {late} ترمنځ]
 | ډاډ: {likelihood} ({probability})؛ حد ته له {early} مخکې نه، په {lead_low} ساعتونو کې | ډاډ: {likelihood} ({probability})
exposure: {area}: {exposed}
neighbour_confirms: د {upstream} ګېج اندازه تاییدوي | ګاونډی ګېج اندازه تاییدوي
second_reading_confirms: دویمه اندازه یې تاییدوي
peak: لوړه کچه شاوخوا {value}[، شاوخوا {peak}]
out_of_service: د {parameter} سنسر کار نه کوي[ ({cause})] | یو سنسر کار نه کوي
stale_reading: وروستۍ اندازه {age} ساعته مخکې ده | وروستۍ اندازه زړه ده
end_unconfirmed: هېڅ اندازه د خطر پای نه تاییدوي، خبرداری پر ځای دی
station_silent_since: له {observed} راهیسې د سټېشن سمه اندازه نه ده راغلې | د سټېشن سمه اندازه هېڅکله نه ده راغلې
station_never_spoke: د سټېشن سمه اندازه هېڅکله نه ده راغلې
flash_flood: په {duration} ساعتونو کې {rain} باران؛ پر {wetness} لمدې ځمکه {threshold} سېلاب راولي (مخکینی باران {antecedent})؛
 باران اندازه شوی، اوبه په لاره دي
heat_of: د {temperature} تودوخې ({temperature_at}) او {humidity} لندبل ({humidity_at}) له مخې
rain_fell: په {duration} ساعتونو کې {rain} باران وشو؛ دا اندازه ده، وړاندوینه نه ده: خوړونه په څو ساعتونو کې لوړېږي

[parameters]
stage: د اوبو کچه
discharge: د اوبو بهیر
inflow: راتلونکې اوبه
outflow: وتونکې اوبه
rain: باران
temperature: د هوا تودوخه
humidity: لندبل
heat_index: محسوسه ګرمي
wet_bulb: د لوند ترمومتر تودوخه
rain_hours: د {hours} ساعتونو باران
flash_flood: د سېلاب د حد په پرتله باران

[causes]
none: علت نه دی ویل شوی
missing: نشته
sentinel: سنسر ویلي چې نشته
future: وخت یې لا نه دی راغلی
stale: ډېره زړه
gross_range: له ممکن حده بهر
duplicate: تکراري
revision: سمه شوې
spike: ناڅاپي ټوپ
rate_of_rise: ډېر تېز لوړه شوې
rate_of_fall: ډېر تېز ښکته شوې
flat_line: پر یوه ځای ولاړه
manual: د کارکوونکي له خوا
internal: داخلي تېروتنه
gap: له ځنډ وروسته لومړۍ
climatology: د موسم لپاره نااشنا
rise_without_rain: بې بارانه لوړه شوې
rain_without_rise: له باران سره نه ده لوړه شوې
neighbour: ګاونډي ګېجونه بل څه وایي
attenuated: نږدې بدلون نه کوي
datum_shift: ښايي صفر یې ښویېدلی وي
wrong_unit: ښايي واحد یې بل وي
outside_rating: د بهیر له جدوله بهر

[units]
m: متره
ft: فوټه
m3/s: متر مکعب په ثانیه
cusec: کیوسک
mm: ملي متره
degC: درجې
degF: درجې فارنهایټ
%: سلنه
ratio: سلنه

[likelihoods]
virtually_certain: نږدې یقیني
very_likely: ډېر احتمال
likely: احتمال شته
more_likely_than_not: د کېدو احتمال زیات دی
about_as_likely_as_not: کېدل او نه کېدل نږدې برابر
unlikely: لږ احتمال
very_unlikely: ډېر لږ احتمال
exceptionally_unlikely: نږدې ناشونی

[assets]
border_post: سرحدي پوستې
port: بندرونه
dry_port: وچ بندرونه
highway: لویې لارې
bridge: پلونه
railway: د اورګاډي پلونه
airport: هوایي ډګرونه
power: د برېښنا بټۍ
grid: د برېښنا ګرېډونه
fibre: د فایبر مرکزونه
dam: د اوبو بندونه
hospital: روغتونونه
water: د اوبو رسولو مرکزونه

[counts]
1000000: {number} میلیونه

[words]
exercise: تمرین:
test: ازموینه:
exercise_note: دا تمرین دی. هغه څه چې ویل شوي رښتیا نه پېښېږي؛ یوازې ټاکل شوي ګډونوال دې عمل وکړي.
value_stage: د اوبو کچه {value}.
value_discharge: بهیر {value}.
value_flash_flood: باران د سېلاب د حد {value}.
value_heat_index: محسوسه ګرمي {value}.
value_wet_bulb: لوند ترمومتر {value}.
value_rain: په {hours} ساعتونو کې {value}.
code: کوډ {code}
limits: د {place} حدونه: {limits} ({source}).
districts: ولسوالۍ: {districts}.
age: د خپرېدو پر مهال وروستۍ سمه اندازه {age} مخکې وه.
minutes: {number} دقیقې
hours: {number} ساعته
days: {number} ورځې
before: مخکې: {level}.
area: سیند له {place} ښکته: {districts}
area_alone: سیند له {place} ښکته
area_streams: د {place} خوړونه: {districts}
area_streams_alone: د {place} خوړونه
area_place: {place}: {districts}
area_polygon: د سیند پر غاړه د {km} کیلومترو په پراخوالي (د اوبو لاندې کېدو نقشه نه ده)
area_distance: له ګېج څخه په {km} کیلومترو کې (د اوبو لاندې کېدو نقشه نه ده)
area_station: له سټېشن څخه په {km} کیلومترو کې
area_districts: په خپلو ولسوالیو کې
one_town: 1 ښار، نفوس {people}
towns: {number} ښارونه، نفوس {people}
unsized: د نامعلوم نفوس ښارونه: {number}
no_town: د لېست هېڅ ښار نشته
at_risk: په خطر کې: {assets}.
people: د هغه ځای د ښارونو نفوس {people}.
comma: ،
stop: .
"""
