/** Detection: an image in, boxes drawn over it, filtered, listed and saved. */

import { el, stylesheet } from '../../dom.js';
import { intake } from '../../intake.js';
import { view } from './view.js';

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
  const results = view(work.say);
  const address = `v1/${model.verb}?model=${encodeURIComponent(model.name)}`;

  function detect(file) {
    results.picture(file);
    const request = (signal) => api.json(address, { method: 'POST', body: form(file), signal });
    work.run('Looking for boxes', request, results.show);
  }

  const entry = intake(element, detect, (reason) => { work.stop(); work.fail(reason); });
  const examples = api.samples(model, detect);
  element.append(entry.element, examples.element, place, results.element);
  return () => { work.stop(); entry.end(); examples.end(); results.end(); };
}

/** All boxes are asked for; the page's own threshold then needs no further request. */
function form(file) {
  const fields = new FormData();
  fields.append('image', file);
  fields.append('min_score', '0');
  return fields;
}
