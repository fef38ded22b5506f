-- The counts of custom data that workers have loaded, by the digest of its content.
CREATE TABLE datasets (
    digest            TEXT   PRIMARY KEY,
    classes           INTEGER NOT NULL,
    train_images      INTEGER NOT NULL,
    validation_images INTEGER NOT NULL,
    test_images       INTEGER NOT NULL
) STRICT;
