/**
 * Formatting: `parse` is chat/messages/entities.py in JavaScript, rule by rule, and both are tested on
 * tests/fixtures/entities.json; `nodes` draws a text with it. Nothing that people write becomes markup: every word
 * becomes a text node, and every element's name stands here.
 */
import { EMOJI } from "./emoji.js";

const SPACE = "\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const TOKEN = new RegExp(
  "(?<code>`+)|(?<mark>\\*+|_+|~+)|(?<link>(?:https?:\\/\\/|mailto:)[^" +
    SPACE +
    '<>"`]+)|(?<mention>@)' +
    "|(?<emoji>:(?:[+-]1|[a-z][a-z0-9_+-]{1,40}):)",
  "gi",
);
const FENCE = /^```([A-Za-z0-9+#._-]{0,30})[ \t\r]*$/;
const QUOTE = /^>( |$)/;
const ITEM = new RegExp(`^ {0,8}(?:[-*•]|([0-9]{1,9})[.)]) +(?=[^${SPACE}])`);
const BLANK = new RegExp(`^[${SPACE}]`);
const HOST = /^(?:[hH][tT][tT][pP][sS]?:\/\/[\p{L}\p{N}]|[mM][aA][iI][lL][tT][oO]:[^@]+@[\p{L}\p{N}])/u;
const WORD = /^(?![\ufe00-\ufe0f])[\p{L}\p{N}\p{Mn}\p{Mc}]/u;
const TRAILING = ".,;:!?'*_~";
const PAIRS = { ")": "(", "]": "[", "}": "{" };
const MARKS = { "*": "bold", "**": "bold", _: "italic", "~": "strike", "~~": "strike" };
const EVERYONE = ["all", "here"];
const MOST_LENGTH = 100;

/** Return a text's entities, as chat/messages/entities.py does; `names` are the people who may be mentioned. */
export function parse(text, names = []) {
  const found = [...blocks(text, trie(names))];
  return found.sort((a, b) => a.offset - b.offset || b.length - a.length);
}

const entity = (type, start, end, open = 0, close = 0, more = {}) => ({
  type,
  offset: start,
  length: end - start,
  open,
  close,
  ...more,
});

/** Letters, numbers and what is written on them; an emoji's variation selector is none of a word. */
const isWord = (char) => WORD.test(char);
const isBlank = (char) => BLANK.test(char);

function charBefore(text, line, place) {
  if (place <= line.start) return "";
  const unit = text[place - 1];
  return /[\udc00-\udfff]/.test(unit) && place - 2 >= line.start ? text.slice(place - 2, place) : unit;
}

const charAfter = (text, line, place) => (place < line.end ? String.fromCodePoint(text.codePointAt(place)) : "");

function trie(names) {
  const root = new Map();
  for (const name of names) {
    if (!name || [...name].length > MOST_LENGTH) continue;
    let node = root;
    for (const char of name) {
      if (!node.has(char)) node.set(char, new Map());
      node = node.get(char);
    }
    node.set("", true);
  }
  return root;
}

function lines(text) {
  const found = [];
  let start = 0;
  for (const line of text.split("\n")) {
    found.push({ start, end: start + line.length, text: line });
    start += line.length + 1;
  }
  return found;
}

function* blocks(text, names) {
  const all = lines(text);
  const fences = all.map((line) => FENCE.exec(line.text));
  const closing = fences.flatMap((fence, at) => (fence && !fence[1] ? [at] : []));
  let next = 0;
  for (let at = 0; at < all.length; at += 1) {
    while (closing[next] <= at) next += 1;
    if (fences[at] && next < closing.length) {
      const last = closing[next];
      yield codeBlock(all[at], all[last], fences[at][1], last === at + 1);
      at = last;
    } else yield* lineOf(text, all[at], names);
  }
}

/** The line breaks beside the fences are part of the marks; without lines in between there is but one. */
function codeBlock(first, last, language, empty) {
  const open = first.end - first.start + 1;
  const close = last.end - last.start + (empty ? 0 : 1);
  return entity("codeBlock", first.start, last.end, open, close, language ? { language } : {});
}

function* lineOf(text, line, names) {
  const quote = QUOTE.exec(line.text);
  const item = quote ? null : ITEM.exec(line.text);
  const open = (quote ?? item)?.[0].length ?? 0;
  if (quote) yield entity("quote", line.start, line.end, open);
  else if (item) yield entity("list", line.start, line.end, open, 0, item[1] ? { number: Number(item[1]) } : {});
  yield* inline(text, { start: line.start + open, end: line.end }, names);
}

/** Walk over a line; what is understood as a whole, code, an address, a mention, is not looked into again. */
function* inline(text, line, names) {
  const opened = [];
  const hopeless = new Set();
  const expression = new RegExp(TOKEN);
  const part = text.slice(0, line.end);
  expression.lastIndex = line.start;
  for (let match = expression.exec(part); match; match = expression.exec(part)) {
    const token = { text: match[0], start: match.index, end: match.index + match[0].length };
    let found;
    if (match.groups.mark) found = marked(text, line, token, opened);
    else if (match.groups.code) found = code(part, token, hopeless);
    else if (isWord(charBefore(text, line, token.start))) continue;
    else if (match.groups.link) found = link(token);
    else if (match.groups.mention) found = mention(text, line, token.start, names);
    else found = entity("emoji", token.start, token.end, 0, 0, { name: token.text.slice(1, -1).toLowerCase() });
    if (!found) continue;
    yield found;
    expression.lastIndex = found.offset + found.length;
  }
}

/** Code ends at the next run of as many backticks; `hopeless` are the lengths of which no more will come. */
function code(text, { text: { length }, start, end }, hopeless) {
  if (length > 3 || hopeless.has(length)) return null;
  const runs = /`+/g;
  runs.lastIndex = end;
  for (let run = runs.exec(text); run; run = runs.exec(text)) {
    if (run[0].length === length) return entity("code", start, run.index + length, length, length);
  }
  hopeless.add(length);
  return null;
}

