/**
 * The state: conversations and members' marks; `state/history.js` holds a conversation's messages, `state/unread.js`
 * counts. Every durable change bears a `rev`; one that does not follow on the rev we hold is a gap, never applied: the
 * store asks for a sync instead (protocol 2.4).
 *
 * Events: `chats` (the list changed), `messages` chatId, `marks` chatId, `incoming` {chatId, seq} (by another person),
 * `settled` clientId (an own message stands in the history), `told` {chatId, id, rev, …} (a message, or what changed of
 * it, held or not), `hidden` {chatId, messageIds}, `gap` chatId, `unknown` chatId (to be fetched: it is new, or its
 * settings changed), `unlisted` [{chatId, seq, rev}] (a sync named them, and the list may have them by now), `summary`
 * chatId (too much at once: to be synced, soon), `stale` chatId (its cache was dropped), `removed` chatId, `settings`
 * chatId (a known conversation came afresh), `draft` chatId (begun or ended on another device).
 */
import { Emitter } from "../kit/events.js";
import * as history from "./history.js";
import * as members from "./members.js";
import { byPinThenTime } from "./order.js";
import * as unread from "./unread.js";

export class Store extends Emitter {
  static events =
    "chats draft gap hidden incoming marks messages removed settings settled stale summary told unknown unlisted";
  me;
  /** What the user has chosen in anonymous polls, by message: their results do not say it. */
  votes = new Map();
  #chats = new Map();
  /** Watermarks of conversations that a sync named and this page does not know: new, or blocked. */
  #leftOut = new Map();

  /** `me` is the user's id; `chats` are conversations as the REST API gives them. */
  constructor(me, chats) {
    super();
    this.me = me;
    for (const chat of chats) this.#hold(chat);
  }

  chat(chatId) {
    return this.#chats.get(chatId);
  }

