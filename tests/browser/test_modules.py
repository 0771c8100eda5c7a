"""The modules by themselves, on a page of the server: what the store does with revs, marks and syncs."""

from tests.browser.modules import Run


def test_next_rev_is_applied_and_a_later_one_is_a_gap(run: Run) -> None:
    assert run("""
        store.apply(said(5, 5));
        store.apply(said(7, 7));
        return [texts(), store.watermarks(), heard];
    """) == [["text 5"], {"9": {"seq": 5, "rev": 5}}, [["incoming", 5], ["gap", "9"]]]


def test_known_rev_changes_nothing(run: Run) -> None:
    assert run("""
        store.apply(said(5, 5));
        store.apply(said(5, 5, { content: "again" }));
        return [texts(), store.chat("9").unreadCount];
    """) == [["text 5"], 1]


def test_sync_fills_the_gap_and_repeats_after_frames_meanwhile(run: Run) -> None:
    part = '{ chatId: "9", members: [person("1"), person("2")], hasMore: false, tooLarge: false,'
    assert run(f"""
        store.apply(said(6, 6));
        store.apply(said(8, 8));
        store.applySync({{ chats: [{part} seq: 6, rev: 6, messages: [message(5, 5), message(6, 6)] }}] }});
        const first = [texts(), heard.filter(([name]) => name === "gap").length];
        store.applySync({{ chats: [{part} seq: 8, rev: 8, messages: [message(7, 7), message(8, 8)] }}] }});
        return [first, texts(), heard.filter(([name]) => name === "gap").length];
    """) == [[["text 5", "text 6"], 3], ["text 5", "text 6", "text 7", "text 8"], 3]


def test_ack_across_a_gap_leaves_the_message_to_the_sync(run: Run) -> None:
    assert run("""
        store.acked({ id: "mine", chatId: "9", content: "hi" }, { messageId: "m6", seq: 6, rev: 6, createdAt: "" });
        return [texts(), heard];
    """) == [[], [["gap", "9"]]]


def test_acked_message_takes_its_place_and_its_echo_is_ignored(run: Run) -> None:
    assert run("""
        store.acked({ id: "c5", chatId: "9", content: "hi" }, { messageId: "m5", seq: 5, rev: 5, createdAt: "" });
        store.apply(said(5, 5, { sender: { id: "1", displayName: "P1" }, content: "hi" }));
        return [texts(), store.chat("9").unreadCount, heard];
    """) == [["hi"], 0, [["settled", "c5"]]]


def test_chat_too_far_behind_is_replaced_by_its_fresh_state(run: Run) -> None:
    assert run("""
        store.apply(said(5, 5));
        store.applySync({ chats: [{ chatId: "9", messages: [], members: [], seq: 900, rev: 950, hasMore: false,
          tooLarge: true }] });
        const dropped = store.chat("9").messages;
        store.put(chat("9", { seq: 900, rev: 950, unreadCount: 890 }));
        return [dropped, heard.at(-2), store.chat("9").unreadCount, store.watermarks()];
    """) == [None, ["stale", "9"], 890, {"9": {"seq": 900, "rev": 950}}]


def test_snapshot_of_a_known_chat_keeps_the_watermark(run: Run) -> None:
    assert run("""
        store.put(chat("9", { seq: 6, rev: 6, name: "Renamed", lastMessage: message(6, 6) }));
        store.apply(said(5, 5));
        store.apply(said(6, 6));
        return [texts(), store.chat("9").name];
    """) == [["text 5", "text 6"], "Renamed"]


def test_read_marks_only_advance(run: Run) -> None:
    assert (
        run("""
        const receipt = (seq) => store.apply({ type: "read.receipt", payload: { chatId: "9", userId: "2", seq } });
        receipt(4);
        receipt(2);
        store.put(chat("9"));
        return store.chat("9").members[1].readSeq;
    """)
        == 4
    )


def test_ticks_show_the_state_shared_by_all_others(run: Run) -> None:
    assert run("""
        store.put(chat("8", { kind: "group", memberCount: 3, members: [person("1"), person("2"), person("3")] }));
        const { ticks } = await import("/static/state/ticks.js");
        const group = store.chat("8");
        const own = message(4, 4, { sender: { id: "1" }, chatId: "8" });
        const states = [ticks(group, "1", own)];
        const receipt = (type, userId) =>
          store.apply({ type, payload: { chatId: "8", receipts: [{ userId, seq: 4 }] } });
        receipt("delivery.receipt", "2");
        receipt("read.receipt", "3");
        states.push(ticks(group, "1", own));
        receipt("read.receipt", "2");
        states.push(ticks(group, "1", own));
        return states;
    """) == [
        {"state": "sent", "seenBy": []},
        {"state": "delivered", "seenBy": ["P3"]},
        {"state": "seen", "seenBy": ["P2", "P3"]},
    ]


