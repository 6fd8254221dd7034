/** The microphone: asked for when the button is pressed, and given back when recording ends. */

import { button, el } from '../../dom.js';
import { decoded, wav } from './sound.js';

const MOST_S = 30;

/**
 * @param {(file: File) => void} take  gets a WAV file
 * @param {(reason: string) => void} refuse
 */
export function recorder(take, refuse) {
  const press = button('Record', () => (running ? running.stop() : start()));
  const told = el('span', { class: 'muted', role: 'status' });
  const element = el('div', { class: 'row' }, press, told);
  let running = null;
  let over = false;
  element.hidden = !navigator.mediaDevices?.getUserMedia || !window.MediaRecorder; // pages without TLS have none

  async function start() {
    let stream;
    press.disabled = true;
    told.textContent = 'The browser asks for the microphone …';
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch (error) {
      told.textContent = '';
      refuse(`The microphone cannot be used: ${error.message}. A file does as well.`);
      return;
    } finally {
      press.disabled = false;
    }
    const release = () => stream.getTracks().forEach((track) => track.stop());
    if (over) { release(); return; }
    const pieces = [];
    running = new MediaRecorder(stream);
    running.addEventListener('dataavailable', (event) => pieces.push(event.data));
    running.addEventListener('stop', () => { release(); finish(new Blob(pieces, { type: pieces[0]?.type })); });
    running.start();
    setTimeout((own) => { if (own === running) own.stop(); }, 1000 * MOST_S, running);
    press.textContent = 'Stop';
    told.textContent = `Recording, at most ${MOST_S} s …`;
  }

  /** What browsers record, libsndfile does not read: it becomes a WAV file here. */
  async function finish(blob) {
    running = null;
    press.textContent = 'Record';
    told.textContent = '';
    if (over) return;
    const sound = await decoded(blob);
    if (sound) {
      take(new File([wav(sound.samples, sound.rate)], 'recording.wav', { type: 'audio/wav' }));
      sound.end();
    } else refuse('The browser could not read what it recorded; a file does as well.');
  }

  function end() {
    over = true;
    running?.stop();
  }

  return { element, end };
}
