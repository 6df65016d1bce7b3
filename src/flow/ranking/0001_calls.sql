-- The calls of a merchant's consultants. The id is drawn by the caller's client, so that a call that is sent twice is one.
CREATE TABLE call_record (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    merchant_id BIGINT NOT NULL,
    consultant_id BIGINT NOT NULL,
    called_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    KEY by_merchant (merchant_id, called_at)
) ENGINE = InnoDB;
