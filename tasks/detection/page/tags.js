/** Class and score of each box as a small tag at it. Text keeps its size however far the image is scaled. */

import { el } from '../../dom.js';
import { look } from './palette.js';

/** Where a tag may lie at its box: x and y of the box's corner, and of the tag's own. */
const PLACES = [[0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 1], [1, 0, 1, 0]];

/** @param {HTMLElement} layer  lies over the image @param {HTMLElement} frame  whose size the image has */
export function tags(layer, frame) {
  let all = [];
  let found = [];
  let size = [1, 1];
  new ResizeObserver(arrange).observe(frame);

  function draw(boxes, width, height) {
    found = boxes;
    size = [width, height];
    all = boxes.map(({ label, score, category_id: category }) => {
      const tag = el('span', { class: 'tag' }, el('b', {}, label), ` ${score.toFixed(2)}`);
      tag.style.background = look(category).colour;
      return tag;
    });
    layer.replaceChildren(...all);
    arrange();
  }

  /** The best box's tag first; a tag that has no free place is left out until its box is marked. */
  function arrange() {
    const [width, height] = [layer.clientWidth, layer.clientHeight];
    const taken = [];
    const sizes = all.map((tag) => [tag.offsetWidth, tag.offsetHeight]);
    all.forEach((tag, i) => {
      const places = PLACES.map((place) => put(found[i].box, place, sizes[i], width, height));
      const free = places.find((place) => place.inside && !taken.some((other) => overlap(place, other)));
      const { x, y } = free ?? places.find((place) => place.inside) ?? places[1];
      if (free) taken.push(free);
      tag.classList.toggle('crowded', !free);
      tag.style.left = `${x}px`;
      tag.style.top = `${y}px`;
    });
  }

  function put([x1, y1, x2, y2], [cornerX, cornerY, ownX, ownY], [w, h], width, height) {
    const wanted = ((cornerX ? x2 : x1) / size[0]) * width - ownX * w;
    const x = Math.min(Math.max(0, wanted), Math.max(0, width - w));
    const y = ((cornerY ? y2 : y1) / size[1]) * height - ownY * h;
    return { x, y, w, h, inside: y >= 0 && y + h <= height };
  }

  function mark(index) {
    all.forEach((tag, i) => tag.classList.toggle('marked', i === index));
  }

  return { draw, mark };
}

function overlap(one, other) {
  return one.x < other.x + other.w && other.x < one.x + one.w && one.y < other.y + other.h && other.y < one.y + one.h;
}
