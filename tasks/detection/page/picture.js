/** The image with its boxes drawn over it; both scale together. */

import { el, svg } from '../../dom.js';
import { tags } from './tags.js';
import { look } from './palette.js';

/** @param {{listen: Function, pin: Function}} marks  of `marking` */
export function picture(marks) {
  const image = el('img', { alt: '' });
  const lines = svg('svg', { class: 'lines', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const labels = el('div', { class: 'tags', 'aria-hidden': 'true' });
  const note = el('p', { class: 'note muted', hidden: true },
    'This browser cannot show such a file; the boxes are drawn on an empty field.');
  const frame = el('div', { class: 'frame' }, image, lines, labels);
  const element = el('figure', {}, frame, note);
  const named = tags(labels, frame);
  let address = null;
  let name = '';
  let rectangles = [];
  let blind = false;
  let sized = false;

  image.addEventListener('error', () => { blind = address !== null; arrange(); });

  /** What the browser cannot show is an empty field once the server has read it, and nothing before. */
  function arrange() {
    frame.classList.toggle('blind', blind);
    frame.hidden = blind && !sized;
    note.hidden = !(blind && sized);
  }

  function load(file) {
    end();
    address = URL.createObjectURL(file);
    name = file.name || 'pasted image';
    blind = sized = false;
    arrange();
    image.alt = name;
    image.src = address;
    frame.style.aspectRatio = '';
    frame.style.maxWidth = '';
    lines.replaceChildren();
    named.draw([], 1, 1);
  }

  /** Pixels of the image as the server saw it. Small ones are shown larger, high ones fit the window. */
  function size(width, height) {
    lines.setAttribute('viewBox', `0 0 ${width} ${height}`);
    frame.style.aspectRatio = `${width} / ${height}`;
    frame.style.maxWidth = `min(100%, ${(75 * width) / height}vh)`;
    frame.dataset.width = width;
    frame.dataset.height = height;
    sized = true;
    arrange();
  }

  function draw(boxes) {
    rectangles = boxes.map((box, index) => rectangle(box, index));
    const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
    const order = boxes.map((box, i) => i).sort((i, j) => area(boxes[j].box) - area(boxes[i].box));
    lines.replaceChildren(...order.map((i) => rectangles[i])); // small ones lie on top, within reach
    named.draw(boxes, Number(frame.dataset.width), Number(frame.dataset.height));
    image.alt = `${name} with ${boxes.length === 1 ? '1 box' : `${boxes.length} boxes`}; the table lists them`;
  }

  function rectangle({ box: [x, y, right, bottom], category_id: category }, index) {
    const { colour, dash } = look(category);
    const place = { x, y, width: right - x, height: bottom - y };
    const line = svg('rect', { ...place, class: 'line', 'stroke-dasharray': dash });
    line.style.stroke = colour;
    return svg('g', { ...marks.listen(index), onclick: () => marks.pin(index) },
      svg('rect', { ...place, class: 'halo' }), line);
  }

  function mark(index) {
    frame.classList.toggle('marking', index !== null);
    rectangles.forEach((each, i) => each.classList.toggle('marked', i === index));
    named.mark(index);
  }

  function end() {
    if (address !== null) URL.revokeObjectURL(address);
    address = null;
  }

  return { element, load, size, draw, mark, end };
}
