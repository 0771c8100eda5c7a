"""The store by itself where things overtake each other: counts, pages, pretences, snapshots, quotes, conversations left out."""

from tests.browser.modules import Run

GROUP = 'chat("8", { kind: "group", memberCount: 3, members: [person("1"), person("2"), { ...person("3"), joinedSeq: 9, readSeq: 9 }] })'


def test_sync_keeps_mention_counts(run: Run) -> None:
    assert run("""
        store.apply(said(5, 5, { mentions: ["1"] }));
        store.applySync({ chats: [], badges: { 9: 1 } });
        const kept = store.chat("9").mentionCount;
        store.applySync({ chats: [], badges: {} });
        return [kept, store.chat("9").mentionCount];
    """) == [1, 0]


def test_outdated_unread_count_is_ignored(run: Run) -> None:
    assert run("""
        const asked = store.watermarks();
        store.put(chat("70", { unreadCount: 3 }));
        store.apply(said(5, 5));
        store.apply(said(6, 6));
        store.applySync({ chats: [], badges: {} }, asked);
        const unnamed = store.chat("9").unreadCount;
        store.applySync({ chats: [{ chatId: "9", messages: [message(5, 5)], members: null, seq: 5, rev: 5 }], badges: { 9: 1 } }, asked);
        return [unnamed, store.chat("9").unreadCount, store.chat("70").unreadCount];
    """) == [2, 2, 3]


def test_unread_counts_messages_of_others_that_are_not_deleted(run: Run) -> None:
    assert run("""
        const counts = () => [store.chat("9").unreadCount, store.chat("9").mentionCount];
        store.apply(said(5, 5, { contentType: "system" }));
        store.apply(said(6, 6, { mentions: ["1"] }));
        store.apply(said(7, 7));
        store.apply(said(8, 8));
        const all = counts();
        store.apply({ type: "message.deleted", payload: { chatId: "9", messageId: "m6", seq: 6, rev: 9, by: "2" } });
        const less = counts();
        store.apply({ type: "message.deleted", payload: { chatId: "9", messageId: "m8", seq: 8, rev: null, by: "1" } });
        const hidden = counts();
        store.readUpTo("9", 6);
        const read = counts();
        store.readUpTo("9", 7);
        return [all, less, hidden, read, counts()];
    """) == [[3, 1], [2, 0], [1, 0], [1, 0], [0, 0]]


def test_own_message_does_not_mark_earlier_ones_as_read(run: Run) -> None:
    assert run("""
        const counts = () => [store.chat("9").unreadCount, store.mine(store.chat("9")).readSeq];
        const own = (seq) => said(seq, seq, { sender: { id: "1", displayName: "P1" } });
        store.readUpTo("9", 4);
        store.apply(own(5));
        const alone = counts();
        store.apply(said(6, 6));
        store.apply(own(7));
        return [alone, counts()];
    """) == [[0, 5], [1, 5]]


def test_message_read_before_its_frame_arrived_is_not_unread(run: Run) -> None:
    assert run("""
        store.addPage("9", [message(4, 4), message(5, 5)], false);
        store.readUpTo("9", 5);
        store.apply(said(5, 5));
        return [store.chat("9").unreadCount, texts()];
    """) == [0, ["text 4", "text 5"]]


def test_archived_and_unlisted_chats_are_not_in_the_total(run: Run) -> None:
    assert (
        run("""
        store.put(chat("8", { archived: true, unreadCount: 4 }));
        store.put(chat("7", { blocked: true, unreadCount: 2 }));
        store.apply(said(5, 5));
        return store.totalUnread();
    """)
        == 1
    )


def test_message_after_an_unblock_requests_the_conversation(run: Run) -> None:
    assert run("""
        const unknown = [];
        store.on("unknown", (chatId) => unknown.push(chatId));
        store.put(chat("7", { blocked: true }));
        const say = (chatId, seq, id) => {
          const told = message(seq, seq, { chatId, sender: { id, displayName: id } });
          store.apply({ type: "message.new", payload: { chatId, message: told } });
        };
        say("7", 5, "1");
        say("9", 5, "2");
        const none = [...unknown];
        say("7", 6, "2");
        return [none, unknown, store.chat("7").lastMessage.seq];
    """) == [[], ["7"], 6]


