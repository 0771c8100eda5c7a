/** The dialog for a new poll. Events: `created` data, as a message of type `poll` has it. */
import { Emitter } from "../kit/events.js";

export class NewPoll extends Emitter {
  static events = "created";
  #dialog;
  #part;

  constructor(dialog) {
    super();
    this.#dialog = dialog;
    this.#part = (name) => dialog.querySelector(`[data-part="${name}"]`);
    dialog.querySelector("form").addEventListener("submit", (event) => this.#create(event));
    dialog.querySelector("[data-act=close]").addEventListener("click", () => dialog.close());
  }

  show() {
    this.#dialog.querySelector("form").reset();
    this.#part("trouble").textContent = "";
    this.#dialog.showModal();
    this.#part("question").focus();
  }

  #create(event) {
    event.preventDefault();
    const question = this.#part("question").value.trim();
    const lines = this.#part("options")
      .value.split("\n")
      .map((line) => line.trim().slice(0, 300));
    const options = [...new Set(lines.filter(Boolean))];
    const trouble = !question
      ? "Ask something."
      : options.length < 2 || options.length > 20
        ? "A poll has 2 to 20 answers."
        : "";
    this.#part("trouble").textContent = trouble;
    if (trouble) return;
    this.#dialog.close();
    this.emit("created", {
      question,
      options,
      multiple: this.#part("multiple").checked,
      anonymous: this.#part("anonymous").checked,
    });
  }
}
