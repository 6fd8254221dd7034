/** Which boxes are shown: a smallest score and a choice of classes. */

import { button, el, svg } from '../../dom.js';
import { look } from './palette.js';

const START = 0.4;
const BINS = 25;

/** @param {(boxes: any[]) => void} chosen  gets the boxes to be shown, after every change */
export function filters(chosen) {
  let boxes = [];
  const unwanted = new Set();
  const slider = el('input', { id: 'score', type: 'range', min: 0, max: 1, step: 0.01, value: START });
  const figure = el('output', { for: 'score' });
  const heights = svg('svg', { class: 'heights', viewBox: `0 0 ${BINS} 10`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const classes = el('div', { class: 'classes' });
  const all = button('All', () => { unwanted.clear(); refill(); });
  const none = button('None', () => { for (const { label } of boxes) unwanted.add(label); refill(); });
  const element = el('div', { class: 'stack' },
    el('div', { class: 'score' }, el('label', { for: 'score' }, 'Score at least '), figure, heights, slider),
    el('fieldset', {}, el('legend', {}, 'Classes'), el('div', { class: 'row' }, all, none), classes));
  slider.addEventListener('input', refresh);

  function fill(next) {
    boxes = next;
    refill();
  }

  /** Classes of the answer, whether shown or not, in the order of their ids. */
  function refill() {
    const found = [...new Map(boxes.map((box) => [box.label, box])).values()];
    found.sort((one, other) => one.category_id - other.category_id);
    classes.replaceChildren(...found.map(row));
    refresh();
  }

  function row({ label, category_id: category }) {
    const box = el('input', { type: 'checkbox', checked: !unwanted.has(label) });
    box.addEventListener('change', () => { unwanted[box.checked ? 'delete' : 'add'](label); refresh(); });
    const swatch = el('span', { class: 'swatch', 'aria-hidden': 'true' });
    swatch.style.background = look(category).colour;
    const count = el('span', { class: 'count' });
    count.dataset.label = label;
    return el('label', { class: 'check' }, box, swatch, el('span', { class: 'label' }, label), count);
  }

  function refresh() {
    const least = Number(slider.value);
    const above = boxes.filter((box) => box.score >= least);
    figure.textContent = least.toFixed(2);
    bars(least);
    for (const count of classes.querySelectorAll('.count')) {
      const own = (list) => list.filter((box) => box.label === count.dataset.label).length;
      count.textContent = `${own(above)} of ${own(boxes)}`;
    }
    chosen(above.filter((box) => !unwanted.has(box.label)));
  }

  /** How many boxes have which score; those below the slider are pale. */
  function bars(least) {
    const bins = Array(BINS).fill(0);
    for (const { score } of boxes) bins[Math.min(BINS - 1, Math.floor(score * BINS))] += 1;
    const top = Math.max(1, ...bins);
    heights.replaceChildren(...bins.map((number, i) => {
      const height = number ? Math.max(0.6, (10 * number) / top) : 0;
      const out = (i + 1) / BINS <= least;
      return svg('rect', { x: i + 0.1, width: 0.8, y: 10 - height, height, class: out ? 'out' : null });
    }));
  }

  return { element, fill };
}