def test_unknown_changed_message_counts_as_new(run: Run) -> None:
    assert run("""
        store.apply({ type: "message.updated", payload: { chatId: "9", message: message(5, 5, { status: "edited" }) } });
        return [store.chat("9").unreadCount, store.watermarks()["9"], store.chat("9").lastMessage.id, heard];
    """) == [1, {"seq": 5, "rev": 5}, "m5", [["incoming", 5]]]


def test_history_page_requested_before_a_cut_is_discarded(run: Run) -> None:
    assert run("""
        store.addPage("9", [message(3, 3), message(4, 4)], true);
        const edge = store.edge("9");
        store.trim("9", 1);
        const first = store.addPage("9", [message(2, 2)], true, edge);
        const again = store.edge("9");
        store.applySync({ chats: [{ chatId: "9", messages: [], seq: 900, rev: 950, tooLarge: true }] });
        return [first, store.addPage("9", [message(3, 3)], true, again), texts(), store.chat("9").hasOlder];
    """) == [False, False, [], True]


def test_history_page_that_misses_a_live_change_is_discarded(run: Run) -> None:
    assert run("""
        const edge = store.edge("9");
        store.apply({ type: "message.updated", payload: { chatId: "9", message: message(3, 5, { content: "edited" }) } });
        const stale = store.addPage("9", [message(3, 3)], false, edge);
        const fresh = store.addPage("9", [message(3, 5, { content: "edited" })], false, store.edge("9"));
        return [stale, fresh, texts()];
    """) == [False, True, ["edited"]]


def test_own_message_in_a_history_page_is_confirmed(run: Run) -> None:
    assert run("""
        store.addPage("9", [message(3, 3), message(4, 4, { sender: { id: "1" } })], false);
        return heard;
    """) == [["settled", "c4"]]


def test_quote_shows_the_current_text_of_its_message(run: Run) -> None:
    assert run("""
        const quoting = (seq, id) => said(seq, seq, { replyTo: { id, senderName: "P2", excerpt: "text" } });
        const quotes = () => store.chat("9").messages.map(({ replyTo }) => replyTo && replyTo.excerpt);
        store.apply(said(5, 5));
        store.apply(quoting(6, "m5"));
        store.apply({ type: "message.updated", payload: { chatId: "9", message: message(5, 7, { content: "edited" }) } });
        const edited = quotes();
        store.apply({ type: "message.deleted", payload: { chatId: "9", messageId: "m5", seq: 5, rev: 8, by: "2" } });
        const deleted = quotes();
        store.apply({ type: "message.deleted", payload: { chatId: "9", messageId: "m5", seq: 5, rev: null, by: "1" } });
        return [edited, deleted, quotes()];
    """) == [[None, "edited"], [None, ""], [None]]


def test_refused_optimistic_change_is_reverted_after_other_changes(run: Run) -> None:
    assert run("""
        store.apply(said(5, 5));
        const undo = store.pretend("9", "m5", { content: "mine" });
        store.apply({ type: "message.reaction", payload: { chatId: "9", messageId: "m5", rev: 6,
          reactions: [{ emoji: "👍", count: 1, userIds: ["2"] }] } });
        undo();
        return [texts(), store.message("9", "m5").reactions.length];
    """) == [["text 5"], 1]


def test_two_refusals_revert_both_optimistic_changes(run: Run) -> None:
    assert run("""
        store.apply(said(5, 5));
        const first = store.pretend("9", "m5", { content: "first" });
        const second = store.pretend("9", "m5", { content: "second" });
        first();
        second();
        return texts();
    """) == ["text 5"]


def test_ticks_never_regress(run: Run) -> None:
    assert run("""
        const mine = { sender: { id: "1", displayName: "P1" }, state: "delivered" };
        store.applySync({ chats: [{ chatId: "9", messages: [message(5, 5, mine)], members: null, seq: 5, rev: 5 }] });
        store.acked({ id: "c5", chatId: "9", content: "text 5" }, { messageId: "m5", seq: 5, rev: 5, createdAt: "" });
        return [store.message("9", "m5").state, texts()];
    """) == ["delivered", ["text 5"]]


def test_later_member_is_not_listed_as_having_seen_older_messages(run: Run) -> None:
    assert run(f"""
        const {{ ticks }} = await import("/static/state/ticks.js");
        store.put({GROUP});
        const own = message(4, 4, {{ sender: {{ id: "1" }}, chatId: "8" }});
        const before = ticks(store.chat("8"), "1", own);
        store.apply({{ type: "read.receipt", payload: {{ chatId: "8", receipts: [{{ userId: "2", seq: 4 }}] }} }});
        return [before, ticks(store.chat("8"), "1", own)];
    """) == [{"state": "sent", "seenBy": []}, {"state": "seen", "seenBy": ["P2"]}]


