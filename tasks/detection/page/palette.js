/** Colours of classes: light ones, all readable under the label's dark text (contrast 7 and more). */

const COLOURS = ['#ffd43b', '#74c0fc', '#ff9eb0', '#8ce99a', '#ffa94d', '#c4b1ff', '#3bd5e0', '#f0f3f5', '#c8ec5f',
  '#f2a5ff', '#dcb98a', '#a8d5ba'];
/** Classes that share a colour differ in their line. */
const LINES = ['none', '8 4', '2 3'];

/** @param {number} category  `category_id` @returns {{colour: string, dash: string}} */
export function look(category) {
  const colour = COLOURS[Math.abs(category) % COLOURS.length];
  return { colour, dash: LINES[Math.floor(Math.abs(category) / COLOURS.length) % LINES.length] };
}
