"""How what is held about people is safeguarded: sealed fields, blind index, ledger, outbox, destruction of keys."""
