/** Attention as a table: a row for each subword of the translation, a column for each of the source. */

import { el } from '../../dom.js';
import { depth, shown } from './pieces.js';

/** @param {{source: string[], target: string[], attention: number[][]}} found */
export function matrix({ source, target, attention }, from, to) {
  const head = source.map((raw) => el('th', { scope: 'col', lang: from.code }, shown(raw)));
  const rows = target.map((raw, i) => el('tr', {},
    el('th', { scope: 'row', lang: to.code }, shown(raw)),
    ...source.map((_, j) => cell(attention[i][j]))));
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Attention as a table' },
    el('table', { class: 'matrix' },
      el('caption', {}, 'Attention in per cent'),
      el('thead', {}, el('tr', {}, el('td'), ...head)),
      el('tbody', {}, ...rows)));
}

function cell(weight) {
  const figure = Math.round(weight * 100);
  const shade = el('td', { class: figure ? null : 'none' }, figure);
  shade.style.setProperty('--shade', depth(weight));
  return shade;
}
