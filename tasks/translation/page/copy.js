/** Text for the clipboard. */

/** Copies the text of `element`. @returns {Promise<string>} what became of it, in words */
export async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return 'Copied.';
  } catch {
    // Pages without TLS on another host have no clipboard; the selection is left for Ctrl+C.
    getSelection().selectAllChildren(element);
    return document.execCommand('copy') ? 'Copied.' : 'This browser lets no page copy; the text is selected for you.';
  }
}