/** Close the mark that this one ends, and forget those opened within; or open it. Each is open at most once. */
function marked(text, line, token, opened) {
  const mark = token.text;
  const type = MARKS[mark];
  if (!type) return null;
  const before = charBefore(text, line, token.start);
  const after = charAfter(text, line, token.end);
  const place = opened.findIndex((other) => other.mark === mark);
  if (place >= 0 && before && !isBlank(before) && !isWord(after)) {
    const [{ start }] = opened.splice(place);
    return entity(type, start, token.end, mark.length, mark.length);
  }
  if (after && !isBlank(after) && !isWord(before)) {
    if (place >= 0) opened.splice(place, 1);
    opened.push({ mark, start: token.start });
  }
  return null;
}

/** An address ends before the marks and punctuation that follow it, but keeps brackets that it opened itself. */
function link({ text, start }) {
  const counts = {};
  for (const char of text) if ("()[]{}".includes(char)) counts[char] = (counts[char] ?? 0) + 1;
  let end = text.length;
  for (; end > 0; end -= 1) {
    const last = text[end - 1];
    if (last in PAIRS && counts[last] > (counts[PAIRS[last]] ?? 0)) counts[last] -= 1;
    else if (!TRAILING.includes(last)) break;
  }
  const url = text.slice(0, end);
  return HOST.test(url) ? entity("link", start, start + end, 0, 0, { url }) : null;
}

/** The longest name that stands whole behind the `@`. */
function mention(text, line, start, names) {
  for (const name of EVERYONE) {
    const end = start + 1 + name.length;
    if (text.slice(start + 1, end).toLowerCase() !== name || end > line.end) continue;
    if (!isWord(charAfter(text, line, end))) return entity("mention", start, end, 0, 0, { name, everyone: true });
  }
  let longest = 0;
  let node = names;
  for (let place = start + 1; place < line.end; ) {
    const char = charAfter(text, line, place);
    node = node.get(char);
    if (!node) break;
    place += char.length;
    if (node.has("") && !isWord(charAfter(text, line, place))) longest = place;
  }
  return longest ? entity("mention", start, longest, 0, 0, { name: text.slice(start + 1, longest) }) : null;
}

// --- drawing -------------------------------------------------------------------------------------

const ELEMENTS = { bold: "strong", italic: "em", strike: "s", code: "code", codeBlock: "pre", quote: "blockquote" };

/**
 * Return a text as nodes, its marks left out. `mentions` are the names that may be mentioned, `mine` the reader's own.
 * Lines that are quotes or items stand in one blockquote or list as long as they follow each other.
 */
export function nodes(text, { mentions = [], mine = null } = {}) {
  const root = document.createDocumentFragment();
  const list = parse(text, mentions);
  fill(root, text, 0, text.length, list, { at: 0 }, mine);
  return root;
}

function fill(parent, text, from, to, list, cursor, mine) {
  let place = from;
  while (cursor.at < list.length && list[cursor.at].offset < to) {
    const item = list[cursor.at];
    cursor.at += 1;
    const block = item.type === "quote" || item.type === "list" || item.type === "codeBlock";
    append(parent, block ? text.slice(place, item.offset).replace(/\n$/, "") : text.slice(place, item.offset));
    const end = item.offset + item.length;
    const target = placeOf(parent, item, text.slice(place, item.offset));
    const element = make(item, mine);
    const drawn = item.type === "emoji" && emoji(item.name);
    if (drawn) element.append(drawn);
    else fill(element, text, item.offset + item.open, end - item.close, list, cursor, mine);
    target.append(element);
    place = end;
    if (block && text[place] === "\n") place += 1;
  }
  append(parent, text.slice(place, to));
}

const emoji = (name) => (Object.hasOwn(EMOJI, name) ? EMOJI[name] : undefined);

const append = (parent, words) => words && parent.append(words);

/** Return where a line's entity goes: into the quote or list that the line before it has begun, if it has. */
function placeOf(parent, { type, number }, between) {
  if (type !== "quote" && type !== "list") return parent;
  const name = type === "quote" ? "BLOCKQUOTE" : number === undefined ? "UL" : "OL";
  if (!between && parent.lastChild?.nodeName === name) return parent.lastChild;
  const around = document.createElement(name);
  around.className = "formatted";
  if (name === "OL") around.start = number;
  parent.append(around);
  return around;
}

function make(item, mine) {
  if (item.type === "quote") return document.createElement("p");
  if (item.type === "list") return document.createElement("li");
  if (item.type === "link") return linkTo(item.url);
  if (item.type === "mention") return named(item, mine);
  if (item.type === "emoji") return coded(item);
  const element = document.createElement(ELEMENTS[item.type]);
  if (item.language) element.dataset.language = item.language;
  return element;
}

function linkTo(url) {
  const element = document.createElement("a");
  Object.assign(element, { href: url, target: "_blank", rel: "noopener noreferrer" });
  return element;
}

function named({ name, everyone }, mine) {
  const element = document.createElement("span");
  element.className = "mention";
  element.classList.toggle("me", Boolean(everyone) || name === mine);
  return element;
}

/** The words of an emoji stay its tooltip; a name that nobody knows stays as typed. */
function coded({ name }) {
  const element = document.createElement("span");
  if (emoji(name)) element.title = `:${name}:`;
  return element;
}
