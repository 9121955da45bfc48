-- The rows of v1.db beside it: a store of version 1, made by running this over the tables of that version. Ids are of
-- 2023-11-14T22:13:20Z and the milliseconds after it.
INSERT INTO accounts (id, name, folded, password, created) VALUES
    (1, 'Alice', 'alice', '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA', 1700000000000),
    (2, 'Bob', 'bob', '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA', 1700000000001),
    (4, 'carol', 'carol', '$2b$12$saltsaltsaltsaltsaltsOhashhashhashhashhashhashhashha', 1700000000002);

-- Unread; read; deleted by its recipient; from nobody's account; of an account (3) that is gone.
INSERT INTO letters VALUES
    ((1700000000010 << 12) + 0, X'018BCFE5680A70008000000000000001', 'Alice', 'Bob', 'unread', 'key 1', 1, 2, 1, 1, 1, 0),
    ((1700000000010 << 12) + 1, X'018BCFE5680A70018000000000000002', 'bob', 'alice', 'read', NULL, 2, 1, 1, 1, 0, 0),
    ((1700000000010 << 12) + 2, X'018BCFE5680A70028000000000000003', 'Alice', 'carol', 'deleted', NULL, 1, 4, 1, 0, 0, 0),
    ((1700000000010 << 12) + 3, X'018BCFE5680A70038000000000000004', 'guest', 'Bob', 'from nobody', NULL, NULL, 2, 0, 1, 1, 0),
    ((1700000000010 << 12) + 4, X'018BCFE5680A70038000000000000005', 'guest', 'Bob', 'moved', NULL, NULL, 2, 0, 1, 1, 1),
    ((1700000000011 << 12) + 0, X'018BCFE5680B70008000000000000006', 'dave', 'Bob', 'gone', NULL, 3, 2, 1, 1, 1, 0);

INSERT INTO seats (room, token, name, ip, is_host) VALUES
    ('den', 'token_000102030405060708090a0b0c0d0e0f', 'Alice', '127.0.0.1', 1),
    ('den', 'token_101112131415161718191a1b1c1d1e1f', 'Bob', '2001:db8::1', 0);

-- A room of which the first 50 messages are gone, one that was closed, and one of that name that came later.
INSERT INTO rooms VALUES (1, 'lobby', 51, 150, 0), (2, 'den', 1, 2, 1), (3, 'den', 1, 1, 0);
WITH RECURSIVE numbers (sequence) AS (SELECT 51 UNION ALL SELECT sequence + 1 FROM numbers WHERE sequence < 150)
    INSERT INTO room_messages
        SELECT (1700000000020 << 12) + sequence, unhex(printf('018BCFE568147%03X8000%012X', sequence, sequence)),
            1, sequence, 'Alice', 'message ' || sequence, 0 FROM numbers;
INSERT INTO room_messages VALUES
    ((1700000000021 << 12) + 0, X'018BCFE5681570008000000000000000', 2, 1, 'Bob', 'old', 0),
    ((1700000000021 << 12) + 1, X'018BCFE5681570018000000000000001', 2, 2, 'Bob', 'older', 0),
    ((1700000000022 << 12) + 0, X'018BCFE5681670008000000000000002', 3, 1, 'Bob', 'new', 0);

INSERT INTO meta VALUES ('last_op', X'018BCFE5681670008000000000000002'), ('letters_from', -1);
