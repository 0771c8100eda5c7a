/** Moments as people read them, in the browser's zone and language. */

const language = document.documentElement.lang || undefined;
const format = (options, locale = language) => {
  const formatter = new Intl.DateTimeFormat(locale, options);
  return (date) => formatter.format(date);
};
/** Words follow the page's language, the clock the reader's own habit. */
const clock = format({ hour: "numeric", minute: "2-digit" }, navigator.language);
const weekday = format({ weekday: "long" });
const shortDay = format({ day: "numeric", month: "short" });
const longDay = format({ weekday: "long", day: "numeric", month: "long" });
const fullDay = format({ day: "numeric", month: "long", year: "numeric" });
const { hourCycle } = new Intl.DateTimeFormat(navigator.language, { hour: "numeric" }).resolvedOptions();
const exact = format({ dateStyle: "full", timeStyle: "medium", hourCycle });
const brief = format({ dateStyle: "medium", timeStyle: "short", hourCycle });
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });

const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
const daysAgo = (date) => Math.round((midnight(new Date()) - midnight(date)) / 86_400_000);
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const time = (iso) => clock(new Date(iso));
export const exactTime = (iso) => exact(new Date(iso));
export const briefTime = (iso) => brief(new Date(iso));

const SPANS = [
  ["minute", 60_000],
  ["hour", 3_600_000],
  ["day", 86_400_000],
];

/** Return how long ago a moment was: "just now", "5 minutes ago", "yesterday"; the date where it is a week or more. */
export function ago(iso) {
  const date = new Date(iso);
  const past = Math.max(0, Date.now() - date);
  if (past < 60_000) return "just now";
  if (past >= 7 * 86_400_000) return fullDay(date);
  const [unit, span] = SPANS.findLast(([, length]) => past >= length);
  return relative.format(-Math.floor(past / span), unit);
}

/** Return the local day as a key that sorts, `2026-11-21`. */
export function dayKey(iso) {
  const date = new Date(iso);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((n) => String(n).padStart(2, "0")).join("-");
}

/** Return a day's heading: "Today", "Yesterday", "Monday, 3 March", with the year where it is another one. */
export function dayName(iso) {
  const date = new Date(iso);
  const days = daysAgo(date);
  if (days === 0 || days === 1) return capital(relative.format(-days, "day"));
  return date.getFullYear() === new Date().getFullYear() ? longDay(date) : fullDay(date);
}

/** Return a moment for the conversation list: the time today, then "Yesterday", the weekday, the date. */
export function listTime(iso) {
  const date = new Date(iso);
  const days = daysAgo(date);
  if (days <= 0) return clock(date);
  if (days === 1) return capital(relative.format(-1, "day"));
  return days < 7 ? weekday(date) : shortDay(date);
}
