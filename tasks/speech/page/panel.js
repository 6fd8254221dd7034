/** Speech: a recording in, from a file or a microphone; what is said in it, under its spectrum where it was said. */

import { button, el, stylesheet } from '../../dom.js';
import { save } from '../../save.js';
import { recorder } from './recorder.js';
import { decoded, drawn } from './sound.js';

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
  const canvas = el('canvas', { width: 800, height: 200, role: 'img', 'aria-label': 'Spectrum of the recording' });
  const words = el('div', { class: 'words' });
  const text = el('p', { class: 'said', 'aria-live': 'polite' });
  const classes = el('table', { class: 'ranking' });
  const play = button('Play', () => sounding?.play());
  const download = button('Download JSON', () => save(`${stem(file)}-transcript.json`, answer));
  const picture = el('figure', { hidden: true }, canvas, words);
  const result = el('div', { class: 'heard', hidden: true }, text, classes, el('div', { class: 'row' }, play, download));
  const address = `v1/${model.verb}?model=${encodeURIComponent(model.name)}`;
  let file = null;
  let answer = null;
  let sounding = null;

  async function transcribe(next) {
    file = next;
    result.hidden = true;
    words.replaceChildren();
    sounding?.end();
    sounding = await decoded(next); // null: the browser cannot; the server may all the same
    if (file !== next) return;
    picture.hidden = sounding === null;
    play.hidden = sounding === null;
    if (sounding) drawn(canvas, sounding.samples, sounding.rate);
    const fields = new FormData();
    fields.append('audio', next);
    work.run('Listening', (signal) => api.json(address, { method: 'POST', body: fields, signal }), show);
  }

  function show(next) {
    answer = next;
    result.hidden = false;
    text.textContent = next.text || '(nothing was understood)';
    words.replaceChildren(...(next.symbols ?? []).map((one) => placed(one, next.seconds)));
    classes.hidden = !next.classes;
    classes.replaceChildren(...(next.classes ? table(next.classes) : []));
    work.say(`${next.seconds.toFixed(1)} s: ${next.text || 'nothing understood'}`);
  }

  const refuse = (reason) => { work.stop(); work.fail(reason); };
  const microphone = recorder(transcribe, refuse);
  const input = el('input', { id: 'sound', type: 'file', accept: 'audio/*', class: 'file' });
  const chosen = () => { if (input.files.length) transcribe(input.files[0]); input.value = ''; };
  input.addEventListener('change', chosen);
  const over = (event) => event.preventDefault();
  const drop = (event) => {
    event.preventDefault();
    const [first] = event.dataTransfer.files;
    if (first) transcribe(first);
    else refuse('There was no file in what you dropped; a sound file is expected.');
  };
  addEventListener('dragover', over);
  addEventListener('drop', drop);
  const examples = api.samples(model, transcribe);
  element.append(
    el('div', { class: 'intake' },
      el('div', { class: 'pick' }, input, el('label', { for: 'sound', class: 'button' }, 'Choose a recording')),
      microphone.element,
      el('p', { class: 'muted' }, 'WAV, FLAC, OGG or MP3; or drop one anywhere on this sheet.')),
    examples.element, place, picture, result);
  return () => {
    removeEventListener('dragover', over);
    removeEventListener('drop', drop);
    work.stop();
    microphone.end();
    examples.end();
    sounding?.end();
  };
}

/** A symbol below the place in the spectrum where it began. */
function placed({ symbol, start }, seconds) {
  const one = el('span', { title: `${start.toFixed(2)} s` }, symbol);
  one.style.insetInlineStart = `${100 * Math.min(1, start / seconds)}%`;
  return one;
}

function table(classes) {
  const row = ({ label, probability }) => el('tr', {},
    el('th', { scope: 'row' }, label),
    el('td', {}, el('meter', { min: 0, max: 1, value: probability, 'aria-hidden': 'true' }), percent(probability)));
  return [el('caption', {}, 'Likeliest classes'),
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'class'), el('th', { scope: 'col' }, 'probability'))),
    el('tbody', {}, ...classes.slice(0, 10).map(row))];
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const stem = (file) => (file.name || 'recording').replace(/\.[^.]*$/, '');
