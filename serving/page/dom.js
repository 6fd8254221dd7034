/** Elements from words. Text goes in as text nodes, so nothing that a server says becomes markup. */

/**
 * @param {string} tag
 * @param {Object<string, unknown>} attributes  `onclick: f` listens; true is an empty attribute; null and false are none
 * @param {...(Node|string|number|null)} children
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Like `el`, for SVG. @returns {SVGElement} */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

/** A button that submits nothing. */
export function button(label, onclick, attributes = {}) {
  return el('button', { type: 'button', onclick, ...attributes }, label);
}

/** An id no other element has. */
let ids = 0;
export const unique = (name) => `${name}-${++ids}`;

/**
 * Loads a style sheet once; resolves when it applies (or cannot be had: a panel without style still works).
 * @param {string|URL} address
 */
export function stylesheet(address) {
  const href = new URL(address, document.baseURI).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return Promise.resolve();
  return new Promise((resolve) => {
    document.head.append(el('link', { rel: 'stylesheet', href, onload: resolve, onerror: resolve }));
  });
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.replace(/^on/, ''), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined).map((child) =>
    child instanceof Node ? child : String(child)));
  return element;
}