  /** Return the conversations as the list shows them: pinned first, then the newest. */
  list() {
    return [...this.#chats.values()].sort(byPinThenTime);
  }

  /** What is archived is out of the way, and counts nothing; nor does what is left out because somebody is blocked. */
  totalUnread() {
    return this.list().reduce((sum, chat) => sum + (chat.archived || chat.blocked ? 0 : chat.unreadCount), 0);
  }

  /** Return every conversation's watermark, the payload of `sync.request`. */
  watermarks() {
    return Object.fromEntries([
      ...this.#leftOut,
      ...[...this.#chats.values()].map(({ id, seq, rev }) => [id, { seq, rev }]),
    ]);
  }

  /** What was `unlisted` could not be loaded: let the next sync name it again. */
  forget(parts) {
    for (const { chatId } of parts) this.#leftOut.delete(chatId);
  }

  /** Return the own member of a conversation, and the others. */
  mine(chat) {
    return chat.members.find((member) => member.userId === this.me);
  }

  others(chat) {
    return chat.members.filter((member) => member.userId !== this.me);
  }

  /** Return people's names by what is known of a conversation, "Somebody" for who is not listed. */
  nameOf(chat, userId) {
    return userId === this.me ? "You" : members.nameOf(chat, userId);
  }

  /** Return whether the user may change a conversation that is no direct one. */
  isAdmin(chat) {
    return chat.kind !== "direct" && ["owner", "admin"].includes(this.mine(chat)?.role);
  }

  /** Return whether the user may write here: in a broadcast only admins. */
  mayWrite(chat) {
    return chat.kind !== "broadcast" || this.isAdmin(chat);
  }

  title(chat) {
    return chat.name || this.others(chat)[0]?.displayName || "Only you";
  }

  /** Return the id of the other person of a direct conversation, "" where there is none. */
  partner(chat) {
    return (chat.kind === "direct" && this.others(chat)[0]?.userId) || "";
  }

  /** Return the id that colours a conversation's avatar: a person looks the same everywhere. */
  tone(chat) {
    return this.partner(chat) || chat.id;
  }

  // --- what comes from the server ------------------------------------------------------------------------------------

  /** Take a frame; frames that are none of the state's business are left alone. */
  apply({ type, payload }) {
    this.#appliers[type]?.(payload);
  }

  /** Take a conversation as REST gives it: a new one, or the fresh state of a known one. */
  put(chat) {
    const known = this.#chats.get(chat.id);
    this.#hold(chat, known);
    this.emit("chats");
    if (known) this.emit("marks", chat.id);
    if (known) this.emit("settings", chat.id);
  }

  /** Begin to hold a conversation's messages: what arrives from now on is kept, older ones come with `addPage`. */
  open(chatId) {
    const chat = this.#chats.get(chatId);
    chat.messages ??= [];
    return chat;
  }

  /** Return where a conversation's held messages begin: the next page is requested with it and given to `addPage`. */
  edge(chatId) {
    return history.edge(this.open(chatId));
  }

  /**
   * Take a page of history that ends at `edge`; `hasMore`: there are older ones. Returns false where it is void by now.
   */
  addPage(chatId, messages, hasMore, edge = undefined) {
    const taken = history.addPage(this.open(chatId), messages, hasMore, edge);
    if (!taken) return false;
    for (const { sender, clientId } of messages) if (sender.id === this.me && clientId) this.emit("settled", clientId);
    this.emit("messages", chatId);
    return true;
  }

  /** Forget all but the newest `count` messages of a conversation: they can be loaded again. */
  trim(chatId, count) {
    if (history.trim(this.#chats.get(chatId), count)) this.emit("messages", chatId);
  }

  /** Take a `sync.response`: what changed since our watermarks, which were `asked`, and the new ones. */
  applySync({ chats, removed = [], badges }, asked = this.watermarks()) {
    const unlisted = [];
    for (const part of chats) {
      if (!this.#chats.has(part.chatId)) unlisted.push(this.#leaveOut(part));
      else if (part.tooLarge) this.#dropCache(part);
      else this.#applyPart(part);
    }
    for (const chatId of removed) this.#remove(chatId);
    const upTo = { ...asked, ...Object.fromEntries(chats.map((part) => [part.chatId, part])) };
    for (const chat of badges ? this.#chats.values() : [])
      unread.counted(chat, this.me, badges[chat.id] ?? 0, upTo[chat.id]?.seq ?? -1);
    this.emit("chats");
    if (unlisted.length) this.emit("unlisted", unlisted);
  }

  #leaveOut({ chatId, seq, rev }) {
    this.#leftOut.set(chatId, { seq, rev });
    return { chatId, seq, rev };
  }

  /** Take the ack of an own message; `item` is what the outbox held. */
  acked(item, { messageId, seq, rev, createdAt }) {
    const chat = this.#chats.get(item.chatId);
    if (!chat) return;
    const next = rev === chat.rev + 1;
    if (next || rev <= chat.rev) {
      this.#arrive(
        chat,
        history.sent(
          item,
          { id: messageId, seq, rev, createdAt },
          { id: this.me, displayName: this.mine(chat)?.displayName ?? "" },
        ),
      );
      if (next) this.#advance(chat, seq, rev);
      this.emit("messages", chat.id);
      this.emit("chats");
    } else this.#gap(chat, rev);
  }

  /** Take a message as REST gives it, for what an ack does not tell: its files' state and links. */
  take(message) {
    const chat = this.#chats.get(message.chatId);
    if (!chat) return;
    this.#merge(chat, message);
    this.emit("messages", chat.id);
  }

  // --- what the user does, shown before the server has said so -----------------------------------

  message(chatId, messageId) {
    return history.find(this.#chats.get(chatId), messageId);
  }

  /** Show a held message changed; the server's word overwrites it. Returns what takes it back, for a refusal. */
  pretend(chatId, messageId, change) {
    const chat = this.#chats.get(chatId);
    const back = history.pretend(chat, messageId, change);
    this.emit("messages", chatId);
    return () => {
      back();
      this.emit("messages", chatId);
    };
  }

  // --- marks ---------------------------------------------------------------------------------------------------------

  /** The user has read up to `seq`, on this device or another. */
  readUpTo(chatId, seq) {
    const chat = this.#chats.get(chatId);
    const mine = chat && this.mine(chat);
    if (!mine || mine.readSeq >= seq) return;
    mine.readSeq = seq;
    unread.read(chat, this.me, seq);
    this.emit("chats");
  }

  /** This device holds everything up to `seq`. */
  deliveredUpTo(chatId, seq) {
    const mine = this.mine(this.#chats.get(chatId) ?? { members: [] });
    if (mine) mine.deliveredSeq = Math.max(mine.deliveredSeq, seq);
  }

  #mark(chatId, receipts, field) {
    const chat = this.#chats.get(chatId);
    if (!chat) return;
    for (const { userId, seq } of receipts) {
      const member = chat.members.find((candidate) => candidate.userId === userId);
      if (userId === this.me && field === "readSeq") this.readUpTo(chatId, seq);
      else if (member) member[field] = Math.max(member[field], seq);
    }
    this.emit("marks", chatId);
  }

  // --- durable changes -----------------------------------------------------------------------------------------------

  #appliers = {
    "message.new": (told) => this.#stored(told),
    // Who does not know it takes it as new: it may have been sent and changed meanwhile.
    "message.updated": (told) => this.#stored(told),
    "message.deleted": ({ chatId, messageId, seq, rev, by }) => {
      if (rev === null) this.#hide(this.#chats.get(chatId), [messageId]);
      else {
        this.#change(chatId, rev, (chat) => {
          const held = history.find(chat, messageId);
          unread.gone(chat, this.me, held?.truth ?? held ?? { seq, sender: {} });
          this.#amend(chat, messageId, { ...history.TOMBSTONE, deletedBy: by, rev });
        });
      }
    },
    "message.reaction": ({ chatId, messageId, rev, reactions }) =>
      this.#change(chatId, rev, (chat) => this.#amend(chat, messageId, { reactions, rev })),
    "message.summary": ({ chatId, count, rev }) => this.#summarise(chatId, count, rev),
    "chat.created": ({ chatId, chat }) => (chat ? this.put(chat) : this.emit("unknown", chatId)),
    "chat.updated": ({ chatId, chat, rev }) => {
      if (rev) this.#change(chatId, rev, () => undefined);
      if (chat) this.put(chat);
      else if (this.#chats.has(chatId)) this.emit("unknown", chatId);
    },
    "chat.removed": ({ chatId }) => this.#remove(chatId),
    "delivery.receipt": ({ chatId, receipts }) => this.#mark(chatId, receipts, "deliveredSeq"),
    "read.receipt": ({ chatId, receipts, ...one }) => this.#mark(chatId, receipts ?? [one], "readSeq"),
  };

  #stored({ chatId, message }) {
    this.#change(chatId, message.rev, (chat) => {
      this.#arrive(chat, message);
      chat.seq = Math.max(chat.seq, message.seq);
    });
  }

