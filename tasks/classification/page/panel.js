/** Classification: an image in, its likeliest classes, and over the picture where the model saw the first of them. */

import { button, el, stylesheet } from '../../dom.js';
import { intake } from '../../intake.js';
import { save } from '../../save.js';
import { heat } from './heat.js';

/**
 * @param {HTMLElement} element  where the panel goes
 * @param {any} model  of `GET /v1/models`
 * @param {{json: Function, runner: Function, samples: Function}} api
 * @returns {Promise<() => void>} what ends it
 */
export async function mount(element, model, api) {
  await stylesheet(new URL('panel.css', import.meta.url));
  const place = el('div', { tabindex: '-1' });
  const work = api.runner(place);
  const picture = heat();
  const classes = el('table', { class: 'ranking' });
  const download = button('Download JSON', () => save(`${stem(file)}-classes.json`, answer));
  const side = el('div', { class: 'side', hidden: true }, classes, download);
  const result = el('div', { class: 'result', hidden: true }, picture.element, side);
  const address = `v1/${model.verb}?model=${encodeURIComponent(model.name)}`;
  let file = null;
  let answer = null;

  function classify(next) {
    file = next;
    result.hidden = false;
    side.hidden = true;
    picture.load(next);
    const request = (signal) => api.json(address, { method: 'POST', body: form(next), signal });
    work.run('Classifying', request, show);
  }

  function show(next) {
    answer = next;
    side.hidden = false;
    picture.draw(next);
    classes.replaceChildren(
      el('caption', {}, model.about?.multilabel ? 'Classes, each by itself' : 'Likeliest classes'),
      el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'class'), el('th', { scope: 'col' }, 'probability'))),
      el('tbody', {}, ...next.classes.map(row)));
    const [best] = next.classes;
    work.say(`${best.label}, ${percent(best.probability)}.`);
  }

  const entry = intake(element, classify, (reason) => { work.stop(); work.fail(reason); });
  const examples = api.samples(model, classify);
  element.append(entry.element, examples.element, place, result);
  return () => { work.stop(); entry.end(); examples.end(); picture.end(); };
}

function row({ label, probability }) {
  return el('tr', {},
    el('th', { scope: 'row' }, label),
    el('td', {}, el('meter', { min: 0, max: 1, value: probability, 'aria-hidden': 'true' }), percent(probability)));
}

/** Not only the likeliest classes are asked for where an image may have several. */
function form(file) {
  const fields = new FormData();
  fields.append('image', file);
  fields.append('explain', 'true');
  fields.append('top', '10');
  return fields;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const stem = (file) => (file.name || 'image').replace(/\.[^.]*$/, '');
