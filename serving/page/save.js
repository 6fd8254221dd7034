/** Files for the person's disk. */

import { el } from './dom.js';

/** Offers `value` as a JSON file. @param {string} name @param {unknown} value */
export function save(name, value) {
  const blob = new Blob([`${JSON.stringify(value, null, 2)}\n`], { type: 'application/json' });
  const href = URL.createObjectURL(blob);
  el('a', { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
