/** A picture, and over it in colour where the model saw what it names; the colour can be taken away. */

import { el, svg } from '../../dom.js';

export function heat() {
  const image = el('img', { alt: '' });
  const cells = svg('svg', { class: 'cells', 'aria-hidden': 'true', preserveAspectRatio: 'none' });
  const frame = el('div', { class: 'frame' }, image, cells);
  const shown = el('input', { type: 'checkbox', id: 'heat', checked: true, onchange: () => { cells.toggleAttribute('hidden', !shown.checked); } });
  const choice = el('div', { class: 'row', hidden: true }, shown, el('label', { for: 'heat' }, 'Show where'));
  const element = el('div', { class: 'stack' }, frame, choice);
  let address = null;

  /** A new picture, of which nothing is known yet. */
  function load(file) {
    end();
    address = URL.createObjectURL(file);
    image.src = address;
    image.alt = file.name || 'pasted image';
    cells.replaceChildren();
    choice.hidden = true;
  }

  /** @param {{heat: number[][] | null}} answer  rows over the picture, 0 to 1 */
  function draw({ heat: rows, width, height }) {
    frame.style.aspectRatio = `${width} / ${height}`;
    frame.style.maxWidth = `min(100%, ${(75 * width) / height}vh)`; // small pictures are shown larger, high ones fit
    const places = rows && rows.length * rows[0].length > 1; // a perceptron sees the whole picture at once
    choice.hidden = !places;
    cells.replaceChildren();
    if (!places) return;
    cells.setAttribute('viewBox', `0 0 ${rows[0].length} ${rows.length}`);
    cells.append(...rows.flatMap((row, y) => row.map((value, x) =>
      svg('rect', { x, y, width: 1, height: 1, 'fill-opacity': (0.7 * value).toFixed(3) }))));
  }

  function end() {
    if (address) URL.revokeObjectURL(address);
    address = null;
  }

  return { element, load, draw, end };
}
