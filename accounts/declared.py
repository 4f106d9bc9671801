"""Declarations for the models of libraries: none of them holds a personal value here."""

from __future__ import annotations

from accounts.datamap import Category, Held, Personal, Purpose, declare_foreign

declare_foreign("account.EmailAddress", "never written: sign-in uses the blind index; the runtime role cannot insert")
declare_foreign("account.EmailConfirmation", "never written: the runtime role cannot insert")
declare_foreign("admin.LogEntry", "never written: the admin records in the ledger; the runtime role cannot insert")
declare_foreign(
    "mfa.Authenticator",
    "secrets and names are sealed under the user's key of credentials; the database deletes the rows with their user",
    held=Personal(
        category=Category.CREDENTIALS,
        label="Second factor",
        time="created_at",
        purposes=(Purpose.SECURITY,),
        source="you",
        fields={"type": Held("Kind"), "last_used_at": Held("Last used", required=False)},
        account="user__account_id",
    ),
)
declare_foreign("accounts.User_groups", "pairs of ids; staff only")
declare_foreign("accounts.User_user_permissions", "pairs of ids; staff only")

# Below the data map, so declared from here: ids and fixed words, or content under a key of its own.
declare_foreign("safeguards.LedgerEntry", "ids, counts and fixed words; a personal value does not pass ledger.record")
declare_foreign("safeguards.OutboxMessage", "sealed under the row's own key, gone on delivery or after seven days")
declare_foreign("safeguards.DestructionOrder", "ids only")
declare_foreign("keys.DataKey", "ids only, in a database of its own")
declare_foreign("keys.KeyWrap", "wrapped keys, in a database of its own")
