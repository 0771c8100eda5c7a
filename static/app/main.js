/** Puts the page together: state from the page, one socket, and who listens to whom. */
import { Actions } from "../views/message-actions.js";
import * as api from "../net/api.js";
import { Banners } from "../views/connection-banner.js";
import { Composer } from "../views/composer.js";
import { Conversation } from "../views/conversation.js";
import { Conversations } from "../views/conversation-list.js";
import { Delivery } from "../views/delivery-trace.js";
import { Details } from "../views/details.js";
import { choosing, define } from "../views/presence-indicators.js";
import { Drafts } from "../state/drafts.js";
import { singly, throttle } from "../kit/events.js";
import { chatIn, followedLink, hasKeyboard, narrow } from "../kit/navigation.js";
import { attempt } from "../kit/popovers.js";
import { Mentions } from "../views/mentions.js";
import { NewChat } from "../views/new-conversation.js";
import { NewPoll } from "../views/new-poll.js";
import { Outbox } from "../net/outbox.js";
import { Presence } from "../state/presence.js";
import { Receipts } from "../state/marks.js";
import { Readers } from "../views/seen-by.js";
import { Socket } from "../net/socket.js";
import { Store } from "../state/store.js";
import { Sync } from "../net/sync.js";
import { Teams } from "../views/teams.js";
import { Thread } from "../views/thread.js";
import { Timeline } from "../views/timeline.js";
import { Typing } from "../state/typing.js";
import { Uploads } from "../net/uploads.js";

const byId = (id) => document.getElementById(id);
const initial = JSON.parse(byId("initial-state").textContent);
const app = byId("app");
const log = byId("log");
const scroller = byId("scroller");

const drafts = new Drafts(initial.me.id);
const store = new Store(initial.me.id, initial.conversations);
const socket = new Socket(`${location.protocol.replace("http", "ws")}//${location.host}/ws/v1`, api.signedIn);
const outbox = new Outbox(socket, initial.me.id);
const pill = byId("pill");
const timeline = new Timeline({ scroller, log, pill, template: byId("message-template") }, store, outbox);
const conversation = new Conversation(app, store, timeline);
const receipts = new Receipts(socket, store, scroller);
const typing = new Typing();
const presence = new Presence(socket, initial.me.id);
define(presence);
choosing(byId("my-presence"), byId("presence-menu"), presence);
const field = byId("text");
const uploads = new Uploads({
  tray: byId("tray"),
  template: byId("upload-template"),
  input: byId("files"),
  field,
  zone: app.querySelector(".view"),
});
const people = (chatId) => store.others(store.chat(chatId));
const writing = { form: byId("composer"), field, notice: byId("text-notice"), context: byId("context") };
const composer = new Composer(writing, drafts, uploads, people);
new Mentions(field, byId("mention-options"), () => people(conversation.chatId));
const actions = new Actions({ menu: byId("menu"), picker: byId("picker"), versions: byId("versions") }, store, socket);
const thread = new Thread(byId("thread"), byId("message-template"), store, outbox);
new Mentions(byId("thread-text"), byId("thread-options"), () => people(thread.chatId));
const details = new Details(byId("details"), byId("menu"), app.querySelector("[data-act=details]"), store);
const readers = new Readers(byId("readers"), store);
const delivery = new Delivery(byId("delivery"), store);
const banners = new Banners(byId("banner"), outbox, act);
const teams = new Teams(byId("teams"), initial.me.id);
const newPoll = new NewPoll(byId("new-poll"));
const newChat = new NewChat(byId("new-chat"), initial.me.id);
const conversations = new Conversations(
  {
    list: byId("chats"),
    template: byId("chat-template"),
    total: byId("total-unread"),
    empty: byId("no-chats"),
    toggle: byId("archive-toggle"),
  },
  store,
  drafts,
);
const sync = new Sync(socket, store);

// --- the connection ------------------------------------------------------------------------------

function act(state) {
  if (state === "ended" || state === "outdated") location.reload();
  else socket.reconnect();
}

function connectionChanged(state) {
  banners.connection(state);
  document.documentElement.dataset.connection = state.state;
  if (state.state === "open") return;
  sync.stop();
  receipts.lost();
  outbox.hold();
  typing.clear();
  presence.lost();
}

/** The gap is filled: now what waits may go, and what is here is said to be here. */
function caughtUp() {
  receipts.resume();
  conversation.resume();
  outbox.flow();
}

/** Load a conversation that this page does not know, or no longer; a burst of its frames asks twice at most. */
const fetchChat = singly(async (chatId) => {
  try {
    store.put(await api.get(`/conversations/${chatId}`));
  } catch (fault) {
    console.warn(`Conversation ${chatId} could not be loaded:`, fault.message);
  }
});

async function reload(chatId) {
  await fetchChat(chatId);
  if (chatId === conversation.chatId) conversation.open(chatId);
}