  /** Apply a durable change if it is the next one; else it is known already, or the sign of a gap. */
  #change(chatId, rev, apply) {
    const chat = this.#chats.get(chatId);
    if (rev <= (chat ?? this.#leftOut.get(chatId))?.rev) return;
    if (!chat) return this.emit("unknown", chatId);
    if (rev > chat.rev + 1) return this.#gap(chat, rev);
    apply(chat);
    this.#advance(chat, chat.seq, rev);
    this.emit("messages", chatId);
    this.emit("chats");
  }

  /** The chat goes too fast to be told message by message: how many wait is shown until a sync has brought them. */
  #summarise(chatId, count = 0, rev = Infinity) {
    const chat = this.#chats.get(chatId);
    if (!chat) return this.emit("unknown", chatId);
    if (rev <= chat.rev) return;
    if (Number.isFinite(rev)) chat.seenRev = Math.max(chat.seenRev, rev);
    chat.waiting = (chat.waiting ?? 0) + count;
    this.emit("chats");
    this.emit("summary", chatId);
  }

  /** The user has deleted messages for themself: they are gone here, without a tombstone. */
  #hide(chat, messageIds) {
    if (!chat || messageIds.length === 0) return;
    for (const gone of history.hide(chat, messageIds)) unread.gone(chat, this.me, gone.truth ?? gone);
    if (messageIds.includes(chat.lastMessage?.id)) {
      chat.lastMessage = chat.messages?.at(-1) ?? null;
      if (!chat.lastMessage) this.emit("unknown", chat.id);
    }
    this.emit("chats");
    this.emit("messages", chat.id);
    this.emit("hidden", { chatId: chat.id, messageIds });
  }

  #gap(chat, rev) {
    chat.seenRev = Math.max(chat.seenRev, rev);
    this.emit("gap", chat.id);
  }

  #advance(chat, seq, rev) {
    chat.seq = Math.max(chat.seq, seq);
    chat.rev = Math.max(chat.rev, rev);
  }

  #applyPart(part) {
    const chat = this.#chats.get(part.chatId);
    for (const message of part.messages) this.#arrive(chat, message);
    if (part.chat) this.#hold(part.chat, chat);
    else if (part.members) members.adopt(chat, part.members);
    this.#hide(chat, part.hidden ?? []);
    this.#advance(chat, part.seq, part.rev);
    if (!part.hasMore) chat.waiting = 0;
    this.emit("messages", chat.id);
    this.emit("marks", chat.id);
    if (chat.seenRev > chat.rev && !part.hasMore) this.emit("gap", chat.id);
  }

  /** Hold a message, new or changed, and let it count where it is new. */
  #arrive(chat, message) {
    const fresh = message.seq > chat.seq;
    const own = message.sender.id === this.me;
    this.#merge(chat, message);
    if (own && message.clientId) this.emit("settled", message.clientId);
    if (!fresh) return;
    chat.lastMessage = message;
    history.countReply(chat, message);
    // Sending is not reading: the mark moves over an own message that follows on it, and over nobody else's.
    if (own && message.contentType !== "system" && this.mine(chat)?.readSeq >= message.seq - 1)
      this.readUpTo(chat.id, message.seq);
    if (own) return;
    // Nothing comes from somebody blocked: it is over.
    if (chat.blocked) this.emit("unknown", chat.id);
    unread.arrived(chat, this.me, message);
    this.emit("incoming", message);
  }

  #merge(chat, message) {
    history.merge(chat, message);
    this.emit("told", message);
  }

  #amend(chat, messageId, change) {
    history.amend(chat, messageId, change);
    this.emit("told", { chatId: chat.id, id: messageId, ...change });
  }

  #dropCache(part) {
    const chat = this.#chats.get(part.chatId);
    history.drop(chat);
    Object.assign(chat, { stale: true, waiting: 0 });
    this.#advance(chat, part.seq, part.rev);
    this.emit("stale", chat.id);
  }

  /**
   * A known conversation keeps its watermark and what hangs on it: only frames and syncs, without a hole, move those.
   * Of two snapshots that overtake each other the newer one stays.
   */
  #hold(chat, known) {
    if (known && !known.stale) {
      if (chat.rev < known.shownRev) return;
      const { seq, rev, lastMessage, unreadCount, mentionCount, members: listed, ...rest } = chat;
      const { draft } = known;
      Object.assign(known, rest, { shownRev: rev });
      known.lastMessage ??= lastMessage;
      members.adopt(known, listed);
      if ((draft ?? "") !== (chat.draft ?? "")) this.emit("draft", chat.id);
    } else {
      const begin = { messages: known?.messages ?? null, hasOlder: true, seenRev: 0, shownRev: chat.rev, stale: false };
      this.#chats.set(chat.id, Object.assign(known ?? {}, chat, begin));
      this.#leftOut.delete(chat.id);
      if (chat.unreadCount > 0) this.emit("incoming", { chatId: chat.id, seq: chat.seq });
    }
  }

  #remove(chatId) {
    this.#leftOut.delete(chatId);
    if (this.#chats.delete(chatId)) this.emit("removed", chatId);
    this.emit("chats");
  }
}
