/** Many buttons, one tab stop: arrows, Home and End move among them (ARIA Authoring Practices, roving tabindex). */

const STEP = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -Infinity, End: Infinity };

/** @param {HTMLElement} group  whose descendants `selector` finds */
export function roving(group, selector) {
  const stops = () => [...group.querySelectorAll(selector)];
  group.addEventListener('keydown', (event) => {
    const step = STEP[event.key];
    const all = stops();
    const now = all.indexOf(event.target);
    if (step === undefined || now < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    all[Math.min(Math.max(now + step, 0), all.length - 1)].focus();
  });
  group.addEventListener('focusin', (event) => {
    if (stops().includes(event.target)) settle(event.target);
  });

  /** Makes `stop` (or the first) the one that Tab reaches. */
  function settle(stop = null) {
    const all = stops();
    const chosen = all.includes(stop) ? stop : all[0];
    for (const each of all) each.tabIndex = each === chosen ? 0 : -1;
  }
  settle();
  return settle;
}
