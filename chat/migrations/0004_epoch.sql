-- The one row that names this database's history (protocol 1). A restore renews it: UPDATE chat_epoch SET epoch = gen_random_uuid().
-- Locks: nothing else reads the table yet.
INSERT INTO chat_epoch (id, epoch) VALUES (1, gen_random_uuid());
