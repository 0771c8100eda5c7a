/**
 * A named-event emitter, by which a module notifies others without knowing them. A subclass lists the names of its
 * events, separated by blanks, in `static events`; `on` and `emit` throw an Error for any other name.
 */
export class Emitter {
  static events = "";
  #listeners = new Map();

  /** Call `listener` with each later `detail` of `name`. */
  on(name, listener) {
    this.#check(name);
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return this;
  }

  emit(name, detail) {
    this.#check(name);
    for (const listener of this.#listeners.get(name) ?? []) listener(detail);
  }

  #check(name) {
    const { events, name: type } = this.constructor;
    if (!events.split(" ").includes(name)) throw new Error(`${type} has no event ${name}`);
  }
}

/**
 * Return a function that runs `action` at once and then at most every `interval` ms; calls in between become one run
 * at the interval's end, with the last call's arguments.
 */
export function throttle(action, interval) {
  let timer = null;
  let waiting = null;
  const close = () => {
    timer = null;
    if (waiting) run(...waiting);
  };
  const run = (...args) => {
    waiting = null;
    timer = setTimeout(close, interval);
    action(...args);
  };
  return (...args) => {
    if (timer === null) run(...args);
    else waiting = args;
  };
}

/**
 * Return a function that runs `action(key)` for one call of a key at a time: calls meanwhile become one run after it.
 * Its promise holds until nothing is asked for any more.
 */
export function singly(action) {
  const running = new Map();
  const work = async (key, asked) => {
    try {
      while (asked.again) {
        asked.again = false;
        await action(key);
      }
    } finally {
      running.delete(key);
    }
  };
  return (key) => {
    const asked = running.get(key) ?? {};
    asked.again = true;
    running.set(key, asked);
    asked.done ??= work(key, asked);
    return asked.done;
  };
}
