"""Declarations for the models of libraries: none of them holds a personal value here."""

from __future__ import annotations

from accounts.datamap import declare_foreign

declare_foreign("account.EmailAddress", "never written: sign-in finds users by blind index; the runtime role cannot insert")
declare_foreign("account.EmailConfirmation", "never written: the runtime role cannot insert")
declare_foreign("admin.LogEntry", "never written: the admin records in the ledger; the runtime role cannot insert")
declare_foreign("accounts.User_groups", "pairs of ids; staff only")
declare_foreign("accounts.User_user_permissions", "pairs of ids; staff only")
