"""Russian. A draft: written for this project, not yet reviewed by a native speaker of the flood service."""

TABLE = """
language: ru
locale: ru
numbers: ru
months: abbreviated
date: {day} {month} {time}

[events]
flood: Паводок
flash_flood: Внезапный паводок
heat: Жара
heavy_rain: Сильный дождь

[flood]
NORMAL: Ниже опасного уровня
LOW: Слабый паводок
MEDIUM: Умеренный паводок
HIGH: Сильный паводок
VERY_HIGH: Очень сильный паводок
EXCEPTIONAL: Чрезвычайный паводок

[risk]
UNKNOWN: Неизвестно
NORMAL: риска нет
LOW: низкий риск
MEDIUM: средний риск
HIGH: высокий риск
VERY_HIGH: очень высокий риск
EXCEPTIONAL: чрезвычайный риск

[rain]
NORMAL: Сильного дождя нет
LOW: Довольно сильный дождь
MEDIUM: Сильный дождь
HIGH: Очень сильный дождь
VERY_HIGH: Ливень
EXCEPTIONAL: Чрезвычайный ливень

[act flood]
NORMAL: Угроза паводка миновала.
LOW: Держитесь подальше от реки.
MEDIUM: Уведите скот и уберите вещи с берега.
HIGH: Покиньте берег и низины.
VERY_HIGH: Немедленно покиньте низины у реки.
EXCEPTIONAL: СРОЧНО уходите на возвышенность.

[act flash_flood]
NORMAL: Угроза внезапного паводка миновала.
LOW: Держитесь подальше от ручьёв.
MEDIUM: Уведите скот и уберите вещи от ручьёв.
HIGH: Покиньте берега ручьёв и низины.
VERY_HIGH: Немедленно покиньте низины у ручьёв.
EXCEPTIONAL: СРОЧНО уходите на возвышенность.

[act heat]
NORMAL: Опасная жара закончилась.
LOW: Чаще пейте воду.
MEDIUM: Отдыхайте в тени и чаще пейте воду.
HIGH: Не выходите на солнце, чаще пейте воду.
VERY_HIGH: Не работайте на улице, будьте в прохладе.
EXCEPTIONAL: СРОЧНО уйдите в прохладу, охлаждайтесь водой.

[act heavy_rain]
NORMAL: Угроза сильного дождя миновала.
LOW: Осторожно: вода на дорогах.
MEDIUM: Избегайте низин и подземных переходов.
HIGH: Избегайте низин и крутых склонов.
VERY_HIGH: Покиньте низины и крутые склоны.
EXCEPTIONAL: СРОЧНО уходите в прочный дом на возвышенности.

[advice]
ended: Предупреждение снято.
damaged: Повреждённые дороги, мосты и дамбы ещё опасны; возвращайтесь только с разрешения местных властей.
river: Не входите в реку, не выходите на отмели и острова.
watch: Ждите новых сообщений.
off_bank: Уведите людей и скот, уберите имущество с берега и островов.
be_ready: Будьте готовы уйти.
flooded_roads: Не переходите и не переезжайте затопленные дороги.
leave_bank: Покиньте берег реки и низины рядом с ним.
weak_first: Сначала помогите уйти детям, пожилым и больным.
take: Возьмите документы, лекарства и питьевую воду.
flood_water: Не ходите и не ездите по воде.
follow: Выполняйте указания местных властей.
leave_low: Немедленно покиньте низины у реки, пока вода не перекрыла дороги.
electricity: Отключите электричество.
high_ground: Немедленно уходите на возвышенность.
no_goods: Не задерживайтесь ради имущества.
embankments: Не подходите к дамбам: их может прорвать.
streams_high: Вода в ручьях может оставаться высокой; повреждённые дороги и мосты опасны.
streams: Не входите в ручьи и сухие русла, не останавливайтесь и не ставьте там машины.
off_streams: Уведите людей и скот, уберите имущество от ручьёв и сухих русел.
within_hour: Вода может прийти в течение часа, даже туда, где нет дождя.
leave_streams: Покиньте берега ручьёв, сухие русла и низины рядом с ними.
leave_streams_now: Немедленно покиньте низины у ручьёв, пока вода не перекрыла дороги.
rooms_hot: В помещениях ещё долго жарко: продолжайте пить воду, присмотрите этой ночью за пожилыми и больными.
drink: Пейте воду часто, даже без жажды.
shade: Отдыхайте в тени.
no_car: Никогда не оставляйте детей и животных в закрытой машине.
heavy_work: Тяжёлую работу делайте только утром и вечером, с перерывами в тени.
weak_look: Присматривайте за детьми, беременными, пожилыми и больными.
sun: Не выходите на солнце с 11 до 17 часов, прекратите тяжёлую работу на улице.
clothes: Носите свободную лёгкую одежду, смачивайте кожу и одежду.
heat_stroke: Спутанность сознания, обморок или горячая кожа - признаки теплового удара: сразу охлаждайте водой и вызовите врача.
stop_work: Прекратите работу на улице.
coolest: Находитесь в самом прохладном месте.
visit: Навещайте пожилых, больных и одиноких, также ночью.
heat_kills: Такая жара убивает и здоровых, одного вентилятора мало.
slopes: Реки ещё могут подняться, размокшие склоны - сползти.
water_roads: Возможна вода на дорогах и в подвалах.
wires: Не подходите к упавшим проводам и слабым стенам.
underpasses: Не заходите в подземные переходы, подвалы и русла ручьёв.
off_low: Уберите вещи и уведите скот из низин.
indoors: Оставайтесь в доме, вдали от низин, ручьёв и крутых склонов.
leave_slopes: Покиньте низины, берега ручьёв и крутые склоны.
strong_building: Немедленно уходите в прочное здание на возвышенности, вдали от ручьёв и крутых склонов.

[sentences]
expected: {place}: {level}, ожидается около {time}.
expected_untimed: {place}: ожидается: {level}.
observed: {place}: {level} ({time}).
raised: Опасность выросла:
lowered: Опасность снизилась:
new_time: Новое время:
arrived: {place}: {level}, вода пришла ({time}).
silent: {place}: {level}, в силе; гидропост молчит ({time}).
stands: {place}: {level}, предупреждение в силе ({time}).
in_force: {place}: {level}, в силе ({time}).
clear: {place}: вода опустилась ниже опасного уровня ({time}).
station_silent: {place}: {level}, в силе; станция молчит ({time}).
clear_flash_flood: {place}: дождь уже слабее, чем нужно для паводка ({time}).
clear_heat: {place}: жара ниже опасного уровня ({time}).
clear_heavy_rain: {place}: дождь ниже опасного уровня ({time}).

[reasons]
observed_above: {parameter} {value}[ на {observed}]: не ниже порога {limit}[ ({level})][ ({source})] | измерение выше порога
observed_below: {parameter} {value}[ на {observed}]: ниже {limit} | {parameter} {value}[ на {observed}]: ниже всех порогов
 | измерение ниже всех порогов
unconfirmed: одно измерение {value} означало бы: {level}; оно ещё не подтверждено | одно измерение ещё не подтверждено
suspect: сомнительное измерение[ {value}][ на {observed}] не учтено[ ({cause})]
silent_since: с {observed} нет исправных измерений | исправных измерений с гидропоста ещё не было
never_spoke: исправных измерений с гидропоста ещё не было
trend: подъём[ на {rate} в час][, последних измерений: {points}][, продолжен на {horizon} ч]
trend_falling: спад[ на {rate} в час][, последних измерений: {points}]
wave: волна от поста {upstream} ({upstream_value}, {upstream_level}) идёт {travel_low}-{travel_high} ч[, придёт около {arrival}]
 | идёт волна от поста {upstream}[ ({upstream_level})] | сверху идёт волна
expected: {level}[ (от {limit})] ожидается[ около {arrival}][, вероятность {probability}]
likelihood: уверенность: {likelihood} ({probability})[; порог через {lead_low}-{lead_high} ч, между {early} и {late}]
 | уверенность: {likelihood} ({probability}); порог не раньше {early}, через {lead_low} ч | уверенность: {likelihood} ({probability})
exposure: {area}: {exposed}
neighbour_confirms: гидропост {upstream} подтверждает измерение | соседний гидропост подтверждает измерение
second_reading_confirms: второе измерение подтверждает
peak: пик около {value}[ ожидается около {peak}]
out_of_service: датчик ({parameter}) не работает[ ({cause})] | датчик не работает
stale_reading: последнему измерению {age} ч | последнее измерение устарело
end_unconfirmed: конец опасности не подтверждён измерениями, предупреждение остаётся
station_silent_since: с {observed} нет исправных измерений со станции | исправных измерений со станции ещё не было
station_never_spoke: исправных измерений со станции ещё не было
flash_flood: за {duration} ч выпало {rain}; при влажности почвы {wetness} паводок начинается от {threshold} (дождь накануне {antecedent});
 дождь измерен, вода в пути
heat_of: по температуре {temperature} ({temperature_at}) и влажности {humidity} ({humidity_at})
rain_fell: за {duration} ч выпало {rain}; это измерение, не прогноз: ручьи поднимаются за несколько часов

[parameters]
stage: уровень воды
discharge: расход воды
inflow: приток
outflow: сброс
rain: дождь
temperature: температура воздуха
humidity: влажность
heat_index: ощущаемая температура
wet_bulb: температура влажного термометра
rain_hours: дождь за {hours} ч
flash_flood: дождь в сравнении с порогом паводка

[causes]
none: причина не указана
missing: нет данных
sentinel: датчик сообщил «нет данных»
future: время ещё не наступило
stale: устарело
gross_range: вне возможных пределов
duplicate: повтор
revision: исправлено
spike: скачок
rate_of_rise: слишком быстрый рост
rate_of_fall: слишком быстрое падение
flat_line: значение застыло
manual: отмечено оператором
internal: внутренняя ошибка
gap: первое после перерыва
climatology: необычно для сезона
rise_without_rain: рост без дождя
rain_without_rise: дождь без подъёма
neighbour: соседи показывают иное
attenuated: почти не меняется
datum_shift: возможно, сместился ноль
wrong_unit: возможно, другая единица
outside_rating: вне кривой расходов

[units]
m: м
ft: фут.
m3/s: м3/с
cusec: кусек
mm: мм
degC: °C
degF: °F
%: %
ratio: %

[likelihoods]
virtually_certain: практически точно
very_likely: весьма вероятно
likely: вероятно
more_likely_than_not: скорее да, чем нет
about_as_likely_as_not: поровну
unlikely: маловероятно
very_unlikely: весьма маловероятно
exceptionally_unlikely: почти исключено

[assets]
border_post: пограничные посты
port: порты
dry_port: сухие порты
highway: шоссе
bridge: мосты
railway: железнодорожные мосты
airport: аэропорты
power: электростанции
grid: подстанции
fibre: узлы связи
dam: плотины
hospital: больницы
water: водозаборы

[counts]
1000000: {number} млн

[words]
exercise: УЧЕНИЯ.
test: ПРОВЕРКА.
exercise_note: Это учения. Ничего из сказанного не происходит; действуют только назначенные участники.
value_stage: Уровень {value}.
value_discharge: Расход {value}.
value_flash_flood: Дождь: {value} от порога.
value_heat_index: Ощущается {value}.
value_wet_bulb: Влажный термометр {value}.
value_rain: {value} за {hours} ч.
code: Код {code}
limits: Пороги, {place}: {limits} ({source}).
districts: Районы: {districts}.
age: Последнему исправному измерению на момент выпуска: {age}.
minutes: {number} мин
hours: {number} ч
days: {number} сут.
before: Раньше: {level}.
area: Река {river} ниже поста {place}: {districts}
area_alone: Река {river} ниже поста {place}
area_streams: Ручьи, {place}: {districts}
area_streams_alone: Ручьи, {place}
area_place: {place}: {districts}
area_polygon: в полосе {km} км вдоль реки (это не карта затопления)
area_distance: в пределах {km} км от гидропоста (это не карта затопления)
area_station: в пределах {km} км от станции
area_districts: в районах
one_town: 1 город, жителей: {people}
towns: городов: {number}, жителей: {people}
unsized: городов с неизвестным населением: {number}
no_town: городов из списка нет
at_risk: Под угрозой: {assets}.
people: Жителей в городах там: {people}.
comma: ,
stop: .
"""
