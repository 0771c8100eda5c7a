/** Suggests people's names behind an `@` in a text field: arrows choose, Enter or Tab takes one, Escape closes. */

const MOST = 6;
const BEGUN = /(?:^|[^\p{L}\p{N}\p{M}])@([^@\n]{0,40})$/u;
const EVERYONE = [
  { name: "all", detail: "everybody in the conversation" },
  { name: "here", detail: "everybody who is here now" },
];

export class Mentions {
  #field;
  #list;
  #people;
  #found = [];
  #at = 0;
  #from = 0;

  /** `people()` are those who may be mentioned, `{userId, displayName}`. */
  constructor(field, list, people) {
    this.#field = field;
    this.#list = list;
    this.#people = people;
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", list.id);
    field.addEventListener("input", () => this.#look());
    field.addEventListener("blur", () => this.#close());
    // Before the composer's own listener: Enter takes the name, and sends nothing.
    field.addEventListener("keydown", (event) => this.#pressed(event), { capture: true });
    list.addEventListener("pointerdown", (event) => this.#clicked(event));
  }

  #look() {
    const before = this.#field.value.slice(0, this.#field.selectionStart);
    const begun = BEGUN.exec(before);
    if (!begun) return this.#close();
    const typed = begun[1].toLocaleLowerCase();
    const people = this.#people().map(({ displayName }) => ({ name: displayName, detail: "" }));
    const group = people.length > 1 ? EVERYONE : [];
    const fits = ({ name }) =>
      name
        .toLocaleLowerCase()
        .split(" ")
        .some((_, at, words) => words.slice(at).join(" ").startsWith(typed));
    this.#found = [...people, ...group].filter(fits).slice(0, MOST);
    this.#from = before.length - begun[1].length;
    this.#at = 0;
    this.#draw();
  }

  #draw() {
    this.#list.hidden = this.#found.length === 0;
    this.#list.replaceChildren(
      ...this.#found.map(({ name, detail }, at) => {
        const item = document.createElement("li");
        item.id = `${this.#list.id}-${at}`;
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", String(at === this.#at));
        item.dataset.at = at;
        const words = Object.assign(document.createElement("bdi"), { textContent: name });
        const more = Object.assign(document.createElement("span"), { textContent: detail, className: "option-detail" });
        item.append(words, more);
        return item;
      }),
    );
    if (this.#list.hidden) this.#field.removeAttribute("aria-activedescendant");
    else this.#field.setAttribute("aria-activedescendant", `${this.#list.id}-${this.#at}`);
  }

  #close() {
    this.#found = [];
    this.#draw();
  }

  #pressed(event) {
    if (this.#found.length === 0 || event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.#at = (this.#at + step + this.#found.length) % this.#found.length;
    else if (event.key === "Enter" || event.key === "Tab") this.#take(this.#at);
    else if (event.key === "Escape") this.#close();
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.#draw();
  }

  #clicked(event) {
    const item = event.target.closest("li");
    if (!item) return;
    event.preventDefault();
    this.#take(Number(item.dataset.at));
  }

  #take(at) {
    const { name } = this.#found[at];
    this.#field.setRangeText(`${name} `, this.#from, this.#field.selectionStart, "end");
    this.#found = [];
    this.#draw();
    this.#field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
