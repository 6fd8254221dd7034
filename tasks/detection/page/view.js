/** What is known of one image: the picture, the filters and the table, kept in step. */

import { button, el } from '../../dom.js';
import { marking } from '../../marking.js';
import { save } from '../../save.js';
import { filters } from './filters.js';
import { picture } from './picture.js';
import { table } from './table.js';

/**
 * The three of them, filled from an answer.
 * @param {(text: string) => void} tell  gets what is shown, in words, after every change
 */
export function view(tell) {
  let answer = null;
  let file = null;
  let chosen = [];

  const marks = marking((marked, pinned) => { image.mark(marked); list.mark(marked, pinned); });
  const image = picture(marks);
  const list = table(marks);
  const choice = filters(choose);
  const download = button('Download JSON', () => save(`${stem(file)}-boxes.json`, { ...answer, boxes: chosen }));
  const side = el('div', { class: 'side' }, choice.element, download);
  const element = el('div', { class: 'result', hidden: true }, image.element, side, list.element);

  /** A new picture, whose boxes are not known yet. */
  function show(next) {
    file = next;
    answer = null;
    element.hidden = false;
    side.hidden = list.element.hidden = true;
    image.load(next);
  }

  function fill(next) {
    answer = next;
    side.hidden = list.element.hidden = false;
    image.size(next.width, next.height);
    choice.fill(next.boxes);
  }

  function choose(boxes) {
    chosen = boxes;
    marks.clear();
    image.draw(chosen);
    list.fill(chosen, answer);
    download.textContent = `Download JSON (${count(chosen.length)})`;
    tell(`${chosen.length} of ${answer.boxes.length} boxes shown.`);
  }

  return { element, picture: show, show: fill, end: image.end };
}

const count = (number) => (number === 1 ? '1 box' : `${number} boxes`);
const stem = (file) => (file.name || 'image').replace(/\.[^.]*$/, '');
