/** One piece of work at a time: says that it runs, lets it be cancelled, shows what went wrong, tries again. */

import { button, el } from './dom.js';

/**
 * @param {HTMLElement} place  where status, Cancel and errors appear
 * @returns {{run: Function, say: Function, fail: Function, stop: Function}}
 */
export function runner(place) {
  const status = el('p', { role: 'status' });
  const clock = el('span', { class: 'clock', 'aria-hidden': 'true' });
  const cancel = button('Cancel', () => controller?.abort(), { hidden: true });
  const alert = el('p', { role: 'alert' });
  const again = button('Try again', null, { hidden: true });
  place.classList.add('work');
  place.append(el('div', { class: 'row' }, status, clock, cancel), el('div', { class: 'trouble' }, alert, again));
  let controller = null;
  let ticking = 0;
  let waiting = 0;
  let retry = () => {};
  again.addEventListener('click', () => retry());

  /**
   * Runs `task(signal)` and hands its result to `done`; ends what ran before.
   * @param {string} doing  what is going on, e.g. "Translating"
   */
  async function run(doing, task, done) {
    stop();
    const own = new AbortController();
    const origin = document.activeElement;
    controller = own;
    retry = () => run(doing, task, done);
    busy(doing);
    try {
      const result = await task(own.signal);
      if (own === controller) { idle(origin, ''); done(result); }
    } catch (error) {
      if (own !== controller) return;
      idle(origin, error.name === 'AbortError' ? 'Cancelled.' : '');
      if (error.name !== 'AbortError') fail(error.message, error.wait);
      if (!['AbortError', 'ApiError'].includes(error.name)) console.error(error);
    }
  }

  function busy(doing) {
    const start = Date.now();
    status.textContent = `${doing} …`;
    clock.textContent = '';
    cancel.hidden = false;
    place.classList.add('busy');
    ticking = setInterval(() => { clock.textContent = `${Math.round((Date.now() - start) / 1000)} s`; }, 1000);
  }

  /** The focus must not fall off the page with the button that had it. */
  function idle(origin, text) {
    clearInterval(ticking);
    if (document.activeElement === cancel) (origin?.isConnected ? origin : place).focus();
    cancel.hidden = true;
    place.classList.remove('busy');
    status.textContent = text;
    clock.textContent = '';
    controller = null;
  }

  /** @param {string} text @param {?number} wait  seconds until it can be tried again; null: that is no use */
  function fail(text, wait = null) {
    alert.textContent = wait ? `${text} Try again in ${wait} s.` : text;
    again.hidden = wait === null;
    again.disabled = Boolean(wait);
    place.classList.add('failed');
    if (!wait) return;
    waiting = setTimeout(() => { again.disabled = false; say('You can try again now.'); }, wait * 1000);
  }

  function say(text) { status.textContent = text; }

  /** Ends what runs and forgets what went wrong. */
  function stop() {
    clearTimeout(waiting);
    const running = controller;
    idle(null, '');
    running?.abort();
    alert.textContent = '';
    again.hidden = true;
    place.classList.remove('failed');
  }

  return { run, say, fail, stop };
}
