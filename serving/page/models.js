/** The list of models, and the head of the one that is open. */

import { button, el } from './dom.js';
import { facts } from './facts.js';
import { showCard } from './card.js';
import { showPassport } from './passport.js';
import { held } from './token.js';

/** The address of a model on this page. */
export const address = (model) => `#/${encodeURIComponent(model.name)}`;

/** @param {any[]} models of `GET /v1/models` @param {any} open  the one that is shown */
export function list(models, open) {
  return el('ul', {}, ...models.map((model) =>
    el('li', {},
      el('a', { href: address(model), 'aria-current': model === open ? 'page' : null },
        el('span', { class: 'name' }, model.name),
        ' ', el('span', { class: 'task' }, [null, model.name].includes(model.task) ? null : `${model.task} `),
        state(model)))));
}

/** Title, what the server knows of it, and the ways to its papers. @param {Function} run  of a `runner` */
export function head(model, api, run) {
  const base = `v1/models/${encodeURIComponent(model.name)}`;
  const card = el('a', { class: 'button', href: `${base}/card`, target: '_blank', rel: 'noopener' }, 'Model card');
  card.addEventListener('click', (event) => {
    if (!held()) return;
    event.preventDefault();
    run('Fetching the model card', async (signal) => (await api.request(`${base}/card`, { signal })).text(),
      (html) => showCard(model.name, html));
  });
  if (!model.ready) return el('div', { class: 'head' }, el('h2', { id: 'model-name' }, model.name));
  const passport = button('Passport', () =>
    run('Fetching the passport', (signal) => api.json(`${base}/passport`, { signal }),
      (value) => showPassport(model.name, value)));
  return el('div', { class: 'head' },
    el('div', {},
      el('h2', { id: 'model-name' }, model.name),
      el('p', { class: 'muted' }, `Task ${model.task}, version ${model.version}, `, el('code', {}, `POST /v1/${model.verb}`))),
    el('div', { class: 'row' }, card, passport),
    model.reason ? el('p', { class: 'notice' }, `A newer package was refused, so this version still answers: ${model.reason}`) : null,
    el('details', {}, el('summary', {}, 'What the server says of it'), facts(model.about)));
}

/** In place of a panel. */
export function notReady(model) {
  return el('div', { class: 'notice', role: 'status' },
    el('h3', {}, 'This model is not ready'),
    el('p', {}, model.reason ?? 'The server gives no reason.'),
    el('p', { class: 'muted' }, 'The page looks again every few seconds.'));
}

/** For a task whose folder has no panel. */
export function noPanel(model) {
  return el('div', { class: 'notice' },
    el('h3', {}, 'No panel here'),
    el('p', {}, `The task ${model.task} has no panel on this page. The model answers at `,
      el('code', {}, `POST /v1/${model.verb}`), '; the ', el('a', { href: 'docs' }, 'API docs'), ' says how.'));
}

function state(model) {
  return model.ready ? el('span', { class: 'state ready' }, 'ready') : el('span', { class: 'state' }, 'not ready');
}
