/** Translation: sentences in, their translation out, and where the model looked for each subword. */

import { button, el, stylesheet } from '../../dom.js';
import { copy } from './copy.js';
import { language } from './languages.js';
import { sentence } from './sentence.js';

/**
 * @param {HTMLElement} element  where the panel goes
 * @param {any} model  of `GET /v1/models`
 * @param {{post: Function, runner: Function, samples: Function}} api
 * @returns {Promise<() => void>} what ends it
 */
export async function mount(element, model, api) {
  await stylesheet(new URL('panel.css', import.meta.url));
  const from = language(model.about?.source ?? model.about?.languages?.source);
  const to = language(model.about?.target ?? model.about?.languages?.target);
  const address = `v1/${model.verb}?model=${encodeURIComponent(model.name)}`;

  const text = el('textarea', { id: 'text', rows: 5, lang: from.code, 'aria-describedby': 'text-ways' });
  const result = el('p', { class: 'translated', lang: to.code, tabindex: '0', role: 'region', 'aria-label': 'Translation' });
  const place = el('div', { tabindex: '-1' });
  const work = api.runner(place);
  const copied = button('Copy the translation', async () => work.say(await copy(result)), { hidden: true });
  const sentences = el('div', { class: 'sentences' });

  const example = model.about?.example ? button('Try an example', () => { text.value = model.about.example; translate(); }) : null;

  const examples = api.samples(model, (value) => { text.value = value; translate(); });

  function translate() {
    if (!text.value.trim()) { work.stop(); work.fail('There is no text yet; type a sentence.'); text.focus(); return; }
    const body = { text: text.value, alignment: true };
    work.run('Translating', (signal) => api.post(address, body, { signal }), show);
  }

  function show({ translations: [answer] }) {
    result.textContent = answer.text;
    copied.hidden = false;
    const many = answer.sentences.length;
    sentences.replaceChildren(...answer.sentences.map((each, i) =>
      sentence(each, many > 1 ? `Sentence ${i + 1} of ${many}` : 'Alignment', from, to)));
    work.say(many === 1 ? 'Translated.' : `Translated, ${many} sentences.`);
  }

  text.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); translate(); }
  });
  element.append(
    el('div', { class: 'sheet' },
      el('div', { class: 'stack' },
        el('label', { for: 'text' }, from.name), text,
        el('div', { class: 'row' },
          button('Translate', translate, { class: 'primary' }),
          el('span', { id: 'text-ways', class: 'muted' }, 'or Ctrl+Enter'), example),
        examples.element,
        place),
      el('div', { class: 'stack' }, el('p', { class: 'language' }, to.name), result, el('div', { class: 'row' }, copied))),
    sentences);
  return () => { work.stop(); examples.end(); };
}
