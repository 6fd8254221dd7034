/** Modal dialogs: the browser keeps the focus inside, closes at Escape and gives the focus back. */

import { button, el, unique } from './dom.js';

/**
 * Opens one. @param {string} title @param {Node[]} content
 * @param {{onclose?: () => void, actions?: Node[], plain?: boolean}} options  plain: a small one without a Close button of its own
 * @returns {HTMLDialogElement}
 */
export function dialog(title, content, { onclose = () => {}, actions = [], plain = false } = {}) {
  const id = unique('dialog');
  const shown = el('dialog', { 'aria-labelledby': id, class: plain ? 'small' : null },
    el('div', { class: 'bar' },
      el('h2', { id }, title),
      plain ? null : el('div', { class: 'row' }, ...actions, button('Close', () => shown.close()))),
    el('div', { class: 'content' }, ...content));
  shown.addEventListener('close', () => { shown.remove(); onclose(); });
  document.body.append(shown);
  shown.showModal();
  return shown;
}
