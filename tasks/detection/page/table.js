/** The boxes as a table: the same in words and figures; its rows mark boxes in the picture. */

import { button, el } from '../../dom.js';
import { roving } from '../../roving.js';
import { look } from './palette.js';

const COLUMNS = [['Mark'], ['Class'], ['Score', 'figure'], ['Left', 'figure'], ['Top', 'figure'], ['Right', 'figure'], ['Bottom', 'figure']];

/** @param {{listen: Function, pin: Function}} marks  of `marking` */
export function table(marks) {
  const caption = el('caption');
  const hint = el('p', { class: 'muted', id: 'boxes-hint' });
  const body = el('tbody');
  const head = el('thead', {}, el('tr', {}, ...COLUMNS.map(([name, kind]) => el('th', { scope: 'col', class: kind }, name))));
  const region = { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Boxes as a table' };
  const element = el('div', { class: 'boxes' }, hint,
    el('div', region, el('table', { 'aria-describedby': 'boxes-hint' }, caption, head, body)));
  const settle = roving(body, 'button');
  let rows = [];

  function fill(boxes, { width, height, boxes: all }) {
    caption.textContent = `${boxes.length} of ${all.length} boxes, best first`;
    hint.textContent = `Edges are pixels of the image, which is ${width} wide and ${height} high. A marked box stands out in the `
      + 'picture: point at its row, or go to its number with Tab and the arrow keys; Enter keeps it marked. Where tags '
      + 'in the picture would cover one another, the best are shown.';
    rows = boxes.map(row);
    body.replaceChildren(...rows);
    settle();
  }

  function row({ box, score, label, category_id: category }, index) {
    const swatch = el('span', { class: 'swatch', 'aria-hidden': 'true' });
    swatch.style.background = look(category).colour;
    // A press of the button is one of its row.
    const mark = button(index + 1, null, {
      'aria-pressed': 'false', 'aria-label': `Mark box ${index + 1}: ${label}, score ${score.toFixed(3)}`,
    });
    return el('tr', { ...marks.listen(index), onclick: () => marks.pin(index) },
      el('td', {}, mark),
      el('th', { scope: 'row' }, swatch, label),
      el('td', { class: 'figure' }, score.toFixed(3)),
      ...box.map((edge) => el('td', { class: 'figure' }, edge.toFixed(1))));
  }

  function mark(index, pinned) {
    rows.forEach((each, i) => {
      each.classList.toggle('marked', i === index);
      each.querySelector('button').setAttribute('aria-pressed', String(i === pinned));
    });
  }

  return { element, fill, mark };
}
