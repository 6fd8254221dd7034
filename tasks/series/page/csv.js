/** Columns of numbers out of the lines of a CSV, for the chart alone: the server reads it anew, and says what is wrong. */

/** @param {string} text @param {string[]} names  of the columns where there is no header
 * @returns {Object<string, number[]>} */
export function columns(text, names) {
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  if (!lines.length) return {};
  const separator = [',', ';', '\t'].reduce((best, each) => (count(lines[0], each) > count(lines[0], best) ? each : best));
  const rows = lines.map((line) => line.split(separator).map((cell) => cell.trim().replace(/^"(.*)"$/, '$1')));
  const headed = rows[0].some((cell) => cell === '' || Number.isNaN(Number(cell)));
  const head = headed ? rows.shift() : names;
  return Object.fromEntries(head.map((name, i) => [name, rows.map((row) => Number(row[i])).filter(Number.isFinite)]));
}

const count = (line, separator) => line.split(separator).length;
