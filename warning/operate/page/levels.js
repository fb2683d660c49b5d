// The classes: a colour that grows darker with the danger, and a shape of its own, so that nobody needs to tell colours apart.
import { named, say } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

export const ORDER = ["UNKNOWN", "NORMAL", "LOW", "MEDIUM", "HIGH", "VERY_HIGH", "EXCEPTIONAL"];
export const rank = (level) => ORDER.indexOf(level) - 1;

// The region's name of a flood's class; what is no river flood has classes of its own.
export const levelName = (region, level, hazard = "flood") =>
  named((hazard === "flood" ? region.class_names : region.hazard_class_names?.[hazard])?.[level]) || say(level);

export const COLOUR = {
  UNKNOWN: "#6b7280", NORMAL: "#3f8fc5", LOW: "#f4cf3a", MEDIUM: "#f08a24", HIGH: "#d3222a", VERY_HIGH: "#8d1b6e", EXCEPTIONAL: "#2c0b45",
};

const ring = (points) => points.map(([x, y]) => `${(16 + x).toFixed(2)},${(16 + y).toFixed(2)}`).join(" ");
const corners = (count, radius, turn = 0) =>
  Array.from({ length: count }, (_, i) => [radius * Math.sin(turn + (i * 2 * Math.PI) / count), -radius * Math.cos(turn + (i * 2 * Math.PI) / count)]);
const star = Array.from({ length: 16 }, (_, i) => {
  const radius = i % 2 ? 7.2 : 11;
  return [radius * Math.sin((i * Math.PI) / 8), -radius * Math.cos((i * Math.PI) / 8)];
});
const POINTS = {
  LOW: ring(corners(3, 10)),
  MEDIUM: ring(corners(4, 10.5, Math.PI / 4)),
  HIGH: ring(corners(4, 10.5)),
  VERY_HIGH: ring(corners(6, 10)),
  EXCEPTIONAL: ring(star),
};

export function svg(name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function body(level) {
  if (level === "UNKNOWN") {
    const group = svg("g");
    group.append(svg("circle", { cx: 16, cy: 16, r: 9, fill: "#fff", stroke: COLOUR.UNKNOWN, "stroke-width": 2, "stroke-dasharray": "3 2" }));
    const mark = svg("text", { x: 16, y: 20.5, "text-anchor": "middle", "font-size": 13, "font-weight": 700, fill: "#374151", "font-family": "sans-serif" });
    mark.textContent = "?";
    group.append(mark);
    return group;
  }
  if (level === "NORMAL") return svg("circle", { cx: 16, cy: 16, r: 6, fill: COLOUR.NORMAL, stroke: "#fff", "stroke-width": 1.5 });
  return svg("polygon", { points: POINTS[level], fill: COLOUR[level], stroke: "#fff", "stroke-width": 1.5, "stroke-linejoin": "round" });
}

// What else than a river's flood: a sign that needs no language, at the foot of the symbol.
const SIGN = { heat: "°C", heavy_rain: "mm", flash_flood: "≈" };

function sign(hazard) {
  const group = svg("g");
  group.append(svg("rect", { x: 15, y: 20, width: 17, height: 12, rx: 3, fill: "#fff", stroke: "#374151", "stroke-width": 1 }));
  const mark = svg("text", { x: 23.5, y: 29.3, "text-anchor": "middle", "font-size": 9, "font-weight": 700, fill: "#111827", "font-family": "sans-serif", direction: "ltr" });
  mark.textContent = SIGN[hazard] ?? "";
  group.append(mark);
  return group;
}

// One gauge's symbol: its shape; a ring in the colour of the warning in force; a dashed ring if a higher class is expected.
export function symbol(level, { alert = null, expected = null, size = 32, hazard = "flood" } = {}) {
  const drawing = svg("svg", { viewBox: "0 0 32 32", width: size, height: size, "aria-hidden": "true", class: `symbol level-${level}` });
  if (alert) {
    drawing.append(svg("circle", { cx: 16, cy: 16, r: 13.6, fill: "#ffffffb0", stroke: COLOUR[alert], "stroke-width": 2.8 }));
  } else if (expected) {
    drawing.append(svg("circle", { cx: 16, cy: 16, r: 13.6, fill: "none", stroke: COLOUR[expected], "stroke-width": 2.2, "stroke-dasharray": "4 3" }));
  }
  drawing.append(body(level));
  if (hazard !== "flood") drawing.append(sign(hazard));
  return drawing;
}
