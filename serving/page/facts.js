/** JSON values for people: names and values, digests in full. */

import { el } from './dom.js';

const DIGEST = /^[0-9a-f]{32,}(\.dir)?$/;

/** Any JSON value as an element. */
export function facts(value) {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    const rows = Object.entries(value).flatMap(([name, inner]) => [el('dt', {}, name), el('dd', {}, facts(inner))]);
    return rows.length ? el('dl', { class: 'facts' }, ...rows) : el('span', { class: 'muted' }, 'none');
  }
  if (Array.isArray(value) && value.length && value.every(isFlat)) return rows(value);
  if (Array.isArray(value) && value.some((item) => item !== null && typeof item === 'object')) {
    return el('ul', { class: 'facts' }, ...value.map((item) => el('li', {}, facts(item))));
  }
  if (Array.isArray(value)) return el('span', {}, value.map(plain).join(', ') || 'none');
  return el(DIGEST.test(String(value)) ? 'code' : 'span', {}, plain(value));
}

/** A list of alike things, e.g. classes, one a line. */
function rows(list) {
  const words = (item) => Object.entries(item).map(([name, inner]) => `${name} ${plain(inner)}`).join(', ');
  return el('ul', { class: 'facts' }, ...list.map((item) => el('li', {}, words(item))));
}

function isFlat(item) {
  return item !== null && typeof item === 'object' && !Array.isArray(item)
    && Object.values(item).every((inner) => inner === null || typeof inner !== 'object');
}

/** Figures to six digits; the downloaded file has them all. */
function plain(value) {
  if (value === null) return 'none';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return typeof value === 'number' ? String(Number(value.toPrecision(6))) : String(value);
}
