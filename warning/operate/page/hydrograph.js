// One gauge: its readings, the official limits, and the forecast with its spread. uPlot is a global (its file is no module).
/* global uPlot */
import { amount, number, plotted, quantityOf, scale, time } from "./format.js";
import { COLOUR, ORDER, levelName, svg } from "./levels.js";
import { direction, named, say } from "./words.js";

const LINES = ["#12395b", "#2a9d8f", "#7b5ea7"];
const FAN = ["#f59e0b26", "#f59e0b33", "#f59e0b4d"]; // the widest first; they lie on each other
// uPlot's form: least step in seconds, how to write it, and what to add where the year, month or day begins.
const TIMES = [
  [86400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [3600, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
  [60, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
];
const SOLID = ["#fdeccb", "#fbd796", "#f7b74f"]; // about what the fan's layers look like, for the key
let plot = null;

const seconds = (iso) => Date.parse(iso) / 1000;

// Every series on one common axis of times, null where it has no value there.
function table(answer, shown) {
  const columns = answer.series.map((series) => new Map(series.times.map((at, i) => [seconds(at), series.causes[i] ? null : series.values[i]])));
  const failed = new Map();
  for (const series of answer.series) series.times.forEach((at, i) => { if (series.causes[i] && series.values[i] !== null) failed.set(seconds(at), series.values[i]); });
  const courses = answer.forecast ? [answer.forecast.median, ...answer.forecast.bands.flatMap((band) => [band.low, band.high])] : [];
  const ahead = courses.map((course) => new Map(answer.forecast.times.map((at, i) => [seconds(at), course[i]])));
  const last = answer.zone.value !== null && answer.forecast ? seconds(answer.forecast.issued) : null;
  if (last !== null) for (const column of ahead) if (!column.has(last)) column.set(last, answer.zone.value);
  const all = [...columns, failed, ...ahead];
  const times = [...new Set(all.flatMap((column) => [...column.keys()]))].sort((a, b) => a - b);
  const scaled = all.map((column) => times.map((at) => { const value = column.get(at); return value === undefined ? undefined : value === null ? null : shown(value); }));
  return [times, ...scaled];
}

// The official limits as dashed lines with the class at the right edge; only those that the scale reaches.
function limits(zone, region, shown) {
  return (u) => {
    const { ctx } = u;
    ctx.save();
    ctx.font = `${direction() === "rtl" ? 13 : 12}px ${getComputedStyle(document.body).fontFamily}`.replace(/^(\d+)/, (size) => String(size * devicePixelRatio));
    for (const [level, limit] of Object.entries(zone.limits)) {
      const y = u.valToPos(shown(limit), "y", true);
      if (y < u.bbox.top || y > u.bbox.top + u.bbox.height) continue;
      ctx.strokeStyle = ctx.fillStyle = level === "LOW" ? "#9a7b00" : COLOUR[level];
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.setLineDash([7 * devicePixelRatio, 5 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(u.bbox.left, y);
      ctx.lineTo(u.bbox.left + u.bbox.width, y);
      ctx.stroke();
      ctx.textAlign = "left";
      ctx.textBaseline = "bottom";
      ctx.fillText(levelName(region, level, zone.hazard), u.bbox.left + 6 * devicePixelRatio, y - 2 * devicePixelRatio);
    }
    ctx.restore();
  };
}

function nowLine(at) {
  return (u) => {
    const x = u.valToPos(at, "x", true);
    if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
    const { ctx } = u;
    ctx.save();
    ctx.strokeStyle = "#6b7280";
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, u.bbox.top);
    ctx.lineTo(x, u.bbox.top + u.bbox.height);
    ctx.stroke();
    ctx.restore();
  };
}

// From the data to the next limit above them, so that one sees how much is left.
function reach(zone, shown) {
  return (u, low, high) => {
    const limit = Object.values(zone.limits).map(shown).sort((a, b) => a - b);
    const next = limit.find((value) => value >= (high ?? 0)) ?? limit.at(-1) ?? 1;
    const fromZero = zone.quantity === "discharge" || zone.hazard === "heavy_rain" || zone.hazard === "flash_flood";
    const floor = fromZero ? 0 : Math.min(low ?? limit[0] ?? 0, limit[0] ?? low ?? 0);
    return [floor, Math.max(high ?? 0, next) * 1.08];
  };
}

export function draw(answer, region, now) {
  // A flash flood's limits are parts of a threshold that moves: its graph is of the rain, without them.
  const zone = answer.zone.hazard === "flash_flood" ? { ...answer.zone, quantity: "rain", limits: {}, value: null } : answer.zone;
  const { unit, shown } = scale(zone.quantity);
  const series = answer.series.filter((each) => quantityOf(each.parameter) === zone.quantity);
  const data = table({ ...answer, zone, series }, shown);
  const place = document.getElementById("plot");
  const count = series.length;
  const fan = answer.forecast?.bands ?? [];
  const options = {
    width: place.clientWidth, height: Math.max(220, Math.min(340, place.clientWidth * 0.5)),
    tzDate: plotted, legend: { show: false }, cursor: { drag: { x: false, y: false } },
    scales: { x: { time: true }, y: { range: reach(zone, shown) } },
    axes: [
      { values: TIMES, grid: { stroke: "#e5e7eb" } },
      { label: unit, size: 74, labelSize: 20, grid: { stroke: "#e5e7eb" }, values: (_, ticks) => ticks.map((tick) => number(tick, zone.quantity)) },
    ],
    series: [
      {},
      ...series.map((each, i) => ({ label: each.parameter, stroke: LINES[i % LINES.length], width: 1.5, spanGaps: true, points: { show: true, size: 7 } })),
      { label: "failed", stroke: "#b91c1c", width: 0, paths: () => null, points: { show: true, size: 9, fill: "#fff" } },
      ...(answer.forecast ? [{ label: "median", stroke: "#b45309", width: 2, dash: [6, 4], spanGaps: true, points: { show: false } }] : []),
      ...fan.flatMap(({ percent }) => ["low", "high"].map((edge) => ({ label: `${edge} ${percent} %`, stroke: "transparent", spanGaps: true, points: { show: false } }))),
    ],
    bands: fan.map((_, i) => ({ series: [count + 4 + 2 * i, count + 3 + 2 * i], fill: FAN[i % FAN.length] })),
    hooks: { drawAxes: [limits(zone, region, shown)], draw: [nowLine(now)] },
  };
  plot?.destroy();
  place.replaceChildren();
  plot = new uPlot(options, data, place);
  place.setAttribute("aria-label", label(answer.zone, region));
  key(series, answer, data[count + 1].some((value) => value !== undefined && value !== null));
}

function label(zone, region) {
  const marks = ORDER.filter((level) => level in zone.limits).map((level) => `${levelName(region, level, zone.hazard)} ${amount(zone.limits[level], zone.quantity)}`);
  return `${named(zone.names)}: ${amount(zone.value, zone.quantity)}, ${time(zone.observed)}. ${marks.join("; ")}`;
}

function key(series, answer, failures) {
  const entries = series.map((each, i) => [LINES[i % LINES.length], "", say(each.parameter)]);
  if (answer.forecast) entries.push(["#b45309", "6 4", say("forecast")], ...answer.forecast.bands.map(({ percent }, i) => [SOLID[i % SOLID.length], "band", say("span", { percent })]));
  if (failures) entries.push(["#b91c1c", "dot", say("failed")]);
  document.getElementById("plot-legend").replaceChildren(...entries.map(([colour, kind, text]) => {
    const item = document.createElement("li");
    const mark = svg("svg", { width: 26, height: 12, "aria-hidden": "true" });
    if (kind === "band") mark.append(svg("rect", { width: 26, height: 12, fill: colour }));
    else if (kind === "dot") mark.append(svg("circle", { cx: 13, cy: 6, r: 4, fill: "#fff", stroke: colour, "stroke-width": 2 }));
    else mark.append(svg("line", { x1: 0, y1: 6, x2: 26, y2: 6, stroke: colour, "stroke-width": 2.5, "stroke-dasharray": kind }));
    item.append(mark, document.createTextNode(` ${text}`));
    return item;
  }));
}

