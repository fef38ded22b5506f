-- The coordinator that may write. All later versions read this table before they migrate the others.
CREATE TABLE leader (
    -- It grows with each coordinator. As a key, it changes only when no transaction of the current leader is open.
    epoch   BIGINT      PRIMARY KEY,
    -- Its host and process, for messages.
    holder  TEXT        NOT NULL,
    -- Its process, so that a coordinator on the same machine knows when it is gone; NULL if unknown.
    process TEXT,
    -- How others reach it; NULL before it listens.
    address TEXT,
    -- Until when it leads, by the clock of the database.
    expires TIMESTAMPTZ NOT NULL
);
INSERT INTO leader (epoch, holder, expires) VALUES (0, '', '-infinity');
