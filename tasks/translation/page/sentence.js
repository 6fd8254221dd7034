/** One sentence: its subwords above, the translation's below; a chosen one below shows where the model looked above. */

import { button, el, unique } from '../../dom.js';
import { marking } from '../../marking.js';
import { roving } from '../../roving.js';
import { matrix } from './matrix.js';
import { depth, percent, piece, shown } from './pieces.js';

/** Weights below are noise to a reader. */
const LEAST = 0.05;
const HINT = 'Point at a subword of the translation, or go there with Tab and the arrow keys.';

/** @param {{source: string, text: string, alignment: ?any}} each @param {string} title */
export function sentence(each, title, from, to) {
  const id = unique('sentence');
  const heading = el('h3', { id }, title);
  const found = each.alignment;
  if (!found?.target.length) {
    return el('section', { 'aria-labelledby': id }, heading,
      el('p', { lang: from.code }, each.source), el('p', { lang: to.code }, each.text),
      el('p', { class: 'muted' }, 'The server gave no alignment of this sentence.'));
  }
  return el('section', { 'aria-labelledby': id }, heading, ...aligned(found, from, to), ...toggle(found, from, to));
}

function aligned({ source, target, attention }, from, to) {
  const weights = source.map(() => el('span', { class: 'weight', 'aria-hidden': 'true' }));
  const above = source.map((raw, j) => el('span', { class: 'token' }, shown(raw), weights[j]));
  const readout = el('p', { class: 'readout', role: 'status' }, HINT);
  const marks = marking(show);
  const below = target.map((raw, i) => button(shown(raw), () => marks.pin(i), {
    class: 'token', 'aria-label': piece(raw).spoken, 'aria-pressed': 'false', ...marks.listen(i),
  }));
  const group = el('div', { class: 'tokens target', role: 'group', lang: to.code,
    'aria-label': 'Subwords of the translation' }, ...words(target, below));
  roving(group, 'button');

  function show(i, pinned) {
    below.forEach((each, k) => {
      each.classList.toggle('shown', k === i);
      each.setAttribute('aria-pressed', String(k === pinned));
    });
    above.forEach((each, j) => {
      const weight = i === null ? 0 : attention[i][j];
      each.style.setProperty('--shade', depth(weight));
      each.classList.toggle('lit', weight >= LEAST);
      weights[j].textContent = weight >= LEAST ? percent(weight) : '';
    });
    readout.textContent = i === null ? HINT : looked(i);
  }

  function looked(i) {
    const best = source.map((raw, j) => [attention[i][j], piece(raw).spoken]).filter(([weight]) => weight >= LEAST);
    best.sort(([one], [other]) => other - one);
    const list = best.slice(0, 4).map(([weight, text]) => `${text} ${percent(weight)}`);
    return `“${piece(target[i]).spoken}” looked at: ${list.join(', ') || 'all subwords a little'}.`;
  }

  const sources = el('div', { class: 'tokens', lang: from.code, role: 'group', 'aria-label': 'Subwords of the source' }, ...words(source, above));
  return [sources, group, readout];
}

/** The whole matrix, made when it is asked for. */
function toggle(found, from, to) {
  const id = unique('matrix');
  const host = el('div', { id, hidden: true }, el('p', { class: 'muted' },
    'A row for each subword of the translation, a column for each of the source; a row adds up to 100, but for rounding.'));
  const open = button('Attention as a table', () => {
    host.hidden = !host.hidden;
    open.setAttribute('aria-expanded', String(!host.hidden));
    if (host.childElementCount === 1) host.append(matrix(found, from, to));
  }, { 'aria-expanded': 'false', 'aria-controls': id });
  return [el('div', {}, open), host];
}

/** Subwords of one word stand together. @param {string[]} raws @param {HTMLElement[]} tokens */
function words(raws, tokens) {
  const groups = [];
  tokens.forEach((token, i) => {
    if (i === 0 || piece(raws[i]).begins) groups.push(el('span', { class: 'word' }));
    groups.at(-1).append(token);
  });
  return groups;
}