def test_newer_of_two_reordered_snapshots_wins(run: Run) -> None:
    assert run("""
        store.put(chat("9", { rev: 6, name: "new", members: [person("1"), person("2"), person("3")] }));
        store.put(chat("9", { rev: 5, name: "old" }));
        const first = store.chat("9").name;
        store.put(chat("9", { rev: 6, name: "new", pinned: true, members: [person("1"), person("2"), person("3")] }));
        const { name, members, pinned } = store.chat("9");
        return [first, name, members.length, pinned];
    """) == ["new", "new", 3, True]


def test_unlisted_chat_is_named_in_the_next_sync_and_added_by_its_event(run: Run) -> None:
    assert run("""
        const told = [];
        store.on("unlisted", (parts) => told.push(parts.map(({ chatId }) => chatId)));
        store.applySync({ chats: [{ chatId: "70", messages: [], seq: 3, rev: 5 }, { chatId: "71", messages: [], seq: 1, rev: 1 }] });
        store.put(chat("71"));
        const marks = store.watermarks();
        store.apply({ type: "message.new", payload: { chatId: "70", message: message(3, 5) } });
        const silent = heard.length;
        store.apply({ type: "message.new", payload: { chatId: "70", message: message(4, 6) } });
        told.push(silent, heard.at(-1));
        store.put(chat("70", { seq: 4, rev: 6 }));
        store.applySync({ chats: [{ chatId: "72", messages: [], seq: 3, rev: 5 }] });
        store.forget(told.pop().map((chatId) => ({ chatId })));
        return [told, marks["70"], marks["71"], store.watermarks()["70"], store.watermarks()["72"], store.list().length];
    """) == [
        [["70", "71"], 0, ["unknown", "70"]],
        {"seq": 3, "rev": 5},
        {"seq": 4, "rev": 4},
        {"seq": 4, "rev": 6},
        None,
        3,
    ]


def test_pending_messages_of_a_dropped_chat_are_discarded(run: Run) -> None:
    assert (
        run("""
        store.apply({ type: "message.summary", payload: { chatId: "9", count: 600, fromSeq: 5, toSeq: 604, rev: 604 } });
        store.applySync({ chats: [{ chatId: "9", messages: [], seq: 604, rev: 604, tooLarge: true }] });
        return store.chat("9").waiting;
    """)
        == 0
    )


def test_conversations_of_the_same_time_keep_their_order(run: Run) -> None:
    assert run("""
        for (const id of ["6", "8", "7"]) store.put(chat(id));
        return store.list().map(({ id }) => id);
    """) == ["9", "8", "7", "6"]


def test_burst_of_notices_causes_at_most_two_requests(run: Run) -> None:
    assert run("""
        const { singly } = await import("/static/kit/events.js");
        const asked = [];
        const ask = singly(async (key) => { asked.push(key); await null; });
        await Promise.all([ask("a"), ask("a"), ask("b"), ask("a")]);
        await ask("a");
        return asked;
    """) == ["a", "b", "a", "a"]


def test_large_sync_request_goes_over_rest(run: Run) -> None:
    assert run("""
        const { Sync } = await import("/static/net/sync.js");
        const asked = [];
        window.fetch = async (path, { body }) => {
          asked.push([path, Object.keys(JSON.parse(body).chats).length]);
          return new Response(JSON.stringify({ chats: [], badges: {} }));
        };
        for (let id = 0; id < 2000; id += 1) store.put(chat(`7547137082229${10000 + id}`));
        await new Sync({ request: async () => asked.push("frame") }, store).run();
        return asked;
    """) == [["/api/v1/sync", 2001]]


def test_message_is_sent_without_local_storage(run: Run) -> None:
    assert run("""
        const { Outbox } = await import("/static/net/outbox.js");
        IDBObjectStore.prototype.put = IDBObjectStore.prototype.delete = () => { throw new DOMException("full", "QuotaExceededError"); };
        const outbox = new Outbox({ request: async () => ({ messageId: "m" }) }, "1");
        const acked = new Promise((resolve) => outbox.on("acked", ({ ack }) => resolve(ack.messageId)));
        outbox.flow();
        await outbox.load();
        outbox.add({ chatId: "9", content: "hi" });
        return [await acked, outbox.of("9").map(({ state }) => state)];
    """) == ["m", ["acked"]]