def test_receipts_move_marks_and_own_reading_the_unread_count(run: Run) -> None:
    assert run("""
        store.on("marks", (chatId) => heard.push(["marks", chatId]));
        store.put(chat("8", { unreadCount: 2, seq: 6, rev: 6 }));
        heard.length = 0;
        store.apply({ type: "delivery.receipt", payload: { chatId: "9", receipts: [{ userId: "2", seq: 4 }] } });
        store.apply({ type: "delivery.receipt", payload: { chatId: "77", receipts: [{ userId: "2", seq: 1 }] } });
        store.apply({ type: "read.receipt", payload: { chatId: "9", receipts: [{ userId: "2", messageId: "m3", seq: 3 }] } });
        store.apply({ type: "read.receipt", payload: { chatId: "8", receipts: [{ userId: "1", messageId: "m6", seq: 6 }] } });
        const { deliveredSeq, readSeq } = store.chat("9").members[1];
        return [deliveredSeq, readSeq, store.chat("8").unreadCount, heard];
    """) == [4, 3, 0, [["marks", "9"], ["marks", "9"], ["marks", "8"]]]


def test_reading_on_another_device_clears_the_unread_count(run: Run) -> None:
    assert run("""
        store.apply(said(5, 5));
        store.apply(said(6, 6));
        store.apply({ type: "read.receipt", payload: { chatId: "9", userId: "1", seq: 5 } });
        const after = store.chat("9").unreadCount;
        store.apply({ type: "read.receipt", payload: { chatId: "9", receipts: [{ userId: "1", seq: 6 }] } });
        return [after, store.chat("9").unreadCount];
    """) == [1, 0]


def test_unknown_content_and_deleted_messages_have_a_text(run: Run) -> None:
    assert run("""
        store.apply({ type: "message.new", payload: { chatId: "77", message: message(1, 1) } });
        store.apply({ type: "chat.removed", payload: { chatId: "9" } });
        return [heard, store.list().length];
    """) == [[["unknown", "77"], ["removed", "9"]], 0]


def test_edits_and_deletions_are_shown(run: Run) -> None:
    assert run("""
        store.apply(said(5, 5));
        store.apply({ type: "message.updated", payload: { chatId: "9",
          message: message(5, 6, { content: "edited", status: "edited" }) } });
        const edited = [...texts(), store.chat("9").lastMessage.content];
        store.apply({ type: "message.deleted", payload: { chatId: "9", messageId: "m5", seq: 5, rev: 7, by: "2" } });
        return [edited, store.chat("9").messages[0].status, store.chat("9").lastMessage.status];
    """) == [["edited", "edited"], "deleted", "deleted"]


def test_typing_line_names_two_typists(run: Run) -> None:
    assert run("""
        const { wording } = await import("/static/state/typing.js");
        const several = [[], ["Ada"], ["Ada", "Bob"], ["Ada", "Bob", "Chen"]].map((names) => wording(names));
        return [...several, wording(["Ada", "Bob"], 7)];
    """) == [
        "",
        "Ada is typing…",
        "Ada and Bob are typing…",
        "Several people are typing…",
        "Several people are typing…",
    ]


def test_server_counts_win_unless_the_page_has_read_further(run: Run) -> None:
    assert run("""
        const counts = () => ["9", "8"].map((id) => store.chat(id).unreadCount);
        store.put(chat("8", { seq: 9, rev: 9, unreadCount: 9, members: [person("1"), person("3")] }));
        store.applySync({ chats: [], badges: { 9: 2, 8: 9 } });
        const taken = counts();
        store.readUpTo("8", 9);
        store.applySync({ chats: [], badges: { 8: 9 } });
        return [taken, counts()];
    """) == [[2, 9], [0, 0]]


def test_unknown_changed_message_is_added_and_an_older_rev_is_ignored(run: Run) -> None:
    assert run("""
        const updated = (seq, rev, content) => store.apply({ type: "message.updated",
          payload: { chatId: "9", message: message(seq, rev, { content, status: "edited" }) } });
        store.apply(said(5, 5));
        updated(5, 6, "newer");
        store.applySync({ chats: [{ chatId: "9", messages: [message(5, 5)], members: null, seq: 5, rev: 6 }] });
        updated(6, 7, "not seen before");
        return texts();
    """) == ["newer", "not seen before"]


def test_deletion_for_oneself_removes_the_message_without_a_rev(run: Run) -> None:
    assert run("""
        store.apply(said(5, 5));
        store.apply(said(6, 6));
        store.apply({ type: "message.deleted", payload: { chatId: "9", messageId: "m6", seq: 6, rev: null, by: "1" } });
        const here = [texts(), store.chat("9").lastMessage.id, store.watermarks()["9"].rev];
        store.applySync({ chats: [{ chatId: "9", messages: [], members: null, seq: 6, rev: 6, hidden: ["m5"] }] });
        return [...here, texts()];
    """) == [["text 5"], "m5", 6, []]


