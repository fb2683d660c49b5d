// One gauge: its readings, the official limits, and the forecast with its spread. uPlot is a global (its file is no module).
/* global uPlot */
import { amount, number, plotted, quantityOf, scale, tick, time } from "./format.js";
import { COLOUR, ORDER, levelName, svg } from "./levels.js";
import { direction, named, say } from "./words.js";

const LINES = ["#12395b", "#2a9d8f", "#7b5ea7"];
const FAN = ["#f59e0b26", "#f59e0b33", "#f59e0b4d"]; // the widest first; they lie on each other
const INK = { LOW: "#7a6000", MEDIUM: "#a04d00" }; // of words: these two colours are too pale for letters on white
const SOLID = ["#fdeccb", "#fbd796", "#f7b74f"]; // about what the fan's layers look like, for the key
const lineOf = (level) => (level === "LOW" ? INK.LOW : COLOUR[level]);
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

// The official limits as dashed lines with the class above them, none over another; only those that the scale reaches. What has no room
// for its name is told to ``nameless`` and stands in the key.
function limits(zone, region, shown, nameless) {
  return (u) => {
    const { ctx } = u;
    const size = (direction() === "rtl" ? 13 : 12) * devicePixelRatio, high = (direction() === "rtl" ? 1.5 : 1.1) * size, gap = 6 * devicePixelRatio;
    const taken = [], leftOut = [];
    ctx.save();
    ctx.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
    ctx.lineJoin = "round";
    for (const level of ORDER.filter((each) => each in zone.limits).reverse()) {
      const limit = zone.limits[level];
      const y = u.valToPos(shown(limit), "y", true);
      if (y < u.bbox.top || y > u.bbox.top + u.bbox.height) continue;
      ctx.strokeStyle = lineOf(level);
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.setLineDash([7 * devicePixelRatio, 5 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(u.bbox.left, y);
      ctx.lineTo(u.bbox.left + u.bbox.width, y);
      ctx.stroke();
      const word = levelName(region, level, zone.hazard), wide = ctx.measureText(word).width;
      const beside = taken.filter((each) => Math.abs(each.y - y) < high);
      const left = Math.max(u.bbox.left, ...beside.map((each) => each.right)) + gap;
      if (left + wide > u.bbox.left + u.bbox.width) {
        leftOut.push(level);
        continue;
      }
      taken.push({ y, right: left + wide });
      ctx.textAlign = "left";
      ctx.textBaseline = "bottom";
      ctx.setLineDash([]);
      ctx.lineWidth = 3 * devicePixelRatio;
      ctx.strokeStyle = "#ffffffd9";
      ctx.fillStyle = INK[level] ?? COLOUR[level];
      ctx.strokeText(word, left, y - 2 * devicePixelRatio);
      ctx.fillText(word, left, y - 2 * devicePixelRatio);
    }
    ctx.restore();
    nameless(leftOut);
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
      { values: (_, ticks, axis, space, step) => ticks.map((at, i) => tick(at, step, i === 0)), grid: { stroke: "#e5e7eb" } },
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
    hooks: { drawAxes: [limits(zone, region, shown, (levels) => key(series, answer, failures, levels.map((level) => [lineOf(level), "7 5", levelName(region, level, zone.hazard)])))], draw: [nowLine(now)] },
  };
  const failures = data[count + 1].some((value) => value !== undefined && value !== null);
  plot?.destroy();
  place.replaceChildren();
  plot = new uPlot(options, data, place);
  place.setAttribute("aria-label", label(answer.zone, region));
}

function label(zone, region) {
  const marks = ORDER.filter((level) => level in zone.limits).map((level) => `${levelName(region, level, zone.hazard)} ${amount(zone.limits[level], zone.quantity)}`);
  return `${named(zone.names)}: ${amount(zone.value, zone.quantity)}, ${time(zone.observed)}. ${marks.join("; ")}`;
}

function key(series, answer, failures, nameless) {
  const entries = series.map((each, i) => [LINES[i % LINES.length], "", say(each.parameter)]);
  if (answer.forecast) entries.push(["#b45309", "6 4", say("forecast")], ...answer.forecast.bands.map(({ percent }, i) => [SOLID[i % SOLID.length], "band", say("span", { percent })]));
  if (failures) entries.push(["#b91c1c", "dot", say("failed")]);
  entries.push(...nameless);
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

