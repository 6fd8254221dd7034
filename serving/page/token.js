/** The server's token: asked for when it answers 401, kept in this tab's session only. */

import { button, el } from './dom.js';
import { dialog } from './dialog.js';

const KEY = 'stillhouse-token';
/** One question at a time, however many requests wait for it. */
let asking = null;

/** The token, or ''. */
export const held = () => sessionStorage.getItem(KEY) ?? '';

/**
 * Asks the person. @param {boolean} refused  the server did not take the last one
 * @returns {Promise<boolean>} whether there is a new one
 */
export function ask(refused) {
  asking ??= question(refused).finally(() => { asking = null; });
  return asking;
}

function question(refused) {
  return new Promise((resolve) => {
    const field = el('input', {
      id: 'token', type: 'password', name: 'token', autocomplete: 'off', spellcheck: 'false', required: true,
      pattern: '[\\x21-\\x7e]+', title: 'letters, digits and signs without spaces',
      'aria-describedby': 'token-note token-wrong',
    });
    const wrong = el('p', { id: 'token-wrong', class: 'wrong', role: 'alert' });
    const form = el('form', { class: 'stack' },
      el('p', { id: 'token-note' }, 'The server answers with a token only. It stays in this tab and is gone when the tab closes.'),
      wrong,
      el('label', { for: 'token' }, 'Token'), field,
      el('div', { class: 'row' },
        el('button', { class: 'primary' }, 'Use this token'),
        button('Cancel', () => shown.close())));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, field.value);
      shown.close();
      resolve(true);
    });
    const shown = dialog('Token needed', [form], { onclose: () => resolve(false), plain: true });
    field.focus();
    if (refused) wrong.textContent = 'The server refused the last token.';
  });
}
