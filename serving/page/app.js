/** The page: which models there are, which one is open, and its task's panel. */

import * as client from './api.js';
import { el } from './dom.js';
import { address, head, list, noPanel, notReady } from './models.js';
import { samples } from './samples.js';
import { runner } from './work.js';

/** What a panel is given: requests to this server, `runner` for work that takes time, `samples` of the package. */
const api = { request: client.request, json: client.json, post: client.post, runner };
api.samples = (model, take) => samples(model, api, take);

const main = document.getElementById('main');
const nav = document.getElementById('models');
const place = el('div', { tabindex: '-1' });
const section = el('section');
const desk = runner(place);
let models = [];
let shown = null;
/** Ends what the open panel does. */
let leave = () => {};
let looking = 0;
/** Between two looks at a model that is not ready. */
const LOOK_MS = 3000;

main.replaceChildren(place, section);
addEventListener('hashchange', () => { if (models.length) show(chosen()); });
document.querySelector('.skip').addEventListener('click', (event) => { event.preventDefault(); main.focus(); });
load();

/** Asks for the models; the one that is open stays open. */
function load() {
  desk.run('Asking for the models', (signal) => api.json('v1/models', { signal }), (answer) => {
    models = answer.models;
    if (models.length) show(chosen());
    else section.replaceChildren(el('p', { class: 'notice' }, 'This server has no models.'));
  });
}

/** The model that the address names, else the first that is ready. */
function chosen() {
  const wanted = models.find((model) => address(model) === location.hash);
  return wanted ?? models.find((model) => model.ready) ?? models[0];
}

async function show(model) {
  clearTimeout(looking);
  leave();
  leave = () => {};
  shown = model;
  desk.stop();
  desk.say('');
  document.title = `${model.name} – Stillhouse`;
  const walking = nav.contains(document.activeElement);
  nav.replaceChildren(list(models, model));
  const current = nav.querySelector('[aria-current]');
  current.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  if (walking) current.focus();
  const panel = el('div', { class: 'panel' });
  section.replaceChildren(head(model, api, desk.run), panel);
  section.setAttribute('aria-labelledby', 'model-name');
  if (model.ready) await mount(panel, model);
  else {
    panel.append(notReady(model));
    looking = setTimeout(look, LOOK_MS);
  }
}

/** Whether the server says something else by now; a server that is away is asked again. */
async function look() {
  const open = shown;
  const found = await api.json('v1/models').then((answer) => answer.models, () => models);
  if (shown !== open) return; // the person went on meanwhile
  if (JSON.stringify(found) === JSON.stringify(models)) looking = setTimeout(look, LOOK_MS);
  else {
    models = found;
    show(chosen());
  }
}

async function mount(panel, model) {
  let task;
  try {
    task = await import(`./tasks/${encodeURIComponent(model.task)}/panel.js`);
  } catch (error) {
    console.warn(`no panel for the task ${model.task}`, error);
    if (shown !== model) return;
    const shownValue = el('pre', { role: 'status' });
    const given = api.samples(model, (value) => { shownValue.textContent = value.name ?? JSON.stringify(value, null, 2); });
    panel.append(noPanel(model), given.element, shownValue);
    leave = given.end;
    return;
  }
  if (shown !== model) return;
  const end = await task.mount(panel, model, api);
  if (shown === model) leave = end ?? leave;
  else end?.();
}
