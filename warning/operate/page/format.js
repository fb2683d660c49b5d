// Times in the region's zone, values in the units that people there read.
import { locale } from "./words.js";

let region = null;
export const use = (answer) => { region = answer; };

const shift = (at) => new Date(at.getTime() + (region?.utc_offset_s ?? 0) * 1000);

export const zoneName = () => region?.timezone ?? "UTC";

export function time(iso, zone = true) {
  if (!iso) return "";
  const text = new Intl.DateTimeFormat(locale(), { timeZone: "UTC", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" })
    .format(shift(new Date(iso)));
  return `\u2068${text}${zone ? ` ${zoneName()}` : ""}\u2069`;
}

// A date whose browser-local fields are those of the region's clock: what uPlot prints on its axis.
export function plotted(seconds) {
  const at = shift(new Date(seconds * 1000));
  return new Date(at.getTime() + at.getTimezoneOffset() * 60000);
}

export const scale = (quantity) => region?.units?.[quantity] ?? { unit: "", per_si: 1 };
export const quantityOf = (parameter) => (parameter === "stage" || parameter === "rain" ? parameter : "discharge");

export function number(value, quantity) {
  const digits = quantity === "discharge" ? 0 : 2;
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits, minimumFractionDigits: quantity === "discharge" ? 0 : digits }).format(value);
}

export const isolated = (text) => `\u2068${text}\u2069`;

// Isolated (U+2068 ... U+2069), so that a number and its unit keep their order inside Urdu.
export function amount(value, quantity) {
  if (value === null || value === undefined) return "–";
  const { unit, per_si } = scale(quantity);
  return `\u2068${number(value * per_si, quantity)} ${unit}\u2069`;
}

export function span(seconds) {
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `\u2068${minutes} min\u2069` : `\u2068${Math.round(minutes / 60)} h\u2069`;
}
