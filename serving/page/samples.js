/** A package's golden samples: inputs that its model has proven itself on, one press away. */

import { button, el } from './dom.js';

/**
 * Samples as buttons. What a sample is, the model's task knows: a file or another value.
 * @param {any} model  of `GET /v1/models`
 * @param {{request: Function, json: Function}} api
 * @param {(value: File|any) => void} take  gets the input of the sample that is pressed
 * @returns {{element: HTMLElement, end: () => void}} `end` forgets the pictures
 */
export function samples(model, api, take) {
  const base = `v1/models/${encodeURIComponent(model.name)}/samples`;
  const element = el('div', { class: 'samples row', role: 'group', 'aria-label': 'Examples', hidden: true });
  const addresses = [];
  let over = false;

  async function fill() {
    const { samples: found } = await api.json(base);
    for (const [i, sample] of found.entries()) {
      const one = sample.file === null ? plain(sample.input, i) : await picture(sample.file, i);
      if (over) return;
      element.append(one);
      element.hidden = false;
    }
  }

  function plain(value, i) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return button(text.length > 60 ? `${text.slice(0, 60)}…` : text, () => take(value), { title: `Example ${i + 1}` });
  }

  async function picture(name, i) {
    const blob = await (await api.request(`${base}/${encodeURIComponent(name)}`)).blob();
    const label = `Example ${i + 1}`;
    const pressed = () => take(new File([blob], name, { type: blob.type }));
    if (!blob.type.startsWith('image/')) return button(`${label}: ${name}`, pressed);
    addresses.push(URL.createObjectURL(blob));
    return el('button', { type: 'button', class: 'sample', onclick: pressed },
      el('img', { src: addresses.at(-1), alt: label, height: 64 }));
  }

  function end() {
    over = true;
    addresses.forEach((address) => URL.revokeObjectURL(address));
  }

  fill().catch((error) => console.info(`no examples of ${model.name}: ${error.message}`));
  return { element, end };
}
