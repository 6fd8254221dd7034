/** Series: a history in (a CSV, dropped, chosen or pasted), and what follows it as a chart and a table. */

import { button, el, stylesheet } from '../../dom.js';
import { save } from '../../save.js';
import { chart } from './chart.js';
import { columns } from './csv.js';

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
  const address = `v1/${model.verb}?model=${encodeURIComponent(model.name)}`;
  const text = el('textarea', { id: 'history', rows: 6, spellcheck: 'false', 'aria-describedby': 'history-ways' });
  const file = el('input', { id: 'csv', type: 'file', accept: '.csv,.tsv,.txt,text/csv', class: 'file' });
  const shown = el('div', { class: 'shown', hidden: true });
  let answer = null;

  function forecast() {
    if (!text.value.trim()) { work.stop(); work.fail('There is no history yet; drop a CSV, or paste its lines.'); return; }
    const headers = { 'Content-Type': 'text/csv' };
    const body = text.value;
    work.run('Forecasting', (signal) => api.json(address, { method: 'POST', headers, body, signal }), (next) => show(next, body));
  }

  function show(next, body) {
    answer = next;
    const seen = columns(body, model.about.values);
    const parts = next.forecast
      ? Object.entries(next.forecast).map(([name, told]) => chart(name, seen[name] ?? [], told))
      : [labels(next)];
    const download = button('Download JSON', () => save(`${model.name}-forecast.json`, answer));
    shown.replaceChildren(...parts, el('div', { class: 'row' }, download));
    shown.hidden = false;
    work.say(next.forecast ? `${model.about.horizon} steps are forecast.` : `${next.labels.length} labels.`);
  }

  async function read(given) {
    if (!given) { work.fail('There was no file in what you dropped; a CSV is expected.'); return; }
    text.value = await given.text();
    forecast();
  }

  const over = (event) => { event.preventDefault(); element.classList.add('over'); };
  const out = (event) => { if (!element.contains(event.relatedTarget)) element.classList.remove('over'); };
  const drop = (event) => { event.preventDefault(); element.classList.remove('over'); read(event.dataTransfer.files[0]); };
  addEventListener('dragover', over);
  addEventListener('dragleave', out);
  addEventListener('drop', drop);
  file.addEventListener('change', () => { if (file.files.length) read(file.files[0]); file.value = ''; });
  const examples = api.samples(model, (value) => { text.value = value; forecast(); });
  element.append(
    el('label', { for: 'history' }, `History: ${model.about.values.join(', ')}, a line a step, the newest last`), text,
    el('div', { class: 'row' },
      button('Forecast', forecast, { class: 'primary' }),
      file, el('label', { for: 'csv', class: 'button' }, 'Choose a CSV'),
      el('span', { id: 'history-ways', class: 'muted' }, `or drop one here; at least ${model.about.window} lines.`)),
    examples.element, place, shown);
  return () => {
    work.stop();
    examples.end();
    removeEventListener('dragover', over);
    removeEventListener('dragleave', out);
    removeEventListener('drop', drop);
  };
}

function labels({ labels: found, probabilities }) {
  const first = Math.max(0, found.length - 100);
  return el('table', { class: 'steps' },
    el('caption', {}, found.length > 100 ? 'Labels of the newest 100 steps' : 'Labels, a row a step'),
    el('tbody', {}, ...found.slice(first).map((label, i) => el('tr', {},
      el('th', { scope: 'row' }, String(first + i + 1)),
      el('td', {}, label),
      el('td', {}, `${(100 * probabilities[first + i][label]).toFixed(1)} %`)))));
}
