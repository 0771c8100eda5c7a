/** Addresses within the page, and what kind of window it stands in. */

/** Return the id of the conversation that an address names, null for none. */
export const chatIn = (address) => new URL(address, location.href).pathname.match(/^\/c\/(\d+)\/$/)?.[1] ?? null;

export const narrow = () => window.matchMedia("(width < 800px)").matches;
export const hasKeyboard = () => window.matchMedia("(pointer: fine)").matches;

/** Take a plain click on a link of the page over from the browser and return the link; null for any other click. */
export function followedLink(event) {
  const link = event.target.closest("a[data-go]");
  const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  if (!link || !plain) return null;
  event.preventDefault();
  return link;
}
