/** Which one of several things is marked: the one pointed at, else the one with the focus, else the pinned one. */

/**
 * @param {(marked: ?number, pinned: ?number) => void} show  is told after every change
 * @returns {{listen: (index: number) => Object<string, Function>, pin: Function, clear: Function}}
 */
export function marking(show) {
  let pointed = null;
  let focused = null;
  let pinned = null;
  const tell = () => show(pointed ?? focused ?? pinned, pinned);

  /**
   * Attributes for the element of `index`. Moves count, not entering: what scrolls below a pointer at rest must not
   * take the mark from what the keyboard has reached.
   */
  const listen = (index) => ({
    onpointermove: () => { if (pointed !== index) { pointed = index; tell(); } },
    onpointerleave: () => { pointed = null; tell(); },
    onfocusin: () => { focused = index; pointed = null; tell(); },
    onfocusout: () => { focused = null; tell(); },
  });

  /** Pins one, or lets it go. */
  function pin(index) {
    pinned = pinned === index ? null : index;
    tell();
  }

  function clear() {
    pointed = focused = pinned = null;
    tell();
  }

  return { listen, pin, clear };
}
