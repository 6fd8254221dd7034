/** Names of languages. */

/** @param {string|undefined} code of BCP 47 @returns {{code: ?string, name: string}} */
export function language(code) {
  if (!code) return { code: null, name: 'Text' };
  try {
    return { code, name: new Intl.DisplayNames(['en'], { type: 'language' }).of(code) };
  } catch {
    return { code: null, name: code }; // no code of a language, but the model's own word for it
  }
}
