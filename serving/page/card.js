/** The model card inside the page, for servers with a token: a plain link cannot carry one. */

import { el } from './dom.js';
import { dialog } from './dialog.js';

/** What a card is made of; of anything else only the text stays. */
const KEPT = new Set(['P', 'UL', 'OL', 'LI', 'TABLE', 'THEAD', 'TBODY', 'TR', 'TH', 'TD', 'STRONG', 'EM', 'CODE', 'PRE',
  'BLOCKQUOTE', 'DL', 'DT', 'DD', 'BR', 'HR', 'H3', 'H4']);
const GONE = new Set(['SCRIPT', 'STYLE', 'TEMPLATE', 'TITLE', 'NOSCRIPT', 'IFRAME', 'OBJECT', 'SVG']);
/** The dialog's title is its heading of the second level. */
const LOWER = { H1: 'h3', H2: 'h3' };

/** @param {string} name  the model's @param {string} html  the card; a parsed document runs no scripts */
export function showCard(name, html) {
  const parsed = new DOMParser().parseFromString(html, 'text/html');
  dialog(`Model card of ${name}`, [el('div', { class: 'card' }, ...copies(parsed.body))]);
}

function copies(parent) {
  return [...parent.childNodes].flatMap(copy);
}

function copy(node) {
  if (node.nodeType === Node.TEXT_NODE) return [node.textContent];
  if (node.nodeType !== Node.ELEMENT_NODE || GONE.has(node.tagName.toUpperCase())) return [];
  const tag = LOWER[node.tagName] ?? (KEPT.has(node.tagName) ? node.tagName.toLowerCase() : null);
  return tag === null ? copies(node) : [el(tag, {}, ...copies(node))];
}
