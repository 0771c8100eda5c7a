/**
 * Small layers above the page: a menu beside what it belongs to, a question before what cannot be undone, a word about
 * a failure.
 */

/** Show a popover beside an element, within the window. It closes by itself on Escape and on a press elsewhere. */
export function openBeside(layer, anchor) {
  if (layer.matches(":popover-open")) layer.hidePopover();
  layer.showPopover();
  const box = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = layer;
  const below = box.bottom + 4 + height <= window.innerHeight - 8;
  const left = Math.min(Math.max(8, box.right - width), window.innerWidth - width - 8);
  const top = below ? box.bottom + 4 : Math.max(8, box.top - height - 4);
  Object.assign(layer.style, { left: `${left}px`, top: `${top}px` });
}

/**
 * Fill a menu with `{label, run, danger?, icon?, checked?}` and show it by the name `title`; arrows move within it, and
 * the focus goes back where it was.
 */
export function openMenu(menu, anchor, items, title) {
  menu.setAttribute("aria-label", title);
  const before = document.activeElement;
  menu.replaceChildren(
    ...items.map(({ label, run, danger, icon, checked }) => {
      const button = document.createElement("button");
      Object.assign(button, {
        type: "button",
        textContent: label,
        className: danger ? "menu-item danger" : "menu-item",
        tabIndex: -1,
      });
      button.setAttribute("role", checked === undefined ? "menuitem" : "menuitemradio");
      if (checked !== undefined) button.setAttribute("aria-checked", String(checked));
      if (icon) button.prepend(icon);
      button.addEventListener("click", () => {
        menu.hidePopover();
        if (before?.isConnected) before.focus({ preventScroll: true });
        run();
      });
      return button;
    }),
  );
  openBeside(menu, anchor);
  (menu.querySelector("[aria-checked=true]") ?? menu.firstElementChild)?.focus();
}

const STEPS = { ArrowDown: 1, ArrowUp: -1, ArrowRight: 1, ArrowLeft: -1 };

/** Let arrows, Home and End move the focus among a layer's buttons. */
export function arrows(layer) {
  layer.addEventListener("keydown", (event) => {
    const all = [...layer.querySelectorAll("button:not(:disabled)")];
    const at = all.indexOf(document.activeElement);
    const step = STEPS[event.key];
    const next = { Home: all[0], End: all.at(-1) }[event.key] ?? (step && all[(at + step + all.length) % all.length]);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}

const part = (node, name) => node.querySelector(`[data-part="${name}"]`);

/** Ask before something that cannot be undone; returns whether to go on. */
export function ask({ title, text, action }) {
  const dialog = document.getElementById("confirm");
  part(dialog, "title").textContent = title;
  part(dialog, "text").textContent = text;
  part(dialog, "action").textContent = action;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

let timer = null;

/** Say something for some seconds, a failure mostly. */
export function say(text) {
  const toast = document.getElementById("toast");
  // Before a modal dialog nothing else is seen, or read out.
  ([...document.querySelectorAll("dialog:modal")].at(-1) ?? document.body).append(toast);
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => {
    toast.hidden = true;
  }, 6000);
}

/** Run what may be refused, and tell why if it is; `undo` takes back what was shown meanwhile. Returns the answer. */
export async function attempt(action, undo = () => undefined) {
  try {
    return await action();
  } catch (fault) {
    undo();
    say(fault.message && fault.name !== "TypeError" ? fault.message : "That needs a connection. Try again.");
    return undefined;
  }
}
