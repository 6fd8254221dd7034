// Functions that look over the page as it stands; each returns what is wrong, in words. Run by test_page_access.py.

const CONTROLS = 'a[href], button, input, select, textarea, summary, [tabindex="0"]';
const seen = (e) => e.checkVisibility({ checkVisibilityCSS: true, checkOpacity: true }) && e.getClientRects().length > 0;
const named = (e) => `<${e.tagName.toLowerCase()} ${e.id ? `id=${e.id}` : `class=${e.getAttribute('class')}`}> ${e.textContent.trim().slice(0, 40)}`;

const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });

/** Any CSS colour over another, as sRGB. */
function over(colour, below) {
  pen.fillStyle = `rgb(${below.join(' ')})`;
  pen.fillRect(0, 0, 1, 1);
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

function ground(element) {
  const chain = [];
  for (let e = element; e; e = e.parentElement) chain.push(getComputedStyle(e).backgroundColor);
  return chain.reduceRight((below, colour) => over(colour, below), over('Canvas', [255, 255, 255]));
}

/** WCAG 2.2, relative luminance and contrast ratio. */
function luminance(rgb) {
  const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function ratio(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** Text below 4.5 to 1; `count` says that there was something to look at. */
function faintText() {
  const wrong = [];
  let count = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !seen(element) || element.closest(':disabled, svg')) continue;
    count += 1;
    const below = ground(element);
    const found = ratio(over(getComputedStyle(element).color, below), below);
    if (found < 4.5) wrong.push(`${found.toFixed(2)} ${named(element)}`);
  }
  return { wrong, count };
}

/** Edges of controls below 3 to 1 against what lies around them. */
function faintEdges() {
  const edged = [...document.querySelectorAll('button, .button, textarea, input[type=password], .intake')].filter(seen);
  const wrong = edged.filter((e) => {
    const around = ground(e.parentElement);
    const edge = over(getComputedStyle(e).borderTopColor, ground(e));
    return Math.max(ratio(edge, around), ratio(ground(e), around)) < 3;
  });
  return { wrong: wrong.map(named), count: edged.length };
}

/** Things to press smaller than 44 by 44; links within a sentence are exempt (WCAG 2.2, 2.5.8). */
function smallTargets() {
  const pressed = [...document.querySelectorAll('a[href], button, input, textarea, summary')].filter((e) => seen(e) && !e.closest('p'));
  const wrong = pressed.filter((e) => {
    const box = (e.closest('label') ?? e).getBoundingClientRect();
    return !e.classList.contains('skip') && (box.width < 43.9 || box.height < 43.9);
  });
  return { wrong: wrong.map((e) => `${named(e)} ${e.getBoundingClientRect().width} x ${e.getBoundingClientRect().height}`), count: pressed.length };
}

/** Faults of the document's structure. */
function structure() {
  const wrong = [];
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  wrong.push(...ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `two elements have the id ${id}`));
  for (const name of ['aria-labelledby', 'aria-describedby', 'aria-controls', 'for']) {
    for (const e of document.querySelectorAll(`[${name}]`)) {
      const missing = e.getAttribute(name).split(' ').filter((id) => !document.getElementById(id));
      if (missing.length) wrong.push(`${name} of ${named(e)} leads nowhere: ${missing}`);
    }
  }
  const headings = [...document.querySelectorAll('h1, h2, h3, h4')].filter(seen).map((e) => Number(e.tagName[1]));
  headings.forEach((level, i) => { if (level > (headings[i - 1] ?? 0) + 1) wrong.push(`h${level} follows h${headings[i - 1]}`); });
  for (const [css, most] of [['h1', 1], ['main', 1], ['body > header', 1], ['nav[aria-label]', 1]]) {
    if (document.querySelectorAll(css).length !== most) wrong.push(`${document.querySelectorAll(css).length} of ${css}`);
  }
  if (!document.documentElement.lang) wrong.push('the page has no language');
  wrong.push(...[...document.images].filter((e) => !e.hasAttribute('alt')).map((e) => `no alt: ${e.src}`));
  return { wrong, count: ids.length };
}
