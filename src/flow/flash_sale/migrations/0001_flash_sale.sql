-- What is for sale: how much there was at the start, and how much of it is sold.
CREATE TABLE stock (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(64) NOT NULL,
    count BIGINT NOT NULL,
    sale BIGINT NOT NULL DEFAULT 0,
    version BIGINT NOT NULL DEFAULT 0
) ENGINE = InnoDB;

-- The orders. A request has one at most, however often it comes.
CREATE TABLE stock_order (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    stock_id BIGINT NOT NULL,
    request_id VARCHAR(64) NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    UNIQUE KEY by_request (request_id),
    KEY by_stock (stock_id)
) ENGINE = InnoDB;
