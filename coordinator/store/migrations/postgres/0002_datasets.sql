-- The counts of custom data that workers have loaded, by the digest of its content.
CREATE TABLE datasets (
    digest            TEXT   PRIMARY KEY,
    classes           BIGINT NOT NULL,
    train_images      BIGINT NOT NULL,
    validation_images BIGINT NOT NULL,
    test_images       BIGINT NOT NULL
);
