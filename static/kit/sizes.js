/** Numbers of bytes as people read them. */

const UNITS = ["bytes", "KB", "MB", "GB"];

/** Return a number of bytes as people read it. */
export function sizeOf(bytes) {
  let [size, unit] = [bytes, 0];
  while (size >= 1000 && unit < UNITS.length - 1) [size, unit] = [size / 1000, unit + 1];
  return `${size >= 10 || unit === 0 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`;
}
