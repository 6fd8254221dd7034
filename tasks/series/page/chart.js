/** A history and what is forecast of it as a picture, and the numbers of the picture as a table below it. */

import { el, svg } from '../../dom.js';

const WIDTH = 720;
const HEIGHT = 240;
const EDGE = 44;
/** Steps of the history that are drawn, for each step of the forecast. */
const BEHIND = 8;

/**
 * @param {string} name  of the target
 * @param {number[]} seen  its history, where it is seen
 * @param {Object<string, number[]>} told  quantile -> the next values
 */
export function chart(name, seen, told) {
  const levels = Object.keys(told).sort((one, other) => one - other);
  const [low, high] = [told[levels[0]], told[levels.at(-1)]];
  const middle = told['0.5'];
  const past = seen.slice(-Math.max(BEHIND * middle.length, 24));
  const every = [...past, ...low, ...high];
  const [least, most] = [Math.min(...every), Math.max(...every)];
  const x = (step) => EDGE + ((step + 0.5) / (past.length + middle.length)) * (WIDTH - EDGE);
  const y = (value) => 12 + (1 - (value - least) / (most - least || 1)) * (HEIGHT - 36);
  const path = (values, first) => values.map((value, i) => `${i ? 'L' : 'M'}${x(first + i).toFixed(1)} ${y(value).toFixed(1)}`).join('');
  const back = [...low.keys()].reverse().map((i) => `L${x(past.length + i).toFixed(1)} ${y(low[i]).toFixed(1)}`).join('');
  const joined = past.length ? [past.at(-1), ...middle] : middle;
  const picture = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${name}: history and forecast; the table below has the numbers` },
    ...[least, most].map((value) => [
      svg('line', { class: 'rule', x1: EDGE, x2: WIDTH, y1: y(value), y2: y(value) }),
      svg('text', { x: EDGE - 6, y: y(value) + 4, 'text-anchor': 'end' }, short(value))]).flat(),
    svg('path', { class: 'band', d: `${path(high, past.length)}${back}Z` }),
    svg('path', { class: 'past', d: path(past, 0) }),
    svg('path', { class: 'next', d: path(joined, past.length - (past.length ? 1 : 0)) }));
  return el('figure', {}, el('figcaption', {}, name), picture, table(levels, told));
}

function table(levels, told) {
  return el('details', {}, el('summary', {}, 'Numbers'),
    el('table', { class: 'steps' },
      el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'step'), ...levels.map((level) => el('th', { scope: 'col' }, level)))),
      el('tbody', {}, ...told[levels[0]].map((_, i) => el('tr', {},
        el('th', { scope: 'row' }, `+${i + 1}`), ...levels.map((level) => el('td', {}, short(told[level][i]))))))));
}

const short = (value) => Number(value.toPrecision(4)).toString();
