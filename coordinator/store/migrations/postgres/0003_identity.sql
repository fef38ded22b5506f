-- What tells this store from others, so that workers report to the coordinator that granted.
CREATE TABLE identity (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    id  BYTEA  NOT NULL CHECK (length(id) = 16)
);
INSERT INTO identity (one, id) VALUES (1, uuid_send(gen_random_uuid()));
