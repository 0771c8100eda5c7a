/**
 * Make these elements an element's children, in this order. What stands in its place already is not touched: what is
 * moved or put in again loses the focus, a selection, a film that plays.
 */
export function arrange(parent, elements) {
  const wanted = new Set(elements);
  const { activeElement: focused } = document;
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  let cursor = parent.firstElementChild;
  for (const element of elements) {
    if (element === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(element, cursor);
  }
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}
