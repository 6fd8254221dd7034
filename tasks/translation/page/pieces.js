/** Subwords as a person reads them. */

import { el } from '../../dom.js';

/** SentencePiece writes a word's beginning so. */
const BEGIN = '\u2581';

/** @returns {{text: string, spoken: string, begins: boolean, sign: boolean}} sign: no text of the sentence itself */
export function piece(raw) {
  if (raw === '</s>') return { text: 'end', spoken: 'end of the sentence', begins: true, sign: true };
  const begins = raw.startsWith(BEGIN);
  const text = begins ? raw.slice(BEGIN.length) : raw;
  return text ? { text, spoken: text, begins, sign: false } : { text: 'space', spoken: 'space', begins, sign: true };
}

/** @returns {HTMLElement} */
export function shown(raw) {
  const { text, sign } = piece(raw);
  return el('span', { class: sign ? 'piece sign' : 'piece' }, text);
}

/** How deep a weight's colour is, 0 to 1: small weights must be seen too, the figure beside has the exact one. */
export const depth = (weight) => weight ** 0.7;

export const percent = (weight) => `${Math.round(weight * 100)} %`;
