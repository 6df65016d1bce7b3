-- What is for sale. Money is in the smallest unit of the currency.
CREATE TABLE sku (
    id BIGINT NOT NULL PRIMARY KEY,
    name VARCHAR(64) NOT NULL,
    price_minor BIGINT NOT NULL,
    on_sale TINYINT NOT NULL DEFAULT 1,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE = InnoDB;

-- The stock as the inventory service has it: how much there is in all (a), and how much of it is paid for (b).
CREATE TABLE stock (
    sku_id BIGINT NOT NULL PRIMARY KEY,
    total BIGINT NOT NULL,
    reserved BIGINT NOT NULL DEFAULT 0,
    updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    CONSTRAINT stock_of_sku FOREIGN KEY (sku_id) REFERENCES sku (id)
) ENGINE = InnoDB;

-- What the inventory service has taken from the stock: one row an order, however often it is told.
CREATE TABLE stock_movement (
    order_id VARCHAR(64) NOT NULL PRIMARY KEY,
    sku_id BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE = InnoDB;

-- Where a SKU's stock is deducted: HOT in Redis, COLD here. The epoch grows with every change.
CREATE TABLE sku_route (
    sku_id BIGINT NOT NULL PRIMARY KEY,
    route VARCHAR(8) NOT NULL DEFAULT 'COLD',
    epoch BIGINT NOT NULL DEFAULT 0,
    updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    CONSTRAINT route_of_sku FOREIGN KEY (sku_id) REFERENCES sku (id)
) ENGINE = InnoDB;

-- The coupon service.
CREATE TABLE coupon (
    id BIGINT NOT NULL PRIMARY KEY,
    user_id VARCHAR(64) NOT NULL,
    discount_minor BIGINT NOT NULL,
    order_id VARCHAR(64) NULL,
    KEY by_user (user_id),
    UNIQUE KEY of_order (order_id)
) ENGINE = InnoDB;

-- INIT → DEDUCTED → PAID; INIT → REFUSED; INIT or DEDUCTED → CANCELLED.
CREATE TABLE orders (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    user_id VARCHAR(64) NOT NULL,
    sku_id BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    coupon_id BIGINT NULL,
    status VARCHAR(16) NOT NULL DEFAULT 'INIT',
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    KEY by_status (status, created_at),
    UNIQUE KEY coupon_once (coupon_id),
    CONSTRAINT order_of_sku FOREIGN KEY (sku_id) REFERENCES sku (id)
) ENGINE = InnoDB;

-- Which order has taken how much of which stock: DEDUCTED until the inventory service knows (SETTLED), or it is RETURNED.
CREATE TABLE inventory_log (
    order_id VARCHAR(64) NOT NULL PRIMARY KEY,
    sku_id BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    state VARCHAR(16) NOT NULL DEFAULT 'DEDUCTED',
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    KEY by_sku (sku_id, state),
    CONSTRAINT log_of_order FOREIGN KEY (order_id) REFERENCES orders (id)
) ENGINE = InnoDB;

CREATE TABLE payment (
    order_id VARCHAR(64) NOT NULL PRIMARY KEY,
    amount_minor BIGINT NOT NULL,
    paid_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    CONSTRAINT payment_of_order FOREIGN KEY (order_id) REFERENCES orders (id)
) ENGINE = InnoDB;

-- The local message table: what other services must be told, written with the change that they are told of.
CREATE TABLE message (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    topic VARCHAR(16) NOT NULL,
    order_id VARCHAR(64) NOT NULL,
    state VARCHAR(8) NOT NULL DEFAULT 'NEW',
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    UNIQUE KEY once (topic, order_id),
    KEY by_state (state, id),
    CONSTRAINT message_of_order FOREIGN KEY (order_id) REFERENCES orders (id)
) ENGINE = InnoDB;