def test_deletion_for_everyone_leaves_only_its_actor(run: Run) -> None:
    assert run("""
        store.apply(said(5, 5, { reactions: [{ emoji: "👍", count: 1, userIds: ["2"] }], mentionsAll: true }));
        store.apply({ type: "message.deleted", payload: { chatId: "9", messageId: "m5", seq: 5, rev: 6, by: "1" } });
        const { status, content, deletedBy, reactions, mentionsAll } = store.message("9", "m5");
        return [status, content, deletedBy, reactions, mentionsAll];
    """) == ["deleted", "", "1", [], False]


def test_conversation_change_moves_the_rev_and_requests_the_state(run: Run) -> None:
    assert run("""
        store.apply({ type: "chat.updated", payload: { chatId: "9", rev: 5 } });
        const asked = [heard.splice(0), store.watermarks()["9"].rev];
        store.apply({ type: "chat.updated", payload: { chatId: "9", chat: chat("9", { pinned: true, seq: 9, rev: 9 }) } });
        store.apply({ type: "chat.created", payload: { chatId: "70" } });
        return [...asked, store.chat("9").pinned, store.watermarks()["9"], heard];
    """) == [[["unknown", "9"]], 5, True, {"seq": 4, "rev": 5}, [["unknown", "70"]]]


def test_summary_counts_until_a_sync_delivers_its_messages(run: Run) -> None:
    assert run("""
        store.on("summary", (chatId) => heard.push(["summary", chatId]));
        const told = (rev, count) => store.apply({ type: "message.summary",
          payload: { chatId: "9", count, fromSeq: 5, toSeq: 6, rev } });
        told(4, 9);
        told(6, 2);
        const waiting = store.chat("9").waiting;
        store.applySync({ chats: [{ chatId: "9", messages: [message(5, 5), message(6, 6)], members: null, seq: 6, rev: 6 }] });
        return [waiting, store.chat("9").waiting, texts(), heard.filter(([name]) => name === "summary" || name === "gap")];
    """) == [2, 0, ["text 5", "text 6"], [["summary", "9"]]]


def test_reply_is_counted_once_at_its_root(run: Run) -> None:
    assert (
        run("""
        store.apply(said(5, 5));
        store.apply(said(6, 6, { threadId: "m5" }));
        store.apply({ type: "message.updated",
          payload: { chatId: "9", message: message(5, 7, { replyCount: 2, lastReplySeq: 7 }) } });
        store.apply(said(7, 8, { threadId: "m5" }));
        return store.message("9", "m5").replyCount;
    """)
        == 2
    )


def test_mentions_are_counted_until_they_are_read(run: Run) -> None:
    assert run("""
        store.apply(said(5, 5, { mentions: ["1"] }));
        store.apply(said(6, 6, { mentions: ["3"] }));
        store.apply(said(7, 7, { mentionsAll: true }));
        const counted = store.chat("9").mentionCount;
        store.readUpTo("9", 7);
        return [counted, store.chat("9").mentionCount];
    """) == [2, 0]


def test_optimistic_change_is_reverted_unless_the_server_changed_it(run: Run) -> None:
    assert run("""
        store.apply(said(5, 5));
        store.pretend("9", "m5", { content: "mine" })();
        const back = texts();
        const undo = store.pretend("9", "m5", { content: "mine" });
        const shown = texts();
        store.apply({ type: "message.updated", payload: { chatId: "9", message: message(5, 6, { content: "theirs" }) } });
        undo();
        return [back, shown, texts()];
    """) == [["text 5"], ["mine"], ["theirs"]]


def test_reactions_can_be_toggled(run: Run) -> None:
    assert run("""
        const { toggled } = await import("/static/views/message-actions.js");
        const one = toggled([], "👍", "1");
        const two = toggled([{ emoji: "👍", count: 1, userIds: ["2"] }], "👍", "1");
        return [one, two, toggled(two, "👍", "1"), toggled(one, "👍", "1")];
    """) == [
        [{"emoji": "👍", "count": 1, "userIds": ["1"]}],
        [{"emoji": "👍", "count": 2, "userIds": ["2", "1"]}],
        [{"emoji": "👍", "count": 1, "userIds": ["2"]}],
        [],
    ]


def test_undeclared_event_throws_for_listener_and_emitter(run: Run) -> None:
    assert (
        run("""
        const fault = (action) => { try { action(); } catch (error) { return error.message; } };
        return [fault(() => store.on("mesages", () => {})), fault(() => store.emit("mesages"))];
    """)
        == ["Store has no event mesages"] * 2
    )
