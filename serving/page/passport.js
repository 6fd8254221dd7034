/** The passport of a model, from its data to its graph. */

import { button, el } from './dom.js';
import { dialog } from './dialog.js';
import { facts } from './facts.js';
import { save } from './save.js';

/** @param {string} name  the model's @param {any} passport  `passport.json` */
export function showPassport(name, passport) {
  const links = Array.isArray(passport.links) ? passport.links : [];
  const files = Object.entries(passport.files ?? {});
  const download = button('Download JSON', () => save(`${name}-passport.json`, passport));
  dialog(`Passport of ${name}`, [
    el('p', {}, `From the data to the model in ${links.length} links. The digest of each is made over itself and all links `
      + 'before it, so none can be changed alone.'),
    el('ol', { class: 'chain' }, ...links.map(link)),
    el('h3', {}, 'Seal of the whole'),
    facts(passport.seal ?? null),
    el('details', {},
      el('summary', {}, `${files.length} files and their sha256`),
      facts(passport.files ?? {})),
    el('p', {}, 'Whoever has the package can check it without a network:'),
    el('pre', {}, 'python -m ops.passport verify FOLDER'),
  ], { actions: [download] });
}

function link({ name, value, chain }) {
  return el('li', {},
    el('h3', {}, String(name)),
    facts(value),
    el('p', { class: 'digest' }, el('span', { class: 'muted' }, 'digest of the chain so far '), el('code', {}, String(chain))));
}