/** The page brings the newest conversations; a sync must name them all, the archived ones too. */
async function loadList(archived, more) {
  for (let cursor = ""; more; ) {
    const page = await api.get(
      `/conversations?archived=${archived}&limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
    );
    for (const chat of page.results) store.put(chat);
    ({ nextCursor: cursor, hasMore: more } = page);
  }
}

/** A sync names conversations that this page does not know: new ones, or some that the list leaves out. */
async function relist(parts) {
  try {
    await Promise.all([loadList(false, true), loadList(true, true)]);
  } catch (fault) {
    store.forget(parts);
    console.warn("New conversations could not be loaded; the next sync names them again:", fault.message);
  }
}

function unmark(chatId) {
  if (!store.chat(chatId).markedUnread) return;
  attempt(() => api.patch(`/conversations/${chatId}/members/${store.me}`, { markedUnread: false }));
}

/** A restored database has another history: what this page holds of the old one is void, the outbox is not. */
function greeted({ epoch, degraded, resumed }) {
  if (epoch !== initial.epoch) return location.reload();
  presence.greeted({ resumed });
  banners.degraded(degraded);
  tellFocus();
  return sync.run();
}

/** Tell the server which conversation is looked at here. */
function tellFocus() {
  const looking = document.hasFocus() && (app.dataset.pane === "chat" || !narrow());
  socket.send("chat.focus", { chatId: looking ? conversation.chatId : null });
}

// --- moving between conversations ----------------------------------------------------------------

function showList() {
  conversation.pane("list");
  if (!narrow() && conversation.chatId) return;
  conversation.close();
  conversations.open(null, "Parley");
  tellFocus();
}

function show(chatId) {
  if (!store.chat(chatId)) return showList();
  if (chatId !== conversation.chatId) closeSides();
  conversation.open(chatId);
  conversation.pane("chat");
  composer.open(chatId, { focus: hasKeyboard() });
  conversations.open(chatId, `${store.title(store.chat(chatId))} · Parley`);
  drawTyping(chatId);
  unmark(chatId);
  tellFocus();
  presence.renew();
}

/** The open conversation is asked for again: what is being written or changed there stays. */
function stay(chatId) {
  timeline.toEnd();
  unmark(chatId);
}

/** Follow a link within the page: to a conversation, or back to the list. */
function go(address) {
  const chatId = chatIn(address);
  if (!chatId && history.state?.fromList) return history.back();
  if (chatId && chatId === chatIn(location.href) && app.dataset.pane === "chat") return stay(chatId);
  history.pushState({ fromList: app.dataset.pane === "list" }, "", address);
  show(chatId);
}

function followed(event) {
  const link = followedLink(event);
  if (link) go(link.href);
}

function closeSides(but = null) {
  for (const side of [thread, details]) if (side !== but) side.close();
}

/** Open a conversation that this page may not hold yet. */
async function openKnown(chatId) {
  if (!store.chat(chatId)) await fetchChat(chatId);
  go(`/c/${chatId}/`);
}

/** Open the conversation with one person. */
async function openDirect(userId) {
  const chat = await attempt(() => api.post("/conversations", { kind: "direct", userId }));
  if (!chat) return;
  store.put(chat);
  go(`/c/${chat.id}/`);
}

function drawTyping(chatId) {
  if (chatId !== conversation.chatId) return;
  const line = typing.line(chatId);
  byId("typing").textContent = line;
  byId("typing").classList.toggle("on", Boolean(line));
}

// --- who listens to whom -------------------------------------------------------------------------

const LISTENERS = {
  "presence.changed": ({ changes }) => presence.take(changes),
  "typing.indicator": (indicator) => typing.apply(indicator),
  "sync.response": (response) => sync.answer(response),
  "system.status": ({ degraded }) => banners.degraded(degraded),
};

function hear(frame) {
  const listener = LISTENERS[frame.type];
  if (listener) listener(frame.payload);
  else store.apply(frame);
}

function arrived({ chatId, seq, sender }) {
  receipts.delivered(chatId, seq);
  if (sender) presence.heard(sender.id);
  if (sender) typing.sent(chatId, sender.id);
}

function queueChanged(chatId) {
  timeline.updateNow(chatId);
  banners.draw();
}

function sent(message) {
  outbox.add({ ...message, lastSeenSeq: store.chat(message.chatId).seq || undefined });
  timeline.toEnd();
}

/**
 * A file may have been examined between its upload and its message: the frame that says so came too early for this
 * page.
 */
async function acked({ item, ack }) {
  store.acked(item, ack);
  if (!item.files?.length) return;
  const message = await attempt(() => api.get(`/messages/${ack.messageId}`));
  if (message) store.take(message);
}

/** Who edits and is refused gets the words back: to try again, or to keep them. */
async function edited({ message, content, mentions }) {
  const ack = await actions.edit(message, content, mentions);
  if (!ack && conversation.chatId === message.chatId)
    composer.edit(store.message(message.chatId, message.id) ?? message, content);
}

/** Arrow up in an empty field edits what the user said last. */
function editLast() {
  const held = store.chat(conversation.chatId)?.messages ?? [];
  const last = held.findLast((message) => actions.mayEdit(message));
  if (last) composer.edit(last);
}

function draftChanged(chatId) {
  if (!drafts.adopt(chatId, store.chat(chatId)?.draft)) return;
  composer.draftChanged(chatId);
  conversations.draw();
}

/** Another tab of this browser has written to a draft that both keep. */
function draftWritten(chatId) {
  if (!chatId) return;
  composer.draftChanged(chatId);
  conversations.draw();
}

function drawn() {
  receipts.watch(conversation.chatId, log);
  conversation.tidy();
}

function removed(chatId) {
  if (chatId !== conversation.chatId) return;
  history.replaceState(null, "", "/");
  closeSides();
  conversation.close();
  showList();
}

socket.on("state", connectionChanged).on("frame", hear).on("hello", greeted);
sync.on("done", caughtUp);
store
  .on("chats", () => conversations.draw())
  .on("messages", (id) => timeline.update(id))
  .on("marks", (id) => timeline.update(id));
store
  .on(
    "summary",
    throttle(() => sync.run(), 500),
  )
  .on("draft", draftChanged);
store
  .on("gap", () => sync.run())
  .on("unknown", fetchChat)
  .on("stale", reload)
  .on("removed", removed)
  .on("unlisted", relist);
store.on("incoming", arrived).on("settled", (clientId) => outbox.discard(clientId));
store.on(
  "chats",
  throttle(() => conversation.describe(), 500),
);
outbox
  .on("change", queueChanged)
  .on("acked", acked)
  .on("change", (id) => thread.update(id));
timeline.on("older", (id) => conversation.older(id)).on("drawn", drawn);
typing.on("change", drawTyping);
store
  .on("messages", (id) => thread.update(id))
  .on("told", (told) => thread.take(told))
  .on("hidden", (gone) => thread.drop(gone));
store.on("settings", (id) => details.changed(id));
thread.on("send", sent).on("act", ({ action, element, message }) => actions.act(action, element, message));
thread.on("opened", () => closeSides(thread)).on("closed", () => receipts.look());
details
  .on("opened", () => closeSides(details))
  .on("closed", () => receipts.look())
  .on("asked", () => details.open(conversation.chatId));
details.on("changed", (chat) => store.put(chat)).on("direct", openDirect);
actions.on("delivery", (message) => delivery.open(message));
actions.on("readers", ({ message, element }) => readers.open(message, element));
actions.on("thread", (message) => thread.open(message));
timeline.on("act", ({ action, element, message }) => actions.act(action, element, message));
actions.on("reply", (message) => composer.reply(message)).on("edit", (message) => composer.edit(message));
composer
  .on("send", sent)
  .on("draft", () => conversations.draw())
  .on("last", editLast);
composer.on("edited", edited);
composer.on("typing", ({ chatId, active }) => socket.send(active ? "typing.start" : "typing.stop", { chatId }));
teams.on("joined", (chat) => store.put(chat)).on("open", openKnown);
newPoll.on("created", (data) => sent({ chatId: conversation.chatId, content: "", contentType: "poll", data }));
newChat.on("created", (chat) => {
  store.put(chat);
  go(`/c/${chat.id}/`);
});
document.addEventListener("click", followed);
window.addEventListener("focus", tellFocus);
window.addEventListener("blur", tellFocus);
window.addEventListener("storage", ({ key }) => draftWritten(drafts.chatOf(key)));
window.addEventListener("popstate", () => show(chatIn(location.href)));
for (const button of document.querySelectorAll("[data-act=new-chat]"))
  button.addEventListener("click", () => newChat.show());

for (const button of document.querySelectorAll("[data-act=teams]"))
  button.addEventListener("click", () => teams.show());
for (const button of document.querySelectorAll("[data-act=poll]"))
  button.addEventListener("click", () => newPoll.show());
for (const button of document.querySelectorAll("[data-act=attach]"))
  button.addEventListener("click", () => byId("files").click());

// --- begin ---------------------------------------------------------------------------------------

if (initial.page) {
  store.addPage(initial.chatId, initial.page.messages, initial.page.hasMore);
  show(initial.chatId);
}
if (initial.pane === "list") showList();
for (const { id } of store.list()) draftChanged(id);
document.documentElement.dataset.live = "";
outbox.load();
await Promise.all([loadList(false, initial.more), loadList(true, true)]).catch((fault) => {
  console.warn("The whole list could not be loaded:", fault.message);
});
socket.reconnect();
