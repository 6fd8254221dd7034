/** The ways of an image into the page: chosen, dropped, pasted. */

import { el } from './dom.js';

/**
 * @param {HTMLElement} target  takes drops
 * @param {(file: File) => void} take
 * @param {(reason: string) => void} refuse
 */
export function intake(target, take, refuse) {
  const input = el('input', { id: 'image', type: 'file', accept: 'image/*', class: 'file', 'aria-describedby': 'image-ways' });
  const name = el('span', { class: 'chosen' });
  const element = el('div', { class: 'intake' },
    el('div', { class: 'pick' }, input, el('label', { for: 'image', class: 'button' }, 'Choose an image')),
    el('p', { id: 'image-ways', class: 'muted' }, 'or drop one anywhere on this sheet, or paste one.'),
    name);

  function accept(file, from) {
    if (!file) { refuse(`There was no file in what you ${from}; an image file is expected.`); return; }
    name.textContent = `${file.name || 'pasted image'}, ${size(file.size)}`;
    take(file);
  }

  input.addEventListener('change', () => {
    if (input.files.length) accept(input.files[0]);
    input.value = ''; // so that the same file can be chosen again
  });
  const over = (event) => { event.preventDefault(); target.classList.add('over'); };
  const out = (event) => { if (!target.contains(event.relatedTarget)) target.classList.remove('over'); };
  const drop = (event) => {
    event.preventDefault();
    target.classList.remove('over');
    accept(event.dataTransfer.files[0], 'dropped');
  };
  const paste = (event) => {
    if (event.target.closest?.('input, textarea, dialog')) return;
    accept(event.clipboardData.files[0], 'pasted');
  };
  // Beside the target too: the browser would leave the page to show what was dropped there.
  addEventListener('dragover', over);
  addEventListener('dragleave', out);
  addEventListener('drop', drop);
  addEventListener('paste', paste);

  function end() {
    removeEventListener('dragover', over);
    removeEventListener('dragleave', out);
    removeEventListener('drop', drop);
    removeEventListener('paste', paste);
  }

  return { element, end };
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
