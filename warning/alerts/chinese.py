"""Chinese, simplified. A draft: written for this project, not yet reviewed by a native speaker of the flood service."""

TABLE = """
language: zh
locale: zh
months: abbreviated
date: {month}{day}日 {time}
join:
pause: ，

[events]
flood: 洪水
flash_flood: 山洪
heat: 高温
heavy_rain: 暴雨

[flood]
NORMAL: 低于洪水水位
LOW: 小洪水
MEDIUM: 中等洪水
HIGH: 大洪水
VERY_HIGH: 很大洪水
EXCEPTIONAL: 特大洪水

[risk]
UNKNOWN: 情况不明
NORMAL: 无风险
LOW: 低风险
MEDIUM: 中等风险
HIGH: 高风险
VERY_HIGH: 很高风险
EXCEPTIONAL: 极高风险

[rain]
NORMAL: 无强降雨
LOW: 较强降雨
MEDIUM: 大雨
HIGH: 暴雨
VERY_HIGH: 大暴雨
EXCEPTIONAL: 特大暴雨

[act flood]
NORMAL: 洪水警报已解除。
LOW: 请远离河道。
MEDIUM: 请把牲畜和财物移离河岸。
HIGH: 请离开河岸和低洼地带。
VERY_HIGH: 请立即离开河边低洼地带。
EXCEPTIONAL: 立即转移到高处！

[act flash_flood]
NORMAL: 山洪警报已解除。
LOW: 请远离溪流和沟谷。
MEDIUM: 请把牲畜和财物移离溪流。
HIGH: 请离开溪岸和低洼地带。
VERY_HIGH: 请立即离开溪边低洼地带。
EXCEPTIONAL: 立即转移到高处！

[act heat]
NORMAL: 高温警报已解除。
LOW: 请经常喝水。
MEDIUM: 请在阴凉处休息，经常喝水。
HIGH: 请避开日晒，经常喝水。
VERY_HIGH: 请停止户外劳动，待在凉爽处。
EXCEPTIONAL: 立即到凉爽处，用水降温！

[act heavy_rain]
NORMAL: 暴雨警报已解除。
LOW: 请当心路面积水。
MEDIUM: 请远离低洼处和地下通道。
HIGH: 请远离低洼处和陡坡。
VERY_HIGH: 请离开低洼处和陡坡。
EXCEPTIONAL: 立即转移到高处坚固的房屋！

[advice]
ended: 警报已解除。
damaged: 受损的道路、桥梁和堤坝仍有危险，当地政府允许后方可返回。
river: 不要下河，不要到河滩和河心洲。
watch: 请留意后续消息。
off_bank: 把人员、牲畜和财物从河岸和河心洲转移。
be_ready: 做好撤离准备。
flooded_roads: 不要穿越被淹的道路。
leave_bank: 离开河岸和附近的低洼地带。
weak_first: 帮助儿童、老人和病人先撤离。
take: 带上证件、药品和饮用水。
flood_water: 不要在洪水中行走或驾车。
follow: 听从当地政府的安排。
leave_low: 趁道路未被淹没，立即离开河边低洼地带。
electricity: 关闭电源。
high_ground: 立即转移到高处。
no_goods: 不要为抢救财物而停留。
embankments: 远离堤坝，堤坝可能溃决。
streams_high: 溪流水位可能仍高，受损的道路和桥梁仍有危险。
streams: 不要进入溪流和干沟，不要在那里露营或停车。
off_streams: 把人员、牲畜和财物从溪流和干沟旁转移。
within_hour: 即使当地没有下雨，洪水也可能在一小时内到达。
leave_streams: 离开溪岸、干沟和附近的低洼地带。
leave_streams_now: 趁道路未被淹没，立即离开溪边低洼地带。
rooms_hot: 室内数小时内仍然炎热，请继续喝水，今夜照看老人和病人。
drink: 不渴也要经常喝水。
shade: 在阴凉处休息。
no_car: 切勿把儿童或动物留在停放的车内。
heavy_work: 重活只在早晚做，并在阴凉处休息。
weak_look: 照看儿童、孕妇、老人和病人。
sun: 11点到17点避开日晒，停止户外重体力劳动。
clothes: 穿宽松浅色的衣服，弄湿皮肤和衣服。
heat_stroke: 神志不清、昏倒或皮肤发烫是中暑：立即用水降温并求医。
stop_work: 停止户外劳动。
coolest: 待在最凉爽的地方。
visit: 探望老人、病人和独居者，夜间也要探望。
heat_kills: 这样的高温对健康人也会致命，只用风扇不够。
slopes: 河水仍可能上涨，湿透的山坡可能滑坡。
water_roads: 道路和地下室可能进水。
wires: 远离掉落的电线和不牢固的墙。
underpasses: 不要进入地下通道、地下室和溪沟。
off_low: 把财物和牲畜移离低洼处。
indoors: 留在室内，远离低洼处、溪流和陡坡。
leave_slopes: 离开低洼处、溪岸和陡坡。
strong_building: 立即到高处坚固的建筑，远离溪流和陡坡。

[sentences]
expected: {place}：{level}，预计{time}前后。
expected_untimed: {place}：预计{level}。
observed: {place}：{level}（{time}）。
raised: 级别上升：
lowered: 级别下降：
new_time: 时间更新：
arrived: {place}：{level}，已到达（{time}）。
silent: {place}：{level}，警报继续；水文站无数据（{time}）。
stands: {place}：{level}，警报继续（{time}）。
in_force: {place}：{level}，警报有效（{time}）。
clear: {place}：水位已降到警戒线以下（{time}）。
station_silent: {place}：{level}，警报继续；站点无数据（{time}）。
clear_flash_flood: {place}：降雨已低于引发山洪的程度（{time}）。
clear_heat: {place}：气温已低于警戒线（{time}）。
clear_heavy_rain: {place}：降雨已低于警戒线（{time}）。

[reasons]
observed_above: {parameter}{value}[（{observed}）]，达到或超过{level}的限值{limit}[（{source}）]
 | {parameter}{value}[（{observed}）]，达到或超过{limit} | 读数超过限值
observed_below: {parameter}{value}[（{observed}）]，低于{limit}
 | {parameter}{value}[（{observed}）]，低于所有限值 | 读数低于所有限值
unconfirmed: 一次读数{value}表示{level}，尚未证实 | 一次读数尚未证实
suspect: 可疑读数[{value}][（{observed}）]未采用[（{cause}）]
silent_since: 自{observed}起水文站无有效读数 | 水文站从无有效读数
never_spoke: 水文站从无有效读数
trend: 上升中[，每小时{rate}][，依据最近{points}次读数][，外推{horizon}小时]
trend_falling: 下降中[，每小时{rate}][，依据最近{points}次读数]
wave: 来自{upstream}的洪峰（{upstream_value}，{upstream_level}）需{travel_low}至{travel_high}小时[，约{arrival}到达]
 | 来自{upstream}的洪峰正在下来[（{upstream_level}）] | 上游洪峰正在下来
expected: 预计{level}[（限值{limit}）][，约{arrival}][，概率{probability}]
likelihood: 把握：{likelihood}（{probability}）[；{lead_low}至{lead_high}小时后达到限值，在{early}与{late}之间]
 | 把握：{likelihood}（{probability}）；不早于{early}达到限值，约{lead_low}小时后 | 把握：{likelihood}（{probability}）
exposure: {area}：{exposed}
neighbour_confirms: {upstream}水文站证实该读数 | 邻近水文站证实该读数
second_reading_confirms: 第二次读数证实
peak: 洪峰约{value}[，预计{peak}前后]
out_of_service: {parameter}传感器停用[（{cause}）] | 有传感器停用
stale_reading: 最新读数是{age}小时前的 | 最新读数已陈旧
end_unconfirmed: 没有读数证实危险结束，警报继续
station_silent_since: 自{observed}起站点无有效读数 | 站点从无有效读数
station_never_spoke: 站点从无有效读数
flash_flood: {duration}小时降雨{rain}；土壤湿度{wetness}时，{threshold}即可引发山洪（前期降雨{antecedent}）；雨已测得，水正在下来
heat_of: 依据气温{temperature}（{temperature_at}）和湿度{humidity}（{humidity_at}）
rain_fell: {duration}小时降雨{rain}；这是实测，不是预报：溪流数小时内会上涨

[parameters]
stage: 水位
discharge: 流量
inflow: 入流
outflow: 出流
rain: 降雨
temperature: 气温
humidity: 湿度
heat_index: 体感温度
wet_bulb: 湿球温度
rain_hours: {hours}小时降雨
flash_flood: 降雨与山洪阈值之比

[causes]
none: 未说明原因
missing: 缺测
sentinel: 传感器报缺测
future: 时间在未来
stale: 太旧
gross_range: 超出可能范围
duplicate: 重复
revision: 已更正
spike: 突跳
rate_of_rise: 上升过快
rate_of_fall: 下降过快
flat_line: 数值不动
manual: 人工标记
internal: 内部错误
gap: 中断后首次
climatology: 与季节不符
rise_without_rain: 无雨上涨
rain_without_rise: 有雨不涨
neighbour: 与邻站不符
attenuated: 几乎不变
datum_shift: 零点可能移动
wrong_unit: 单位可能不同
outside_rating: 超出水位流量关系

[units]
m: 米
ft: 英尺
m3/s: 立方米/秒
cusec: 立方英尺/秒
mm: 毫米
degC: °C
degF: °F
%: %
ratio: %

[likelihoods]
virtually_certain: 几乎肯定
very_likely: 很可能
likely: 可能
more_likely_than_not: 多半会
about_as_likely_as_not: 可能性约一半
unlikely: 不大可能
very_unlikely: 很不可能
exceptionally_unlikely: 几乎不可能

[assets]
border_post: 边境口岸
port: 港口
dry_port: 陆港
highway: 公路
bridge: 桥梁
railway: 铁路桥
airport: 机场
power: 电站
grid: 变电站
fibre: 光缆节点
dam: 水坝
hospital: 医院
water: 水厂

[counts]
100000000: {number}亿
10000: {number}万

[words]
exercise: 演练：
test: 测试：
exercise_note: 这是演练。所述情况并未发生，仅指定的参加者采取行动。
value_stage: 水位{value}。
value_discharge: 流量{value}。
value_flash_flood: 降雨为山洪阈值的{value}。
value_heat_index: 体感{value}。
value_wet_bulb: 湿球温度{value}。
value_rain: {hours}小时{value}。
code: 核对码 {code}
limits: {place}限值：{limits}（{source}）。
districts: 地区：{districts}。
age: 发布时最新有效读数距今{age}。
minutes: {number}分钟
hours: {number}小时
days: {number}天
before: 此前：{level}。
area: {river}河{place}以下：{districts}
area_alone: {river}河{place}以下
area_streams: {place}一带溪流：{districts}
area_streams_alone: {place}一带溪流
area_place: {place}：{districts}
area_polygon: 沿河宽{km}公里范围内（不是淹没图）
area_distance: 距水文站{km}公里以内（不是淹没图）
area_station: 距站点{km}公里以内
area_districts: 在所属地区内
one_town: 1个城镇，人口{people}
towns: {number}个城镇，人口{people}
unsized: 人口不详的城镇：{number}
no_town: 名单上没有城镇
at_risk: 受威胁：{assets}。
people: 当地城镇人口{people}。
comma: 、
stop: 。
"""
